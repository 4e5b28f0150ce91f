/**
 * The index of one segment while it grows: a row for each message that ended, and hashes of ids, keys and parents. Filled by scanning
 * entries: by the writer as they come, by a reader from the file.
 */
import { absentPart, recordHeaderBytes, frameHeaderBytes } from "#abi";
import { crc32 } from "node:zlib";
import { EndedPart, EntryKind, entryHeaderBytes, entryMagic, entryMagicBytes, hashOf } from "./layout.ts";
import { historyLimits } from "./limits.ts";

/** Hashes by which entries are found. `id`: ended messages; `other`: attempts and deliveries, by the id of their message. */
export const tableNames = ["id", "other", "key", "correlation", "parent"] as const;
export type TableName = (typeof tableNames)[number];

/** A message that ended, as a list needs it. */
export interface Row {
  readonly receivedMs: number;
  readonly offset: number;
  readonly flow: string;
  /** Index in `statuses`. */
  readonly status: number;
  /** Empty: none. Undefined: the segment has too many to tell them apart. */
  readonly code: string | undefined;
}

/** A segment's index, from memory or from its file. */
export interface SegmentIndex {
  /** Messages that ended in it. */
  readonly count: number;
  readonly minReceivedMs: number;
  readonly maxReceivedMs: number;
  readonly maxEndedMs: number;
  /** Newest first. */
  rows(): Iterable<Row>;
  /** Offsets of entries that may have it; hashes collide. */
  lookup(table: TableName, hash: number): readonly number[];
}

/** Numbers that grow. */
export class Numbers<T extends Float64Array | Uint32Array | Uint16Array | Uint8Array> {
  items: T;
  length = 0;
  readonly #make: (length: number) => T;

  constructor(make: (length: number) => T) {
    this.#make = make;
    this.items = make(256);
  }

  push(value: number): void {
    if (this.length === this.items.length) {
      const larger = this.#make(this.length * 2);
      larger.set(this.items as never);
      this.items = larger;
    }
    this.items[this.length++] = value;
  }

  get view(): T {
    return this.items.subarray(0, this.length) as T;
  }
}

class HashTable {
  readonly hashes: Numbers<Uint32Array> = new Numbers((length) => new Uint32Array(length));
  readonly offsets: Numbers<Uint32Array> = new Numbers((length) => new Uint32Array(length));

  add(hash: number, offset: number): void {
    this.hashes.push(hash);
    this.offsets.push(offset);
  }

  find(hash: number): number[] {
    const found: number[] = [];
    const { view } = this.hashes;
    for (let at = view.indexOf(hash); at >= 0; at = view.indexOf(hash, at + 1)) found.push(this.offsets.items[at] as number);
    return found;
  }
}

/** Names as small numbers. */
class Names {
  readonly list: string[] = [];
  readonly #numbers = new Map<string, number>();

  numberOf(name: string, most: number): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    if (this.list.length >= most) return 0xffff;
    this.#numbers.set(name, this.list.length);
    return this.list.push(name) - 1;
  }
}

export class EntryIndex implements SegmentIndex {
  readonly received: Numbers<Float64Array> = new Numbers((length) => new Float64Array(length));
  readonly offsets: Numbers<Uint32Array> = new Numbers((length) => new Uint32Array(length));
  readonly flows: Numbers<Uint16Array> = new Numbers((length) => new Uint16Array(length));
  readonly codes: Numbers<Uint16Array> = new Numbers((length) => new Uint16Array(length));
  readonly statuses: Numbers<Uint8Array> = new Numbers((length) => new Uint8Array(length));
  readonly flowNames = new Names();
  readonly codeNames = new Names();
  readonly tables: Readonly<Record<TableName, HashTable>> = {
    id: new HashTable(),
    other: new HashTable(),
    key: new HashTable(),
    correlation: new HashTable(),
    parent: new HashTable(),
  };
  minReceivedMs = Number.POSITIVE_INFINITY;
  maxReceivedMs = Number.NEGATIVE_INFINITY;
  maxEndedMs = Number.NEGATIVE_INFINITY;

  constructor() {
    this.codeNames.numberOf("", 1);
  }

  get count(): number {
    return this.offsets.length;
  }

  *rows(): Iterable<Row> {
    const order = Uint32Array.from({ length: this.count }, (_, index) => index);
    const received = this.received.view;
    order.sort((a, b) => (received[b] as number) - (received[a] as number) || b - a);
    for (const index of order) yield this.#row(index);
  }

  #row(index: number): Row {
    const code = this.codes.items[index] as number;
    return {
      receivedMs: this.received.items[index] as number,
      offset: this.offsets.items[index] as number,
      flow: this.flowNames.list[this.flows.items[index] as number] ?? "",
      status: this.statuses.items[index] as number,
      code: this.codeNames.list[code],
    };
  }

  lookup(table: TableName, hash: number): readonly number[] {
    return this.tables[table].find(hash);
  }

  /** Takes in one entry: `at` is where it begins in `bytes`, `offset` in its segment. */
  add(bytes: Buffer, at: number, offset: number): void {
    const frame = at + entryHeaderBytes;
    const record = frame + frameHeaderBytes;
    const kind = bytes[record] as number;
    const parts = bytes[record + 1] as number;
    const lengths = record + recordHeaderBytes;
    starts[0] = lengths + 4 * parts;
    for (let index = 0; index < parts; index++) {
      const length = bytes.readUInt32LE(lengths + 4 * index);
      present[index] = length !== absentPart;
      starts[index + 1] = (starts[index] as number) + (length === absentPart ? 0 : length);
    }
    const { tables } = this;
    const hash = (part: number): number => hashOf(bytes, starts[part] as number, starts[part + 1] as number);
    if (kind !== EntryKind.ended) return tables.other.add(hash(EndedPart.id), offset);
    tables.id.add(hash(EndedPart.id), offset);
    if (present[EndedPart.key] === true) tables.key.add(hash(EndedPart.key), offset);
    if (present[EndedPart.correlationId] === true) tables.correlation.add(hash(EndedPart.correlationId), offset);
    if (present[EndedPart.parent] === true) {
      const from = bytes.indexOf(0x20, starts[EndedPart.parent]) + 1; // behind HOW
      tables.parent.add(hashOf(bytes, from, starts[EndedPart.parent + 1] as number), offset);
    }
    this.#addRow(bytes, offset);
  }

  #addRow(bytes: Buffer, offset: number): void {
    const text = (part: number): string => bytes.toString("latin1", starts[part], starts[part + 1]);
    const receivedMs = bytes.readDoubleLE(starts[EndedPart.receivedMs] as number);
    this.received.push(receivedMs);
    this.offsets.push(offset);
    this.flows.push(this.flowNames.numberOf(text(EndedPart.flow), 0xffff));
    this.statuses.push(bytes.readDoubleLE(starts[EndedPart.status] as number));
    const code = present[EndedPart.code] === true ? bytes.toString("utf8", starts[EndedPart.code], starts[EndedPart.code + 1]) : "";
    this.codes.push(this.codeNames.numberOf(code, historyLimits.codesPerSegment));
    this.minReceivedMs = Math.min(this.minReceivedMs, receivedMs);
    this.maxReceivedMs = Math.max(this.maxReceivedMs, receivedMs);
    this.maxEndedMs = Math.max(this.maxEndedMs, bytes.readDoubleLE(starts[EndedPart.endedMs] as number));
  }
}

/** Of the record being read: where its parts begin, and which are there. */
const starts: number[] = [];
const present: boolean[] = [];

/** Places of entries in bytes. */
export interface Scanned {
  /** Behind the last whole entry. */
  readonly end: number;
  /** Bytes that were passed over because they are damaged, and how often. */
  readonly skippedBytes: number;
  readonly gaps: number;
}

/** Calls `found` for each whole entry from `start` on; entries that are damaged are passed over. */
export function scanEntries(bytes: Buffer, start: number, found: (at: number) => void): Scanned {
  let at = start;
  let end = start;
  let skippedBytes = 0;
  let gaps = 0;
  while (at + entryHeaderBytes <= bytes.length) {
    const next = wholeEntryAt(bytes, at);
    if (next > 0) {
      if (at > end) {
        skippedBytes += at - end;
        gaps += 1;
      }
      found(at);
      at = end = next;
    } else {
      const magic = bytes.indexOf(entryMagicBytes, at + 1);
      if (magic < 0) break;
      at = magic;
    }
  }
  return { end, skippedBytes, gaps };
}

/** Behind the entry at `at`, or 0 when there is no whole and sound one. */
export function wholeEntryAt(bytes: Buffer, at: number): number {
  if (at + entryHeaderBytes > bytes.length || bytes.readUInt32LE(at) !== entryMagic) return 0;
  const length = bytes.readUInt32LE(at + 4);
  const end = at + entryHeaderBytes + length;
  if (end > bytes.length || length < frameHeaderBytes + recordHeaderBytes) return 0;
  return crc32(bytes.subarray(at + entryHeaderBytes, end)) === bytes.readUInt32LE(at + 8) ? end : 0;
}
