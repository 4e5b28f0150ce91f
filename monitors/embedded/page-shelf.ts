/**
 * Buffers for the pages of machines that wait, used again and again. Left to V8, a few hundred kilobytes for each wait are a collection of
 * the whole heap every few milliseconds.
 */
import { layout } from "#kernel";

/** Lengths are rounded up to this, so that machines of about the same size share buffers. */
const stepBytes = 16 * layout.pageBytes;

export class PageShelf {
  freeBytes = 0;
  readonly #mostBytes: number;
  /** By length. */
  readonly #free = new Map<number, Uint8Array[]>();

  /** `mostBytes`: free buffers that it keeps. */
  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /** So many bytes, with anything in them: the caller writes all of them. */
  take(bytes: number): Uint8Array {
    const length = Math.ceil(bytes / stepBytes) * stepBytes;
    const free = this.#free.get(length)?.pop();
    if (free !== undefined) this.freeBytes -= length;
    return (free ?? new Uint8Array(length)).subarray(0, bytes);
  }

  /** Takes back what `take` gave, which nobody uses any more. */
  give({ buffer }: Uint8Array): void {
    if (buffer.byteLength > this.#mostBytes) return;
    if (this.freeBytes + buffer.byteLength > this.#mostBytes) this.#clear(); // lengths that nobody asks for any more must not fill it for ever
    const whole = new Uint8Array(buffer);
    const same = this.#free.get(whole.length);
    if (same === undefined) this.#free.set(whole.length, [whole]);
    else same.push(whole);
    this.freeBytes += whole.length;
  }

  #clear(): void {
    this.#free.clear();
    this.freeBytes = 0;
  }
}
