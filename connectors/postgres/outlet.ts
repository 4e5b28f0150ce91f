/** SQL statements, and rows of a table, in PostgreSQL. */
import {
  type Answer,
  type Attempt,
  gatewayLimits,
  type Outgoing,
  type Outlet,
  type OutletContext,
  type OutletDefinition,
  OutletError,
} from "#gateway/contract";
import pg from "pg";
import { brokerLimits } from "../shared/limits.ts";
import { heartbeat, Link, type Opening, unlessAborted, within } from "../shared/link.ts";
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
import { parameterNames, parseSql, type Statement } from "../shared/sql.ts";
import { type CloudEventsConfig, cloudEventsSchema, emitCloudEvent } from "../shared/cloudevents/write.ts";

export interface PostgresOutletConfig extends PostgresConfig {
  readonly sql?: string;
  readonly table?: string;
  readonly columns?: Readonly<Record<string, string>>;
  readonly idempotency: string;
  readonly create: boolean;
  readonly notify?: string;
  readonly connections: number;
  readonly cloudevents?: CloudEventsConfig;
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
      sql: { type: "string", minLength: 1, description: "Statement with named parameters." },
      table: { ...tableSchema, description: "Table to insert into, in place of `sql`." },
      columns: {
        type: "object",
        minProperties: 1,
        additionalProperties: { type: "string", pattern: "^\\$", patternErrorMessage: "must be an expression such as $.id" },
        description: "Columns and their parameters, with `table`.",
      },
      idempotency: { type: "string", default: "message_id", description: "Unique column that stores `$id`, with `table`." },
      create: { type: "boolean", default: false, description: "Create the inbox table if it is missing." },
      notify: { type: "string", minLength: 1, maxLength: 63, description: "Channel to NOTIFY, with `table`." },
      connections: {
        type: "integer",
        minimum: 1,
        maximum: 64,
        default: 4,
        description: "Maximum number of connections, and so of concurrent statements.",
      },
      cloudevents: cloudEventsSchema,
    },
    oneOf: [{ required: ["sql"], not: { anyOf: [{ required: ["columns"] }, { required: ["notify"] }] } }, { required: ["table"] }],
  },
  example: `postgres: { url: "\${DATABASE_URL}", sql: "insert into orders (id, total) values ($json.id, $json.total) on conflict (id) do nothing" }`,
  answers: true,
  create: (config, context) => new PostgresOutlet(config, context),
};

interface Connection {
  readonly client: pg.Client;
  busy: number;
}

interface OutletSession {
  readonly connections: readonly Connection[];
  readonly lost: (error: unknown) => void;
}

class PostgresOutlet implements Outlet {
  readonly #config: PostgresOutletConfig;
  readonly #context: OutletContext;
  readonly #peer: string;
  readonly #what: string;
  readonly #statement: Statement;
  readonly #link: Link<OutletSession>;

  constructor(config: PostgresOutletConfig, context: OutletContext) {
    this.#config = config;
    this.#context = context;
    this.#peer = postgresPeer(config);
    this.#what = config.table === undefined ? "the statement" : `table ${config.table}`;
    this.#statement = parseSql(config.sql ?? insertInto(config));
    this.#link = new Link({
      context,
      peer: this.#peer,
      explain: (error) => explainPostgres(this.#peer, this.#what, error),
      open: (opening) => this.#open(opening),
    });
  }

  start(): Promise<void> {
    return this.#link.start();
  }

  health(): ReturnType<Outlet["health"]> {
    return this.#link.health();
  }

  stop(): Promise<void> {
    return this.#link.stop();
  }

  async send(...[message, attempt]: Parameters<Outlet["send"]>): Promise<void> {
    await this.#run(message, attempt, false);
  }

  async request(...[message, attempt]: Parameters<NonNullable<Outlet["request"]>>): Promise<Answer> {
    const rows = await this.#run(message, attempt, true);
    return { status: 200, contentType: "application/json", headers: {}, body: Buffer.from(`[${rows.join(",")}]`) };
  }

  async #open({ lost, own }: Opening): Promise<OutletSession> {
    const connections: Connection[] = [];
    for (let count = 0; count < this.#config.connections; count += 1) {
      const connection = { client: await openPostgres(this.#config, this.#context, lost), busy: 0 };
      connections.push(connection);
      own({ close: () => connection.client.end() });
      // A statement may take longer than a heartbeat; while one runs, the attempts' own timeouts are the watch.
      const probe = async (): Promise<unknown> => (connection.busy > 0 ? undefined : connection.client.query("select 1"));
      own({ close: heartbeat(this.#context, this.#config.heartbeat, probe, lost) });
      if (count === 0) await this.#check(connection.client);
    }
    return { connections, lost };
  }

  /** A missing table shows at once. A statement of the user's own is prepared only with its first message. */
  async #check(client: pg.Client): Promise<void> {
    const { table, create, columns } = this.#config;
    if (table === undefined) return;
    if (create && columns === undefined) await createInbox(client, quoteTable(table));
    else await client.query(`select 1 from ${quoteTable(table)} limit 0`);
  }

  /** Rows as JSON text; none are kept unless they are wanted. */
  async #run(message: Outgoing, attempt: Attempt, wanted: boolean): Promise<string[]> {
    const session = this.#link.need();
    const connection = session.connections.reduce((least, other) => (other.busy < least.busy ? other : least));
    const { cloudevents } = this.#config;
    const event = cloudevents === undefined ? message : { ...message, ...emitCloudEvent(message, attempt.idempotencyKey, cloudevents) };
    const running = query(connection.client, this.#statement.text, this.#statement.values(event, attempt.idempotencyKey), wanted);
    connection.busy += 1;
    const over = running
      .then(
        () => {},
        () => {},
      )
      .finally(() => (connection.busy -= 1));
    try {
      return await unlessAborted(attempt.signal, running);
    } catch (error) {
      // The statement still holds its connection. If it does not end soon, the server is gone or hangs.
      if (attempt.signal.aborted) within(this.#context, this.#config.heartbeat, over).catch(session.lost);
      throw error instanceof OutletError ? error : this.#refusal(error);
    }
  }

  #refusal(error: unknown): OutletError {
    const { code, message } = explainPostgres(this.#peer, this.#what, error);
    const state = error instanceof pg.DatabaseError ? (error.code ?? "") : "";
    // Class 22 is a malformed value, 23 a broken constraint: the message is at fault, and another attempt meets the same.
    const hopeless = /^2[23]/.test(state);
    return new OutletError(hopeless ? "MF_POSTGRES_REFUSED" : code, message, { retryable: !hopeless, cause: error });
  }
}

function insertInto({ table = "", columns, idempotency, notify }: PostgresOutletConfig): string {
  const inbox = {
    [idempotency]: "$id",
    key: "$key",
    content_type: "$type",
    correlation_id: "$correlation",
    headers: "$headers",
    body: "$body",
  };
  const entries = Object.entries(columns ?? inbox);
  const names = entries.map(([column]) => pg.escapeIdentifier(column)).join(", ");
  const conflict = entries.some(([column]) => column === idempotency)
    ? ` on conflict (${pg.escapeIdentifier(idempotency)}) do nothing`
    : "";
  const insert = `insert into ${quoteTable(table)} (${names}) values (${entries.map(([, parameter]) => parameter).join(", ")})${conflict}`;
  return notify === undefined ? insert : `with inserted as (${insert}) select pg_notify(${pg.escapeLiteral(notify)}, '')`;
}

const exactTypes = new Set([17, 20, 1082, 1083, 1114, 1184, 1266, 1700]); // bytea, bigint, dates and times, numeric: as PostgreSQL writes them
const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: "text" | "binary") =>
    exactTypes.has(oid) ? (text: string) => text : pg.types.getTypeParser(oid, format as "text")) as typeof pg.types.getTypeParser,
};

/** Row by row, so that a statement that answers with a million of them costs no memory. */
function query(client: pg.Client, text: string, values: unknown[], wanted: boolean): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const rows: string[] = [];
    let bytes = 0;
    let tooMany = false;
    const running = client.query(new pg.Query({ text, values, types }));
    running.on("row", (row: unknown) => {
      if (!wanted || tooMany) return;
      const json = JSON.stringify(row);
      rows.push(json);
      bytes += json.length;
      tooMany = rows.length > brokerLimits.answerRows || bytes > gatewayLimits.answerBytes;
    });
    running.on("error", reject);
    running.on("end", () => {
      if (!tooMany) return resolve(rows);
      const what = `the statement returned more than ${brokerLimits.answerRows} rows or ${gatewayLimits.answerBytes} bytes: add a LIMIT`;
      reject(new OutletError("MF_ANSWER_LIMIT", what, { retryable: false }));
    });
  });
}
