/**
 * Segments of history, and what they hold. Little endian.
 *
 *   folder   000000000001.hist, 000000000002.hist, …   segments; the last one grows, the others are sealed
 *            000000000001.index, …                     of sealed ones: segment-index.ts. It is made again from the segment when it is gone
 *            lock                                      the process that writes
 *
 *   segment  "MFHIST" │ u16 version │ u64 zero │ entry*
 *   entry    u32 magic │ u32 length of the payload │ u32 CRC-32 of the payload │ payload
 *   payload  a frame of facts, then for `ended` and `attempted` the recording of the attempt, unless no machine was started
 *
 * A damaged entry costs itself: the next one is found by its magic, and counts if its CRC is right. Frames of facts have the magic "MFH" and
 * `historyVersion`; their first record says what the entry is.
 */
import { type FrameForm } from "#abi";

export const historyVersion = 1;
export const segmentHeaderBytes = 16;
export const entryHeaderBytes = 12;
export const entryMagic = 0x9e_45_48_4d; // "MHE" and a byte that no UTF-8 has there
export const entryMagicBytes: Buffer = Buffer.from([0x4d, 0x48, 0x45, 0x9e]);

export const factsForm: FrameForm = {
  magic: (0x48_46_4d | (historyVersion << 24)) >>> 0, // "MFH", version
  mostBytes: 2 ** 28,
  mostRecords: 8,
};

/** First record of an entry's facts. */
export const EntryKind = { ended: 1, attempted: 2, delivered: 3 } as const;
/** Further records: the attempt, and the message where it had none. */
export const attemptRecord = 4;
export const messageRecord = 5;

/** Parts of `ended`; `attempted` has those up to `source`; `delivered` has flow and id of the message at the same places. */
export const EndedPart = {
  flow: 0,
  id: 1,
  key: 2,
  correlationId: 3,
  /** `HOW FLOW ID` */
  parent: 4,
  receivedMs: 5,
  source: 6,
  status: 7,
  endedMs: 8,
  attempts: 9,
  image: 10,
  code: 11,
  message: 12,
  stack: 13,
  letter: 14,
} as const;
export const endedParts = 15;
export const attemptedParts = 7;
export const deliveredParts = 13;
export const attemptParts = 8;
export const messageParts = 4;

export const statuses = ["done", "failed", "dead"] as const;

export function segmentName(number: number): string {
  return `${String(number).padStart(12, "0")}.hist`;
}

export function indexName(number: number): string {
  return `${String(number).padStart(12, "0")}.index`;
}

/** Number of a segment's file; undefined for any other name. */
export function segmentNumber(name: string): number | undefined {
  return /^\d{12}\.hist$/.test(name) ? Number(name.slice(0, 12)) : undefined;
}

export function segmentHeader(): Buffer {
  const header = Buffer.alloc(segmentHeaderBytes);
  header.write("MFHIST", 0, "latin1");
  header.writeUInt16LE(historyVersion, 6);
  return header;
}

export function isSegmentHeader(header: Buffer): boolean {
  return header.length >= segmentHeaderBytes && header.toString("latin1", 0, 6) === "MFHIST" && header.readUInt16LE(6) === historyVersion;
}

/** FNV-1a over bytes: what the indexes sort by. */
export function hashOf(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0x81_1c_9d_c5;
  for (let at = from; at < to; at++) hash = Math.imul(hash ^ (bytes[at] as number), 0x01_00_01_93);
  hash ^= hash >>> 15;
  return Math.imul(hash, 0x2c_1b_3c_6d) >>> 0;
}

export function hashOfText(text: string): number {
  const bytes = Buffer.from(text, "utf8");
  return hashOf(bytes, 0, bytes.length);
}
