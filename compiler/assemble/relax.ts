/** Gives jumps to near targets their two-byte form. */

export interface Jump {
  /** Offset of the 32-bit distance, which follows the opcode E9 or 0F 8x. */
  readonly at: number;
  readonly target: number;
}

/** The relaxed bytes: `position` maps old offsets to new ones. */
export interface Relaxed {
  readonly bytes: Uint8Array;
  readonly position: (offset: number) => number;
}

const isConditional = (bytes: Uint8Array, jump: Jump): boolean => bytes[jump.at - 1] !== 0xe9;

/** Index of the first jump that begins at or after an offset. */
function firstFrom(jumps: readonly Jump[], offset: number): number {
  let low = 0;
  let high = jumps.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((jumps[middle] as Jump).at < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** `jumps` are in the order of the code; their distances are not filled in yet. */
export function relax(bytes: Uint8Array, jumps: readonly Jump[]): Relaxed {
  const count = jumps.length;
  const saving = jumps.map((jump) => (isConditional(bytes, jump) ? 4 : 3));
  const before = jumps.map((jump) => firstFrom(jumps, jump.target));
  const isShort = new Uint8Array(count);
  const saved = new Int32Array(count + 1);
  // Shortening one jump only brings others nearer to their targets, so this ends.
  for (let changed = true; changed; ) {
    changed = false;
    for (let i = 0; i < count; i++) saved[i + 1] = (saved[i] as number) + (isShort[i] !== 0 ? (saving[i] as number) : 0);
    for (let i = 0; i < count; i++) {
      if (isShort[i] !== 0) continue;
      const jump = jumps[i] as Jump;
      const end = jump.at + 4 - (saved[i + 1] as number);
      const target = jump.target - (saved[before[i] as number] as number);
      // Measured from the end of the short form, which a jump back reaches `saving` bytes earlier.
      const distance = target - end + (jump.target <= jump.at ? (saving[i] as number) : 0);
      if (distance < -128 || distance > 127) continue;
      isShort[i] = 1;
      changed = true;
    }
  }
  for (let i = 0; i < count; i++) saved[i + 1] = (saved[i] as number) + (isShort[i] !== 0 ? (saving[i] as number) : 0);
  const position = (offset: number): number => offset - (saved[firstFrom(jumps, offset)] as number);
  const out = new Uint8Array(bytes.length - (saved[count] as number));
  const view = new DataView(out.buffer);
  let from = 0;
  let to = 0;
  jumps.forEach((jump, i) => {
    const conditional = isConditional(bytes, jump);
    const start = jump.at - (conditional ? 2 : 1);
    out.set(bytes.subarray(from, start), to);
    to += start - from;
    const target = position(jump.target);
    if (isShort[i] !== 0) {
      out[to++] = conditional ? 0x70 | ((bytes[jump.at - 1] as number) & 15) : 0xeb;
      out[to] = target - (to + 1);
      to += 1;
    } else {
      out.set(bytes.subarray(start, jump.at), to);
      to += jump.at - start;
      view.setInt32(to, target - to - 4, true);
      to += 4;
    }
    from = jump.at + 4;
  });
  out.set(bytes.subarray(from), to);
  return { bytes: out, position };
}
