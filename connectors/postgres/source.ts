/**
 * Rows of a PostgreSQL inbox table.
 *
 * Why a lease column and not a transaction held open per message (both work with FOR UPDATE SKIP LOCKED)? A held transaction needs a
 * connection for each message in progress, is lost with it, and keeps vacuum from cleaning up while the slowest flow runs. A lease needs
 * one connection for all. Its price is paid only after a crash: the rows of a gateway that died are locked until their lease ends. After a
 * lost connection the source reclaims its own rows at once.
 */
import { randomUUID } from "node:crypto";
import { duration, type Source, type SourceContext, type SourceDefinition, told } from "#gateway/contract";
import type pg from "pg";
import { brokerSource, FetchLoop, Held } from "../shared/broker-source.ts";
import type { Delivery, Intake, Settled } from "../shared/intake.ts";
import { heartbeat } from "../shared/link.ts";
import {
  createInbox,
  explainPostgres,
  openPostgres,
  type PostgresConfig,
  postgresPeer,
  postgresSchema,
  quoteTable,
  tableSchema,
} from "./client.ts";
import { headersOf, incomingOf } from "../shared/wire.ts";
import { acceptCloudEventsSchema } from "../shared/cloudevents/write.ts";

export interface PostgresSourceConfig extends PostgresConfig {
  readonly table: string;
  readonly create: boolean;
  readonly poll: number;
  readonly notify?: string;
  readonly lease: number;
  readonly done: "delete" | "mark";
  readonly prefetch?: number;
  readonly cloudevents: boolean;
}

export const postgresSource: SourceDefinition<PostgresSourceConfig> = {
  name: "postgres",
  summary: "Rows of a PostgreSQL inbox table.",
  description: `At least once. Rows are claimed with a lease (\`FOR UPDATE SKIP LOCKED\`) and deleted, or marked, only after their effects are
committed. Several gateways may share a table.

- **Table**: \`id bigint\` (its order is the order of delivery), \`message_id text\`, \`key text\`, \`content_type text\`, \`correlation_id text\`,
  \`headers jsonb\`, \`body bytea\`, \`attempts integer\`, \`claimed_by text\`, \`claimed_until timestamptz\`, \`done_at timestamptz\`, \`error text\`;
  \`create: true\` creates it. Insert into it in the same transaction as the change it reports: a transactional outbox.
- **Hints**: the table is polled every \`poll\`. With \`notify\` the source also LISTENs on that channel and polls at once when notified; a
  missed NOTIFY only costs the wait for the next poll.
- **After a crash** rows are delivered again when their \`lease\` has expired; the lease is renewed while the gateway works on them.
- **Failed messages**: with \`done: mark\` the row stays, with \`done_at\` and the \`error\` of a message that failed for good.
- **Duplicates** are recognised by \`message_id\`, or else by table and row id. Also set: header \`postgres-id\`.
- **Errors** (retried with backoff, shown by \`/ready\`): \`MF_POSTGRES_UNREACHABLE\`, \`MF_POSTGRES_AUTH\`, \`MF_POSTGRES_NO_DATABASE\`,
  \`MF_POSTGRES_NO_TABLE\`, \`MF_POSTGRES_COLUMNS\`, \`MF_POSTGRES_FORBIDDEN\`, \`MF_POSTGRES_UNAVAILABLE\`, \`MF_POSTGRES_TLS\`.`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["url", "table"],
    properties: {
      ...postgresSchema,
      table: { ...tableSchema, description: "Table, or `schema.table`." },
      create: { type: "boolean", default: false, description: "Create the table if it is missing." },
      poll: duration("Poll interval for new rows.", "1s"),
      notify: { type: "string", minLength: 1, maxLength: 63, description: "Channel to LISTEN on for hints." },
      lease: duration("Lease: rows of a gateway that died are delivered again after this time.", "60s"),
      done: { enum: ["delete", "mark"], default: "delete", description: "Handling of a row whose message is done." },
      prefetch: { type: "integer", minimum: 1, description: "Maximum number of rows in flight in this gateway." },
      cloudevents: acceptCloudEventsSchema,
    },
  },
  example: `postgres: { url: "\${DATABASE_URL}", table: inbox, notify: inbox }`,
  create: createPostgresSource,
};

function createPostgresSource(config: PostgresSourceConfig, context: SourceContext): Source {
  const owner = randomUUID(); // the same over all connections of this source
  return brokerSource({
    context,
    peer: postgresPeer(config),
    place: `table ${config.table}`,
    prefetch: config.prefetch,
    explain: explainPostgres,
    async open({ intake, lost, own }) {
      const client = await openPostgres(config, context, lost);
      own({ close: () => client.end() });
      own({ close: heartbeat(context, config.heartbeat, () => client.query("select 1"), lost) });
      const renew = `update ${quoteTable(config.table)} set claimed_until = now() + $3 * interval '1 millisecond' where id = any($1::bigint[]) and claimed_by = $2`;
      const held = own(
        new Held<string>(context, config.lease / 3, (ids) => void client.query(renew, [ids, owner, config.lease]).catch(lost)),
      );
      const inbox = own(new Inbox({ config, context, client, intake, held, owner }));
      await inbox.prepare();
      const loop = own(new FetchLoop(intake, lost, (room) => inbox.fetch(room)));
      return {
        end() {
          loop.close();
          intake.shut();
          inbox.close();
          return loop.over;
        },
      };
    },
  });
}

interface Row {
  readonly id: string;
  readonly message_id: string | null;
  readonly key: string | null;
  readonly content_type: string | null;
  readonly correlation_id: string | null;
  readonly headers: unknown;
  readonly body: Buffer | null;
  readonly attempts: number;
}

/** A row whose result must be written. */
interface Ending {
  readonly id: string;
  readonly error: string | null;
  resolve(): void;
  reject(error: unknown): void;
}

interface InboxOptions {
  readonly config: PostgresSourceConfig;
  readonly context: SourceContext;
  readonly client: pg.Client;
  readonly intake: Intake;
  /** Ids of rows in hand. */
  readonly held: Held<string>;
  /** Our name in `claimed_by`. */
  readonly owner: string;
}

/** One session's rows. */
class Inbox {
  readonly #config: PostgresSourceConfig;
  readonly #context: SourceContext;
  readonly #client: pg.Client;
  readonly #intake: Intake;
  readonly #held: Held<string>;
  readonly #owner: string;
  readonly #table: string;
  /** The table's name, and a number that changes when it is truncated, created again or restored. */
  #identity: string;
  #endings: Ending[] = [];
  #ending = false;
  #closed = false;
  #hinted = false;
  #wake: () => void = () => {};

  constructor({ config, context, client, intake, held, owner }: InboxOptions) {
    this.#config = config;
    this.#context = context;
    this.#client = client;
    this.#intake = intake;
    this.#held = held;
    this.#owner = owner;
    this.#table = quoteTable(config.table);
    this.#identity = config.table;
  }

  /** Creates or checks the table, and releases the rows that the previous, lost connection had claimed. */
  async prepare(): Promise<void> {
    if (this.#config.create) await createInbox(this.#client, this.#table);
    await this.#client.query(
      `update ${this.#table} set claimed_by = null, claimed_until = null where claimed_by = $1 and done_at is null`,
      [this.#owner],
    );
    this.#identity = `${this.#config.table}@${await this.#incarnation()}`;
    const { notify } = this.#config;
    if (notify === undefined) return;
    this.#client.on("notification", () => this.#hint());
    await this.#client.query(`listen ${this.#client.escapeIdentifier(notify)}`);
  }

  /** Row ids begin again after TRUNCATE … RESTART IDENTITY, which changes the table's file, and in a new table, which has another oid. */
  async #incarnation(): Promise<string> {
    const sql = "select $1::regclass::oid::text || '.' || coalesce(pg_relation_filenode($1::regclass), 0)::text as id";
    const { rows } = await this.#client.query<{ readonly id: string }>(sql, [this.#table]);
    return rows[0]?.id ?? "0";
  }

  /** Ends the wait for the next poll. */
  close(): void {
    this.#closed = true;
    this.#wake();
  }

  #hint(): void {
    this.#hinted = true;
    this.#wake();
  }

  async fetch(room: number): Promise<void> {
    this.#hinted = false;
    const rows = await this.#claim(room);
    for (const row of rows) this.#take(row);
    if (rows.length < room && !this.#hinted && !this.#closed) await this.#pause();
  }

  /** Until the next poll, or a hint that comes before it. */
  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#context.clock.after(this.#config.poll, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }

  /** Claims as many rows as there is room for, in number and in bytes; at least one. */
  async #claim(room: number): Promise<readonly Row[]> {
    const { rows } = await this.#client.query<Row>(
      `with free as (
         select id, coalesce(octet_length(body), 0) as bytes from ${this.#table}
         where done_at is null and (claimed_until is null or claimed_until < now())
         order by id limit $1 for update skip locked
       ), next as (
         select id from (select id, sum(bytes) over (order by id) - bytes as before from free) as summed where before = 0 or before < $4
       )
       update ${this.#table} as inbox
       set claimed_by = $2, claimed_until = now() + $3 * interval '1 millisecond', attempts = least(coalesce(attempts, 0), 2147483646) + 1
       from next where inbox.id = next.id
       returning inbox.id::text, message_id, key, content_type, correlation_id, headers, body, attempts`,
      [room, this.#owner, this.#config.lease, Math.max(this.#intake.roomBytes, 1)],
    );
    return rows.sort((a, b) => (BigInt(a.id) < BigInt(b.id) ? -1 : 1)); // "returning" promises no order
  }

  #take(row: Row): void {
    this.#held.add(row.id);
    if (row.body === null)
      return void this.#pass(row.id).catch(() => undefined); // it is claimed again after its lease
    else this.#intake.offer(this.#delivery({ ...row, body: row.body }));
  }

  /** Marks a row that can't be read, so that those behind it go on. It stays in the table even with `done: delete`: there is no other copy. */
  async #pass(id: string): Promise<void> {
    const why = "MF_POSTGRES_ROW: the body is null";
    this.#context.metrics.count("unreadable");
    this.#context.logger.error(
      { row: id, code: "MF_POSTGRES_ROW" },
      `the row ${id} of ${this.#config.table} can't be read and is marked as done: its body is null`,
    );
    const sql = `update ${this.#table} set done_at = now(), claimed_by = null, claimed_until = null, error = $3 where id = $1 and claimed_by = $2`;
    await this.#client.query(sql, [id, this.#owner, why]);
    this.#held.delete(id);
  }

  #delivery(row: Row & { readonly body: Buffer }): Delivery {
    const entries =
      typeof row.headers === "object" && row.headers !== null && !Array.isArray(row.headers) ? Object.entries(row.headers) : [];
    const received = {
      id: row.message_id ?? `${this.#identity}:${row.id}`,
      headers: { ...headersOf(entries, this.#context), "postgres-id": row.id },
      body: row.body,
      contentType: row.content_type ?? undefined,
      correlationId: row.correlation_id ?? undefined,
      key: row.key ?? undefined,
      redelivered: row.attempts > 1,
    };
    return {
      incoming: incomingOf(received, this.#config.cloudevents ? { prefixes: ["ce-"] } : undefined),
      settle: (outcome) => this.#end(row.id, outcome),
      giveBack: async () => {
        this.#held.delete(row.id);
        const sql = `update ${this.#table} set claimed_by = null, claimed_until = null where id = $1 and claimed_by = $2`;
        await this.#client.query(sql, [row.id, this.#owner]);
      },
    };
  }

  #end(id: string, outcome: Settled): Promise<void> {
    const failure = outcome.status === "dead" ? told(outcome.failure, "full") : undefined;
    const error = failure === undefined ? null : `${failure.code}: ${failure.message}`;
    return new Promise((resolve, reject) => {
      this.#endings.push({ id, error, resolve, reject });
      if (!this.#ending) void this.#writeEndings();
    });
  }

  /** One statement, and one sync of the server's disk, for all rows that ended during the statement before. */
  async #writeEndings(): Promise<void> {
    this.#ending = true;
    while (this.#endings.length > 0) {
      const batch = this.#endings.splice(0);
      const ids = batch.map(({ id }) => id);
      try {
        if (this.#config.done === "delete") {
          await this.#client.query(`delete from ${this.#table} where id = any($1::bigint[]) and claimed_by = $2`, [ids, this.#owner]);
        } else {
          await this.#client.query(
            `update ${this.#table} as inbox set done_at = now(), claimed_by = null, claimed_until = null, error = ended.error
             from unnest($1::bigint[], $3::text[]) as ended(id, error) where inbox.id = ended.id and claimed_by = $2`,
            [ids, this.#owner, batch.map(({ error }) => error)],
          );
        }
        for (const ending of batch) ending.resolve();
      } catch (error) {
        for (const ending of batch) ending.reject(error);
      }
      for (const id of ids) this.#held.delete(id);
    }
    this.#ending = false;
  }
}
