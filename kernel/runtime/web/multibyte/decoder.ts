/** Charsets of several bytes a character, which the parts `charsets/…` add. */
import type { addCodec, Decoder, DecoderOptions } from "../../charset.ts";
import type { Native } from "../../native.ts";
import { multibyteCharsets, type MultibytePart } from "./charsets.ts";

const stateBytes = 16;
const [readAt, malformedAt] = [8, 12];
const [refuse, goesOn] = [1, 2];
const [writeReplaced, writeGbk] = [1, 2];

class MultibyteDecoder implements Decoder {
  readonly #native: Native;
  readonly #name: string;
  readonly #number: number;
  readonly #tables: Uint8Array;
  readonly #state = new Uint8Array(stateBytes);
  read = 0;

  constructor(native: Native, name: string, number: number, tables: Uint8Array) {
    this.#native = native;
    this.#name = name;
    this.#number = number;
    this.#tables = tables;
  }

  decode(bytes: Uint8Array, { malformed, isCut = false, most = -1 }: DecoderOptions): string {
    const options = (malformed === "refuse" ? refuse : 0) | (isCut ? goesOn : 0);
    const text = this.#native.decodeMultibyte(bytes, this.#number, this.#tables, this.#state, options, most);
    const state = new DataView(this.#state.buffer);
    this.read = state.getUint32(readAt, true);
    if (state.getUint32(malformedAt, true) !== 0) throw new TypeError(`malformed ${this.#name} at byte ${this.read}`);
    return text;
  }
}

/** Makes the charsets of a part known. `tables` is called once, with the first text. */
export function addMultibyte(add: typeof addCodec, native: () => Native, part: MultibytePart, tables: () => Uint8Array): void {
  let made: Uint8Array | undefined;
  for (const { name, labels, number } of multibyteCharsets[part])
    add(name, `${name} ${labels}`.trimEnd(), {
      decoder: () => new MultibyteDecoder(native(), name, number, (made ??= tables())),
      encode: (value, replaces) =>
        native().encodeMultibyte(value, number, (made ??= tables()), (replaces ? writeReplaced : 0) | (name === "gbk" ? writeGbk : 0)),
    });
}
