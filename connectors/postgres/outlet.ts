/** SQL statements, and rows of a table, in PostgreSQL. */
import type { Outlet, OutletContext, OutletDefinition } from "#gateway/contract";
import pg from "pg";
import { givenDescription, givenStatements } from "../shared/given-sql.ts";
import { type AnswerRows, columnsOf, SqlOutlet, type SqlOutletConfig, sqlOutletSchema, transaction, turns } from "../shared/sql-outlet.ts";
import { answerRows } from "../shared/sql-rows.ts";
import { parameterNames, parseSql, postgresSql } from "../shared/sql.ts";
import {
  createInbox,
  exactTypes,
  explainPostgres,
  type Opened,
  openPostgres,
  type PostgresConfig,
  postgresPeer,
  postgresSchema,
  quoteTable,
  streamRows,
} from "./client.ts";

export interface PostgresOutletConfig extends PostgresConfig, SqlOutletConfig {
  readonly notify?: string;
}

export const postgresOutlet: OutletDefinition<PostgresOutletConfig> = {
  name: "postgres",
  summary: "SQL statements, and rows of a table, in PostgreSQL.",
  description: `A message counts as sent when its statement is committed. The answer to a request is a JSON array of the statement's rows.

- **\`sql\`**: one statement with named parameters: ${parameterNames}. They are always passed as
  parameters, never inserted into the text. \`$body\` is bytea, \`$id\` the idempotency key (the same for every attempt at one send), \`$json.a.b\` a
  value of a JSON body; absent values are null. Make statements repeatable, for example with \`on conflict ($id's column) do nothing\`.
- **\`table\`**: a row per message, \`on conflict\` in the \`idempotency\` column \`do nothing\`. Without \`columns\` the table is an inbox as the
  \`postgres\` source reads it; with \`columns\` each column gets a parameter: \`{ order_id: $json.id, raw: $body, message_id: $id }\`.
${givenDescription}
- **\`notify\`** tells the sources that listen on that channel, with the commit.
- **Answers**: bigint and numeric as text, bytea as \`\\\\x…\`, json as JSON; at most 10,000 rows and 16 MiB.
- **Errors**: those of the source; \`MF_POSTGRES_REFUSED\` for a message that violates a constraint or has a malformed value (not retried),
  \`MF_POSTGRES_FAILED\` for any other refusal.`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["url"],
    properties: {
      ...postgresSchema,
      ...sqlOutletSchema,
      notify: { type: "string", minLength: 1, maxLength: 63, description: "Channel to NOTIFY, with `table`." },
    },
    not: { required: ["sql", "table"] },
    if: { not: { required: ["table"] } },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
    then: { not: { anyOf: [{ required: ["columns"] }, { required: ["notify"] }] } },
  },
  example: `postgres: { url: "\${DATABASE_URL}", sql: "insert into orders (id, total) values ($json.id, $json.total) on conflict (id) do nothing" }`,
  answers: true,
  create: createPostgresOutlet,
};

function createPostgresOutlet(config: PostgresOutletConfig, context: OutletContext): Outlet {
  const peer = postgresPeer(config);
  const what = config.table === undefined ? "the statement" : `table ${config.table}`;
  const own = config.sql ?? (config.table === undefined ? undefined : insertInto(config));
  const statement = own === undefined ? undefined : parseSql(own, postgresSql);
  return new SqlOutlet({
    config,
    context,
    peer,
    explain: (error) => explainPostgres(peer, what, error),
    refusal: (error) => (isHopeless(error) ? "MF_POSTGRES_REFUSED" : undefined),
    async connect(lost) {
      const opened = await openPostgres(config, context, lost, answerRows);
      const { client } = opened;
      const inTurn = turns();
      return {
        run(message, { idempotencyKey, signal }, rows) {
          if (statement !== undefined)
            return inTurn(signal, () => run(opened, statement.text, statement.values(message, idempotencyKey), rows));
          const given = givenStatements(message.body, postgresSql);
          return inTurn(signal, () => transaction(given, { run: (text, values, into) => run(opened, text, [...values], into) }, rows));
        },
        check: () => check(client, config),
        ping: () => client.query("select 1"),
        close: () => client.end(),
      };
    },
  });
}

/** Class 22 is a malformed value, 23 a broken constraint: the message is at fault, and another attempt meets the same. */
function isHopeless(error: unknown): boolean {
  return error instanceof pg.DatabaseError && /^2[23]/.test(error.code ?? "");
}

/** A missing table shows at once. A statement of the user's own is prepared only with its first message. */
async function check(client: pg.Client, { table, create, columns }: PostgresOutletConfig): Promise<void> {
  if (table === undefined) return;
  if (create && columns === undefined) await createInbox(client, quoteTable(table));
  else await client.query(`select 1 from ${quoteTable(table)} limit 0`);
}

function insertInto(config: PostgresOutletConfig): string {
  const { table = "", idempotency, notify } = config;
  const entries = columnsOf(config);
  const names = entries.map(([column]) => pg.escapeIdentifier(column)).join(", ");
  const conflict = entries.some(([column]) => column === idempotency)
    ? ` on conflict (${pg.escapeIdentifier(idempotency)}) do nothing`
    : "";
  const insert = `insert into ${quoteTable(table)} (${names}) values (${entries.map(([, parameter]) => parameter).join(", ")})${conflict}`;
  return notify === undefined ? insert : `with inserted as (${insert}) select pg_notify(${pg.escapeLiteral(notify)}, '')`;
}

async function run({ client, connection }: Opened, text: string, values: unknown[], rows: AnswerRows | undefined): Promise<void> {
  const { leftOut } = connection;
  await streamRows(client, { text, values, types: exactTypes }, (row) => rows?.add(row));
  if (connection.leftOut > leftOut) rows?.overflow();
}
