/** The readers of bodies in Node, over the machine's natives: a body goes in as pieces of any lengths, its items come out. */
import {
  addCodec,
  decoderOf,
  decodeUtf16,
  decodeSingle,
  encodingOf,
  knownCharsets,
  markedEncoding,
  wideText,
  withoutMark,
} from "../../charset.ts";
import { FlowError } from "../../errors.ts";
import { setNative } from "../../machine.ts";
import type { Native } from "../../native.ts";
import { nativeInNode } from "../../node-natives.ts";
import { addMultibyte } from "../../web/multibyte/decoder.ts";
import { japaneseTables, koreanTables, simplifiedChineseTables, traditionalChineseTables } from "../../web/multibyte/tables.ts";
import type { Position, ReaderTerms } from "../reading.ts";

const encoder = new TextEncoder();

const native = {
  decodeUtf8: (bytes: Uint8Array, fatal: boolean) => nativeInNode("decodeUtf8", bytes, fatal) as string,
  decodeBytes: (bytes: Uint8Array, high: string) => nativeInNode("decodeBytes", bytes, high) as string,
  decodeMultibyte: (...values: unknown[]) => nativeInNode("decodeMultibyte", ...values) as string,
  encodeUtf8: (text: string) => encoder.encode(text),
  csv: (input: string | Uint8Array, ...values: unknown[]) => nativeInNode("csv", input, ...values) as unknown[],
  xml: (input: string | Uint8Array, ...values: unknown[]) => nativeInNode("xml", input, ...values),
} as unknown as Native;

export const kernelInNode = {
  native,
  utf8: {
    encode: (text: string): Uint8Array => encoder.encode(text),
    decode: (bytes: Uint8Array): string => native.decodeUtf8(bytes, false),
  },
  encodingOf,
  knownCharsets,
  markedEncoding,
  decodeUtf16,
  decodeSingle,
  decoderOf,
  wideText,
  withoutMark,
  decodeText: () => undefined,
  FlowError,
  csv: { link: () => undefined },
  xml: { link: () => undefined },
  onReading: () => undefined,
};

setNative(native);
addMultibyte(addCodec, () => native, "simplified-chinese", simplifiedChineseTables);
addMultibyte(addCodec, () => native, "traditional-chinese", traditionalChineseTables);
addMultibyte(addCodec, () => native, "japanese", japaneseTables);
addMultibyte(addCodec, () => native, "korean", koreanTables);
(globalThis as unknown as Record<symbol, unknown>)[Symbol.for("mayfly.kernel")] = kernelInNode;
const [{ openPart }] = await Promise.all([import("../reading.ts"), import("../rows.ts"), import("../lines.ts"), import("../elements.ts")]);

export interface Reading {
  readonly kind: "rows" | "lines" | "elements";
  readonly name?: string;
  readonly options?: object;
  readonly contentType?: string;
  readonly from?: Position;
  readonly most?: number;
}

export interface Read {
  readonly items: readonly unknown[];
  readonly finished: boolean;
  readonly position: Position;
}

/** Reads a body. `lengths`: of its pieces, again and again. Rejects with what the flow is thrown. */
export async function read(body: Uint8Array, lengths: readonly number[], reading: Reading): Promise<Read> {
  const { kind, name, options, contentType = "", from, most = Number.POSITIVE_INFINITY } = reading;
  let turn = 0;
  const pieces = {
    size: body.length,
    offset: from?.offset ?? 0,
    get isOver(): boolean {
      return this.offset >= body.length;
    },
    next(): Promise<Uint8Array> {
      const length = lengths[turn++ % lengths.length] ?? body.length;
      const piece = body.subarray(this.offset, this.offset + length);
      this.offset += piece.length;
      return Promise.resolve(piece);
    },
  };
  const message = { contentType, unreadable: (_format: string, error: unknown) => error };
  const reader = openPart(kind, { message, name, options, pieces, from, most } as unknown as ReaderTerms);
  const items: unknown[] = [];
  for await (const item of reader) items.push(item);
  return { items, finished: reader.finished, position: reader.position() };
}
