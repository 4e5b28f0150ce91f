/** Counts since the start, for /metrics and tests. */
export const enum Counter {
  framesIn, framesOut, damaged, fragments, options, foreign,
  opened, connected, refused, resets, retransmitted, timeouts, cookies, challenges, noBlock,
  end,
}

// @ts-ignore: decorator
@lazy const counts: usize = memory.data(64, 8);

// @ts-ignore: decorator
@inline export function count(which: Counter): void {
  store<u32>(counts + (<usize>which << 2), load<u32>(counts + (<usize>which << 2)) + 1);
}

export function counter(which: u32): u32 {
  return which < <u32>Counter.end ? load<u32>(counts + (<usize>which << 2)) : 0;
}
