/**
 * Lines of the head that head.ts has, linked by their names, so that a head of many lines costs no more for each. Linked when it is first
 * asked; the hash is keyed, so that senders can't choose names that are alike to it.
 */
import { equalIgnoringCase, lower } from "../bytes";
import { random } from "../host";
import { heads, lines, nameAt, nameLength } from "./head";

const buckets: u32 = 2048;
/** For each line + 1 the line + 1 before it with its name, the one after it, and the one before it in its bucket; u16 each. */
// @ts-ignore: decorator
@lazy const before: usize = memory.data(2004, 16);
// @ts-ignore: decorator
@lazy const after: usize = memory.data(2004, 16);
// @ts-ignore: decorator
@lazy const chain: usize = memory.data(2004, 16);
// @ts-ignore: decorator
@lazy const first: usize = memory.data(4096, 16);
// @ts-ignore: decorator
@lazy const secret: usize = memory.data(8, 8);

let linked: u32 = 0;

// @ts-ignore: decorator
@inline function get(table: usize, index: u32): u32 { return load<u16>(table + (<usize>index << 1)); }
// @ts-ignore: decorator
@inline function set(table: usize, index: u32, value: u32): void { store<u16>(table + (<usize>index << 1), value); }

function hash(line: u32): u32 {
  const key = load<u64>(secret) | 1;
  const at = nameAt(line);
  let value: u64 = key;
  for (let index: u32 = 0; index < nameLength(line); index++) {
    value = (value ^ lower(load<u8>(at + index))) * key;
    value ^= value >> 29;
  }
  return <u32>(value >> 40) & (buckets - 1);
}

function isSame(line: u32, other: u32): bool {
  return equalIgnoringCase(nameAt(line), nameLength(line), nameAt(other), nameLength(other));
}

function link(): void {
  if (linked === heads) return;
  linked = heads;
  if (load<u64>(secret) === 0) random(<u32>secret, 8);
  memory.fill(first, 0, buckets << 1);
  for (let line: u32 = 1; line <= lines; line++) {
    const bucket = hash(line - 1);
    let other = get(first, bucket);
    while (other !== 0 && !isSame(line - 1, other - 1)) other = get(chain, other);
    set(before, line, other);
    set(after, line, 0);
    if (other !== 0) set(after, other, line);
    set(chain, line, get(first, bucket));
    set(first, bucket, line);
  }
}

/** The line after this one with the same name; −1: it is the last. */
export function nextOf(line: u32): i32 {
  link();
  return <i32>get(after, line + 1) - 1;
}

/** False for a line whose name stands before it. */
export function isFirst(line: u32): bool {
  link();
  return get(before, line + 1) === 0;
}

/** True if any name stands twice. */
export function repeats(): bool {
  link();
  for (let line: u32 = 1; line <= lines; line++) if (get(before, line) !== 0) return true;
  return false;
}
