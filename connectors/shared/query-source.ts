/**
 * The source of any table or query, for any SQL server: rows are read in the order of a column that grows, and the place that was reached is
 * kept in the gateway's journal.
 *
 *     ended and old enough ──▶ low      kept; each poll reads from here, and passes by the rows that it knows
 *     low … newest row         window   rows in hand, and rows that others may still commit behind later ones
 *
 * A position by the column alone would lose rows: those of equal value that come with the next page, and those of a transaction that commits
 * after one that began later. So the window is read again and again, until `late` has passed, and a row is known by the hash of its content.
 */
import { createHash } from "node:crypto";
import { CodedError } from "#base";
import { duration, type JsonSchema, type Source, type SourceContext } from "#gateway/contract";
import { brokerSource, type BrokerSourceOptions, FetchLoop } from "./broker-source.ts";
import type { InboxConfig } from "./inbox.ts";
import type { Intake } from "./intake.ts";
import { queryLimits } from "./limits.ts";
import { heartbeat, type Opening } from "./link.ts";
import { incomingOf } from "./wire.ts";

export interface QueryConfig {
  readonly table?: string;
  readonly query?: string;
  readonly cursor?: string;
  readonly from: "all" | "new";
  readonly late: number;
  readonly poll: number;
  readonly heartbeat: number;
  readonly prefetch?: number;
}

export const querySchema: Readonly<Record<string, JsonSchema>> = {
  query: { type: "string", minLength: 1, description: "Query to read instead of a table, with `cursor`." },
  cursor: {
    type: "string",
    minLength: 1,
    maxLength: 63,
    description: "Column that grows, such as an id or a time: rows of any table or query are read in its order, and left as they are.",
  },
  from: {
    enum: ["all", "new"],
    default: "all",
    description: "First row, where no position is kept yet: of all there are, or after the newest.",
  },
  late: duration("Time that a row may be committed behind rows with a greater `cursor`, and is found.", "10s"),
};

/** For the documentation of the source `name`. */
export const queryDescription = (
  name: string,
): string => `- **Any table or query**: with \`cursor\`, a column that grows (an id, a time), rows are only read: \`{ table: orders, cursor: id }\`, or
  \`query: "select …"\`. Each row is a message, as JSON like an answer of the outlet. The position is kept in the gateway's journal (set \`journal.dir\`)
  and moves over rows whose effects are committed. Rows with equal values are not lost, nor are those that are committed up to \`late\` after rows
  with greater values. A row whose cursor changes is another message; rows without a value are not read. One gateway for a query; an index on
  the column. Header: \`${name}-cursor\`. \`MF_SQL_CURSOR\`: too many rows have one value.`;

/** Throws MF_SQL_SOURCE for settings that do not fit together. */
export function checkQuery(config: QueryConfig & Partial<InboxConfig> & { readonly notify?: string }): void {
  const { table, query, cursor, create, done, notify, cloudevents } = config;
  const wrong = (text: string): CodedError => new CodedError("MF_SQL_SOURCE", text);
  if (cursor === undefined && query !== undefined) throw wrong("query needs cursor: name the column that grows");
  if (table === undefined && query === undefined) throw wrong("table is missing: name an inbox table, or with cursor any table or a query");
  if (table !== undefined && query !== undefined) throw wrong("table and query are both set: remove one of the two");
  if (cursor !== undefined && (create === true || done === "mark" || notify !== undefined || cloudevents === true))
    throw wrong("create, done, notify and cloudevents are for inbox tables: remove them, or cursor");
}

export interface QueryRow {
  /** Value of the column as the server writes it, and reads it again. */
  readonly cursor: string;
  readonly json: string;
  /** It comes after `beyond`. */
  readonly isBeyond: boolean;
}

export interface QueryServer {
  /** The first rows at and behind `from`, in the order of the column; of all rows if it is undefined. */
  page(from: string | undefined, beyond: string | undefined, most: number): Promise<readonly QueryRow[]>;
  ping(): Promise<unknown>;
  /** Greatest value, if there is a row. */
  newest(): Promise<string | undefined>;
}

export interface QueryOptions extends Pick<BrokerSourceOptions, "peer" | "explain"> {
  readonly config: QueryConfig;
  readonly context: SourceContext;
  /** The connector's name, for the header with the value. */
  readonly name: string;
  open(opening: Opening): Promise<QueryServer>;
}

export function querySource(options: QueryOptions): Source {
  const { config, context, peer, explain } = options;
  const position = new Position(options);
  return brokerSource({
    context,
    peer,
    place: config.table === undefined ? "the query" : `table ${config.table}`,
    prefetch: config.prefetch,
    explain,
    async open({ intake, lost, own }) {
      const server = await options.open({ lost, own });
      own({ close: heartbeat(context, config.heartbeat, () => server.ping(), lost) });
      await position.begin(server);
      const reader = own(new Reader(options, position, server, intake));
      const loop = own(new FetchLoop(intake, lost, (room) => reader.fetch(room)));
      return {
        end() {
          loop.close();
          intake.shut();
          reader.close();
          return loop.over;
        },
        flush: () => position.keep(),
      };
    },
  });
}

/** A row at or behind the low mark. */
interface Known {
  cursor: string;
  /** The last page that had it. */
  page: number;
  ended: boolean;
}

/** All rows up to `cursor` that were committed at `atMs` were known with this page. */
interface Mark {
  readonly cursor: string;
  readonly page: number;
  readonly atMs: number;
}

/** The position, over all connections of a source. */
class Position {
  readonly #options: QueryOptions;
  readonly #fact: string;
  #known = new Map<string, Known>();
  /** Rows that have not ended, by the page that had them first; the earliest first. */
  readonly #open = new Map<string, number>();
  #marks: Mark[] = [];
  /** Pages that were read. */
  page = 0;
  #kept: string | undefined;
  #isRead = false;
  low: string | undefined;
  /** Of the last mark: only the server can compare values. */
  furthest: string | undefined;

  constructor(options: QueryOptions) {
    this.#options = options;
    const { table, query, cursor } = options.config;
    this.#fact = `query ${options.context.name} ${hashOf(JSON.stringify([table ?? query, cursor]))}`;
  }

  /** Reads the kept position once; forgets rows in hand of a lost connection, which come again. */
  async begin(server: QueryServer): Promise<void> {
    const { context, config } = this.#options;
    if (!this.#isRead) {
      const fact = await context.recall?.read(this.#fact);
      if (fact !== undefined) this.#restore(fact);
      else if (config.from === "new") await this.#skip(server);
      this.#isRead = true;
      if (fact === undefined) await this.keep();
    }
    for (const key of this.#open.keys()) this.#known.delete(key);
    this.#open.clear();
    this.#marks = [];
    this.furthest = this.low;
  }

  #restore(fact: string): void {
    const { cursor, ended } = JSON.parse(fact) as { readonly cursor: string | null; readonly ended: readonly string[] };
    this.low = cursor ?? undefined;
    for (const key of ended) this.#known.set(key, { cursor: cursor ?? "", page: 0, ended: true });
    this.#kept = fact;
  }

  async #skip(server: QueryServer): Promise<void> {
    this.low = await server.newest();
    if (this.low === undefined) return;
    const rows = await server.page(this.low, this.low, queryLimits.equalRows);
    for (const row of this.unknown(rows.filter(({ cursor }) => cursor === this.low))) this.end(row.key);
  }

  /** Rows of one page that were not known; they are from now on. Equal rows are told apart by their number within a page. */
  unknown(rows: readonly QueryRow[]): (QueryRow & { readonly key: string })[] {
    this.page += 1;
    const counts = new Map<string, number>();
    const found: (QueryRow & { readonly key: string })[] = [];
    for (const row of rows) {
      const hash = hashOf(`${row.cursor}\n${row.json}`);
      const count = counts.get(hash) ?? 0;
      counts.set(hash, count + 1);
      const key = count === 0 ? hash : `${hash}.${count}`;
      const known = this.#known.get(key);
      if (known !== undefined) {
        known.page = this.page;
        known.cursor = row.cursor;
        continue;
      }
      this.#known.set(key, { cursor: row.cursor, page: this.page, ended: false });
      this.#open.set(key, this.page);
      found.push({ ...row, key });
    }
    return found;
  }

  end(key: string): void {
    const known = this.#known.get(key);
    if (known !== undefined) known.ended = true;
    this.#open.delete(key);
  }

  /** Returned to the server: it is read again. */
  forget(key: string): void {
    this.#known.delete(key);
    this.#open.delete(key);
  }

  /** All rows up to this one are known. */
  mark({ cursor, isBeyond }: QueryRow): void {
    if (!isBeyond) return;
    this.furthest = cursor;
    this.#marks.push({ cursor, page: this.page, atMs: this.#options.context.clock.monotonicMs() });
  }

  /**
   * Moves the low mark over rows that have ended and are old enough; over young ones too where too many are known. Not to a mark that is older
   * than the page `since`: a poll that has not come so far yet would find rows there that are forgotten.
   */
  async advance(since: number): Promise<void> {
    const { clock } = this.#options.context;
    const [oldest = Number.POSITIVE_INFINITY] = this.#open.values();
    const isPassed = ({ page, atMs }: Mark): boolean =>
      page < oldest && (clock.monotonicMs() - atMs >= this.#options.config.late || this.#known.size >= queryLimits.knownRows);
    const passed = this.#marks.findIndex((mark) => !isPassed(mark));
    const count = passed < 0 ? this.#marks.length : passed;
    const reached = this.#marks[count - 1];
    if (reached !== undefined && reached.page >= since) {
      this.#marks.splice(0, count);
      this.low = reached.cursor;
      for (const [key, { cursor, page, ended }] of this.#known)
        if (ended && page <= reached.page && cursor !== reached.cursor) this.#known.delete(key);
    }
    await this.keep();
  }

  /** The low mark, and the rows behind it that have ended: the newest of them, if there are many. */
  async keep(): Promise<void> {
    const ended = [...this.#known].filter(([, known]) => known.ended).map(([key]) => key);
    const fact = JSON.stringify({ cursor: this.low ?? null, ended: ended.slice(-queryLimits.keptRows) });
    if (fact === this.#kept) return;
    this.#kept = fact;
    await this.#options.context.recall?.write(this.#fact, fact);
  }
}

/** One connection's reading. */
class Reader {
  readonly #options: QueryOptions;
  readonly #position: Position;
  readonly #server: QueryServer;
  readonly #intake: Intake;
  #waiting: (QueryRow & { readonly key: string })[] = [];
  /** The first page of this poll. */
  #since: number;
  /** Where the next page begins. */
  #at: string | undefined;
  #most: number = queryLimits.pageRows;
  #closed = false;
  #wake: () => void = () => {};

  constructor(options: QueryOptions, position: Position, server: QueryServer, intake: Intake) {
    this.#options = options;
    this.#position = position;
    this.#server = server;
    this.#intake = intake;
    this.#at = position.low;
    this.#since = position.page + 1;
  }

  close(): void {
    this.#closed = true;
    this.#wake();
  }

  async fetch(room: number): Promise<void> {
    if (this.#waiting.length === 0) {
      const isLast = await this.#next();
      if (isLast && this.#waiting.length === 0 && !this.#closed) await this.#pause();
    }
    for (const row of this.#waiting.splice(0, room)) this.#offer(row);
  }

  /** Reads a page. True if it was the last. */
  async #next(): Promise<boolean> {
    const from = this.#at;
    const rows = await this.#server.page(from, this.#position.furthest, this.#most);
    this.#waiting = this.#position.unknown(rows);
    const last = rows.at(-1);
    if (last !== undefined) this.#position.mark(last);
    const isLast = rows.length < this.#most;
    await this.#position.advance(isLast ? 0 : this.#since);
    if (isLast) {
      this.#since = this.#position.page + 1;
      this.#at = this.#position.low;
      this.#most = this.#pageRows(rows);
      return true;
    }
    if (last?.cursor === from) this.#most = this.#more(this.#most);
    else {
      this.#at = last?.cursor;
      this.#most = this.#pageRows(rows);
    }
    return false;
  }

  /** Fewer for long rows, so that a page is no burden. */
  #pageRows(rows: readonly QueryRow[]): number {
    const bytes = rows.reduce((sum, { json }) => sum + json.length, 0);
    const fitting = Math.floor((queryLimits.pageBytes * rows.length) / Math.max(bytes, 1));
    return Math.max(2, Math.min(queryLimits.pageRows, rows.length === 0 ? queryLimits.pageRows : fitting));
  }

  /** A page had rows of one value only: a longer one is needed to come beyond it. */
  #more(most: number): number {
    if (most < queryLimits.equalRows) return most * 2;
    const { cursor } = this.#options.config;
    throw new CodedError(
      "MF_SQL_CURSOR",
      `more than ${queryLimits.equalRows} rows have the same value in ${cursor}: choose a column, or an expression in \`query\`, with more values`,
    );
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.context.clock.after(this.#options.config.poll, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }

  #offer({ cursor, json, key }: QueryRow & { readonly key: string }): void {
    const { config, name } = this.#options;
    const received = {
      id: `${config.table ?? hashOf(config.query ?? "")}:${cursor}:${key}`,
      headers: { [`${name}-cursor`]: cursor },
      body: Buffer.from(json),
      contentType: "application/json",
    };
    this.#intake.offer({
      incoming: incomingOf(received, undefined),
      settle: () => this.#position.end(key),
      giveBack: () => this.#position.forget(key),
    });
  }
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("base64url").slice(0, 22);
}

/** The query of a configuration as a table of a statement. */
export function queriedTable({ table, query = "" }: QueryConfig, quote: (table: string) => string): string {
  return table === undefined ? `(${query.trim().replace(/;+$/, "")}\n)` : quote(table);
}
