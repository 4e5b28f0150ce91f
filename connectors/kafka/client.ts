/** Kafka over @platformatic/kafka, an optional package: loading it, its options, its errors in our words. */
import type { EventEmitter } from "node:events";
import type * as Kafka from "@platformatic/kafka";
import { CodedError, isCoded } from "#base";
import { type ConnectorContext, duration, type JsonSchema } from "#gateway/contract";
import { codeOf, explainNetwork, messageOf } from "../shared/explain.ts";
import { brokerLimits } from "../shared/limits.ts";
import { readTls, tlsSchema, type TlsConfig } from "../shared/tls.ts";
import { kafkaLimits } from "./limits.ts";
import { boundUnfolding, type Compressions } from "./unfold.ts";

export type Client = typeof Kafka;

export interface SaslConfig {
  readonly mechanism: "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512" | "OAUTHBEARER";
  readonly username?: string;
  readonly password?: string;
  readonly token?: string;
}

export interface KafkaConfig {
  readonly brokers: readonly string[];
  readonly sasl?: SaslConfig;
  /** Absent: connect without TLS. */
  readonly tls?: TlsConfig;
  readonly heartbeat: number;
}

export const kafkaSchema: Readonly<Record<string, JsonSchema>> = {
  brokers: {
    type: "array",
    minItems: 1,
    items: {
      type: "string",
      pattern: "^([^\\s:/@]+|\\[[0-9a-fA-F:.]+\\])(:[0-9]{1,5})?$",
      patternErrorMessage: "must be a host and a port, for example kafka-1:9092, without a scheme and without a user",
    },
    description: "Brokers to ask first, each `host:port`.",
  },
  sasl: {
    type: "object",
    additionalProperties: false,
    required: ["mechanism"],
    description: "Login. `token` is for OAUTHBEARER, `username` and `password` for the others.",
    properties: {
      mechanism: { enum: ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"], description: "SASL mechanism." },
      username: { type: "string", description: "User." },
      password: { type: "string", description: "Password." },
      token: { type: "string", description: "Bearer token." },
    },
  },
  tls: {
    ...tlsSchema,
    description: "Connect with TLS. `{}`: trust the system's certificate authorities; PEM files are relative to mayfly.yaml.",
  },
  heartbeat: duration("Time without an answer after which a broker counts as lost.", "10s"),
};

const packageName = "@platformatic/kafka";

/** Throws MF_KAFKA_CLIENT when the package is not installed. */
export async function loadClient(load: () => Promise<Client> = () => import("@platformatic/kafka")): Promise<Client> {
  let client: Client;
  try {
    client = await load();
  } catch (cause) {
    if (codeOf(cause) !== "ERR_MODULE_NOT_FOUND") throw cause;
    throw new CodedError("MF_KAFKA_CLIENT", `the Kafka client is not installed: run \`npm install ${packageName}@1\` beside mayfly`, {
      cause,
    });
  }
  if (!heard.has(client)) {
    client.instancesChannel.subscribe(hear);
    boundUnfolding(client.compressionsAlgorithms as unknown as Compressions);
  }
  heard.add(client);
  return client;
}

const heard = new WeakSet<Client>();

/** A connection that ends during its login has an error that nobody listens to any more, and Node ends a process over such. */
function hear(made: unknown): void {
  const { type, instance } = made as { readonly type: string; readonly instance: EventEmitter };
  if (type === "connection") instance.on("error", () => undefined);
}

export const kafkaPeer = ({ brokers }: KafkaConfig): string => `kafka ${brokers.join(",")}`;

/** Options of any client: one attempt, since a Link repeats it. */
export async function clientOptions(config: KafkaConfig, context: ConnectorContext) {
  const { tls, sasl, brokers, heartbeat } = config;
  const material = await readTls(tls, context);
  return {
    clientId: `mayfly-${context.flow.replace(/[^A-Za-z0-9._-]/g, "-")}`,
    bootstrapBrokers: brokers.map((broker) => (/:\d+$/.test(broker) ? broker : `${broker}:${kafkaLimits.port}`)),
    retries: 0,
    connectTimeout: Math.min(brokerLimits.connectMs, Math.max(heartbeat, kafkaLimits.leastConnectMs)),
    ...(sasl === undefined ? {} : { sasl }),
    ...(material === undefined ? {} : { tls: material, tlsServerName: material.servername ?? true }),
  };
}

/** Kafka's own name of the first error that has one, for example UNKNOWN_TOPIC_OR_PARTITION. */
export function protocolErrorOf(error: unknown): string | undefined {
  const { apiId } = error as { readonly apiId?: unknown };
  if (typeof apiId === "string") return apiId;
  for (const inner of insideOf(error)) {
    const found = protocolErrorOf(inner);
    if (found !== undefined) return found;
  }
  return undefined;
}

function insideOf(error: unknown): readonly unknown[] {
  if (error instanceof AggregateError) return [...error.errors, error.cause].filter((each) => each instanceof Error);
  return error instanceof Error && error.cause instanceof Error ? [error.cause] : [];
}

/** The innermost error: the client wraps what the network told in "metadata failed" and the like. */
function innermost(error: unknown): unknown {
  const [first] = insideOf(error);
  return first === undefined ? error : innermost(first);
}

function someHas(error: unknown, code: string): boolean {
  return (error as { readonly code?: unknown }).code === code || insideOf(error).some((inner) => someHas(inner, code));
}

const noTopic = (peer: string, place: string): string => `${place} does not exist at ${peer}: create it, correct its name, or use create`;

export function explainKafka(peer: string, place: string, error: unknown): CodedError {
  if (isCoded(error)) return error;
  const name = protocolErrorOf(error);
  const told = (code: string, text: string): CodedError => new CodedError(code, text, { cause: error });
  if (name === "SASL_AUTHENTICATION_FAILED" || name === "UNSUPPORTED_SASL_MECHANISM" || someHas(error, "PLT_KFK_AUTHENTICATION"))
    return told("MF_KAFKA_AUTH", `${peer} rejected the login: check sasl (mechanism, username, password)`);
  if (name === undefined && /^Unknown topic /.test(messageOf(innermost(error)))) return told("MF_KAFKA_NO_TOPIC", noTopic(peer, place));
  if (name === undefined) return explainNetwork("KAFKA", peer, innermost(error));
  if (name.endsWith("AUTHORIZATION_FAILED")) return told("MF_KAFKA_FORBIDDEN", `${peer} denied this user access to ${place} (${name})`);
  if (name === "UNKNOWN_TOPIC_OR_PARTITION" || name === "UNKNOWN_TOPIC_ID" || name === "INVALID_TOPIC_EXCEPTION")
    return told("MF_KAFKA_NO_TOPIC", noTopic(peer, place));
  if (name === "FENCED_INSTANCE_ID")
    return told("MF_KAFKA_FENCED", `another gateway reads ${place} under this instance name: give each its own \`instance\``);
  if (name === "MESSAGE_TOO_LARGE" || name === "RECORD_LIST_TOO_LARGE")
    return told("MF_KAFKA_TOO_LARGE", `the message is longer than ${place} allows: raise max.message.bytes of the topic, or send less`);
  return told("MF_KAFKA_REFUSED", `${peer} refused a request for ${place}: ${name}, ${messageOf(innermost(error))}`);
}
