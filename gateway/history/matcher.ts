/** A query, ready to be asked of segments, rows and entries, the cheapest first. */
import { headerList, type Headers } from "#abi";
import type { Row, SegmentIndex } from "./entry-index.ts";
import type { HistoryQuery, MessageSummary } from "./history.ts";
import { entryHeaderBytes, hashOfText, segmentHeaderBytes, statuses } from "./layout.ts";
import { recordingOf, type ReadEntry, type Segment } from "./segment.ts";
import { deliveryOf, messageFacts, unstartedMessage } from "./show.ts";

export class Matcher {
  readonly #query: HistoryQuery;
  readonly #status: number | undefined;
  /** Texts that an entry has all of, somewhere. */
  readonly #texts: readonly Buffer[];

  constructor(query: HistoryQuery) {
    this.#query = query;
    this.#status = query.status === undefined ? undefined : statuses.indexOf(query.status);
    const header = query.header === undefined ? [] : [JSON.stringify(query.header.value)];
    this.#texts = [...(query.text === undefined || query.text === "" ? [] : [query.text]), ...header].map((text) => Buffer.from(text));
  }

  inTime(minReceivedMs: number, maxReceivedMs: number): boolean {
    const { sinceMs = Number.NEGATIVE_INFINITY, untilMs = Number.POSITIVE_INFINITY } = this.#query;
    return maxReceivedMs >= sinceMs && minReceivedMs < untilMs;
  }

  fitsRow({ receivedMs, flow, status, code }: Row): boolean {
    const { flow: wanted, code: wantedCode } = this.#query;
    if (wanted !== undefined && flow !== wanted) return false;
    if (this.#status !== undefined && status !== this.#status) return false;
    if (wantedCode !== undefined && code !== undefined && code !== wantedCode) return false;
    return this.inTime(receivedMs, receivedMs);
  }

  fits(summary: MessageSummary, entry: ReadEntry): boolean {
    const { flow, code, id, key, correlationId, header } = this.#query;
    if (flow !== undefined && summary.flow !== flow) return false;
    if (code !== undefined && summary.error?.code !== code) return false;
    if (id !== undefined && summary.id !== id) return false;
    if (key !== undefined && summary.key !== key) return false;
    if (correlationId !== undefined && summary.correlationId !== correlationId) return false;
    return header === undefined || headerList(headersIn(entry)[header.name.toLowerCase()]).includes(header.value);
  }

  /** Offsets of ended messages in the segment that may match; undefined: all of them. */
  offsetsIn(segment: Segment, index: SegmentIndex): ReadonlySet<number> | undefined {
    const { id, key, correlationId } = this.#query;
    let found: Set<number> | undefined;
    const narrow = (offsets: Iterable<number>): void => {
      const before = found;
      found = new Set(before === undefined ? offsets : [...offsets].filter((offset) => before.has(offset)));
    };
    if (id !== undefined) narrow(index.lookup("id", hashOfText(id)));
    if (key !== undefined) narrow(index.lookup("key", hashOfText(key)));
    if (correlationId !== undefined) narrow(index.lookup("correlation", hashOfText(correlationId)));
    for (const text of this.#texts) {
      if (found?.size === 0) return found;
      narrow(withText(segment, index, text));
    }
    return found;
  }
}

function headersIn(entry: ReadEntry): Headers {
  const recording = recordingOf(entry);
  if (typeof recording !== "object") return unstartedMessage(entry).headers;
  try {
    return JSON.parse(recording.deliver.headersJson) as Headers;
  } catch {
    return {};
  }
}

/** Offsets of ended messages whose entries have the text. One in an earlier attempt, or in a delivery, counts where its message ended in this segment. */
function withText(segment: Segment, index: SegmentIndex, text: Buffer): Set<number> {
  const bytes = segment.passing();
  const found = new Set<number>();
  let ends: Uint32Array | undefined;
  let at = segmentHeaderBytes;
  for (let hit = bytes.indexOf(text, at); hit >= 0; hit = bytes.indexOf(text, at)) {
    ends ??= Uint32Array.from([...index.rows()].map(({ offset }) => offset)).sort();
    const entry = entryAround(bytes, ends, at, hit);
    if (entry === undefined) break;
    if (has(ends, entry.offset)) found.add(entry.offset);
    else for (const offset of endsOf(segment, index, entry.offset)) found.add(offset);
    at = entry.end;
  }
  return found;
}

/** The entry that a hit is in: found from the last one known before it. */
function entryAround(
  bytes: Buffer,
  ends: Uint32Array,
  from: number,
  hit: number,
): { readonly offset: number; readonly end: number } | undefined {
  let offset = Math.max(from, lastAtMost(ends, hit) ?? segmentHeaderBytes);
  while (offset + entryHeaderBytes <= bytes.length) {
    const end = offset + entryHeaderBytes + bytes.readUInt32LE(offset + 4);
    if (end > hit) return { offset, end };
    offset = end;
  }
  return undefined;
}

function lastAtMost(sorted: Uint32Array, value: number): number | undefined {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) <= value) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? undefined : sorted[low - 1];
}

function has(sorted: Uint32Array, value: number): boolean {
  return lastAtMost(sorted, value) === value;
}

/** Ends in this segment of the message that an attempt or a delivery belongs to. */
function endsOf(segment: Segment, index: SegmentIndex, offset: number): readonly number[] {
  const entry = segment.entry(offset);
  if (entry === undefined) return [];
  const id = messageFacts(entry)?.id ?? deliveryOf(entry)?.messageId;
  return id === undefined ? [] : index.lookup("id", hashOfText(id));
}
