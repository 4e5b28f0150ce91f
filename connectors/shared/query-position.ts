/** How far the rows of a query were read: the position that is kept in the gateway's journal, and the rows that are known behind it. */
import { createHash } from "node:crypto";
import { CodedError } from "#base";
import type { SourceContext } from "#gateway/contract";
import { queryLimits } from "./limits.ts";

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

export interface RowLength {
  /** Value of the column as the server writes it, and reads it again; null if it has more than `queryLimits.cursorBytes`. */
  readonly cursor: string | null;
  /** It comes after `beyond`. */
  readonly isBeyond: boolean;
  /** Sum of the columns as text. */
  readonly bytes: number;
}

export interface QueryRow {
  /** As in `RowLength`. */
  readonly cursor: string;
  /** Undefined for a row that is nested too deeply. */
  readonly json: string | undefined;
  readonly isBeyond: boolean;
}

/** Which rows: the first `most` at and behind `from`, in the order of the column; of all rows if it is undefined. */
export interface QueryPage {
  readonly from: string | undefined;
  readonly beyond: string | undefined;
  readonly most: number;
}

export interface QueryServer {
  lengths(page: QueryPage): Promise<readonly RowLength[]>;
  /** Rows of up to `queryLimits.rowBytes`, one by one, as they come. */
  rows(page: QueryPage, onRow: (row: QueryRow) => void): Promise<void>;
  ping(): Promise<unknown>;
  /** Greatest value; undefined if there is no row, null as in `RowLength`. */
  newest(): Promise<string | null | undefined>;
}

export interface PositionOptions {
  readonly config: QueryConfig;
  readonly context: SourceContext;
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
export class Position {
  readonly #options: PositionOptions;
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

  constructor(options: PositionOptions) {
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
    const newest = await server.newest();
    if (newest === undefined) return;
    const low = this.checked(newest);
    this.low = low;
    const unknown = this.turn();
    await server.rows({ from: low, beyond: low, most: queryLimits.equalRows }, (row) => {
      const key = row.cursor === low ? unknown(row) : undefined;
      if (key !== undefined) this.end(key);
    });
  }

  /** Throws MF_SQL_CURSOR for a value that is too long to be kept. */
  checked(cursor: string | null): string {
    if (cursor !== null) return cursor;
    const text = `a value of ${this.#options.config.cursor} has more than ${queryLimits.cursorBytes} bytes: choose a column with short values`;
    throw new CodedError("MF_SQL_CURSOR", text);
  }

  /**
   * Begins a page. The function gets its rows and returns the key of each that was not known; it is from now on. Equal rows are told apart by
   * their number within a page.
   */
  turn(): (row: QueryRow) => string | undefined {
    this.page += 1;
    const counts = new Map<string, number>();
    return (row) => {
      const hash = hashOf(`${row.cursor}\n${row.json ?? ""}`);
      const count = counts.get(hash) ?? 0;
      counts.set(hash, count + 1);
      const key = count === 0 ? hash : `${hash}.${count}`;
      const known = this.#known.get(key);
      if (known === undefined) {
        this.#known.set(key, { cursor: row.cursor, page: this.page, ended: false });
        this.#open.set(key, this.page);
        return key;
      }
      known.page = this.page;
      known.cursor = row.cursor;
      return undefined;
    };
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
  mark(cursor: string, isBeyond: boolean): void {
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

export function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("base64url").slice(0, 22);
}
