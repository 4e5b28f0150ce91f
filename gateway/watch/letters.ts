/** Dead letters as the page shows them: in groups, in pages, and retried or dropped by the hundred. */
import { CodedError, isCoded } from "#base";
import type { Outcome } from "../contract/message.ts";
import type { DeadLetter, DeadLetters } from "../journal/dead-letters.ts";
import { watchLimits } from "./limits.ts";

export interface LetterPorts {
  readonly letters: Pick<DeadLetters, "ids" | "letter" | "remove">;
  readonly retry: (id: string) => Promise<Outcome | undefined>;
}

/** A letter in a list. */
export interface LetterRow {
  readonly id: string;
  readonly kind: DeadLetter["kind"];
  readonly flow: string;
  readonly outlet: string | null;
  readonly messageId: string;
  readonly code: string;
  readonly message: string;
  readonly key: string | null;
  readonly contentType: string;
  readonly bytes: number;
  readonly attempts: number;
  readonly receivedAt: number;
  readonly diedAt: number;
  readonly holds: boolean;
}

export interface LetterGroup {
  readonly flow: string;
  readonly kind: DeadLetter["kind"];
  readonly outlet: string | null;
  readonly code: string;
  /** Of the newest. */
  readonly message: string;
  readonly count: number;
  readonly bytes: number;
  readonly oldest: number;
  readonly newest: number;
  readonly holds: number;
}

/** Letters by id, or all that fit every other field. */
export interface Selection {
  readonly ids?: readonly string[] | undefined;
  readonly flow?: string | undefined;
  readonly code?: string | undefined;
  readonly outlet?: string | undefined;
  readonly kind?: DeadLetter["kind"] | undefined;
}

export interface Preview {
  readonly dryRun: true;
  readonly count: number;
  readonly bytes: number;
  readonly oldest: number | null;
  readonly newest: number | null;
  /** The first of them. */
  readonly letters: readonly LetterRow[];
  readonly remarks: readonly string[];
}

export interface BulkReport {
  readonly done: number;
  /** Taken up, and not at an end yet. */
  readonly accepted: number;
  /** Dead letters again. */
  readonly dead: number;
  readonly dropped: number;
  readonly failed: readonly { readonly id: string; readonly code: string; readonly message: string }[];
  readonly failures: number;
  /** Letters of the selection that this request did not reach: ask again. */
  readonly left: number;
}

function rowOf(letter: DeadLetter): LetterRow {
  return {
    id: letter.id,
    kind: letter.kind,
    flow: letter.flow,
    outlet: letter.outlet ?? null,
    messageId: letter.messageId,
    code: letter.failure.code,
    message: letter.failure.message.slice(0, watchLimits.failureCharacters),
    key: letter.key ?? null,
    contentType: letter.contentType,
    bytes: letter.bodyBytes,
    attempts: letter.attempts.length,
    receivedAt: letter.receivedMs,
    diedAt: letter.buriedMs,
    holds: letter.holds === true,
  };
}

/** Names begin with the time, so that their order is that of the letters. */
const nameOf = (id: string): string => id.slice(id.indexOf("/") + 1);
const newestFirst = (a: string, b: string): number => (nameOf(a) < nameOf(b) ? 1 : nameOf(a) > nameOf(b) ? -1 : 0);

function fits(row: LetterRow, { flow, code, outlet, kind }: Selection): boolean {
  return (
    (flow === undefined || row.flow === flow) &&
    (code === undefined || row.code === code) &&
    (outlet === undefined || row.outlet === outlet) &&
    (kind === undefined || row.kind === kind)
  );
}

/** Runs `work` over all, so many at once. */
async function each<T>(all: readonly T[], atOnce: number, work: (one: T, index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < all.length; index = next++) await work(all[index] as T, index);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, all.length) }, worker));
}

export class Letters {
  readonly #ports: LetterPorts;
  /** A letter is never changed: what was read of one holds until it is gone. */
  #rows = new Map<string, LetterRow>();
  /** Reads under way, which the next that asks waits for. */
  #reading: Promise<{ readonly rows: readonly LetterRow[]; readonly all: number }> | undefined;

  constructor(ports: LetterPorts) {
    this.#ports = ports;
  }

  async list(selection: Selection, limit: number, cursor: string | undefined): Promise<object> {
    const { rows, all } = await this.#read();
    const from =
      cursor === undefined ? 0 : rows.findIndex(({ id }) => newestFirst(id, cursor) > 0 || (nameOf(id) === nameOf(cursor) && id > cursor));
    const fitting = from < 0 ? [] : rows.slice(from).filter((row) => fits(row, selection));
    const letters = fitting.slice(0, limit);
    return { letters, next: fitting.length > limit ? (letters.at(-1)?.id ?? null) : null, total: all, remarks: remarksOf(all) };
  }

  async groups(): Promise<object> {
    const { rows, all } = await this.#read();
    const groups = new Map<string, LetterGroup>();
    for (const row of rows) {
      const key = `${row.flow}\0${row.kind}\0${row.outlet ?? ""}\0${row.code}`;
      const before = groups.get(key);
      groups.set(key, {
        flow: row.flow,
        kind: row.kind,
        outlet: row.outlet,
        code: row.code,
        message: before?.message ?? row.message,
        count: (before?.count ?? 0) + 1,
        bytes: (before?.bytes ?? 0) + row.bytes,
        oldest: Math.min(before?.oldest ?? row.receivedAt, row.receivedAt),
        newest: Math.max(before?.newest ?? row.receivedAt, row.receivedAt),
        holds: (before?.holds ?? 0) + (row.holds ? 1 : 0),
      });
    }
    return { groups: [...groups.values()].sort((a, b) => b.count - a.count), total: all, remarks: remarksOf(all) };
  }

  async preview(selection: Selection): Promise<Preview> {
    const { rows, all } = await this.#read();
    const chosen = choose(rows, selection);
    return {
      dryRun: true,
      count: chosen.length,
      bytes: chosen.reduce((sum, { bytes }) => sum + bytes, 0),
      oldest: chosen.at(-1)?.receivedAt ?? null,
      newest: chosen[0]?.receivedAt ?? null,
      letters: chosen.slice(0, watchLimits.lettersNamed),
      remarks: remarksOf(all),
    };
  }

  /** Oldest first, as they came. One that fails stays; the others go on. */
  async bulk(what: "retry" | "drop", selection: Selection): Promise<BulkReport> {
    const { rows } = await this.#read();
    const all = selection.ids ?? choose(rows, selection).map(({ id }) => id);
    const chosen = [...all].sort((a, b) => newestFirst(b, a)).slice(0, watchLimits.lettersPerRequest);
    const counts = { done: 0, accepted: 0, dead: 0, dropped: 0 };
    const failed: BulkReport["failed"][number][] = [];
    await each(chosen, watchLimits.lettersRetriedAtOnce, async (id) => {
      try {
        const ended = what === "drop" ? await this.#drop(id) : await this.#retry(id);
        counts[ended] += 1;
      } catch (error) {
        const { code, message } = isCoded(error) ? error : { code: "MF_DEAD_LETTER_READ", message: String(error) };
        failed.push({ id, code, message });
      }
    });
    const left = all.length - chosen.length;
    return { ...counts, failed: failed.slice(0, watchLimits.lettersNamed), failures: failed.length, left };
  }

  async #drop(id: string): Promise<"dropped"> {
    if (!(await this.#ports.letters.remove(id))) throw missing(id);
    return "dropped";
  }

  async #retry(id: string): Promise<"done" | "accepted" | "dead"> {
    const outcome = await this.#ports.retry(id);
    if (outcome === undefined) throw missing(id);
    if (outcome.status === "refused") throw new CodedError(outcome.code, outcome.message);
    if (outcome.status === "dead") return "dead";
    return outcome.status === "accepted" ? "accepted" : "done";
  }

  #read(): Promise<{ readonly rows: readonly LetterRow[]; readonly all: number }> {
    this.#reading ??= this.#readAll().finally(() => (this.#reading = undefined));
    return this.#reading;
  }

  async #readAll(): Promise<{ readonly rows: readonly LetterRow[]; readonly all: number }> {
    const ids: string[] = [];
    for await (const id of this.#ports.letters.ids()) ids.push(id);
    const newest = ids.sort(newestFirst).slice(0, watchLimits.lettersScanned);
    const rows = new Map<string, LetterRow>();
    await each(newest, watchLimits.lettersReadAtOnce, async (id) => {
      const known = this.#rows.get(id);
      const letter = known === undefined ? await this.#ports.letters.letter(id).catch(() => undefined) : undefined;
      const row = known ?? (letter === undefined ? undefined : rowOf(letter));
      if (row !== undefined) rows.set(id, row);
    });
    this.#rows = rows;
    return { rows: newest.flatMap((id) => rows.get(id) ?? []), all: ids.length };
  }
}

function choose(rows: readonly LetterRow[], selection: Selection): readonly LetterRow[] {
  const named = selection.ids === undefined ? undefined : new Set(selection.ids);
  return rows.filter((row) => (named === undefined || named.has(row.id)) && fits(row, selection));
}

function remarksOf(all: number): string[] {
  if (all <= watchLimits.lettersScanned) return [];
  return [`the newest ${watchLimits.lettersScanned} of ${all} dead letters are shown: retry or drop them to see the others`];
}

function missing(id: string): CodedError {
  return new CodedError("MF_DEAD_LETTER_MISSING", `there is no dead letter ${id}: it may have been retried or dropped already`);
}
