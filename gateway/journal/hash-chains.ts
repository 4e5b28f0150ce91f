/** Numbers by a hash, in chains inside typed arrays: 16 bytes each, without anything that a garbage collector has to look at. */

const none = -1;

/** Of a whole number that nobody outside chooses. Numbers next to each other have hashes next to each other, which spares the memory. */
export function hashOfNumber(number: number): number {
  return (number + Math.imul(Math.floor(number / 256), 0x9e37_79b1)) | 0;
}

export class HashChains {
  #heads = new Int32Array(16).fill(none);
  #next = new Int32Array(16);
  #hashes = new Int32Array(16);
  #values = new Int32Array(16);
  #used = 0;
  /** Links that are in their chains: what is added is chained by the next look, all at once. */
  #chained = 0;
  /** The first of the links that were taken out. */
  #free = none;

  add(hash: number, value: number): void {
    const free = this.#free;
    if (free === none && this.#used === this.#values.length) this.#grow();
    const link = free === none ? this.#used++ : free;
    this.#hashes[link] = hash;
    this.#values[link] = value;
    if (free === none) return;
    this.#free = this.#next[link] as number;
    this.#enter(link);
  }

  /** A value of this hash that fits. */
  find(hash: number, fits: (value: number) => boolean): number | undefined {
    this.#chain();
    for (let link = this.#heads[hash & (this.#heads.length - 1)] as number; link !== none; link = this.#next[link] as number)
      if (this.#hashes[link] === hash && fits(this.#values[link] as number)) return this.#values[link];
    return undefined;
  }

  /** Takes out all values of this hash that fit. */
  take(hash: number, fits: (value: number) => boolean): number[] {
    this.#chain();
    const taken: number[] = [];
    const bucket = hash & (this.#heads.length - 1);
    let before = none;
    for (let link = this.#heads[bucket] as number; link !== none; ) {
      const after = this.#next[link] as number;
      if (this.#hashes[link] === hash && fits(this.#values[link] as number)) {
        taken.push(this.#values[link] as number);
        if (before === none) this.#heads[bucket] = after;
        else this.#next[before] = after;
        this.#next[link] = this.#free;
        this.#free = link;
      } else before = link;
      link = after;
    }
    return taken;
  }

  #chain(): void {
    if (this.#chained === this.#used) return;
    if (this.#heads.length < this.#used) {
      this.#heads = new Int32Array(this.#values.length).fill(none);
      this.#chained = 0; // none is free when it grows
    }
    while (this.#chained < this.#used) this.#enter(this.#chained++);
  }

  #enter(link: number): void {
    const bucket = (this.#hashes[link] as number) & (this.#heads.length - 1);
    this.#next[link] = this.#heads[bucket] as number;
    this.#heads[bucket] = link;
  }

  #grow(): void {
    const twice = (array: Int32Array): Int32Array<ArrayBuffer> => {
      const more = new Int32Array(array.length * 2);
      more.set(array);
      return more;
    };
    this.#next = twice(this.#next);
    this.#hashes = twice(this.#hashes);
    this.#values = twice(this.#values);
  }
}
