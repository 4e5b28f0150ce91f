/** To an MQTT 5 topic, acknowledged by the broker. */
import { randomUUID } from "node:crypto";
import {
  type Answer,
  type Attempt,
  duration,
  type Outgoing,
  type Outlet,
  type OutletContext,
  type OutletDefinition,
  OutletError,
} from "#gateway/contract";
import { Link, type Opening, unlessAborted } from "../shared/link.ts";
import {
  acknowledge,
  explainMqtt,
  type IPublishPacket,
  type MqttConfig,
  mqttHeaders,
  mqttPeer,
  mqttProperties,
  MqttRefusal,
  mqttSchema,
  type MqttSession,
  openMqtt,
  subscribe,
} from "./client.ts";
import { addressOf, answerOf, checkTemplate, sendableOf } from "../shared/wire.ts";
import { type CloudEventsConfig, cloudEventsSchema } from "../shared/cloudevents/write.ts";

export interface MqttOutletConfig extends MqttConfig {
  readonly topic: string;
  readonly qos: 1 | 2;
  readonly retain: boolean;
  readonly mandatory: boolean;
  readonly expires?: number;
  readonly replies: string;
  readonly cloudevents?: CloudEventsConfig;
}

export const mqttOutlet: OutletDefinition<MqttOutletConfig> = {
  name: "mqtt",
  summary: "To an MQTT 5 topic, acknowledged by the broker.",
  description: `A message counts as sent when the broker has acknowledged it (PUBACK, with \`qos: 2\` PUBCOMP).

- **Subscribers**: a broker drops a message without subscribers. With \`mandatory\` that is an error (\`MF_MQTT_UNROUTABLE\`) if the broker
  reports it (reason code 16; Mosquitto does).
- **Idempotency**: the user property \`mayfly-id\` is the same for every attempt at one send.
- **Address**: \`topic\` may hold \`{key}\`, \`{header.name}\`, \`{flow}\`, \`{outlet}\`; a value with a slash or a wildcard is an error.
- **Requests** use a response topic private to this gateway, below \`replies\`, and correlation data.
- **Headers** become user properties, one for each value; content type and correlation id have properties of their own.
- **Errors**: as those of the source, and \`MF_MQTT_UNROUTABLE\`.`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["url", "topic"],
    properties: {
      ...mqttSchema,
      topic: {
        type: "string",
        minLength: 1,
        pattern: "^[^+#]+$",
        patternErrorMessage: "must be a topic without the wildcards + and #",
        description: "Topic to publish to.",
      },
      qos: { enum: [1, 2], default: 1, description: "1: at least once; 2: the broker recognises a repeated publish of one connection." },
      retain: { type: "boolean", default: false, description: "Retain: the broker keeps the topic's last message for later subscribers." },
      mandatory: { type: "boolean", default: false, description: "Treat a message without subscribers as an error." },
      expires: duration("Message expiry: the broker drops a message it could not deliver within this time."),
      replies: {
        type: "string",
        pattern: "^[^+#]+$",
        patternErrorMessage: "must be a topic without the wildcards + and #",
        default: "mayfly/replies",
        description: "Prefix of the response topics of requests.",
      },
      cloudevents: cloudEventsSchema,
    },
  },
  example: `mqtt: { url: "\${MQTT_URL}", topic: "commands/{key}" }`,
  answers: true,
  create: (config, context) => new MqttOutlet(config, context),
};

interface OutletSession extends MqttSession {
  readonly answers: Map<string, (packet: IPublishPacket) => void>;
  readonly replyTopic: string;
  /** Message ids the broker acknowledged as "no matching subscribers"; a publish's promise does not tell. */
  readonly unheard: Set<number>;
  /** Made with the first request: most outlets never ask. */
  subscribed: Promise<void> | undefined;
}

class MqttOutlet implements Outlet {
  readonly #config: MqttOutletConfig;
  readonly #context: OutletContext;
  readonly #peer: string;
  readonly #link: Link<OutletSession>;
  #requests = 0;

  constructor(config: MqttOutletConfig, context: OutletContext) {
    checkTemplate(config.topic);
    this.#config = config;
    this.#context = context;
    this.#peer = mqttPeer(config);
    this.#link = new Link({
      context,
      peer: this.#peer,
      explain: (error) => explainMqtt(this.#peer, `topic ${config.topic}`, error),
      open: (opening) => this.#open(opening),
    });
  }

  start(): Promise<void> {
    return this.#link.start();
  }

  health(): ReturnType<Outlet["health"]> {
    return this.#link.health();
  }

  stop(): Promise<void> {
    return this.#link.stop();
  }

  async send(...[message, attempt]: Parameters<Outlet["send"]>): Promise<void> {
    await this.#publish(this.#link.need(), message, attempt, {});
  }

  async request(...[message, attempt]: Parameters<NonNullable<Outlet["request"]>>): Promise<Answer> {
    const session = this.#link.need();
    session.subscribed ??= subscribe(session, session.replyTopic);
    await unlessAborted(attempt.signal, session.subscribed);
    const correlation = `${++this.#requests}`; // the response topic is this session's alone: a counter can't be mixed up
    const answer = new Promise<IPublishPacket>((resolve) => session.answers.set(correlation, resolve));
    try {
      await this.#publish(session, message, attempt, { responseTopic: session.replyTopic, correlationData: Buffer.from(correlation) });
      const packet = await unlessAborted(attempt.signal, session.guard.during(answer));
      return answerOf(mqttHeaders(packet, this.#context), packet.properties?.contentType, Buffer.from(packet.payload));
    } finally {
      session.answers.delete(correlation);
    }
  }

  async #open({ lost, own }: Opening): Promise<OutletSession> {
    const clientId = `mayfly-${randomUUID()}`;
    const answers = new Map<string, (packet: IPublishPacket) => void>();
    const onMessage = (client: MqttSession["client"], packet: IPublishPacket): void => {
      answers.get(String(packet.properties?.correlationData))?.(packet);
      acknowledge(client, packet);
    };
    const session = own(await openMqtt(this.#config, this.#context, lost, { options: { clientId, clean: true }, onMessage }));
    const unheard = new Set<number>();
    session.client.on("packetreceive", ({ cmd, messageId, ...packet }) => {
      const { reasonCode } = packet as { readonly reasonCode?: number };
      const last = cmd === "puback" || cmd === "pubrec";
      if (last && reasonCode === noSubscribers && messageId !== undefined && this.#config.mandatory) unheard.add(messageId);
    });
    return { ...session, answers, unheard, replyTopic: `${this.#config.replies}/${clientId}`, subscribed: undefined };
  }

  async #publish(session: OutletSession, message: Outgoing, attempt: Attempt, more: object): Promise<void> {
    const { qos, retain, mandatory, expires, cloudevents, topic: template } = this.#config;
    const sendable = sendableOf(message, attempt, cloudevents, "");
    const topic = addressOf(template, message, /^[^+#/\u0000-\u001f\u007f]+$/);
    const expiry = expires === undefined ? {} : { messageExpiryInterval: Math.max(1, Math.round(expires / 1000)) };
    const properties = { ...mqttProperties(sendable), ...expiry, ...more };
    try {
      const publishing = session.client.publishAsync(topic, Buffer.from(sendable.body), { qos, retain, properties });
      const packet = await unlessAborted(attempt.signal, session.guard.during(publishing));
      const unheard = session.unheard.delete((packet as IPublishPacket | undefined)?.messageId ?? 0);
      if (!unheard || !mandatory) return;
    } catch (error) {
      if (error instanceof OutletError) throw error;
      const reason = (error as { readonly code?: unknown }).code;
      const refusal = typeof reason === "number" ? new MqttRefusal(`the message for ${topic}`, reason) : error;
      const { code, message: text } = explainMqtt(this.#peer, `topic ${topic}`, refusal);
      throw new OutletError(code, text, { retryable: true, cause: error });
    }
    throw new OutletError("MF_MQTT_UNROUTABLE", `${topic} has no subscribers at ${this.#peer}: start one, or leave out \`mandatory\``, {
      retryable: true,
    });
  }
}

/** PUBACK reason code 0x10, "No matching subscribers". */
const noSubscribers = 16;
