/**
 * The module's memory: static data, then what is taken here at start, once. Nothing is given back, nothing grows. The host maps the
 * pages before the start, so `memory.size()` says how much there is.
 */
let free: usize = 0;

function end(): usize {
  return <usize>min<u64>(<u64>memory.size() << 16, 0xffff0000);
}

function begin(): void {
  if (free === 0) free = (__heap_base + 15) & ~15;
}

/** Bytes that nobody has taken. */
export function remaining(): u32 {
  begin();
  return <u32>(end() - free);
}

/** `bytes` zero bytes at a multiple of 16, or 0 when so many are not left. They are zero already: touching them would make them cost memory. */
export function take(bytes: u32): usize {
  begin();
  if (<u64>bytes > <u64>(end() - free)) return 0;
  const at = free;
  free = min<usize>((at + bytes + 15) & ~15, end());
  return at;
}
