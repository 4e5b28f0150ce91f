/** Entries of a Redis stream, by a consumer group. */
import { hostname } from "node:os";
import { appendHeader, type HeadersDraft, headerText } from "#abi";
import { duration, type Source, type SourceContext, type SourceDefinition } from "#gateway/contract";
import { brokerSource, FetchLoop, Held, type SourceOpening } from "../shared/broker-source.ts";
import type { Delivery } from "../shared/intake.ts";
import { brokerLimits } from "../shared/limits.ts";
import { explainRedis, isReply, openRedis, type RedisConfig, type RedisConnection, redisPeer, redisSchema, type Reply } from "./client.ts";
import { header, headersOf, incomingOf } from "../shared/wire.ts";
import { acceptCloudEventsSchema } from "../shared/cloudevents/write.ts";

export interface RedisSourceConfig extends RedisConfig {
  readonly stream: string;
  readonly group: string;
  readonly consumer?: string;
  readonly create: "none" | "group" | "stream";
  readonly from: "all" | "new";
  readonly claimAfter: number;
  readonly body: string;
  readonly delete: boolean;
  readonly prefetch?: number;
  readonly cloudevents: boolean;
}

export const redisSource: SourceDefinition<RedisSourceConfig> = {
  name: "redis",
  summary: "Entries of a Redis stream, through a consumer group.",
  description: `At least once. An entry is acknowledged (XACK) only after its effects are committed; until then it is pending in the group.

- **After a crash** the consumer of the same name reads its own pending entries first, in order. Those of other consumers are claimed
  (XAUTOCLAIM) once they have been idle for \`claimAfter\`; the gateway keeps the entries it works on from becoming idle.
- **Consumer**: derived from the computer's name, the flow and the position in \`from\`. Set a \`consumer\` for each of several gateways on one computer.
- **Fields**: \`body\` is the body, every other field a header; \`content-type\`, \`mayfly-correlation-id\`, \`mayfly-key\` and \`mayfly-id\` have
  their meaning. An entry without \`body\` becomes a JSON object of its fields. Also set: \`redis-stream\`, \`redis-entry-id\`.
- **Duplicates** are recognised by \`mayfly-id\`, or else by stream and entry id.
- **Trimming**: an entry that MAXLEN removed while it was pending is lost: it is acknowledged, counted as \`trimmed\` and logged.
- **Durability** is the server's (\`appendfsync\`).
- **Errors** (retried with backoff, shown by \`/ready\`): \`MF_REDIS_UNREACHABLE\`, \`MF_REDIS_AUTH\`, \`MF_REDIS_FORBIDDEN\`, \`MF_REDIS_NO_STREAM\`,
  \`MF_REDIS_NO_GROUP\`, \`MF_REDIS_WRONG_TYPE\`, \`MF_REDIS_UNAVAILABLE\`, \`MF_REDIS_TLS\`.`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["url", "stream"],
    properties: {
      ...redisSchema,
      stream: { type: "string", minLength: 1, description: "Key of the stream." },
      group: { type: "string", minLength: 1, default: "mayfly", description: "Consumer group." },
      consumer: { type: "string", minLength: 1, description: "Consumer name within the group. It must stay the same over restarts." },
      create: {
        enum: ["none", "group", "stream"],
        default: "stream",
        description: "group: create a missing group. stream: create a missing stream and group.",
      },
      from: { enum: ["all", "new"], default: "all", description: "Start position of a group that is created." },
      claimAfter: duration("Idle time after which pending entries of other consumers are claimed.", "60s"),
      body: { type: "string", minLength: 1, default: "body", description: "Field that contains the body." },
      delete: {
        type: "boolean",
        default: false,
        description: "Delete an entry (XDEL) with its acknowledgement, for streams used as a queue.",
      },
      prefetch: { type: "integer", minimum: 1, description: "Maximum number of entries in flight in this gateway." },
      cloudevents: acceptCloudEventsSchema,
    },
  },
  example: `redis: { url: "\${REDIS_URL}", stream: orders, group: mayfly }`,
  create: createRedisSource,
};

function createRedisSource(config: RedisSourceConfig, context: SourceContext): Source {
  const consumer = config.consumer ?? `${hostname()}/${context.flow}/${context.name}`;
  return brokerSource({
    context,
    peer: redisPeer(config),
    place: `stream ${config.stream}`,
    prefetch: config.prefetch,
    explain: explainRedis,
    async open({ intake, lost, own }) {
      const writer = own(await openRedis(config, context, lost));
      await createGroup(config, writer);
      await mayAcknowledge(config, writer);
      const reader = own(await openRedis({ ...config, heartbeat: undefined }, context, lost)); // it blocks most of the time: the writer's heartbeat serves both
      const readerId = String(await reader.command("CLIENT", "ID"));
      const { group, stream, claimAfter } = config;
      // Claiming an entry again sets its idle time back (JUSTID: without counting a delivery).
      const keep = (ids: readonly string[]): Promise<Reply> => writer.command("XCLAIM", stream, group, consumer, "0", ...ids, "JUSTID");
      const held = own(new Held<string>(context, claimAfter / 3, (ids) => void keep(ids).catch(lost)));
      const entries = new Entries({ config, context, intake, lost, writer, reader, consumer, held });
      const loop = own(new FetchLoop(intake, lost, (room) => entries.fetch(room)));
      return {
        end() {
          loop.close();
          intake.shut();
          return unblock(context, writer, readerId, loop.over);
        },
      };
    },
  });
}

/** CLIENT UNBLOCK makes a blocked read return nothing: no entry is in flight when this resolves. */
async function unblock(context: SourceContext, { command }: RedisConnection, readerId: string, over: Promise<void>): Promise<void> {
  let reading = true;
  const read = over.then(() => (reading = false));
  while (reading) {
    // Repeated: the read goes over another connection and may reach the server after this. It ends by itself after redisBlockMs.
    await command("CLIENT", "UNBLOCK", readerId).catch(() => {});
    await Promise.race([read, new Promise<void>((resolve) => context.clock.after(brokerLimits.redisUnblockMs, resolve))]);
  }
}

async function createGroup(config: RedisSourceConfig, { command }: RedisConnection): Promise<void> {
  if (config.create === "none") {
    const groups = (await command("XINFO", "GROUPS", config.stream)) as readonly (readonly Reply[])[]; // says when there is no such stream
    if (!groups.some((fields) => String(fields[fields.findIndex((field) => String(field) === "name") + 1]) === config.group))
      throw new Error(`NOGROUP there is no group ${config.group}`);
    return;
  }
  const words = ["XGROUP", "CREATE", config.stream, config.group, config.from === "all" ? "0" : "$"];
  if (config.create === "stream") words.push("MKSTREAM");
  try {
    await command(...words);
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith("BUSYGROUP"))) throw error; // there already
  }
}

/** Acknowledges an entry that does not exist: a user without the right learns it now, not after the flow has run. */
async function mayAcknowledge({ stream, group, delete: deletes }: RedisSourceConfig, { command }: RedisConnection): Promise<void> {
  await command("XACK", stream, group, "0-0");
  if (deletes) await command("XDEL", stream, "0-0");
}

type Entry = readonly [id: Buffer, fields: readonly Buffer[] | null];

interface EntriesOptions extends Pick<SourceOpening, "intake" | "lost"> {
  readonly config: RedisSourceConfig;
  readonly context: SourceContext;
  readonly writer: RedisConnection;
  readonly reader: RedisConnection;
  /** Our name within the group. */
  readonly consumer: string;
  /** Ids of entries in hand. */
  readonly held: Held<string>;
}

/** One session's entries: first those this consumer left pending, then new ones, and others' abandoned ones in between. */
class Entries {
  readonly #options: EntriesOptions;
  /** Position of the next read. */
  #after = "0";
  #claimAtMs = 0;

  constructor(options: EntriesOptions) {
    this.#options = options;
  }

  async fetch(room: number): Promise<void> {
    const { context, config } = this.#options;
    if (this.#after !== ">") return await this.#readOwn(room);
    if (context.clock.monotonicMs() < this.#claimAtMs) return await this.#readNew(room);
    const more = await this.#claim(room);
    this.#claimAtMs = more ? 0 : context.clock.monotonicMs() + config.claimAfter / 2;
  }

  /** Entries this consumer was given before and never acknowledged. */
  async #readOwn(room: number): Promise<void> {
    const entries = entriesOf(await this.#read(room));
    for (const entry of entries) this.#take(entry, true);
    this.#after = entries.at(-1)?.[0].toString() ?? ">";
  }

  async #readNew(room: number): Promise<void> {
    const blockMs = Math.min(brokerLimits.redisBlockMs, this.#options.config.claimAfter);
    for (const entry of entriesOf(await this.#read(room, "BLOCK", String(blockMs)))) this.#take(entry, false);
  }

  #read(room: number, ...block: readonly string[]): Promise<Reply> {
    const { config, consumer, reader } = this.#options;
    const { group, stream } = config;
    return reader.command("XREADGROUP", "GROUP", group, consumer, "COUNT", String(room), ...block, "STREAMS", stream, this.#after);
  }

  /** True when there may be more to claim. */
  async #claim(room: number): Promise<boolean> {
    const { config, consumer, writer, held } = this.#options;
    const { group, stream, claimAfter } = config;
    const reply = await writer.command("XAUTOCLAIM", stream, group, consumer, String(claimAfter), "0-0", "COUNT", String(room));
    const entries = (reply as readonly Reply[])[1] as unknown as readonly Entry[];
    for (const entry of entries) if (entry !== null && !held.has(entry[0].toString())) this.#take(entry, true);
    return entries.length === room;
  }

  #take([idBytes, fields]: Entry, redelivered: boolean): void {
    const { context, held, intake } = this.#options;
    const id = idBytes.toString();
    if (fields === null) {
      context.metrics.count("trimmed");
      context.logger.error({ code: "MF_REDIS_TRIMMED", entry: id }, "an entry was trimmed from the stream before it was acknowledged");
      this.#acknowledge(id).catch(() => {}); // it will be claimed again
      return;
    }
    held.add(id);
    intake.offer(this.#delivery(id, fields, redelivered));
  }

  async #acknowledge(id: string): Promise<void> {
    const { config, writer } = this.#options;
    const acknowledged = writer.command("XACK", config.stream, config.group, id);
    const deleted = config.delete ? writer.command("XDEL", config.stream, id) : undefined; // one round trip for both
    await Promise.all([acknowledged, deleted]);
  }

  #delivery(id: string, fields: readonly Buffer[], redelivered: boolean): Delivery {
    const { config, context, consumer, writer, held, lost } = this.#options;
    const received = receivedOf(context, config, id, fields);
    return {
      incoming: incomingOf({ ...received, redelivered }, config.cloudevents ? { prefixes: ["ce-"] } : undefined),
      settle: async () => {
        held.delete(id);
        try {
          await this.#acknowledge(id);
        } catch (error) {
          if (isReply(error)) lost(error); // the server refuses this command: it would refuse the next one too
          throw error;
        }
      },
      giveBack: async () => {
        held.delete(id);
        const { group, stream, claimAfter } = config;
        // Redis has no nack; with this idle time the next consumer to claim gets it.
        await writer.command("XCLAIM", stream, group, consumer, "0", id, "IDLE", String(claimAfter), "JUSTID");
      },
    };
  }
}

function entriesOf(reply: Reply): readonly Entry[] {
  if (reply === null) return [];
  const [first] = reply as readonly (readonly [Buffer, readonly Entry[]])[];
  return first?.[1] ?? [];
}

function receivedOf(
  context: SourceContext,
  config: RedisSourceConfig,
  id: string,
  fields: readonly Buffer[],
): { id: string | undefined; headers: HeadersDraft; body: Uint8Array; contentType?: string } {
  const pairs: [string, Buffer][] = [];
  let body: Buffer | undefined;
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [name, value] = [fields[at]?.toString() ?? "", fields[at + 1] ?? Buffer.alloc(0)];
    if (name === config.body) body = value;
    else pairs.push([name, value]);
  }
  const place = headersOf(
    [
      ["redis-stream", config.stream],
      ["redis-entry-id", id],
    ],
    context,
  );
  const own = `${config.stream}:${id}`;
  if (body === undefined) {
    const object: HeadersDraft = Object.create(null); // any name is a field's
    for (const [name, value] of pairs) appendHeader(object, name, value.toString());
    return { id: own, headers: place, body: Buffer.from(JSON.stringify(object)), contentType: "application/json" };
  }
  const headers = { ...headersOf(pairs, context), ...place };
  return { id: headerText(headers[header.id]) ?? own, headers, body };
}
