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
import { CodedError } from "#base";
import { duration, type JsonSchema, type Source } from "#gateway/contract";
import { brokerSource, type BrokerSourceOptions, FetchLoop } from "./broker-source.ts";
import type { InboxConfig } from "./inbox.ts";
import type { Intake } from "./intake.ts";
import { queryLimits } from "./limits.ts";
import { heartbeat, type Opening } from "./link.ts";
import {
  hashOf,
  Position,
  type PositionOptions,
  type QueryConfig,
  type QueryPage,
  type QueryRow,
  type QueryServer,
  type RowLength,
} from "./query-position.ts";
import { ToldOnce } from "./told-once.ts";
import { incomingOf } from "./wire.ts";

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
  the column. Header: \`${name}-cursor\`. \`MF_SQL_CURSOR\`: too many rows have one value, or a value is too long. A row of more than 16 MiB, or with JSON
  that is nested too deeply, is left out, logged with \`MF_SQL_ROW\` and counted (\`unreadable\`).`;

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

export interface QueryOptions extends Pick<BrokerSourceOptions, "peer" | "explain">, PositionOptions {
  /** The connector's name, for the header with the value. */
  readonly name: string;
  open(opening: Opening): Promise<QueryServer>;
}

export function querySource(options: QueryOptions): Source {
  const { config, context, peer, explain } = options;
  const position = new Position(options);
  const told = new ToldOnce(context);
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
      const reader = own(new Reader(options, { position, server, intake, told }));
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

interface Reading {
  readonly position: Position;
  readonly server: QueryServer;
  readonly intake: Intake;
  /** Rows that are too long. */
  readonly told: ToldOnce;
}

/** One connection's reading. */
class Reader {
  readonly #options: QueryOptions;
  readonly #reading: Reading;
  #waiting: WaitingRow[] = [];
  /** The first page of this poll. */
  #since: number;
  /** Where the next page begins. */
  #at: string | undefined;
  /** Rows and bytes of the next page; more bytes are read, but not held, where more rows have one value. */
  #most: number = queryLimits.pageRows;
  #bytes: number = queryLimits.pageBytes;
  #closed = false;
  #wake: () => void = () => {};

  constructor(options: QueryOptions, reading: Reading) {
    this.#options = options;
    this.#reading = reading;
    this.#at = reading.position.low;
    this.#since = reading.position.page + 1;
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
    const { position, server } = this.#reading;
    const [from, beyond] = [this.#at, position.furthest];
    const lengths = await server.lengths({ from, beyond, most: this.#most });
    const short = this.#withoutLong(lengths);
    const most = fitting(short, this.#bytes);
    const page = await this.#read({ from, beyond, most });
    const isWhole = most === short.length && !page.isCut;
    const isLast = isWhole && lengths.length < this.#most;
    const reached = isWhole ? (endOfLong(lengths, page) ?? page.last) : page.last;
    if (reached !== undefined) position.mark(reached.cursor, reached.isBeyond);
    await position.advance(isLast ? 0 : this.#since);
    if (isLast) {
      this.#since = position.page + 1;
      this.#at = position.low;
    } else if (reached !== undefined && reached.cursor !== from) this.#at = reached.cursor;
    else {
      if (!page.isCut) this.#grow(isWhole);
      return false;
    }
    this.#bytes = queryLimits.pageBytes;
    this.#most = rowsFor(short);
    return isLast;
  }

  /** Logs each row that is too long, once, and returns the others. */
  #withoutLong(lengths: readonly RowLength[]): readonly RowLength[] {
    const { position } = this.#reading;
    for (const row of lengths) {
      const cursor = position.checked(row.cursor);
      if (row.bytes > queryLimits.rowBytes)
        this.#leaveOut(String(row.bytes), cursor, `has ${row.bytes} bytes, more than ${queryLimits.rowBytes}`);
    }
    return lengths.filter(({ bytes }) => bytes <= queryLimits.rowBytes);
  }

  #leaveOut(which: string, cursor: string, why: string): void {
    const { context, config } = this.#options;
    const text = `the row with ${config.cursor} ${cursor} ${why}, and is left out: shorten it, or select fewer columns with \`query\``;
    if (this.#reading.told.tell(`${which} ${cursor}`, "MF_SQL_ROW", text, { row: cursor })) context.metrics.count("unreadable");
  }

  /** Keeps the rows that were not known. Those that do not fit are read again with the next page: they have grown since they were measured. */
  async #read(page: QueryPage): Promise<PageRead> {
    const read: PageRead = { last: undefined, count: 0, isCut: false };
    const unknown = this.#reading.position.turn();
    if (page.most === 0) return read;
    let held = 0;
    await this.#reading.server.rows(page, (row) => {
      read.isCut ||= held >= queryLimits.pageBytes;
      if (read.isCut) return;
      read.last = row;
      read.count += 1;
      const { cursor, json } = row;
      if (json === undefined) return this.#leaveOut("", cursor, "is nested too deeply");
      const key = unknown(row);
      if (key === undefined) return;
      held += json.length;
      this.#waiting.push({ cursor, json, key });
    });
    return read;
  }

  /** A page had rows of one value only: a longer one is needed to come beyond it. */
  #grow(isWhole: boolean): void {
    if (!isWhole) this.#bytes *= 2;
    else if (this.#most < queryLimits.equalRows) this.#most *= 2;
    else {
      const { cursor } = this.#options.config;
      throw new CodedError(
        "MF_SQL_CURSOR",
        `more than ${queryLimits.equalRows} rows have the same value in ${cursor}: choose a column, or an expression in \`query\`, with more values`,
      );
    }
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

  #offer({ cursor, json, key }: WaitingRow): void {
    const { config, name } = this.#options;
    const received = {
      id: `${config.table ?? hashOf(config.query ?? "")}:${cursor}:${key}`,
      headers: { [`${name}-cursor`]: cursor },
      body: Buffer.from(json),
      contentType: "application/json",
    };
    this.#reading.intake.offer({
      incoming: incomingOf(received, undefined),
      settle: () => this.#reading.position.end(key),
      giveBack: () => this.#reading.position.forget(key),
    });
  }
}

interface WaitingRow {
  readonly cursor: string;
  readonly json: string;
  readonly key: string;
}

interface PageRead {
  last: QueryRow | undefined;
  count: number;
  /** Rows behind the last one came, and were not kept. */
  isCut: boolean;
}

/** As many of the first rows as fit, but at least one. */
function fitting(rows: readonly RowLength[], bytes: number): number {
  let before = 0;
  let count = 0;
  for (const row of rows) {
    if (count > 0 && before + row.bytes > bytes) break;
    before += row.bytes;
    count += 1;
  }
  return count;
}

/** The last row of a page if it is too long, and all others were read: the position may move over it. */
function endOfLong(
  lengths: readonly RowLength[],
  { count, last }: PageRead,
): { readonly cursor: string; readonly isBeyond: boolean } | undefined {
  const end = lengths.at(-1);
  const short = lengths.filter(({ bytes }) => bytes <= queryLimits.rowBytes);
  if (end === undefined || end.cursor === null || end.bytes <= queryLimits.rowBytes) return undefined;
  return count === short.length && last?.cursor === short.at(-1)?.cursor ? { cursor: end.cursor, isBeyond: end.isBeyond } : undefined;
}

/** Fewer rows for long ones: the server measures no more than are soon read. */
function rowsFor(short: readonly RowLength[]): number {
  const bytes = short.reduce((sum, row) => sum + row.bytes, 0);
  const fit = Math.floor((queryLimits.pageBytes * short.length) / Math.max(bytes, 1));
  return Math.max(2, Math.min(queryLimits.pageRows, short.length === 0 ? queryLimits.pageRows : fit));
}

/** The query of a configuration as a table of a statement. */
export function queriedTable({ table, query = "" }: QueryConfig, quote: (table: string) => string): string {
  return table === undefined ? `(${query.trim().replace(/;+$/, "")}\n)` : quote(table);
}
