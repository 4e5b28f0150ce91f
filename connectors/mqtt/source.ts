/** Messages of MQTT 5 topics. */
import { hostname } from "node:os";
import { headerText } from "#abi";
import { CodedError } from "#base";
import { duration, type Source, type SourceContext, type SourceDefinition } from "#gateway/contract";
import {
  acknowledge,
  correlationText,
  explainMqtt,
  type IPublishPacket,
  type MqttClient,
  MqttRefusal,
  type MqttConfig,
  type MqttListener,
  mqttHeaders,
  mqttPeer,
  mqttProperties,
  mqttSchema,
  openMqtt,
  pinged,
  subscribe,
} from "./client.ts";
import { brokerSource } from "../shared/broker-source.ts";
import type { Delivery, Settled } from "../shared/intake.ts";
import { brokerLimits, quoteLimits } from "../shared/limits.ts";
import { header, incomingOf, replyOf } from "../shared/wire.ts";
import { acceptCloudEventsSchema } from "../shared/cloudevents/write.ts";

export interface MqttSourceConfig extends MqttConfig {
  readonly topic: string;
  readonly share?: string;
  readonly clientId?: string;
  readonly sessionExpiry: number;
  readonly prefetch?: number;
  readonly cloudevents: boolean;
}

export const mqttSource: SourceDefinition<MqttSourceConfig> = {
  isSingle: ({ share }) => share === undefined,
  name: "mqtt",
  summary: "Messages of MQTT 5 topics.",
  description: `At least once for messages published with QoS 1 or 2: they are acknowledged (PUBACK) only after their effects are committed. The session outlives
the connection (\`sessionExpiry\`), so the broker keeps messages while the gateway is away, as many as its own limits allow
(\`max_queued_messages\` of Mosquitto: 1,000). QoS 0 is delivered at most once.

- **Client id**: derived from the computer's name, the flow and the position in \`from\`; it must be unique and stay the same over restarts. Set a
  \`clientId\` for each of several gateways on one computer.
- **Several gateways** share the messages if they use the same \`share\` group (a shared subscription).
- **Prefetch**: at most \`prefetch\` messages are unacknowledged (Receive Maximum).
- **Order of acknowledgement**: MQTT requires PUBACKs in the order of the messages, so one that waits delays the acknowledgement of those
  behind it; after a crash some of them are redelivered and recognised as duplicates.
- **Requests**: a message with a response topic is answered there, with its correlation data.
- **Headers**: user properties, each value of a repeated one, and \`mqtt-topic\`, \`mqtt-retained\`. Duplicates are recognised by \`mayfly-id\`.
- **Errors** (retried with backoff, shown by \`/ready\`): \`MF_MQTT_UNREACHABLE\`, \`MF_MQTT_AUTH\`, \`MF_MQTT_FORBIDDEN\`, \`MF_MQTT_TAKEN_OVER\`
  (two clients under one id, where the broker says so), \`MF_MQTT_CLIENT_ID\`, \`MF_MQTT_VERSION\`, \`MF_MQTT_REFUSED\`, \`MF_MQTT_TLS\`.`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["url", "topic"],
    properties: {
      ...mqttSchema,
      topic: { type: "string", minLength: 1, description: "Topic filter; `+` and `#` as in MQTT." },
      share: {
        type: "string",
        pattern: "^[^/+#]+$",
        patternErrorMessage: "must be a name without /, + and #",
        description: "Group whose members share the messages.",
      },
      clientId: { type: "string", minLength: 1, description: "Client id. It must be unique and stay the same over restarts." },
      sessionExpiry: duration("Session expiry: time the broker keeps messages for a disconnected gateway.", "1d"),
      prefetch: {
        type: "integer",
        minimum: 1,
        maximum: brokerLimits.unacknowledged,
        description: "Maximum number of unacknowledged messages.",
      },
      cloudevents: acceptCloudEventsSchema,
    },
  },
  example: `mqtt: { url: "\${MQTT_URL}", topic: plant/+/measurements, share: mayfly }`,
  create: createMqttSource,
};

function createMqttSource(config: MqttSourceConfig, context: SourceContext): Source {
  let most: number = brokerLimits.unacknowledged; // lowered when messages come faster than memory allows
  return brokerSource({
    context,
    peer: mqttPeer(config),
    place: `topic ${config.topic}`,
    prefetch: config.prefetch ?? brokerLimits.unacknowledged,
    explain: explainMqtt,
    async open({ intake, lost, own, callback }) {
      const acks = new OrderedAcks();
      const receiveMaximum = Math.min(most, intake.limit);
      const listener: MqttListener = {
        options: {
          clientId: config.clientId ?? `mayfly-${hostname()}-${context.flow}-${context.name}`,
          clean: false,
          properties: { sessionExpiryInterval: Math.round(config.sessionExpiry / 1000), receiveMaximum },
        },
        onMessage: callback((client: MqttClient, packet: IPublishPacket) => {
          if (!intake.overfull || receiveMaximum === 1) return intake.offer(delivery({ config, context, acks }, client, packet));
          most = Math.max(1, Math.floor(receiveMaximum / 4));
          lost(new CodedError("MF_MEMORY_BUSY", "messages arrived faster than memory allows: the next connection accepts fewer at a time"));
        }),
      };
      const session = own(await openMqtt(config, context, lost, listener));
      await subscribe(session, config.share === undefined ? config.topic : `$share/${config.share}/${config.topic}`);
      return {}; // no end: the session collects messages while the gateway is away
    },
  });
}

interface Ack {
  readonly client: MqttClient;
  readonly packet: IPublishPacket;
  state: "open" | "settled" | "left";
}

/** "It MUST send PUBACK packets in the order in which the corresponding PUBLISH packets were received" [MQTT-4.6.0-2]. At most `limit` entries. */
class OrderedAcks {
  readonly #queue: Ack[] = [];

  add(client: MqttClient, packet: IPublishPacket): Ack {
    const ack: Ack = { client, packet, state: "open" };
    this.#queue.push(ack);
    return ack;
  }

  settle(ack: Ack, state: "settled" | "left"): void {
    ack.state = state;
    while (this.#queue[0] !== undefined && this.#queue[0].state !== "open") {
      const first = this.#queue.shift() as Ack;
      if (first.state === "settled" && first.client.connected) acknowledge(first.client, first.packet);
    }
  }
}

async function respond(client: MqttClient, { responseTopic = "", correlationData }: Properties, outcome: Settled): Promise<void> {
  // A broker ends the connection over a topic that can't be published to (4.7.1, 4.7.2, 4.8.2): it is not tried.
  if (responseTopic === "" || /[+#\u0000]/.test(responseTopic) || responseTopic.startsWith("$"))
    throw new Error(`nothing can be published to ${JSON.stringify(responseTopic.slice(0, quoteLimits.text))}`);
  const reply = replyOf(outcome);
  const correlation = correlationData === undefined ? {} : { correlationData };
  const options = { qos: 1 as const, properties: { ...mqttProperties(reply), ...correlation } };
  const answer = await client.publishAsync(responseTopic, Buffer.from(reply.body), options);
  const { reasonCode = 0 } = (answer ?? {}) as { readonly reasonCode?: number };
  if (reasonCode >= 128) throw new MqttRefusal(`the publication to ${responseTopic}`, reasonCode);
}

type Properties = NonNullable<IPublishPacket["properties"]>;

interface Receiving {
  readonly config: MqttSourceConfig;
  readonly context: SourceContext;
  readonly acks: OrderedAcks;
}

function delivery({ config, context, acks }: Receiving, client: MqttClient, packet: IPublishPacket): Delivery {
  const { properties, payload } = packet;
  const headers = mqttHeaders(packet, context);
  const received = {
    id: headerText(headers[header.id]),
    headers,
    body: typeof payload === "string" ? Buffer.from(payload) : payload,
    contentType: properties?.contentType,
    correlationId: correlationText(properties?.correlationData),
    replyWanted: properties?.responseTopic !== undefined,
    redelivered: packet.dup,
  };
  const ack = acks.add(client, packet);
  return {
    incoming: incomingOf(received, config.cloudevents ? { prefixes: ["", "ce-"] } : undefined),
    ...(properties?.responseTopic === undefined ? {} : { reply: (outcome: Settled) => respond(client, properties, outcome) }),
    settle: () => acks.settle(ack, "settled"),
    proof: () => pinged(client),
    // MQTT has no nack: the broker redelivers it when this session is resumed.
    giveBack: () => acks.settle(ack, "left"),
    leave: () => acks.settle(ack, "left"),
  };
}
