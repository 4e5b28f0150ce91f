/** Into a Redis stream (XADD). */
import { headerPairs } from "#abi";
import { type Attempt, type Outgoing, type Outlet, type OutletContext, type OutletDefinition, OutletError } from "#gateway/contract";
import { Link, unlessAborted } from "../shared/link.ts";
import { explainRedis, isReply, openRedis, type RedisConfig, type RedisConnection, redisPeer, redisSchema } from "./client.ts";
import { addressOf, checkTemplate, flatHeaders, header, sendableOf } from "../shared/wire.ts";
import { type CloudEventsConfig, cloudEventsSchema } from "../shared/cloudevents/write.ts";

export interface RedisOutletConfig extends RedisConfig {
  readonly stream: string;
  readonly create: boolean;
  readonly maxLength?: number;
  readonly exact: boolean;
  readonly body: string;
  readonly cloudevents?: CloudEventsConfig;
}

export const redisOutlet: OutletDefinition<RedisOutletConfig> = {
  name: "redis",
  summary: "To a Redis stream (XADD).",
  description: `A message counts as sent when the server has answered with the entry's id. Durability is up to the server (\`appendfsync\`).

- **Fields**: \`body\`, \`content-type\`, \`mayfly-id\` (the idempotency key: the same for every attempt at one send), \`mayfly-correlation-id\`,
  \`mayfly-key\`, and one for each header.
- **Address**: \`stream\` may hold \`{key}\`, \`{header.name}\`, \`{flow}\`, \`{outlet}\`.
- **Length**: \`maxLength\` trims the stream (MAXLEN), approximately unless \`exact\`. Unread entries are trimmed too.
- **Errors**: those of the source, and \`MF_REDIS_FULL\`.`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["url", "stream"],
    properties: {
      ...redisSchema,
      stream: { type: "string", minLength: 1, description: "Key of the stream." },
      create: {
        type: "boolean",
        default: true,
        description: "Create the stream with its first entry. false: a missing stream is an error.",
      },
      maxLength: { type: "integer", minimum: 1, description: "Maximum number of entries; older ones are trimmed." },
      exact: { type: "boolean", default: false, description: "Trim to exactly `maxLength`, which is slower." },
      body: { type: "string", minLength: 1, default: "body", description: "Field for the body." },
      cloudevents: cloudEventsSchema,
    },
  },
  example: `redis: { url: "\${REDIS_URL}", stream: "orders.{key}", maxLength: 100000 }`,
  answers: false,
  create: createRedisOutlet,
};

function createRedisOutlet(config: RedisOutletConfig, context: OutletContext): Outlet {
  checkTemplate(config.stream);
  const peer = redisPeer(config);
  const what = `stream ${config.stream}`;
  const link = new Link<RedisConnection>({
    context,
    peer: `${peer} ${what}`,
    explain: (error) => explainRedis(peer, what, error),
    async open({ lost, own }) {
      const connection = own(await openRedis(config, context, lost));
      if (!config.create && !config.stream.includes("{")) await connection.command("XINFO", "STREAM", config.stream); // a missing stream shows at once
      return connection;
    },
  });

  return {
    start: () => link.start(),
    async send(message, attempt) {
      const { command } = link.need();
      const words = entryOf(config, message, attempt);
      let id: unknown;
      try {
        id = await unlessAborted(attempt.signal, command(...words));
      } catch (error) {
        if (error instanceof OutletError) throw error;
        const { code, message: text } = explainRedis(peer, what, error);
        // A reply says what is wrong with the stream or the server; it may be mended. Everything else is the connection.
        throw new OutletError(isReply(error) && code.endsWith("UNREACHABLE") ? "MF_REDIS_REFUSED" : code, text, {
          retryable: true,
          cause: error,
        });
      }
      if (id === null) throw new OutletError("MF_REDIS_NO_STREAM", `${what} does not exist at ${peer}`, { retryable: true });
    },
    health: () => link.health(),
    stop: () => link.stop(),
  };
}

function entryOf(config: RedisOutletConfig, message: Outgoing, attempt: Attempt): (string | Buffer)[] {
  const sendable = sendableOf(message, attempt, config.cloudevents);
  const words: (string | Buffer)[] = ["XADD", addressOf(config.stream, message, /^[^\u0000-\u001f\u007f]+$/)];
  if (!config.create) words.push("NOMKSTREAM");
  if (config.maxLength !== undefined) words.push("MAXLEN", config.exact ? "=" : "~", String(config.maxLength));
  words.push("*", config.body, Buffer.from(sendable.body), header.id, sendable.id);
  for (const [name, value] of headerPairs(flatHeaders(sendable))) if (name !== config.body) words.push(name, value);
  return words;
}
