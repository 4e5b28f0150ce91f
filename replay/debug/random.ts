/** The machine's generator (kernel/native/random.ts) on the host: the ChaCha20 key stream (RFC 8439 §2.3) under the seed, a zero nonce. */
const blockBytes = 64;

function quarterRound(w: Uint32Array, [a, b, c, d]: readonly [number, number, number, number]): void {
  const mix = (to: number, from: number, turned: number, bits: number): void => {
    w[to] = (w[to] as number) + (w[from] as number);
    const value = (w[turned] as number) ^ (w[to] as number);
    w[turned] = (value << bits) | (value >>> (32 - bits));
  };
  mix(a, b, d, 16);
  mix(c, d, b, 12);
  mix(a, b, d, 8);
  mix(c, d, b, 7);
}

const rounds: readonly (readonly [number, number, number, number])[] = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
];

export class SeededRandom {
  readonly #key: Uint32Array;
  readonly #block = new Uint8Array(blockBytes);
  #counter = 0n;
  #used = blockBytes;

  /** `seed`: 32 bytes. */
  constructor(seed: Uint8Array) {
    const view = new DataView(seed.buffer, seed.byteOffset, seed.length);
    this.#key = Uint32Array.from({ length: 8 }, (_, index) => view.getUint32(4 * index, true));
  }

  #next(): void {
    const low = Number(this.#counter & 0xffff_ffffn);
    const high = Number(this.#counter >> 32n);
    // "expand 32-byte k"
    const initial = Uint32Array.of(0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, ...this.#key, low, high, 0, 0);
    const work = Uint32Array.from(initial);
    for (let round = 0; round < 10; round++) for (const quarter of rounds) quarterRound(work, quarter);
    const view = new DataView(this.#block.buffer);
    for (let index = 0; index < 16; index++) view.setUint32(4 * index, (work[index] as number) + (initial[index] as number), true);
    this.#counter += 1n;
    this.#used = 0;
  }

  fill(target: Uint8Array): void {
    for (let done = 0; done < target.length; ) {
      if (this.#used >= blockBytes) this.#next();
      const take = Math.min(blockBytes - this.#used, target.length - done);
      target.set(this.#block.subarray(this.#used, this.#used + take), done);
      this.#used += take;
      done += take;
    }
  }

  /** In [0, 1), with 53 random bits. */
  float(): number {
    const bytes = new Uint8Array(8);
    this.fill(bytes);
    return Number(new DataView(bytes.buffer).getBigUint64(0, true) >> 11n) / 2 ** 53;
  }
}
