/** The CopyData messages of a connection, taken out before pg's parser, which would hold each whole: of a long one only the beginning is kept. */

/** `content` has fewer than `bytes` bytes if it was too long. */
export type OnCopy = (content: Buffer, bytes: number) => void;

export interface CopyBound {
  /** Longest content that is kept whole, in bytes. */
  readonly mostBytes: number;
  /** Bytes kept of a longer one. */
  readonly headBytes: number;
}

export const copyData = 0x64; // "d"
const headerBytes = 5;

/** Message: type, one byte; length in 32 bits, itself included; content. */
export class CopyFrames {
  readonly #bound: CopyBound;
  readonly #onCopy: OnCopy;
  readonly #header: Buffer = Buffer.alloc(headerBytes);
  #headerHas = 0;
  /** Bytes of the message in progress that are still to come. */
  #left = 0;
  /** Of a CopyData in progress. */
  #bytes = 0;
  #keep = 0;
  #pieces: Buffer[] = [];

  /** `take` throws what `onCopy` throws. */
  constructor(bound: CopyBound, onCopy: OnCopy) {
    this.#bound = bound;
    this.#onCopy = onCopy;
  }

  /** The lengths were checked before. Other messages go to `rest`, in pieces. */
  take(chunk: Buffer, rest: (piece: Buffer) => void): void {
    for (let at = 0; at < chunk.length; ) at = this.#left > 0 ? this.#content(chunk, at, rest) : this.#begin(chunk, at, rest);
  }

  /** Collects a header. */
  #begin(chunk: Buffer, at: number, rest: (piece: Buffer) => void): number {
    const end = Math.min(chunk.length, at + headerBytes - this.#headerHas);
    this.#headerHas += chunk.copy(this.#header, this.#headerHas, at, end);
    if (this.#headerHas < headerBytes) return end;
    this.#headerHas = 0;
    this.#left = Math.max(0, this.#header.readUInt32BE(1) - 4);
    if (this.#header[0] !== copyData) rest(Buffer.from(this.#header));
    else {
      this.#bytes = this.#left;
      this.#keep = this.#bytes > this.#bound.mostBytes ? this.#bound.headBytes : this.#bytes;
      if (this.#bytes === 0) this.#onCopy(Buffer.alloc(0), 0);
    }
    return end;
  }

  #content(chunk: Buffer, at: number, rest: (piece: Buffer) => void): number {
    const end = Math.min(chunk.length, at + this.#left);
    this.#left -= end - at;
    if (this.#header[0] !== copyData) {
      rest(chunk.subarray(at, end));
      return end;
    }
    const piece = chunk.subarray(at, Math.min(end, at + this.#keep));
    this.#keep -= piece.length;
    if (this.#left > 0) {
      if (piece.length > 0) this.#pieces.push(piece);
      return end;
    }
    const content = this.#pieces.length === 0 ? piece : Buffer.concat([...this.#pieces, piece]);
    this.#pieces = [];
    this.#onCopy(content, this.#bytes);
    return end;
  }
}
