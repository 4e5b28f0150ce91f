/** MQTT 5 over mqtt.js: connecting, its errors in our words, and properties ⇄ headers. */
import mqtt, { type IClientOptions, type IPublishPacket, type MqttClient } from "mqtt";
import type { HeadersDraft } from "#abi";
import { CodedError } from "#base";
import { type ConnectorContext, duration, type JsonSchema } from "#gateway/contract";
import { codeOf, explainNetwork, messageOf, parseUrl, withoutSecrets } from "../shared/explain.ts";
import { brokerLimits } from "../shared/limits.ts";
import { LossGuard, within } from "../shared/link.ts";
import { checkTls, readTls, tlsSchema, type TlsConfig } from "../shared/tls.ts";
import { header, headersOf, type Sendable } from "../shared/wire.ts";

export interface MqttConfig {
  readonly url: string;
  readonly username?: string;
  readonly password?: string;
  readonly heartbeat: number;
  readonly tls?: TlsConfig;
}

export const mqttSchema: Readonly<Record<string, JsonSchema>> = {
  url: { type: "string", description: "`mqtt://user:password@host:1883`, `mqtts://` for TLS, `ws://` or `wss://` for WebSockets." },
  username: { type: "string", description: "Overrides the one in `url`." },
  password: { type: "string", description: "Overrides the one in `url`." },
  heartbeat: duration("Keep-alive interval in whole seconds; the connection is lost after one and a half silent intervals.", "10s"),
  tls: tlsSchema,
};

const schemes = ["mqtt:", "mqtts:", "ws:", "wss:"];

export function mqttPeer(config: MqttConfig): string {
  parseUrl(config.url, schemes);
  checkTls(config.url, config.tls, { "mqtt:": "mqtts:", "ws:": "wss:" });
  return withoutSecrets(config.url);
}

export interface MqttSession {
  readonly client: MqttClient;
  /** With reconnecting off the client leaves publishes waiting when the connection is lost. */
  readonly guard: LossGuard;
  close(): Promise<void>;
}

type Lost = (error: unknown) => void;

export interface MqttListener {
  readonly options: IClientOptions;
  /** Set before the connection is made: a kept session's messages come right behind the CONNACK. */
  onMessage?(client: MqttClient, packet: IPublishPacket): void;
}

export async function openMqtt(config: MqttConfig, context: ConnectorContext, lost: Lost, listener: MqttListener): Promise<MqttSession> {
  const url = parseUrl(config.url, schemes);
  const tls = await readTls(config.tls, context);
  const username = config.username ?? decodeURIComponent(url.username);
  const password = config.password ?? decodeURIComponent(url.password);
  url.username = "";
  url.password = "";
  const client = mqtt.connect(url.href, {
    protocolVersion: 5,
    reconnectPeriod: 0, // the Link does it
    resubscribe: false,
    connectTimeout: brokerLimits.connectMs,
    keepalive: Math.max(1, Math.round(config.heartbeat / 1000)),
    ...(username === "" ? {} : { username }),
    ...(password === "" ? {} : { password }),
    ...tls,
    ...listener.options,
  });
  const guard = new LossGuard();
  client.on("error", lost);
  client.on("disconnect", (packet) => lost(new DisconnectError(packet.reasonCode ?? 0)));
  client.on("close", () => {
    lost(new Error("the connection was closed"));
    guard.lost();
  });
  client.handleMessage = (packet, callback) => {
    listener.onMessage?.(client, packet);
    // An error here only means: no PUBACK now. The client would else acknowledge before the outcome, or, were the callback kept
    // for later, stop reading: no further messages and no answers to its pings.
    callback(packet.qos === 0 ? undefined : acknowledgedLater);
  };
  await connected(client, context);
  return { client, guard, close: () => closeMqtt(client, context) };
}

const acknowledgedLater = new Error("acknowledged after the outcome");

class DisconnectError extends Error {
  readonly reasonCode: number;
  constructor(reasonCode: number) {
    super(`the broker ended the connection with reason code ${reasonCode}`);
    this.reasonCode = reasonCode;
  }
}

async function connected(client: MqttClient, context: ConnectorContext): Promise<void> {
  const connecting = new Promise<void>((resolve, reject) => {
    client.once("connect", () => resolve());
    client.once("error", reject);
    client.once("close", () => reject(new Error("the broker closed the connection during the handshake")));
  });
  try {
    await within(context, brokerLimits.connectMs, connecting);
  } catch (error) {
    client.end(true);
    throw error;
  }
}

async function closeMqtt(client: MqttClient, context: ConnectorContext): Promise<void> {
  try {
    // Not followed by end(true): a socket that is destroyed may take the last acknowledgements with it.
    if (client.connected) {
      await within(context, brokerLimits.closeMs / 2, pinged(client));
      return await within(context, brokerLimits.closeMs / 2, client.endAsync(false));
    }
  } catch {
    // The peer answers no more.
  }
  client.end(true);
}

/** A PINGRESP comes after the broker has read everything before the PINGREQ: the last acknowledgements among it. */
export function pinged(client: MqttClient): Promise<void> {
  return new Promise((resolve) => {
    const onPacket = (packet: { readonly cmd: string }): void => {
      if (packet.cmd !== "pingresp") return;
      client.off("packetreceive", onPacket);
      resolve();
    };
    client.on("packetreceive", onPacket);
    client.sendPing();
  });
}

/** PUBACK, MQTT 5 section 3.4: type 4, remaining length 2, packet identifier; "reason code and property length can be omitted" on success. */
export function acknowledge(client: MqttClient, packet: IPublishPacket): void {
  const id = packet.messageId ?? 0;
  if (packet.qos === 1) client.stream.write(Buffer.from([0x40, 0x02, id >> 8, id & 0xff]));
}

export function explainMqtt(peer: string, what: string, error: unknown): CodedError {
  const message = messageOf(error);
  const told = (code: string, text: string): CodedError => new CodedError(code, text, { cause: error });
  const numbered = error as { readonly code?: unknown; readonly reasonCode?: unknown } | undefined;
  const reason = typeof numbered?.reasonCode === "number" ? numbered.reasonCode : numbered?.code;
  switch (reason) {
    case 4: // MQTT 3
    case 134:
      return told("MF_MQTT_AUTH", `${peer} rejected the user or password: check url, username and password`);
    case 5: // MQTT 3
    case 135:
      return told(
        error instanceof MqttRefusal ? "MF_MQTT_FORBIDDEN" : "MF_MQTT_AUTH",
        `${peer} denied this client access to ${what}: check url, username, password and the broker's access rules`,
      );
    case 142:
      return told(
        "MF_MQTT_TAKEN_OVER",
        `another client connected to ${peer} with the same client id: set a different clientId for each gateway`,
      );
    case 133:
      return told("MF_MQTT_CLIENT_ID", `${peer} rejected the client id: set another clientId`);
    case 132:
    case 1:
      return told("MF_MQTT_VERSION", `${peer} does not support MQTT 5: use a broker that does`);
    default:
  }
  if (error instanceof MqttRefusal) return told("MF_MQTT_REFUSED", `${peer}: ${message}`);
  if (typeof reason === "number" && codeOf(error) === "")
    return told("MF_MQTT_UNREACHABLE", `${peer} closed or refused the connection: ${message}`);
  return explainNetwork("MQTT", peer, error);
}

/** A SUBACK or PUBACK with a reason code of 128 or more. */
export class MqttRefusal extends Error {
  readonly reasonCode: number;
  constructor(what: string, reasonCode: number) {
    super(`the broker refused ${what} with reason code ${reasonCode}`);
    this.reasonCode = reasonCode;
  }
}

/** Subscribes with QoS 1: what was published with QoS 2 comes with 1. Retained messages only when the subscription is new. */
export async function subscribe({ client, guard }: MqttSession, filter: string): Promise<void> {
  const refused = (error: unknown): never => {
    const reason = (error as { readonly packet?: { readonly granted?: readonly unknown[] } } | undefined)?.packet?.granted?.[0];
    throw typeof reason === "number" ? new MqttRefusal(`the subscription of ${filter}`, reason) : error;
  };
  const grants = await guard.during(client.subscribeAsync(filter, { qos: 1, rh: 1 })).catch(refused);
  const granted = grants[0]?.qos ?? 0;
  if (granted >= 128) throw new MqttRefusal(`the subscription of ${filter}`, granted);
}

export function mqttHeaders({ properties, topic, retain }: IPublishPacket, context: ConnectorContext): HeadersDraft {
  const place = headersOf([["mqtt-topic", topic], ...(retain ? [["mqtt-retained", "true"] as const] : [])], context);
  return { ...headersOf(Object.entries(properties?.userProperties ?? {}), context), ...place };
}

/** Correlation data are bytes; as an id they are text where they can be. */
export function correlationText(data: Buffer | undefined): string | undefined {
  if (data === undefined || data.length === 0) return undefined;
  const text = data.toString("utf8");
  return Buffer.from(text, "utf8").equals(data) && !/[\u0000-\u001f\u007f]/.test(text) ? text : data.toString("hex");
}

/** MQTT strings are well-formed UTF-8 without U+0000, at most 65,535 bytes (1.5.4). */
export function mqttProperties(
  message: Omit<Sendable, "body" | "id"> & { readonly id?: string },
): NonNullable<IPublishPacket["properties"]> {
  const userProperties: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(message.headers)) userProperties[name] = typeof value === "string" ? value : [...value];
  if (message.id !== undefined) userProperties[header.id] = message.id;
  if (message.key !== undefined) userProperties[header.key] = message.key;
  const correlation = message.correlationId === undefined ? {} : { correlationData: Buffer.from(message.correlationId) };
  return { userProperties, ...(message.contentType === "" ? {} : { contentType: message.contentType }), ...correlation };
}

export type { IPublishPacket, MqttClient };
