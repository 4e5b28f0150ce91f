/**
 * Takes long frames out of a stream as their pieces come, before a client library joins them in memory: a row of a gigabyte would end the
 * process, or throw where nobody catches it.
 */
export interface Framing {
  /** Bytes of the header of a frame. */
  readonly headerBytes: number;
  /** True for a frame that is passed on in any case, by its bytes behind the header. */
  isFree(bytes: number): boolean;
  /** Bytes behind the header at `at`; called once for each header. May rewrite it in place. Throws if it is malformed. */
  rest(chunk: Buffer, at: number): number;
  /** True to pass on another frame. All before it has been. Throws to end the stream. */
  passes(chunk: Buffer, at: number, bytes: number): boolean;
}

export class LongFrames {
  readonly #framing: Framing;
  readonly #next: (piece: Buffer) => void;
  /** The first bytes of a header. */
  #begun: Buffer = Buffer.alloc(0);
  /** Bytes of the frame in progress that are still to come. */
  #left = 0;
  #passing = true;

  constructor(framing: Framing, next: (piece: Buffer) => void) {
    this.#framing = framing;
    this.#next = next;
  }

  /** Throws what the framing throws. */
  take(chunk: Buffer): void {
    const { headerBytes } = this.#framing;
    const all = this.#begun.length === 0 ? chunk : Buffer.concat([this.#begun, chunk]);
    let from = 0; // of the piece in progress
    let at = 0;
    const flush = (): void => {
      if (this.#passing && at > from) this.#next(all.subarray(from, at));
      from = at;
    };
    while (at < all.length) {
      if (this.#left === 0) {
        if (all.length - at < headerBytes) break;
        const rest = this.#framing.rest(all, at);
        const isFree = this.#framing.isFree(rest);
        if (!isFree || !this.#passing) flush();
        this.#passing = isFree || this.#framing.passes(all, at, rest);
        this.#left = headerBytes + rest;
      }
      const taken = Math.min(this.#left, all.length - at);
      this.#left -= taken;
      at += taken;
    }
    flush();
    this.#begun = Buffer.from(all.subarray(at));
  }
}
