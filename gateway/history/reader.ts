/**
 * Reads a folder of history: of a gateway that runs, or of one that does not. Calls are synchronous inside; a gateway runs them in a thread
 * (reader-thread.ts). Lists merge the segments' rows by the time of receipt, newest first, and open a segment only when it is its turn.
 */
import type {
  HistoryPage,
  HistoryQuery,
  HistoryReader,
  MessageDetail,
  MessageSummary,
  RecordedMessage,
  Relative,
  ShownAttempt,
  ShownDelivery,
} from "./history.ts";
import type { Row, SegmentIndex, TableName } from "./entry-index.ts";
import { segmentNumbers } from "./folder.ts";
import { hashOfText } from "./layout.ts";
import { historyLimits } from "./limits.ts";
import { Matcher } from "./matcher.ts";
import { OpenFiles } from "./open-files.ts";
import { type ReadEntry, recordingOf, Segment } from "./segment.ts";
import { attemptFacts, deliveryOf, messageFacts, messageOf, shownAttempt, summaryOf, unstartedAttempt, unstartedMessage } from "./show.ts";

/** A message that ended, and where it stands. */
interface Found {
  readonly segment: Segment;
  readonly row: Row;
  readonly entry: ReadEntry;
  readonly summary: NonNullable<ReturnType<typeof summaryOf>>;
}

/** Rows of one segment that may match, newest first. */
interface Stream {
  readonly segment: Segment;
  readonly rows: Iterator<Row>;
  head: Row | undefined;
}

interface Place {
  readonly receivedMs: number;
  readonly segment: number;
  readonly offset: number;
}

function isBehind(a: Place, b: Place): boolean {
  if (a.receivedMs !== b.receivedMs) return a.receivedMs < b.receivedMs;
  return a.segment === b.segment ? a.offset < b.offset : a.segment < b.segment;
}

function placeIn(cursor: string | undefined): Place | undefined {
  const [, receivedMs, segment, offset] = /^(-?\d+(?:\.\d+)?)_(\d+)_(\d+)$/.exec(cursor ?? "") ?? [];
  if (receivedMs === undefined) return undefined;
  return { receivedMs: Number(receivedMs), segment: Number(segment), offset: Number(offset) };
}

function withoutInternals({ parent: _parent, letter: _letter, ...summary }: Found["summary"]): MessageSummary {
  return summary;
}

export class FolderReader implements HistoryReader {
  readonly #folder: string;
  readonly #segments = new Map<number, Segment>();
  readonly #files = new OpenFiles();
  #remarks: string[] = [];

  constructor(folder: string) {
    this.#folder = folder;
  }

  list(query: HistoryQuery): Promise<HistoryPage> {
    return this.#read(() => this.#list(query));
  }

  show(id: string, flow?: string): Promise<MessageDetail | undefined> {
    return this.#read(() => this.#show(id, flow));
  }

  recording(
    id: string,
    options: { readonly flow?: string | undefined; readonly attempt?: number | undefined } = {},
  ): Promise<RecordedMessage | undefined> {
    return this.#read(() => this.#recording(id, options.flow, options.attempt));
  }

  async *recordings(query: HistoryQuery): AsyncIterable<RecordedMessage> {
    this.#open();
    const cached: Segment[] = [];
    let left = query.limit;
    for (const { segment, entry, summary } of this.#find(query)) {
      if (left === 0) break;
      this.#cache(segment, cached);
      const recording = recordingOf(entry);
      if (recording === undefined) continue;
      if (typeof recording === "string") {
        this.#remark(`${summary.flow} ${summary.id}: ${recording}`);
        continue;
      }
      left -= 1;
      yield { summary: withoutInternals(summary), recording: recording };
    }
    for (const segment of cached) segment.forget();
  }

  async close(): Promise<void> {
    this.#files.close();
    this.#segments.clear();
  }

  async #read<T>(task: () => T): Promise<T> {
    this.#open();
    return task();
  }

  /** The segments as the folder has them now. */
  #open(): void {
    const there = segmentNumbers(this.#folder);
    for (const number of this.#segments.keys()) {
      if (!there.has(number)) this.#segments.delete(number);
    }
    for (const number of there) if (!this.#segments.has(number)) this.#segments.set(number, new Segment(this.#folder, number, this.#files));
  }

  readonly #remark = (text: string): void => {
    if (this.#remarks.length < historyLimits.remarks && !this.#remarks.includes(text)) this.#remarks.push(text);
  };

  /** Iterating goes through a segment from end to end: its bytes are read once. */
  #cache(segment: Segment, cached: Segment[]): void {
    if (segment.inMemory) return;
    segment.bytes();
    cached.push(segment);
    if (cached.length > historyLimits.cachedSegments) cached.shift()?.forget();
  }

  #list(query: HistoryQuery): HistoryPage {
    this.#remarks = [];
    const limit = Math.min(Math.max(query.limit, 1), historyLimits.page);
    const messages: MessageSummary[] = [];
    let last: Found | undefined;
    let more = false;
    for (const found of this.#find(query)) {
      if (messages.length === limit) {
        more = true;
        break;
      }
      messages.push(withoutInternals(found.summary));
      last = found;
    }
    const next = more && last !== undefined ? `${last.row.receivedMs}_${last.segment.number}_${last.row.offset}` : undefined;
    return { messages, next, remarks: this.#remarks };
  }

  /** Messages that match, newest first. */
  *#find(query: HistoryQuery): Iterable<Found> {
    const matcher = new Matcher(query);
    const cursor = placeIn(query.cursor);
    const waiting = [...this.#segments.values()]
      .map((segment) => ({ segment, index: segment.index(this.#remark) }))
      .filter(({ index }) => index.count > 0 && matcher.inTime(index.minReceivedMs, index.maxReceivedMs))
      .filter(({ index }) => cursor === undefined || index.minReceivedMs <= cursor.receivedMs)
      .sort((a, b) => a.index.maxReceivedMs - b.index.maxReceivedMs);
    const streams: Stream[] = [];
    for (;;) {
      let best: Stream | undefined;
      for (const stream of streams) if (stream.head !== undefined && (best?.head === undefined || isBefore(stream, best))) best = stream;
      const next = waiting.at(-1);
      if (next !== undefined && (best?.head === undefined || next.index.maxReceivedMs >= best.head.receivedMs)) {
        waiting.pop();
        const stream = this.#stream(next.segment, next.index, matcher, cursor);
        if (stream !== undefined) streams.push(stream);
        continue;
      }
      if (best?.head === undefined) return;
      const row = best.head;
      this.#advance(best, matcher, cursor);
      const found = this.#found(best.segment, row);
      if (found !== undefined && matcher.fits(found.summary, found.entry)) yield found;
    }
  }

  #stream(segment: Segment, index: SegmentIndex, matcher: Matcher, cursor: Place | undefined): Stream | undefined {
    const offsets = matcher.offsetsIn(segment, index);
    if (offsets?.size === 0) return undefined;
    const rows = index.rows();
    const stream: Stream = { segment, rows: (offsets === undefined ? rows : only(rows, offsets))[Symbol.iterator](), head: undefined };
    this.#advance(stream, matcher, cursor);
    return stream.head === undefined ? undefined : stream;
  }

  #advance(stream: Stream, matcher: Matcher, cursor: Place | undefined): void {
    for (let next = stream.rows.next(); next.done !== true; next = stream.rows.next()) {
      const row = next.value;
      if (!matcher.fitsRow(row)) continue;
      if (cursor !== undefined && !isBehind({ receivedMs: row.receivedMs, segment: stream.segment.number, offset: row.offset }, cursor))
        continue;
      stream.head = row;
      return;
    }
    stream.head = undefined;
  }

  #found(segment: Segment, row: Row): Found | undefined {
    const entry = segment.entry(row.offset);
    const summary = entry === undefined ? undefined : summaryOf(entry);
    if (entry === undefined || summary === undefined) {
      this.#remark(`segment ${segment.number} of history is damaged: the entry at ${row.offset} can't be read`);
      return undefined;
    }
    return { segment, row, entry, summary };
  }

  /** Entries that may have a text under a table, newest segment first. */
  *#lookup(table: TableName, text: string): Iterable<{ readonly segment: Segment; readonly offset: number; readonly entry: ReadEntry }> {
    const hash = hashOfText(text);
    let left = historyLimits.entriesPerMessage;
    for (const segment of [...this.#segments.values()].sort((a, b) => b.number - a.number)) {
      for (const offset of segment.index(this.#remark).lookup(table, hash)) {
        if (left-- === 0) return this.#remark(`more than ${historyLimits.entriesPerMessage} entries of ${text}: the rest is not shown`);
        const entry = segment.entry(offset);
        if (entry !== undefined) yield { segment, offset, entry };
        else this.#remark(`segment ${segment.number} of history is damaged: the entry at ${offset} can't be read`);
      }
    }
  }

  /** Every recorded end of the id, newest first: a retry keeps its id. */
  #ends(id: string, flow: string | undefined): { readonly entry: ReadEntry; readonly summary: Found["summary"] }[] {
    const found: { entry: ReadEntry; summary: Found["summary"] }[] = [];
    for (const { entry } of this.#lookup("id", id)) {
      const summary = summaryOf(entry);
      if (summary !== undefined && summary.id === id && (flow === undefined || summary.flow === flow)) found.push({ entry, summary });
    }
    return found.sort((a, b) => b.summary.receivedAt - a.summary.receivedAt || endOf(b.summary) - endOf(a.summary));
  }

  #show(id: string, flow: string | undefined): MessageDetail | undefined {
    this.#remarks = [];
    const all = this.#ends(id, flow);
    const newest = all[0];
    if (newest === undefined) return undefined;
    const { summary, entry } = newest;
    const ends = all.filter((end) => end.summary.flow === summary.flow);
    const recording = recordingOf(entry);
    const whole = typeof recording === "object" ? recording : undefined;
    const facts = attemptFacts(entry);
    const attempts: ShownAttempt[] = this.#attemptsBefore(summary);
    if (facts !== undefined) attempts.push(whole === undefined ? unstartedAttempt(facts) : shownAttempt(facts, whole));
    const { parent: _parent, letter, attempts: _count, ...rest } = summary;
    return {
      ...rest,
      ...(whole === undefined ? unstartedMessage(entry) : messageOf(whole.deliver, facts?.omitted?.[0])),
      deadLetter: letter,
      redacted: whole?.redaction ?? null,
      attempts,
      outlets: this.#deliveries(summary),
      parents: distinct(ends.flatMap((end) => end.summary.parent ?? [])),
      children: this.#children(summary),
    };
  }

  /** Attempts that were recorded before the one that ended the message. */
  #attemptsBefore({ flow, id, receivedAt }: MessageSummary): ShownAttempt[] {
    const attempts: ShownAttempt[] = [];
    for (const { entry } of this.#lookup("other", id)) {
      const message = messageFacts(entry);
      const facts = attemptFacts(entry);
      if (message?.flow !== flow || message.id !== id || message.receivedMs !== receivedAt || facts === undefined) continue;
      const recording = recordingOf(entry);
      attempts.push(typeof recording === "object" ? shownAttempt(facts, recording) : unstartedAttempt(facts));
    }
    return attempts.sort((a, b) => a.startedAt - b.startedAt);
  }

  #deliveries({ flow, id, receivedAt }: MessageSummary): ShownDelivery[] {
    const deliveries: ShownDelivery[] = [];
    for (const { entry } of this.#lookup("other", id)) {
      const delivery = deliveryOf(entry);
      if (delivery === undefined || delivery.flow !== flow || delivery.messageId !== id || delivery.at < receivedAt) continue;
      const { flow: _flow, messageId: _id, ...shown } = delivery;
      deliveries.push(shown);
    }
    return deliveries.sort((a, b) => a.at - b.at || a.attempt - b.attempt);
  }

  #children({ flow, id }: MessageSummary): Relative[] {
    const children: (Relative & { readonly receivedAt: number })[] = [];
    for (const { entry } of this.#lookup("parent", `${flow} ${id}`)) {
      const child = summaryOf(entry);
      if (child?.parent?.flow === flow && child.parent.id === id)
        children.push({ flow: child.flow, id: child.id, how: child.parent.how, receivedAt: child.receivedAt });
    }
    const oldestFirst = children.sort((a, b) => a.receivedAt - b.receivedAt);
    return distinct(oldestFirst.map(({ flow: name, id: child, how }) => ({ flow: name, id: child, how }))).slice(
      0,
      historyLimits.relatives,
    );
  }

  #recording(id: string, flow: string | undefined, attempt: number | undefined): RecordedMessage | undefined {
    this.#remarks = [];
    const newest = this.#ends(id, flow)[0];
    if (newest === undefined) return undefined;
    const summary = withoutInternals(newest.summary);
    const found = (entry: ReadEntry): RecordedMessage | undefined => {
      const recording = recordingOf(entry);
      return typeof recording === "object" ? { summary, recording: recording } : undefined;
    };
    if (attempt === undefined || attemptFacts(newest.entry)?.attempt === attempt) return found(newest.entry);
    for (const { entry } of this.#lookup("other", id)) {
      const message = messageFacts(entry);
      if (message?.flow !== summary.flow || message.id !== id || message.receivedMs !== summary.receivedAt) continue;
      if (attemptFacts(entry)?.attempt === attempt) return found(entry);
    }
    return undefined;
  }
}

const endOf = ({ receivedAt, durationMs }: MessageSummary): number => receivedAt + durationMs;

/** Of two streams: the one whose head is newer, then the one in the newer segment. */
function isBefore(a: Stream, b: Stream): boolean {
  const [mine, theirs] = [a.head?.receivedMs ?? 0, b.head?.receivedMs ?? 0];
  return mine === theirs ? a.segment.number > b.segment.number : mine > theirs;
}

function* only(rows: Iterable<Row>, offsets: ReadonlySet<number>): Iterable<Row> {
  for (const row of rows) if (offsets.has(row.offset)) yield row;
}

function distinct(relatives: readonly Relative[]): Relative[] {
  const seen = new Map(relatives.map((each) => [`${each.how} ${each.flow} ${each.id}`, each]));
  return [...seen.values()];
}
