/**
 * Rows of a PostgreSQL inbox table.
 *
 * Why a lease column and not a transaction held open per message (both work with FOR UPDATE SKIP LOCKED)? A held transaction needs a
 * connection for each message in progress, is lost with it, and keeps vacuum from cleaning up while the slowest flow runs. A lease needs
 * one connection for all. Its price is paid only after a crash: the rows of a gateway that died are locked until their lease ends. After a
 * lost connection the source reclaims its own rows at once.
 */
import { randomUUID } from "node:crypto";
import type { Source, SourceContext, SourceDefinition } from "#gateway/contract";
import pg from "pg";
import { type Claim, type InboxConfig, type InboxRow, inboxSchema, inboxSource, type InboxTable, type RowEnd } from "../shared/inbox.ts";
import { inboxLimits, queryLimits } from "../shared/limits.ts";
import type { QueryConfig, QueryPage, QueryServer } from "../shared/query-position.ts";
import { checkQuery, queriedTable, queryDescription, querySchema, querySource } from "../shared/query-source.ts";
import { inboxRows, jsonText, queryRows } from "../shared/sql-rows.ts";
import { tableSchema } from "../shared/sql.ts";
import { changesDescription, type ChangesConfig, changesSchema, checkChanges } from "./changes/config.ts";
import { changesSource } from "./changes/source.ts";
import {
  createInbox,
  exactTypes,
  explainPostgres,
  openPostgres,
  type PostgresConfig,
  postgresPeer,
  postgresSchema,
  quoteTable,
  streamRows,
} from "./client.ts";

export interface PostgresSourceConfig extends PostgresConfig, InboxConfig, Omit<QueryConfig, "table"> {
  readonly notify?: string;
  readonly changes?: ChangesConfig;
}

export const postgresSource: SourceDefinition<PostgresSourceConfig> = {
  isSingle: ({ cursor, changes }) => cursor !== undefined || changes !== undefined,
  name: "postgres",
  summary: "Rows of a PostgreSQL inbox table, or of any table or query; changes of tables.",
  description: `At least once. Rows are claimed with a lease (\`FOR UPDATE SKIP LOCKED\`) and deleted, or marked, only after their effects are
committed. Several gateways may share a table.

- **Table**: \`id bigint\` (its order is the order of delivery), \`message_id text\`, \`key text\`, \`content_type text\`, \`correlation_id text\`,
  \`headers jsonb\`, \`body bytea\`, \`attempts integer\`, \`claimed_by text\`, \`claimed_until timestamptz\`, \`done_at timestamptz\`, \`error text\`;
  \`create: true\` creates it. Insert into it in the same transaction as the change it reports: a transactional outbox.
${queryDescription("postgres")}
${changesDescription}
- **Hints**: the table is polled every \`poll\`. With \`notify\` the source also LISTENs on that channel and polls at once when notified; a
  missed NOTIFY only costs the wait for the next poll.
- **After a crash** rows are delivered again when their \`lease\` has expired; the lease is renewed while the gateway works on them.
- **Failed messages**: with \`done: mark\` the row stays, with \`done_at\` and the \`error\` of a message that failed for good.
- **Duplicates** are recognised by \`message_id\`, or else by table and row id. Also set: header \`postgres-id\`.
- **Errors** (retried with backoff, shown by \`/ready\`): \`MF_POSTGRES_UNREACHABLE\`, \`MF_POSTGRES_AUTH\`, \`MF_POSTGRES_NO_DATABASE\`,
  \`MF_POSTGRES_NO_TABLE\`, \`MF_POSTGRES_COLUMNS\`, \`MF_POSTGRES_FORBIDDEN\`, \`MF_POSTGRES_UNAVAILABLE\`, \`MF_POSTGRES_TLS\`. A row without a body, or of more than
  64 MiB, is marked as done with \`MF_POSTGRES_ROW\`.`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["url"],
    properties: {
      ...postgresSchema,
      table: { ...tableSchema, description: "Table, or `schema.table`." },
      ...inboxSchema,
      ...querySchema,
      changes: changesSchema,
      notify: { type: "string", minLength: 1, maxLength: 63, description: "Channel to LISTEN on for hints." },
    },
  },
  example: `postgres: { url: "\${DATABASE_URL}", table: inbox, notify: inbox }`,
  create: createPostgresSource,
};

function createPostgresSource(config: PostgresSourceConfig, context: SourceContext): Source {
  if (config.changes !== undefined) {
    checkChanges({ ...config });
    return changesSource({ config, context, changes: config.changes });
  }
  checkQuery(config);
  if (config.cursor !== undefined) return createQuerySource(config, context, config.cursor);
  const owner = randomUUID(); // the same over all connections of this source
  return inboxSource({
    config,
    context,
    name: "postgres",
    rowCode: "MF_POSTGRES_ROW",
    peer: postgresPeer(config),
    explain: explainPostgres,
    async open({ lost, own }, hint) {
      const { client } = await openPostgres(config, context, lost, inboxRows);
      own({ close: () => client.end() });
      const inbox = new PostgresInbox(config, client, owner);
      await inbox.prepare(hint);
      return inbox;
    },
  });
}

function createQuerySource(config: PostgresSourceConfig, context: SourceContext, cursor: string): Source {
  return querySource({
    config,
    context,
    name: "postgres",
    peer: postgresPeer(config),
    explain: explainPostgres,
    async open({ lost, own }) {
      const { client } = await openPostgres(config, context, lost, queryRows);
      own({ close: () => client.end() });
      await client.query("set datestyle = 'ISO, YMD'; set timezone = 'UTC'"); // a kept value is read as it was written
      const rows = `${queriedTable(config, quoteTable)} as q`;
      const { fields } = await client.query(`select * from ${rows} limit 0`);
      return new PostgresQuery(client, rows, `q.${pg.escapeIdentifier(cursor)}`, lengthOf(fields));
    },
  });
}

/** Bytes of a row as text. Lengths of text and bytea are known to the server without reading the value; bytea has two digits for a byte. */
function lengthOf(fields: readonly pg.FieldDef[]): string {
  const names = fields.map(({ name }) => name);
  const lengths = fields
    .filter(({ name }) => names.indexOf(name) === names.lastIndexOf(name)) // others can't be named
    .map(({ name, dataTypeID }) => {
      const column = `q.${pg.escapeIdentifier(name)}`;
      if (dataTypeID === pg.types.builtins.BYTEA) return `coalesce(2 * octet_length(${column})::bigint, 0)`;
      const { TEXT, VARCHAR } = pg.types.builtins;
      return `coalesce(octet_length(${column}${dataTypeID === TEXT || dataTypeID === VARCHAR ? "" : "::text"}), 0)`;
    });
  return ["0::bigint", ...lengths].join(" + ");
}

class PostgresQuery implements QueryServer {
  readonly #client: pg.Client;
  /** The table or query, named `q`. */
  readonly #rows: string;
  /** The column that grows, and its value if it is not too long. */
  readonly #column: string;
  readonly #value: string;
  readonly #length: string;

  constructor(client: pg.Client, rows: string, column: string, length: string) {
    this.#client = client;
    this.#rows = rows;
    this.#column = column;
    this.#value = `case when octet_length(${column}::text) <= ${queryLimits.cursorBytes} then ${column}::text end`;
    this.#length = length;
  }

  async lengths(page: QueryPage): ReturnType<QueryServer["lengths"]> {
    const { where, isBeyond, values } = this.#place(page);
    const found = await this.#client.query<{ readonly cursor: string | null; readonly beyond: boolean; readonly bytes: string }>(
      `select ${this.#value} as cursor, ${isBeyond} as beyond, ${this.#length} as bytes
       from ${this.#rows} where ${where} order by ${this.#column} limit ${page.most}`,
      values,
    );
    return found.rows.map(({ cursor, beyond, bytes }) => ({ cursor, isBeyond: beyond, bytes: Number(bytes) }));
  }

  rows(page: QueryPage, onRow: Parameters<QueryServer["rows"]>[1]): Promise<void> {
    const { where, isBeyond, values } = this.#place(page);
    const text = `select q.*, ${this.#value} as mayfly_cursor, ${isBeyond} as mayfly_beyond from ${this.#rows}
      where ${where} and (${this.#length}) <= ${queryLimits.rowBytes} order by ${this.#column} limit ${page.most}`;
    return streamRows(this.#client, { text, values, types: exactTypes }, (found) => {
      const { mayfly_cursor: cursor, mayfly_beyond: beyond, ...row } = found;
      onRow({ cursor: String(cursor), isBeyond: beyond === true, json: jsonText(row) });
    });
  }

  async newest(): Promise<string | null | undefined> {
    const text = `select ${this.#value} as newest from ${this.#rows} where ${this.#column} is not null order by ${this.#column} desc limit 1`;
    return (await this.#client.query<{ readonly newest: string | null }>(text)).rows[0]?.newest;
  }

  ping(): Promise<unknown> {
    return this.#client.query("select 1");
  }

  #place({ from, beyond }: QueryPage): { readonly where: string; readonly isBeyond: string; readonly values: string[] } {
    const values = [from, beyond].filter((value) => value !== undefined);
    return {
      values,
      where: from === undefined ? `${this.#column} is not null` : `${this.#column} >= $1`,
      isBeyond: beyond === undefined ? "true" : `${this.#column} > $${values.length}`,
    };
  }
}

interface Row {
  readonly id: string;
  readonly message_id: string | null;
  readonly key: string | null;
  readonly content_type: string | null;
  readonly correlation_id: string | null;
  readonly headers: unknown;
  readonly body: Buffer | null;
  readonly bytes: string;
  readonly attempts: number;
}

const texts = ["message_id", "key", "content_type", "correlation_id", "headers"];
const rowBytes = `(coalesce(octet_length(body), 0)::bigint + ${texts.map((name) => `coalesce(octet_length(${name}::text), 0)`).join(" + ")})`;

class PostgresInbox implements InboxTable {
  readonly #config: PostgresSourceConfig;
  readonly #client: pg.Client;
  /** Our name in `claimed_by`. */
  readonly #owner: string;
  readonly #table: string;
  /** The table's name, and a number that changes when it is truncated, created again or restored. */
  #identity: string;

  constructor(config: PostgresSourceConfig, client: pg.Client, owner: string) {
    this.#config = config;
    this.#client = client;
    this.#owner = owner;
    this.#table = quoteTable(config.table);
    this.#identity = config.table;
  }

  async prepare(hint: () => void): Promise<void> {
    if (this.#config.create) await createInbox(this.#client, this.#table);
    await this.#client.query(
      `update ${this.#table} set claimed_by = null, claimed_until = null where claimed_by = $1 and done_at is null`,
      [this.#owner],
    );
    this.#identity = `${this.#config.table}@${await this.#incarnation()}`;
    const { notify } = this.#config;
    if (notify === undefined) return;
    this.#client.on("notification", hint);
    await this.#client.query(`listen ${this.#client.escapeIdentifier(notify)}`);
  }

  /** Row ids begin again after TRUNCATE … RESTART IDENTITY, which changes the table's file, and in a new table, which has another oid. */
  async #incarnation(): Promise<string> {
    const sql = "select $1::regclass::oid::text || '.' || coalesce(pg_relation_filenode($1::regclass), 0)::text as id";
    const { rows } = await this.#client.query<{ readonly id: string }>(sql, [this.#table]);
    return rows[0]?.id ?? "0";
  }

  async claim(room: number, bytes: number): Promise<Claim> {
    const short = (column: string): string => `case when next.bytes <= ${inboxLimits.rowBytes} then inbox.${column} end as ${column}`;
    const { rows } = await this.#client.query<Row>(
      `with free as (
         select id, ${rowBytes} as bytes from ${this.#table}
         where done_at is null and (claimed_until is null or claimed_until < now())
         order by id limit $1 for update skip locked
       ), next as (
         select id, bytes from (
           select id, bytes, sum(case when bytes <= ${inboxLimits.rowBytes} then bytes else 0 end) over (order by id) - bytes as before from free
         ) as summed where before <= 0 or before < $4
       )
       update ${this.#table} as inbox
       set claimed_by = $2, claimed_until = now() + $3 * interval '1 millisecond', attempts = least(coalesce(attempts, 0), 2147483646) + 1
       from next where inbox.id = next.id
       returning inbox.id::text, next.bytes, attempts, ${texts.map(short).join(", ")}, ${short("body")}`,
      [room, this.#owner, this.#config.lease, bytes],
    );
    rows.sort((a, b) => (BigInt(a.id) < BigInt(b.id) ? -1 : 1)); // "returning" promises no order
    return { rows: rows.map((row) => this.#row(row)), more: rows.length >= room };
  }

  #row({ id, message_id, key, content_type, correlation_id, headers, body, bytes, attempts }: Row): InboxRow {
    const message = message_id ?? `${this.#identity}:${id}`;
    return { id, message, key, contentType: content_type, correlationId: correlation_id, headers, body, bytes: Number(bytes), attempts };
  }

  renew(ids: readonly string[]): Promise<unknown> {
    const sql = `update ${this.#table} set claimed_until = now() + $3 * interval '1 millisecond' where id = any($1::bigint[]) and claimed_by = $2`;
    return this.#client.query(sql, [ids, this.#owner, this.#config.lease]);
  }

  release(id: string): Promise<unknown> {
    const sql = `update ${this.#table} set claimed_by = null, claimed_until = null where id = $1 and claimed_by = $2`;
    return this.#client.query(sql, [id, this.#owner]);
  }

  async end(rows: readonly RowEnd[]): Promise<void> {
    const ids = rows.map(({ id }) => id);
    if (this.#config.done === "delete") {
      await this.#client.query(`delete from ${this.#table} where id = any($1::bigint[]) and claimed_by = $2`, [ids, this.#owner]);
    } else {
      await this.#client.query(
        `update ${this.#table} as inbox set done_at = now(), claimed_by = null, claimed_until = null, error = ended.error
         from unnest($1::bigint[], $3::text[]) as ended(id, error) where inbox.id = ended.id and claimed_by = $2`,
        [ids, this.#owner, rows.map(({ error }) => error)],
      );
    }
  }

  mark(id: string, error: string): Promise<unknown> {
    const sql = `update ${this.#table} set done_at = now(), claimed_by = null, claimed_until = null, error = $3 where id = $1 and claimed_by = $2`;
    return this.#client.query(sql, [id, this.#owner, error]);
  }

  ping(): Promise<unknown> {
    return this.#client.query("select 1");
  }
}
