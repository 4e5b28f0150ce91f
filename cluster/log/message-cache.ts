/** Data of messages that were read a moment ago: records of one message are asked for one after the other. */
import { keptBytes } from "./limits.ts";

export class MessageCache {
  readonly #kept = new Map<number, Uint8Array>();
  #bytes = 0;

  get(sequence: number): Uint8Array | undefined {
    const data = this.#kept.get(sequence);
    if (data === undefined) return undefined;
    this.#kept.delete(sequence);
    this.#kept.set(sequence, data);
    return data;
  }

  put(sequence: number, data: Uint8Array): void {
    if (data.length > keptBytes / 2 || this.#kept.has(sequence)) return;
    this.#kept.set(sequence, data);
    this.#bytes += data.length;
    for (const [oldest, { length }] of this.#kept) {
      if (this.#bytes <= keptBytes) return;
      this.#kept.delete(oldest);
      this.#bytes -= length;
    }
  }
}
