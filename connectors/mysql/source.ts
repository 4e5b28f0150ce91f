/**
 * Rows of an inbox table in MySQL or MariaDB.
 *
 * These servers can't return the rows of an UPDATE. A claim is three statements, each its own transaction, so that no lock is held between
 * them and the connection is free for acknowledgements:
 *
 *     select … for update skip locked   candidates, and their lengths; passes by rows that others are claiming or holding locked
 *     update … where still free         the claim: if two gateways had the same candidates, each row goes to the first
 *     select … where claimed by us      the rows that were claimed
 */
import { randomUUID } from "node:crypto";
import type { Source, SourceContext, SourceDefinition } from "#gateway/contract";
import { type Claim, type InboxConfig, type InboxRow, inboxSchema, inboxSource, type InboxTable, type RowEnd } from "../shared/inbox.ts";
import { checkQuery, type QueryConfig, queriedTable, queryDescription, querySchema, querySource } from "../shared/query-source.ts";
import { tableSchema } from "../shared/sql.ts";
import {
  explainMysql,
  inboxTable,
  jsonOf,
  type MysqlConfig,
  MysqlConnection,
  mysqlPeer,
  mysqlSchema,
  quoteName,
  quoteTable,
} from "./client.ts";
import { mysqlLimits } from "./limits.ts";

export interface MysqlSourceConfig extends MysqlConfig, InboxConfig, Omit<QueryConfig, "table"> {}

export const mysqlSource: SourceDefinition<MysqlSourceConfig> = {
  name: "mysql",
  summary: "Rows of an inbox table in MySQL or MariaDB, or of any table or query.",
  description: `At least once. Rows are claimed with a lease (\`FOR UPDATE SKIP LOCKED\`) and deleted, or marked, only after their effects are
committed. Several gateways may share a table. MySQL 8.0 or MariaDB 10.6, or later; needs \`npm install mysql2@3\`.

- **Table**: \`id bigint\` (its order is the order of delivery), \`message_id varchar\`, \`key text\`, \`content_type text\`, \`correlation_id text\`,
  \`headers json\`, \`body longblob\`, \`created_at datetime(6)\`, \`attempts integer\`, \`claimed_by varchar(64)\`, \`claimed_until datetime(6)\`,
  \`done_at datetime(6)\`, \`error text\`; \`create: true\` creates it. Insert into it in the same transaction as the change it reports: a
  transactional outbox.
${queryDescription("mysql")}
- **Order**: by \`id\`, so that messages of one \`key\` come in the order of their inserts. Rows of a transaction that commits late come behind later
  ones, and several gateways share out the rows of a key.
- **After a crash** rows are delivered again when their \`lease\` has expired; the lease is renewed while the gateway works on them.
- **Failed messages**: with \`done: mark\` the row stays, with \`done_at\` and the \`error\` of a message that failed for good.
- **Duplicates** are recognised by \`message_id\`, or else by table, row id and \`created_at\`: ids that begin again after TRUNCATE are other
  messages. Also set: header \`mysql-id\`.
- **Errors** (retried with backoff, shown by \`/ready\`): \`MF_MYSQL_CLIENT\`, \`MF_MYSQL_UNREACHABLE\`, \`MF_MYSQL_AUTH\`, \`MF_MYSQL_NO_DATABASE\`,
  \`MF_MYSQL_NO_TABLE\`, \`MF_MYSQL_COLUMNS\`, \`MF_MYSQL_FORBIDDEN\`, \`MF_MYSQL_UNAVAILABLE\`, \`MF_MYSQL_TLS\`. A row without a body is marked
  as done with \`MF_MYSQL_ROW\`.`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["url"],
    properties: {
      ...mysqlSchema,
      table: { ...tableSchema, description: "Table, or `database.table`." },
      ...inboxSchema,
      ...querySchema,
    },
  },
  example: `mysql: { url: "\${MYSQL_URL}", table: inbox }`,
  create: createMysqlSource,
};

function createMysqlSource(config: MysqlSourceConfig, context: SourceContext): Source {
  checkQuery(config);
  if (config.cursor !== undefined) return createQuerySource(config, context, config.cursor);
  const owner = randomUUID(); // the same over all connections of this source
  return inboxSource({
    config,
    context,
    name: "mysql",
    rowCode: "MF_MYSQL_ROW",
    peer: mysqlPeer(config),
    explain: explainMysql,
    async open({ lost, own }) {
      const connection = own(await MysqlConnection.open(config, context, lost));
      const inbox = new MysqlInbox(config, connection, owner);
      await inbox.prepare();
      return inbox;
    },
  });
}

function createQuerySource(config: MysqlSourceConfig, context: SourceContext, cursor: string): Source {
  const rows = `${queriedTable(config, quoteTable)} as q`;
  const column = `q.${quoteName(cursor)}`;
  const value = `cast(${column} as char)`;
  return querySource({
    config,
    context,
    name: "mysql",
    peer: mysqlPeer(config),
    explain: explainMysql,
    async open({ lost, own }) {
      const connection = own(await MysqlConnection.open(config, context, lost));
      return {
        async page(from, beyond, most) {
          const isBeyond = beyond === undefined ? "1" : `${column} > ${placeholder(beyond)}`;
          const where = from === undefined ? `${column} is not null` : `${column} >= ${placeholder(from)}`;
          const found = await connection.rows<{ readonly mayfly_cursor: string; readonly mayfly_beyond: number }>(
            `select q.*, ${value} as mayfly_cursor, ${isBeyond} as mayfly_beyond from ${rows} where ${where} order by ${column} limit ${most}`,
            [beyond, from].filter((value) => value !== undefined),
          );
          return found.map(({ mayfly_cursor: cursor, mayfly_beyond, ...row }) => ({
            cursor,
            isBeyond: Number(mayfly_beyond) === 1,
            json: JSON.stringify(jsonOf(row)),
          }));
        },
        async newest() {
          const text = `select ${value} as newest from ${rows} where ${column} is not null order by ${column} desc limit 1`;
          return (await connection.rows<{ readonly newest: string }>(text))[0]?.newest;
        },
        ping: () => connection.ping(),
      };
    },
  });
}

/** Compared as a text, a long number would be rounded. */
function placeholder(value: string): string {
  if (/^-\d{1,18}$/.test(value)) return "cast(? as signed)";
  if (/^\d{1,19}$/.test(value)) return "cast(? as unsigned)";
  return /^-?\d+\.\d+$/.test(value) ? "cast(? as decimal(65, 30))" : "?";
}

interface Candidate {
  readonly id: string;
  readonly bytes: number | string;
}

interface Row {
  readonly id: string;
  readonly message_id: string | null;
  readonly key: string | null;
  readonly content_type: string | null;
  readonly correlation_id: string | null;
  readonly headers: unknown;
  readonly body: Buffer | string | null;
  readonly created_at: string | null;
  readonly attempts: number;
}

class MysqlInbox implements InboxTable {
  readonly #config: MysqlSourceConfig;
  readonly #connection: MysqlConnection;
  /** Our name in `claimed_by`. */
  readonly #owner: string;
  readonly #table: string;
  readonly #leaseMicros: number;

  constructor(config: MysqlSourceConfig, connection: MysqlConnection, owner: string) {
    this.#config = config;
    this.#connection = connection;
    this.#owner = owner;
    this.#table = quoteTable(config.table);
    this.#leaseMicros = config.lease * 1_000;
  }

  async prepare(): Promise<void> {
    if (this.#config.create) await this.#connection.change(inboxTable(this.#table), []);
    await this.#connection.change(
      `update ${this.#table} set claimed_by = null, claimed_until = null where claimed_by = ? and done_at is null`,
      [this.#owner],
    );
  }

  async claim(room: number, bytes: number): Promise<Claim> {
    const free = "done_at is null and (claimed_until is null or claimed_until < utc_timestamp(6))";
    const found = await this.#connection.rows<Candidate>(
      `select cast(id as char) as id, coalesce(octet_length(body), 0) as bytes from ${this.#table}
       where ${free} order by ${this.#table}.id limit ${room} for update skip locked`,
    );
    const chosen = fitting(found, bytes);
    if (chosen.length === 0) return { rows: [], more: false };
    const { list, values } = idList(chosen);
    await this.#connection.change(
      `update ${this.#table} set claimed_by = ?, claimed_until = utc_timestamp(6) + interval ? microsecond,
       attempts = least(coalesce(attempts, 0), 2147483646) + 1 where id in ${list} and ${free}`,
      [this.#owner, this.#leaseMicros, ...values],
    );
    const rows = await this.#connection.rows<Row>(
      `select cast(id as char) as id, message_id, \`key\`, content_type, correlation_id, headers, body,
       cast(created_at as char) as created_at, attempts from ${this.#table} where id in ${list} and claimed_by = ? order by ${this.#table}.id`,
      [...values, this.#owner],
    );
    return { rows: rows.map((row) => this.#row(row)), more: found.length === room || rows.length < found.length };
  }

  #row({ id, message_id, key, content_type, correlation_id, headers, body, created_at, attempts }: Row): InboxRow {
    return {
      id,
      message: message_id ?? `${this.#config.table}:${id}:${created_at ?? ""}`,
      key,
      contentType: content_type,
      correlationId: correlation_id,
      headers: typeof headers === "string" ? parsed(headers) : headers,
      body: typeof body === "string" ? Buffer.from(body) : body, // a string where the column is text
      attempts,
    };
  }

  renew(ids: readonly string[]): Promise<unknown> {
    const { list, values } = idList(ids);
    const sql = `update ${this.#table} set claimed_until = utc_timestamp(6) + interval ? microsecond where id in ${list} and claimed_by = ?`;
    return this.#connection.change(sql, [this.#leaseMicros, ...values, this.#owner]);
  }

  release(id: string): Promise<unknown> {
    const sql = `update ${this.#table} set claimed_by = null, claimed_until = null where id = ? and claimed_by = ?`;
    return this.#connection.change(sql, [id, this.#owner]);
  }

  async end(rows: readonly RowEnd[]): Promise<void> {
    const failed = this.#config.done === "mark" ? rows.filter(({ error }) => error !== null) : [];
    for (const { id, error } of failed) await this.mark(id, error ?? "");
    const rest = rows.filter((row) => !failed.includes(row)).map(({ id }) => id);
    if (rest.length === 0) return;
    const { list, values } = idList(rest);
    const ended =
      this.#config.done === "delete"
        ? `delete from ${this.#table}`
        : `update ${this.#table} set done_at = utc_timestamp(6), claimed_by = null, claimed_until = null, error = null`;
    await this.#connection.change(`${ended} where claimed_by = ? and id in ${list}`, [this.#owner, ...values]);
  }

  mark(id: string, error: string): Promise<unknown> {
    const sql = `update ${this.#table} set done_at = utc_timestamp(6), claimed_by = null, claimed_until = null, error = ? where id = ? and claimed_by = ?`;
    return this.#connection.change(sql, [error.slice(0, mysqlLimits.errorCharacters), id, this.#owner]);
  }

  ping(): Promise<unknown> {
    return this.#connection.ping();
  }
}

/** As many of the first rows as there is room for in bytes, but at least one. */
function fitting(rows: readonly Candidate[], bytes: number): readonly string[] {
  let before = 0;
  const ids: string[] = [];
  for (const { id, bytes: length } of rows) {
    if (before > 0 && before >= bytes) break;
    before += Number(length);
    ids.push(id);
  }
  return ids;
}

/** `(?, ?, ?, ?)` for three ids, the last one twice: few lengths, and so few statements to prepare. */
function idList(ids: readonly string[]): { readonly list: string; readonly values: readonly string[] } {
  const length = 2 ** Math.ceil(Math.log2(ids.length));
  const values = Array.from({ length }, (_, index) => ids[Math.min(index, ids.length - 1)] as string);
  return { list: `(${values.map(() => "?").join(", ")})`, values };
}

function parsed(headers: string): unknown {
  try {
    return JSON.parse(headers) as unknown;
  } catch {
    return undefined;
  }
}
