/**
 * The outlet of any SQL server: a statement for each message, over a few connections. A server's connector says how to connect and to run a
 * statement, and which refusals no other attempt can change.
 */
import {
  type Answer,
  type Attempt,
  gatewayLimits,
  type JsonSchema,
  type Outgoing,
  type Outlet,
  type OutletContext,
  OutletError,
} from "#gateway/contract";
import type { CodedError } from "#base";
import { type CloudEventsConfig, cloudEventsSchema, emitCloudEvent } from "./cloudevents/write.ts";
import type { GivenStatement } from "./given-sql.ts";
import { brokerLimits } from "./limits.ts";
import { type Closable, heartbeat, Link, type Opening, unlessAborted, within } from "./link.ts";
import { jsonText } from "./sql-rows.ts";
import { tableSchema } from "./sql.ts";

export interface SqlOutletConfig {
  readonly heartbeat: number;
  readonly sql?: string;
  readonly table?: string;
  readonly columns?: Readonly<Record<string, string>>;
  readonly idempotency: string;
  readonly create: boolean;
  readonly connections: number;
  readonly cloudevents?: CloudEventsConfig;
}

export const sqlOutletSchema: Readonly<Record<string, JsonSchema>> = {
  sql: {
    type: "string",
    minLength: 1,
    description: "Statement with named parameters. Without it and `table` the flow gives `{ sql, params }`.",
  },
  table: { ...tableSchema, description: "Table to insert into, in place of `sql`." },
  columns: {
    type: "object",
    minProperties: 1,
    additionalProperties: { type: "string", pattern: "^\\$", patternErrorMessage: "must be an expression such as $.id" },
    description: "Columns and their parameters, with `table`.",
  },
  idempotency: { type: "string", default: "message_id", description: "Unique column that stores `$id`, with `table`." },
  create: { type: "boolean", default: false, description: "Create the inbox table if it is missing." },
  connections: {
    type: "integer",
    minimum: 1,
    maximum: 64,
    default: 4,
    description: "Maximum number of connections, and so of concurrent statements.",
  },
  cloudevents: cloudEventsSchema,
};

/** Columns and their parameters: those of the configuration, or of an inbox table. */
export function columnsOf({ columns, idempotency }: SqlOutletConfig): readonly (readonly [string, string])[] {
  const inbox = {
    [idempotency]: "$id",
    key: "$key",
    content_type: "$type",
    correlation_id: "$correlation",
    headers: "$headers",
    body: "$body",
  };
  return Object.entries(columns ?? inbox);
}

/** Rows of an answer as JSON, with a bound. */
export class AnswerRows {
  readonly #rows: string[] = [];
  #bytes = 0;
  #tooMany = false;

  add(row: unknown): void {
    if (this.#tooMany) return;
    const json = jsonText(row);
    if (json === undefined) return this.overflow();
    this.#rows.push(json);
    this.#bytes += json.length;
    if (this.#rows.length <= brokerLimits.answerRows && this.#bytes <= gatewayLimits.answerBytes) return;
    this.#tooMany = true;
    this.#rows.length = 0;
  }

  /** A row was too long, or nested too deeply, to be read. */
  overflow(): void {
    this.#tooMany = true;
  }

  /** Throws MF_ANSWER_LIMIT if there were too many. */
  toBody(): Buffer {
    if (!this.#tooMany) return Buffer.from(`[${this.#rows.join(",")}]`);
    const what = `the statement returned more than ${brokerLimits.answerRows} rows or ${gatewayLimits.answerBytes} bytes, or JSON that is nested too deeply: add a LIMIT, or select fewer columns`;
    throw new OutletError("MF_ANSWER_LIMIT", what, { retryable: false });
  }
}

export interface SqlConnection extends Closable {
  /** Resolves once the statement is committed. Rows are added to `rows` one by one: an answer of a million of them costs no memory. */
  run(message: Outgoing, { idempotencyKey, signal }: Attempt, rows: AnswerRows | undefined): Promise<void>;
  /** Rejects if the table of the configuration is missing. */
  check(): Promise<void>;
  ping(): Promise<unknown>;
}

/** Runs tasks one after the other: a transaction has its connection alone. One whose attempt has ended before its turn is not run: it is tried again. */
export function turns(): (signal: AbortSignal, task: () => Promise<void>) => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  return (signal, task) => {
    const mine = last.then(() => {
      signal.throwIfAborted();
      return task();
    });
    last = mine.catch(() => {});
    return mine;
  };
}

interface Runner {
  run(text: string, values: readonly unknown[], rows: AnswerRows | undefined): Promise<void>;
}

/** One statement by itself; several all or none, and the answer then has a list of rows for each. */
export async function transaction(statements: readonly GivenStatement[], on: Runner, rows: AnswerRows | undefined): Promise<void> {
  const [only] = statements;
  if (only !== undefined && statements.length === 1) return await on.run(only.text, only.values, rows);
  await on.run("begin", [], undefined);
  try {
    for (const { text, values } of statements) {
      const own = rows === undefined ? undefined : new AnswerRows();
      await on.run(text, values, own);
      if (own !== undefined) rows?.add(JSON.parse(own.toBody().toString()));
    }
    await on.run("commit", [], undefined);
  } catch (error) {
    await on.run("rollback", [], undefined).catch(() => {});
    throw error;
  }
}

export interface SqlOutletOptions {
  readonly config: SqlOutletConfig;
  readonly context: OutletContext;
  readonly peer: string;
  explain(error: unknown): CodedError;
  /** The connector's code for a message that is at fault, so that another attempt fails the same way; undefined for other errors. */
  refusal(error: unknown): string | undefined;
  connect(lost: (error: unknown) => void): Promise<SqlConnection>;
}

interface Connection {
  readonly server: SqlConnection;
  busy: number;
}

interface Session {
  readonly connections: readonly Connection[];
  readonly lost: (error: unknown) => void;
}

export class SqlOutlet implements Outlet {
  readonly #options: SqlOutletOptions;
  readonly #link: Link<Session>;

  constructor(options: SqlOutletOptions) {
    this.#options = options;
    const { context, peer } = options;
    this.#link = new Link({
      context,
      peer,
      explain: (error) => options.explain(error),
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
    await this.#run(message, attempt, undefined);
  }

  async request(...[message, attempt]: Parameters<NonNullable<Outlet["request"]>>): Promise<Answer> {
    const rows = new AnswerRows();
    await this.#run(message, attempt, rows);
    return { status: 200, contentType: "application/json", headers: {}, body: rows.toBody() };
  }

  async #open({ lost, own }: Opening): Promise<Session> {
    const { config, context } = this.#options;
    const connections: Connection[] = [];
    for (let count = 0; count < config.connections; count += 1) {
      const connection: Connection = { server: own(await this.#options.connect(lost)), busy: 0 };
      connections.push(connection);
      // A statement may take longer than a heartbeat; while one runs, the attempts' own timeouts are the watch.
      const probe = async (): Promise<unknown> => (connection.busy > 0 ? undefined : connection.server.ping());
      own({ close: heartbeat(context, config.heartbeat, probe, lost) });
      if (count === 0) await connection.server.check();
    }
    return { connections, lost };
  }

  async #run(message: Outgoing, attempt: Attempt, rows: AnswerRows | undefined): Promise<void> {
    const session = this.#link.need();
    const { config, context } = this.#options;
    const connection = session.connections.reduce((least, other) => (other.busy < least.busy ? other : least));
    const { cloudevents } = config;
    const event = cloudevents === undefined ? message : { ...message, ...emitCloudEvent(message, attempt.idempotencyKey, cloudevents) };
    const running = connection.server.run(event, attempt, rows);
    connection.busy += 1;
    const over = running
      .then(
        () => {},
        () => {},
      )
      .finally(() => (connection.busy -= 1));
    try {
      await unlessAborted(attempt.signal, running);
    } catch (error) {
      // The statement still holds its connection. If it does not end soon, the server is gone or hangs.
      if (attempt.signal.aborted) within(context, config.heartbeat, over).catch(session.lost);
      throw error instanceof OutletError ? error : this.#refused(error);
    }
  }

  #refused(error: unknown): OutletError {
    const { code, message } = this.#options.explain(error);
    const refusal = this.#options.refusal(error);
    return new OutletError(refusal ?? code, message, { retryable: refusal === undefined, cause: error });
  }
}
