/** Entries of a Redis stream, by a consumer group. */
import { hostname } from "node:os";
import { appendHeader, type HeadersDraft, headerText } from "#abi";
import { duration, type Source, type SourceContext, type SourceDefinition } from "#gateway/contract";
import { Intake, type Delivery } from "../shared/intake.ts";
import { brokerLimits } from "../shared/limits.ts";
import { Link } from "../shared/link.ts";
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
  summary: "Entries of a Redis stream, by a consumer group.",
  description: `At least once. An entry is acknowledged (XACK) only after its effects are committed; until then it is pending in the group.

- **After a crash** the consumer of the same name reads its own pending entries first, in order. Those of other consumers are claimed
  (XAUTOCLAIM) once they have been idle for \`claimAfter\`; while the gateway has an entry it keeps it from becoming idle.
- **Consumer**: named after the machine, the flow and the place in \`from\`. Give each a \`consumer\` when several gateways run on one machine.
- **Fields**: \`body\` is the body, every other field a header; \`content-type\`, \`mayfly-correlation-id\`, \`mayfly-key\` and \`mayfly-id\` have
  their meaning. An entry without \`body\` becomes a JSON object of its fields. Also set: \`redis-stream\`, \`redis-entry-id\`.
- **Duplicates** are recognised by \`mayfly-id\`, or else by stream and entry id.
- **Trimming**: an entry that MAXLEN removed while it was pending is acknowledged, counted as \`trimmed\` and logged: it can't be read any more.
- **Durability** is the server's (\`appendfsync\`).
- **Errors** (tried again with backoff, shown by \`/ready\`): \`MF_REDIS_UNREACHABLE\`, \`MF_REDIS_AUTH\`, \`MF_REDIS_FORBIDDEN\`, \`MF_REDIS_NO_STREAM\`,
  \`MF_REDIS_NO_GROUP\`, \`MF_REDIS_WRONG_TYPE\`, \`MF_REDIS_UNAVAILABLE\`, \`MF_REDIS_TLS\`.`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["url", "stream"],
    properties: {
      ...redisSchema,
      stream: { type: "string", minLength: 1, description: "Key of the stream." },
      group: { type: "string", minLength: 1, default: "mayfly", description: "Consumer group." },
      consumer: { type: "string", minLength: 1, description: "Name within the group; must stay the same over restarts." },
      create: { enum: ["none", "group", "stream"], default: "stream", description: "What to create when it is missing; `stream`: both." },
      from: { enum: ["all", "new"], default: "all", description: "Where a group that is created begins." },
      claimAfter: duration("Pending entries of other consumers are taken over after so long without a sign of life.", "60s"),
      body: { type: "string", minLength: 1, default: "body", description: "Field that holds the body." },
      delete: {
        type: "boolean",
        default: false,
        description: "Delete an entry (XDEL) with its acknowledgement: for streams used as a queue.",
      },
      prefetch: { type: "integer", minimum: 1, description: "Most entries at once in this gateway." },
      cloudevents: acceptCloudEventsSchema,
    },
  },
  example: `redis: { url: "\${REDIS_URL}", stream: orders, group: mayfly }`,
  create: createRedisSource,
};

function createRedisSource(config: RedisSourceConfig, context: SourceContext): Source {
  const peer = redisPeer(config);
  const what = `stream ${config.stream}`;
  const limit = Math.min(config.prefetch ?? context.prefetch, context.prefetch);
  let intake: Intake | undefined;

  const link = new Link<Reading>({
    context,
    peer: `${peer} ${what}`,
    explain: (error) => explainRedis(peer, what, error),
    onLost: () => intake?.forget(),
    async open(lost) {
      const writer = await openRedis(config, context, lost);
      let reader: RedisConnection | undefined;
      try {
        await createGroup(config, writer);
        await mayAcknowledge(config, writer);
        reader = await openRedis({ ...config, heartbeat: 2 ** 31 - 1 }, context, lost); // blocked most of the time: the writer's pings count
        const readerId = String(await reader.command("CLIENT", "ID"));
        const reading = new Reading(config, context, intake as Intake, writer, reader, readerId);
        reading.start(lost);
        return reading;
      } catch (error) {
        lost(error); // before closing, which would be taken for the reason
        await Promise.all([writer.close(), reader?.close()]);
        throw error;
      }
    },
  });

  return {
    start(accept) {
      intake = new Intake({ context, accept, limit });
      return link.start();
    },
    pause: () => intake?.pause(),
    resume: () => intake?.resume(),
    async stop() {
      await link.lastWords(link.session?.stopReading());
      await intake?.drain();
      await link.stop();
    },
    health: () => link.health(),
  };
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

/** Acknowledges no entry: a user without the right is told now, and not after every entry was run. */
async function mayAcknowledge({ stream, group, delete: deletes }: RedisSourceConfig, { command }: RedisConnection): Promise<void> {
  await command("XACK", stream, group, "0-0");
  if (deletes) await command("XDEL", stream, "0-0");
}

type Entry = readonly [id: Buffer, fields: readonly Buffer[] | null];

/** One session's reading: first what this consumer left pending, then new entries, and others' abandoned ones in between. */
class Reading {
  readonly #config: RedisSourceConfig;
  readonly #context: SourceContext;
  readonly #intake: Intake;
  readonly #writer: RedisConnection;
  readonly #reader: RedisConnection;
  readonly #readerId: string;
  readonly #consumer: string;
  readonly #open = new Set<string>();
  #ended = false;
  #loop: Promise<void> = Promise.resolve();
  #cancelKeeping: () => void = () => {};
  #lost: (error: unknown) => void = () => {};

  constructor(
    config: RedisSourceConfig,
    context: SourceContext,
    intake: Intake,
    writer: RedisConnection,
    reader: RedisConnection,
    readerId: string,
  ) {
    this.#config = config;
    this.#context = context;
    this.#intake = intake;
    this.#writer = writer;
    this.#reader = reader;
    this.#readerId = readerId;
    this.#consumer = config.consumer ?? `${hostname()}/${context.flow}/${context.name}`;
  }

  start(lost: (error: unknown) => void): void {
    this.#lost = lost;
    this.#loop = this.#run().catch(lost);
    this.#keep(lost);
  }

  /** CLIENT UNBLOCK lets a blocked read answer with nothing: no entry can be on its way when this resolves. */
  async stopReading(): Promise<void> {
    this.#ended = true;
    this.#intake.shut();
    let reading = true;
    const over = this.#loop.then(() => (reading = false));
    while (reading) {
      // Again and again: the read goes over another connection and may reach the server after this. It ends by itself in redisBlockMs.
      await this.#writer.command("CLIENT", "UNBLOCK", this.#readerId).catch(() => {});
      await Promise.race([over, new Promise<void>((resolve) => this.#context.clock.after(20, resolve))]);
    }
  }

  async close(): Promise<void> {
    this.#ended = true;
    this.#cancelKeeping();
    await Promise.all([this.#writer.close(), this.#reader.close()]);
  }

  async #run(): Promise<void> {
    let after = "0";
    let claimAtMs = 0;
    while (!this.#ended) {
      const room = await this.#intake.untilRoom();
      if (room === 0 || this.#ended) return;
      if (after !== ">") after = await this.#readOwn(room, after);
      else if (this.#context.clock.monotonicMs() >= claimAtMs) {
        const more = await this.#claim(room);
        claimAtMs = more ? 0 : this.#context.clock.monotonicMs() + this.#config.claimAfter / 2;
      } else await this.#readNew(room);
    }
  }

  /** Entries this consumer was given before and never acknowledged. Answers with where to go on: an id, or `>` at the end. */
  async #readOwn(room: number, after: string): Promise<string> {
    const entries = entriesOf(await this.#read(room, after));
    for (const entry of entries) this.#take(entry, true);
    return entries.at(-1)?.[0].toString() ?? ">";
  }

  async #readNew(room: number): Promise<void> {
    for (const entry of entriesOf(
      await this.#read(room, ">", "BLOCK", String(Math.min(brokerLimits.redisBlockMs, this.#config.claimAfter))),
    ))
      this.#take(entry, false);
  }

  #read(room: number, after: string, ...block: readonly string[]): Promise<Reply> {
    const { group, stream } = this.#config;
    return this.#reader.command("XREADGROUP", "GROUP", group, this.#consumer, "COUNT", String(room), ...block, "STREAMS", stream, after);
  }

  /** True when there may be more to claim. */
  async #claim(room: number): Promise<boolean> {
    const { group, stream, claimAfter } = this.#config;
    const reply = await this.#writer.command("XAUTOCLAIM", stream, group, this.#consumer, String(claimAfter), "0-0", "COUNT", String(room));
    const entries = (reply as readonly Reply[])[1] as unknown as readonly Entry[];
    for (const entry of entries) if (entry !== null && !this.#open.has(entry[0].toString())) this.#take(entry, true);
    return entries.length === room;
  }

  /** An entry stays ours while it is worked on: claiming it again sets its idle time back (JUSTID: without counting a delivery). */
  #keep(lost: (error: unknown) => void): void {
    const { group, stream, claimAfter } = this.#config;
    this.#cancelKeeping = this.#context.clock.after(claimAfter / 3, () => {
      const ids = [...this.#open];
      if (ids.length > 0) this.#writer.command("XCLAIM", stream, group, this.#consumer, "0", ...ids, "JUSTID").catch(lost);
      this.#keep(lost);
    });
  }

  #take([idBytes, fields]: Entry, redelivered: boolean): void {
    const id = idBytes.toString();
    if (fields === null) {
      this.#context.metrics.count("trimmed");
      this.#context.logger.error(
        { code: "MF_REDIS_TRIMMED", entry: id },
        "an entry was trimmed from the stream before it was acknowledged",
      );
      this.#acknowledge(id).catch(() => {}); // it will be met again
      return;
    }
    this.#open.add(id);
    this.#intake.offer(this.#delivery(id, fields, redelivered));
  }

  async #acknowledge(id: string): Promise<void> {
    const { group, stream } = this.#config;
    const acknowledged = this.#writer.command("XACK", stream, group, id);
    const deleted = this.#config.delete ? this.#writer.command("XDEL", stream, id) : undefined; // one round trip for both
    await Promise.all([acknowledged, deleted]);
  }

  #delivery(id: string, fields: readonly Buffer[], redelivered: boolean): Delivery {
    const { group, stream, claimAfter } = this.#config;
    const received = receivedOf(this.#context, this.#config, id, fields);
    return {
      incoming: incomingOf({ ...received, redelivered }, this.#config.cloudevents ? { prefixes: ["ce-"] } : undefined),
      settle: async () => {
        this.#open.delete(id);
        try {
          await this.#acknowledge(id);
        } catch (error) {
          if (isReply(error)) this.#lost(error); // the server refuses: it would refuse the next one too
          throw error;
        }
      },
      giveBack: async () => {
        this.#open.delete(id);
        // Redis has no nack; as idle as this the next one to claim gets it.
        await this.#writer.command("XCLAIM", stream, group, this.#consumer, "0", id, "IDLE", String(claimAfter), "JUSTID");
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
