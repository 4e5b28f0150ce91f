/** A small seeded generator for tests, jitter and simulations. Not for secrets. */
export interface Prng {
  /** An integer in [0, 2³²). */
  uint32(): number;
  /** A number in [0, 1). */
  float(): number;
  /** An integer in [0, bound). */
  below(bound: number): number;
}

/** Mulberry32: 32 bits of state, period 2³², passes gjrand's small tests. */
export function prng(seed: number): Prng {
  let state = seed >>> 0;
  const uint32 = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return (z ^ (z >>> 14)) >>> 0;
  };
  return { uint32, float: () => uint32() / 2 ** 32, below: (bound) => Math.floor((uint32() / 2 ** 32) * bound) };
}
