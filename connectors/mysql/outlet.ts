/** SQL statements, and rows of a table, in MySQL or MariaDB. */
import type { QueryError } from "mysql2";
import type { Attempt, Outgoing, Outlet, OutletContext, OutletDefinition } from "#gateway/contract";
import { givenDescription, givenStatements } from "../shared/given-sql.ts";
import {
  type AnswerRows,
  columnsOf,
  type SqlConnection,
  SqlOutlet,
  type SqlOutletConfig,
  sqlOutletSchema,
  transaction,
  turns,
} from "../shared/sql-outlet.ts";
import { answerRows } from "../shared/sql-rows.ts";
import { mysqlSql, parameterNames, parseSql, type Statement } from "../shared/sql.ts";
import {
  explainMysql,
  inboxTable,
  jsonOf,
  type MysqlConfig,
  MysqlConnection,
  mysqlPeer,
  mysqlSchema,
  numberOf,
  quoteName,
  quoteTable,
} from "./client.ts";

export interface MysqlOutletConfig extends MysqlConfig, SqlOutletConfig {
  readonly upsert: boolean;
}

export const mysqlOutlet: OutletDefinition<MysqlOutletConfig> = {
  name: "mysql",
  summary: "SQL statements, and rows of a table, in MySQL or MariaDB.",
  description: `A message counts as sent when its statement is committed. The answer to a request is a JSON array of the statement's rows.
MySQL 8.0 or MariaDB 10.6, or later; needs \`npm install mysql2@3\`.

- **\`sql\`**: one statement with named parameters: ${parameterNames}. They are always passed as
  parameters of a prepared statement, never inserted into the text. \`$body\` is a blob, \`$id\` the idempotency key (the same for every attempt at
  one send), \`$json.a.b\` a value of a JSON body: numbers as text, which the server converts, booleans as 1 and 0; absent values are null. Make
  statements repeatable, for example with \`on duplicate key update\`.
- **\`table\`**: a row per message. A row whose \`idempotency\` column has its \`$id\` already is left as it is; any other conflict of keys is
  refused. Without \`columns\` the table is an inbox as the \`mysql\` source reads it; with \`columns\` each column gets a parameter:
  \`{ order_id: $json.id, raw: $body, message_id: $id }\`.
${givenDescription}
- **\`upsert: true\`**: a row that conflicts in any unique key gets the message's values (\`on duplicate key update\`).
- **Session**: strict (\`sql_mode = TRADITIONAL\`), time zone UTC, \`read committed\`; \`$time\` is written without a zone.
- **Answers**: bigint and decimal as text, dates as text, blobs in base64, json as JSON; at most 10,000 rows and 16 MiB. A statement without rows
  answers \`[{ "affectedRows": 1, "insertId": 7 }]\`.
- **Errors**: those of the source; \`MF_MYSQL_REFUSED\` for a message that violates a constraint or has a malformed value, and
  \`MF_MYSQL_TOO_LARGE\` for one beyond the server's \`max_allowed_packet\` (not retried), \`MF_MYSQL_FAILED\` for any other refusal.`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["url"],
    properties: {
      ...mysqlSchema,
      ...sqlOutletSchema,
      upsert: { type: "boolean", default: false, description: "Update the row that has the same key, with `columns`." },
    },
    not: { required: ["sql", "table"] },
    if: { not: { required: ["table"] } },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
    then: { not: { anyOf: [{ required: ["columns"] }, { properties: { upsert: { const: true } }, required: ["upsert"] }] } },
    else: { if: { properties: { upsert: { const: true } }, required: ["upsert"] }, then: { required: ["columns"] } },
  },
  example: `mysql: { url: "\${MYSQL_URL}", sql: "insert into orders (id, total) values ($json.id, $json.total) on duplicate key update id = id" }`,
  answers: true,
  create: createMysqlOutlet,
};

function createMysqlOutlet(config: MysqlOutletConfig, context: OutletContext): Outlet {
  const peer = mysqlPeer(config);
  const what = config.table === undefined ? "the statement" : `table ${config.table}`;
  const own = config.sql ?? (config.table === undefined ? undefined : insertInto(config));
  const statement = own === undefined ? undefined : parseSql(own, mysqlSql);
  return new SqlOutlet({
    config,
    context,
    peer,
    explain: (error) => explainMysql(peer, what, error),
    refusal: (error) => (isHopeless(error) ? "MF_MYSQL_REFUSED" : undefined),
    async connect(lost) {
      const connection = await MysqlConnection.open(config, context, lost, answerRows);
      return new MysqlStatement(config, statement, connection);
    },
  });
}

/** The outlet's statement over one connection. */
class MysqlStatement implements SqlConnection {
  readonly #config: MysqlOutletConfig;
  readonly #statement: Statement | undefined;
  /** Finds the row that an earlier attempt inserted. */
  readonly #earlier: Statement | undefined;
  readonly #connection: MysqlConnection;
  readonly #inTurn = turns();
  readonly ping: () => Promise<void>;
  readonly close: () => Promise<void>;

  constructor(config: MysqlOutletConfig, statement: Statement | undefined, connection: MysqlConnection) {
    this.#config = config;
    this.#statement = statement;
    this.#earlier = config.table === undefined ? undefined : earlierRow(config, config.table);
    this.#connection = connection;
    this.ping = () => connection.ping();
    this.close = () => connection.close();
  }

  async run(message: Outgoing, { idempotencyKey, signal }: Attempt, rows: AnswerRows | undefined): Promise<void> {
    const statement = this.#statement;
    if (statement !== undefined) return await this.#inTurn(signal, () => this.#runOwn(statement, message, idempotencyKey, rows));
    const given = givenStatements(message.body, mysqlSql);
    await this.#inTurn(signal, async () => {
      await transaction(given, { run: (text, values, into) => this.#execute(text, values, into) }, rows);
      if (given.some(({ text }) => /\bcall\b/i.test(text))) await this.#connection.plain("commit"); // a procedure may leave a transaction open
    });
  }

  async #runOwn({ text, values }: Statement, message: Outgoing, idempotencyKey: string, rows: AnswerRows | undefined): Promise<void> {
    try {
      await this.#execute(text, values(message, idempotencyKey), rows);
    } catch (error) {
      if (numberOf(error) !== duplicateEntry || this.#earlier === undefined) throw error;
      const { text: earlier, values: keys } = this.#earlier;
      if ((await this.#connection.rows(earlier, keys(message, idempotencyKey))).length === 0) throw error;
    }
  }

  async #execute(text: string, values: readonly unknown[], rows: AnswerRows | undefined): Promise<void> {
    if (/^(begin|commit|rollback)$/.test(text)) return await this.#connection.plain(text);
    const { leftOut } = this.#connection;
    const header = await this.#connection.execute(text, values, (row) => rows?.add(jsonOf(row)));
    if (this.#connection.leftOut > leftOut) rows?.overflow();
    if (header !== undefined) rows?.add({ affectedRows: header.affectedRows, insertId: header.insertId });
  }

  /** A missing table shows at once. A statement of the user's own is prepared only with its first message. */
  async check(): Promise<void> {
    const { table, create, columns } = this.#config;
    if (table === undefined) return;
    if (create && columns === undefined) await this.#connection.change(inboxTable(quoteTable(table)), []);
    else await this.#connection.execute(`select 1 from ${quoteTable(table)} limit 0`);
  }
}

const duplicateEntry = 1062;

/** SQL states 22 are malformed values, 23 broken constraints; and those that MySQL gives no such state. Another attempt meets the same. */
function isHopeless(error: unknown): boolean {
  const { sqlState = "" } = error as Partial<QueryError>;
  return /^2[23]/.test(sqlState) || [1265, 1366, 3819].includes(numberOf(error)); // truncated, incorrect for the column, CHECK
}

function insertInto(config: MysqlOutletConfig): string {
  const entries = columnsOf(config);
  const names = entries.map(([column]) => quoteName(column));
  const parameters = entries.map(([, parameter]) => parameter).join(", ");
  const update = names.map((name) => `${name} = values(${name})`).join(", ");
  const conflict = config.upsert ? ` on duplicate key update ${update}` : "";
  return `insert into ${quoteTable(config.table ?? "")} (${names.join(", ")}) values (${parameters})${conflict}`;
}

/**
 * `on duplicate key update` would not do for rows that are there already: these servers can't be told which key it is for, and it would pass
 * over a conflict with another message's row in silence.
 */
function earlierRow(config: MysqlOutletConfig, table: string): Statement | undefined {
  const parameter = columnsOf(config).find(([column]) => column === config.idempotency)?.[1];
  if (parameter === undefined) return undefined;
  const column = quoteName(config.idempotency);
  // Byte by byte: to most collations "A" and "a" are equal. The first comparison may use the column's index.
  const same = `${column} = ${parameter} and cast(convert(${column} using utf8mb4) as binary) = cast(${parameter} as binary)`;
  return parseSql(`select 1 from ${quoteTable(table)} where ${same}`, mysqlSql);
}
