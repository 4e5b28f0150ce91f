/**
 * Frames between nodes: bytes in a NATS message, little endian, versioned. Decoding never throws; it returns undefined for one that is malformed
 * or of another version.
 *
 *   "MYF" · version u8 · kind u8 · then by kind:
 *
 *   ask, answer   life text · call number · verb u8 · index u32 · count u32 · totalBytes u32 · content bytes
 *   probe         life text · calls: u32 count, numbers      "do you still work on these?"
 *   unknown       life text · calls: u32 count, numbers      those of a probe that it does not
 *
 * `life` is the asking process: a restarted node's calls are not those of the one before. Texts, numbers and bytes are the journal's
 * (gateway/journal/format/bytes.ts).
 */
import { ByteReader, ByteWriter } from "#gateway";
import { forwardingLimits } from "./limits.ts";

const version = 1;
const magic = [0x4d, 0x59, 0x46] as const;

const kinds = ["ask", "answer", "probe", "unknown"] as const;

/** A piece of a call or of its answer. */
export interface PartFrame {
  readonly kind: "ask" | "answer";
  readonly life: string;
  readonly call: number;
  /** Of a call: what is asked for. Of an answer: `answered`, or the reason for an empty one. */
  readonly verb: number;
  readonly index: number;
  readonly count: number;
  /** Of all parts together. */
  readonly totalBytes: number;
  readonly content: Uint8Array;
}

export interface CallsFrame {
  readonly kind: "probe" | "unknown";
  readonly life: string;
  readonly calls: readonly number[];
}

export type Frame = PartFrame | CallsFrame;

export function encodeFrame(frame: Frame): Uint8Array {
  const writer = new ByteWriter(forwardingLimits.partHeadBytes + ("content" in frame ? frame.content.length : frame.calls.length * 8));
  for (const byte of magic) writer.u8(byte);
  writer.u8(version);
  writer.u8(kinds.indexOf(frame.kind));
  writer.text(frame.life);
  if ("content" in frame) {
    writer.number(frame.call);
    writer.u8(frame.verb);
    writer.u32(frame.index);
    writer.u32(frame.count);
    writer.u32(frame.totalBytes);
    writer.bytes(frame.content);
  } else {
    writer.u32(frame.calls.length);
    for (const call of frame.calls) writer.number(call);
  }
  return writer.buffer.subarray(0, writer.length);
}

/** The content of a part is a view of `bytes`. */
export function decodeFrame(bytes: Uint8Array): Frame | undefined {
  const reader = new ByteReader(bytes);
  for (const byte of magic) if (reader.u8() !== byte) return undefined;
  if (reader.u8() !== version) return undefined;
  const kind = kinds[reader.u8()];
  const life = reader.text();
  if (kind === undefined || life.length === 0 || life.length > forwardingLimits.nameCharacters) return undefined;
  return kind === "ask" || kind === "answer" ? partOf(kind, life, reader) : callsOf(kind, life, reader);
}

function partOf(kind: "ask" | "answer", life: string, reader: ByteReader): PartFrame | undefined {
  const call = reader.count();
  const verb = reader.u8();
  const index = reader.u32();
  const count = reader.u32();
  const totalBytes = reader.u32();
  const content = reader.bytes();
  if (!reader.done || index >= count || totalBytes > forwardingLimits.callBytes || content.length > totalBytes) return undefined;
  return { kind, life, call, verb, index, count, totalBytes, content };
}

function callsOf(kind: "probe" | "unknown", life: string, reader: ByteReader): CallsFrame | undefined {
  const calls: number[] = [];
  for (let left = reader.items(8); left > 0; left--) calls.push(reader.count());
  return reader.done && calls.length <= forwardingLimits.probedCalls ? { kind, life, calls } : undefined;
}

/** A call or answer as parts of at most `partBytes` each, in order. */
export function* partsOf(
  head: Pick<PartFrame, "kind" | "life" | "call" | "verb">,
  content: Uint8Array,
  partBytes: number,
): Generator<Uint8Array> {
  const count = Math.max(1, Math.ceil(content.length / partBytes));
  for (let index = 0; index < count; index++)
    yield encodeFrame({
      ...head,
      index,
      count,
      totalBytes: content.length,
      content: content.subarray(index * partBytes, (index + 1) * partBytes),
    });
}
