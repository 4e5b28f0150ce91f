/**
 * The index of a sealed segment, in a file beside it. A reader keeps its head and reads the rest where it looks.
 *
 *   "MFHINDEX" │ u32 length of head │ u32 CRC-32 of head │ head: JSON, padded to 8 bytes
 *   rows, newest first:  received f64 * n │ offset u32 * n │ flow u16 * n │ code u16 * n │ status u8 * n, each padded to 8 bytes
 *   tables, in the order of `tableNames`:  (u32 offset │ u32 hash) * m, sorted by hash
 */
import { crc32 } from "node:zlib";
import { bytesOf } from "./folder.ts";
import { historyLimits } from "./limits.ts";
import type { OpenFiles } from "./open-files.ts";
import { type EntryIndex, type Row, type SegmentIndex, type TableName, tableNames } from "./entry-index.ts";

const magic = "MFHINDEX";
const headBytes = 16;
/** Entries of a table that are read at once: where a hash should be, and where it begins. */
const nearEntries = 1024;
const windowEntries = 256;
/** Memory for a look into a table. */
const near = Buffer.alloc(8 * nearEntries);

interface Head {
  readonly segmentBytes: number;
  /** Of all that follows the head. The writer looks at its start; a reader has not the time. */
  readonly crc: number;
  readonly count: number;
  readonly minReceivedMs: number;
  readonly maxReceivedMs: number;
  readonly maxEndedMs: number;
  readonly flows: readonly string[];
  readonly codes: readonly string[];
  readonly tables: readonly number[];
}

const padded = (length: number): number => Math.ceil(length / 8) * 8;

function columnOf(numbers: Float64Array | Uint32Array | Uint16Array | Uint8Array | BigUint64Array): Buffer {
  const bytes = Buffer.alloc(padded(numbers.byteLength));
  bytes.set(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength));
  return bytes;
}

/** The file's bytes for a segment of so many bytes. */
export function encodeIndex(index: EntryIndex, segmentBytes: number): Buffer {
  const { count, minReceivedMs, maxReceivedMs, maxEndedMs, flowNames, codeNames, tables } = index;
  const order = Uint32Array.from({ length: count }, (_, at) => at);
  const received = index.received.view;
  order.sort((a, b) => (received[b] as number) - (received[a] as number) || b - a);
  const column = <T extends Float64Array | Uint32Array | Uint16Array | Uint8Array>(from: T, to: T): Buffer => {
    for (let at = 0; at < count; at++) to[at] = from[order[at] as number] as number;
    return columnOf(to);
  };
  const sorted = tableNames.map((name) => {
    const { hashes, offsets } = tables[name];
    const pairs = new BigUint64Array(hashes.length);
    const halves = new Uint32Array(pairs.buffer);
    for (let at = 0; at < hashes.length; at++) {
      halves[2 * at] = offsets.items[at] as number;
      halves[2 * at + 1] = hashes.items[at] as number;
    }
    return columnOf(pairs.sort());
  });
  const rest = Buffer.concat([
    column(received, new Float64Array(count)),
    column(index.offsets.view, new Uint32Array(count)),
    column(index.flows.view, new Uint16Array(count)),
    column(index.codes.view, new Uint16Array(count)),
    column(index.statuses.view, new Uint8Array(count)),
    ...sorted,
  ]);
  const head: Head = {
    segmentBytes,
    crc: crc32(rest),
    count,
    minReceivedMs: count === 0 ? 0 : minReceivedMs,
    maxReceivedMs: count === 0 ? 0 : maxReceivedMs,
    maxEndedMs: count === 0 ? 0 : maxEndedMs,
    flows: flowNames.list,
    codes: codeNames.list,
    tables: tableNames.map((name) => tables[name].hashes.length),
  };
  const json = Buffer.from(JSON.stringify(head));
  const start = Buffer.alloc(headBytes + padded(json.length), 0x20);
  start.write(magic, 0, "latin1");
  start.writeUInt32LE(start.length - headBytes, 8);
  json.copy(start, headBytes);
  start.writeUInt32LE(crc32(start.subarray(headBytes)), 12);
  return Buffer.concat([start, rest]);
}

function headOf(text: string): Head | undefined {
  try {
    return JSON.parse(text) as Head;
  } catch {
    return undefined;
  }
}

/** An index file, read where somebody looks. */
export class IndexFile implements SegmentIndex {
  readonly count: number;
  readonly minReceivedMs: number;
  readonly maxReceivedMs: number;
  readonly maxEndedMs: number;
  readonly #files: OpenFiles;
  readonly #path: string;
  readonly #head: Head;
  /** Where the rows begin. */
  readonly #start: number;

  private constructor(files: OpenFiles, path: string, head: Head, start: number) {
    this.#files = files;
    this.#path = path;
    this.#head = head;
    this.#start = start;
    this.count = head.count;
    this.minReceivedMs = head.minReceivedMs;
    this.maxReceivedMs = head.maxReceivedMs;
    this.maxEndedMs = head.maxEndedMs;
  }

  /** Undefined for a missing file, or one of a segment of another length: then the segment is scanned. */
  static open(files: OpenFiles, path: string, segmentBytes: number): IndexFile | undefined {
    const start = files.read(path, 0, Buffer.alloc(historyLimits.indexHeadBytes.mostly));
    if (start.length < headBytes || start.toString("latin1", 0, 8) !== magic) return undefined;
    const length = start.readUInt32LE(8);
    const inStart = start.subarray(headBytes, headBytes + length);
    const json =
      inStart.length === length || length > historyLimits.indexHeadBytes.most ? inStart : files.read(path, headBytes, Buffer.alloc(length));
    if (json.length !== length || crc32(json) !== start.readUInt32LE(12)) return undefined;
    const head = headOf(json.toString());
    return head?.segmentBytes === segmentBytes ? new IndexFile(files, path, head, headBytes + length) : undefined;
  }

  /** True if no byte of it is damaged. */
  get whole(): boolean {
    return crc32(this.#read(this.#start, Math.max(bytesOf(this.#path) - this.#start, 0))) === this.#head.crc;
  }

  #read(at: number, length: number): Buffer {
    return this.#files.read(this.#path, at, Buffer.allocUnsafe(length));
  }

  *rows(): Iterable<Row> {
    const { count, flows, codes } = this.#head;
    const widths = [8, 4, 2, 2, 1].map((width) => padded(width * count));
    const bytes = this.#read(
      this.#start,
      widths.reduce((sum, width) => sum + width, 0),
    );
    const [received = 0, offsets = 0, flowNumbers = 0, codeNumbers = 0] = widths;
    const flowsAt = received + offsets;
    const codesAt = flowsAt + flowNumbers;
    const statusesAt = codesAt + codeNumbers;
    if (bytes.length < statusesAt + count) return;
    for (let at = 0; at < count; at++)
      yield {
        receivedMs: bytes.readDoubleLE(8 * at),
        offset: bytes.readUInt32LE(received + 4 * at),
        flow: flows[bytes.readUInt16LE(flowsAt + 2 * at)] ?? "",
        code: codes[bytes.readUInt16LE(codesAt + 2 * at)],
        status: bytes[statusesAt + at] as number,
      };
  }

  lookup(table: TableName, hash: number): readonly number[] {
    const { count, tables } = this.#head;
    let start = this.#start;
    for (const width of [8, 4, 2, 2, 1]) start += padded(width * count);
    const number = tableNames.indexOf(table);
    for (const length of tables.slice(0, number)) start += 8 * length;
    const length = tables[number] ?? 0;
    return this.#near(start, length, hash) ?? this.#collect(start, length, this.#firstOf(start, 0, length, hash), hash);
  }

  /** Hashes are spread evenly, so that one read where it should be mostly has them all; undefined when it has not. */
  #near(start: number, length: number, hash: number): readonly number[] | undefined {
    const guess = Math.floor((hash / 2 ** 32) * length) - nearEntries / 2;
    const from = Math.max(0, Math.min(guess, length - nearEntries));
    const read = this.#files.read(this.#path, start + 8 * from, near.subarray(0, 8 * Math.min(nearEntries, length - from)));
    const entries = Math.floor(read.length / 8);
    const hashAt = (entry: number): number => near.readUInt32LE(8 * entry + 4);
    if (entries === 0) return undefined;
    if ((from > 0 && hashAt(0) >= hash) || (from + entries < length && hashAt(entries - 1) <= hash)) return undefined;
    let low = 0;
    for (let high = entries; low < high; ) {
      const middle = (low + high) >>> 1;
      if (hashAt(middle) < hash) low = middle + 1;
      else high = middle;
    }
    const found: number[] = [];
    for (; low < entries && hashAt(low) === hash; low++) found.push(near.readUInt32LE(8 * low));
    return found;
  }

  /** The first entry from `low` on whose hash is not smaller, or `high`. */
  #firstOf(start: number, low: number, high: number, hash: number): number {
    let from = low;
    let to = high;
    while (from < to) {
      const middle = (from + to) >>> 1;
      const entry = this.#read(start + 8 * middle, 8);
      if (entry.length === 8 && entry.readUInt32LE(4) < hash) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  #collect(start: number, length: number, from: number, hash: number): number[] {
    const found: number[] = [];
    for (let at = from; at < length; at += windowEntries) {
      const window = this.#read(start + 8 * at, 8 * Math.min(windowEntries, length - at));
      for (let entry = 0; entry + 8 <= window.length; entry += 8) {
        const each = window.readUInt32LE(entry + 4);
        if (each > hash) return found;
        if (each === hash) found.push(window.readUInt32LE(entry));
      }
    }
    return found;
  }
}
