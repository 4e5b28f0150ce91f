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
import { inboxLimits, queryLimits } from "../shared/limits.ts";
import type { QueryConfig, QueryPage, QueryServer } from "../shared/query-position.ts";
import { checkQuery, queriedTable, queryDescription, querySchema, querySource } from "../shared/query-source.ts";
import { inboxRows, jsonText, queryRows } from "../shared/sql-rows.ts";
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
  isSingle: ({ cursor }) => cursor !== undefined,
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
  \`MF_MYSQL_NO_TABLE\`, \`MF_MYSQL_COLUMNS\`, \`MF_MYSQL_FORBIDDEN\`, \`MF_MYSQL_UNAVAILABLE\`, \`MF_MYSQL_TLS\`. A row without a body, or of
  more than 64 MiB, is marked as done with \`MF_MYSQL_ROW\`.`,
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
      const connection = own(await MysqlConnection.open(config, context, lost, inboxRows));
      const inbox = new MysqlInbox(config, connection, owner);
      await inbox.prepare();
      return inbox;
    },
  });
}

function createQuerySource(config: MysqlSourceConfig, context: SourceContext, cursor: string): Source {
  return querySource({
    config,
    context,
    name: "mysql",
    peer: mysqlPeer(config),
    explain: explainMysql,
    async open({ lost, own }) {
      const connection = own(await MysqlConnection.open(config, context, lost, queryRows));
      const rows = `${queriedTable(config, quoteTable)} as q`;
      const columns = await connection.columns(`select * from ${rows} limit 0`);
      return new MysqlQuery(connection, rows, `q.${quoteName(cursor)}`, columns);
    },
  });
}

class MysqlQuery implements QueryServer {
  readonly #connection: MysqlConnection;
  /** The table or query, named `q`. */
  readonly #rows: string;
  /** The column that grows, and its value if it is not too long. */
  readonly #column: string;
  readonly #value: string;
  /** Bytes of a row as text. */
  readonly #length: string;

  constructor(connection: MysqlConnection, rows: string, column: string, columns: readonly string[]) {
    this.#connection = connection;
    this.#rows = rows;
    this.#column = column;
    this.#value = `case when octet_length(cast(${column} as char)) <= ${queryLimits.cursorBytes} then cast(${column} as char) end`;
    this.#length = ["0", ...columns.map((name) => `coalesce(octet_length(q.${quoteName(name)}), 0)`)].join(" + ");
  }

  async lengths(page: QueryPage): ReturnType<QueryServer["lengths"]> {
    const { where, isBeyond, values } = this.#place(page);
    const found = await this.#connection.rows<{ readonly value: string | null; readonly beyond: number; readonly bytes: number | string }>(
      `select ${this.#value} as value, ${isBeyond} as beyond, ${this.#length} as bytes
       from ${this.#rows} where ${where} order by ${this.#column} limit ${page.most}`,
      values,
    );
    return found.map(({ value, beyond, bytes }) => ({ cursor: value, isBeyond: Number(beyond) === 1, bytes: Number(bytes) }));
  }

  async rows(page: QueryPage, onRow: Parameters<QueryServer["rows"]>[1]): Promise<void> {
    const { where, isBeyond, values } = this.#place(page);
    const sql = `select q.*, ${this.#value} as mayfly_cursor, ${isBeyond} as mayfly_beyond from ${this.#rows}
      where ${where} and (${this.#length}) <= ${queryLimits.rowBytes} order by ${this.#column} limit ${page.most}`;
    await this.#connection.execute(sql, values, (found) => {
      const { mayfly_cursor: cursor, mayfly_beyond: beyond, ...row } = found as Readonly<Record<string, unknown>>;
      onRow({ cursor: String(cursor), isBeyond: Number(beyond) === 1, json: jsonText(jsonOf(row)) });
    });
  }

  async newest(): Promise<string | null | undefined> {
    const text = `select ${this.#value} as newest from ${this.#rows} where ${this.#column} is not null order by ${this.#column} desc limit 1`;
    return (await this.#connection.rows<{ readonly newest: string | null }>(text))[0]?.newest;
  }

  ping(): Promise<unknown> {
    return this.#connection.ping();
  }

  #place({ from, beyond }: QueryPage): { readonly where: string; readonly isBeyond: string; readonly values: string[] } {
    return {
      values: [beyond, from].filter((value) => value !== undefined),
      where: from === undefined ? `${this.#column} is not null` : `${this.#column} >= ${placeholder(from)}`,
      isBeyond: beyond === undefined ? "1" : `${this.#column} > ${placeholder(beyond)}`,
    };
  }
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

const texts = ["message_id", "`key`", "content_type", "correlation_id", "headers", "body"];
const rowBytes = texts.map((name) => `coalesce(octet_length(${name}), 0)`).join(" + ");

interface Row {
  readonly id: string;
  readonly message_id: string | null;
  readonly key: string | null;
  readonly content_type: string | null;
  readonly correlation_id: string | null;
  readonly headers: unknown;
  readonly body: Buffer | string | null;
  readonly bytes: number | string;
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
      `select cast(id as char) as id, ${rowBytes} as bytes from ${this.#table}
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
    const short = (column: string): string => `case when ${rowBytes} <= ${inboxLimits.rowBytes} then ${column} end as ${column}`;
    const rows = await this.#connection.rows<Row>(
      `select cast(id as char) as id, ${texts.map(short).join(", ")}, ${rowBytes} as bytes,
       cast(created_at as char) as created_at, attempts from ${this.#table} where id in ${list} and claimed_by = ? order by ${this.#table}.id`,
      [...values, this.#owner],
    );
    return { rows: rows.map((row) => this.#row(row)), more: found.length === room || rows.length < found.length };
  }

  #row({ id, message_id, key, content_type, correlation_id, headers, body, bytes, created_at, attempts }: Row): InboxRow {
    return {
      id,
      message: message_id ?? `${this.#config.table}:${id}:${created_at ?? ""}`,
      key,
      contentType: content_type,
      correlationId: correlation_id,
      headers: typeof headers === "string" ? parsed(headers) : headers,
      body: typeof body === "string" ? Buffer.from(body) : body, // a string where the column is text
      bytes: Number(bytes),
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
    if (Number(length) <= inboxLimits.rowBytes) before += Number(length); // nothing is read of a longer one
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
