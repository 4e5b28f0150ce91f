/**
 * Identities of worlds, as 53 bits of a hash each: a million of them take 16 MiB. Two worlds that share one by chance are taken for the same,
 * one of ten thousand searches of a million worlds has such a pair.
 */
export class Seen {
  #slots = new Float64Array(1 << 16);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** False where it was there. */
  add(identity: string): boolean {
    if (this.#size * 2 > this.#slots.length) this.#grow();
    return this.#put(hashOf(identity));
  }

  #put(hash: number): boolean {
    const mask = this.#slots.length - 1;
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const found = this.#slots[at];
      if (found === hash) return false;
      if (found !== 0) continue;
      this.#slots[at] = hash;
      this.#size += 1;
      return true;
    }
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Float64Array(old.length * 2);
    this.#size = 0;
    for (const hash of old) if (hash !== 0) this.#put(hash);
  }
}

/** cyrb53 (public domain): two multiplicative hashes of 32 bits, mixed. Never 0. */
function hashOf(text: string): number {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    a = Math.imul(a ^ unit, 2654435761);
    b = Math.imul(b ^ unit, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return 4294967296 * (2097151 & b) + (a >>> 0) || 1;
}
