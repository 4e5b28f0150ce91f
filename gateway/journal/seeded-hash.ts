/** HalfSipHash-1-3 with a key of this process: nobody outside can choose texts that have the same hash. */
import { randomBytes } from "node:crypto";

export type TextHasher = Pick<SeededHash, "of" | "ofText">;

export class SeededHash {
  readonly #key = randomBytes(8);
  readonly #low = this.#key.readInt32LE(0);
  readonly #high = this.#key.readInt32LE(4);

  /** Of these bytes after `salt`; 32 bits with a sign. */
  of(bytes: Uint8Array, from: number, to: number, salt: number): number {
    let v0 = this.#low;
    let v1 = this.#high;
    let v2 = 0x6c79_6765 ^ this.#low;
    let v3 = 0x7465_6462 ^ this.#high;
    // The salt, every four bytes, the rest with the length, and three rounds at the end.
    const words = ((to - from) >>> 2) + 2;
    for (let word = 0; word < words + 3; word++) {
      let now = 0;
      if (word === 0) now = salt;
      else if (word < words - 1) {
        const at = from + 4 * (word - 1);
        now =
          (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24);
      } else if (word === words - 1) {
        now = (to - from) << 24;
        for (let at = to - 1; at >= from + 4 * (word - 1); at--) now |= (bytes[at] as number) << (8 * ((at - from) & 3));
      } else if (word === words) v2 ^= 0xff;
      v3 ^= now;
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
      v0 ^= now;
    }
    return v1 ^ v3;
  }

  ofText(text: string, salt: number): number {
    const bytes = Buffer.from(text);
    return this.of(bytes, 0, bytes.length, salt);
  }
}
