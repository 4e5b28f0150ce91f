/**
 * Blocks of memory for requests, events, effects and answers: buddies, so that a block is contiguous whatever its length, and taking
 * and giving back cost some steps for each doubling. Sizes are 64 bytes × a power of two.
 *
 *     map   one byte for each unit of 64 bytes: at a block's first unit 0x80 + order if taken, 0x40 + order if free; 0 elsewhere
 *     free  a list for each order, doubly linked within the blocks: next u32 │ previous u32
 */
import { take } from "./memory";

const unitBits: u32 = 6;
const orders: u32 = 26;
const takenMark: u32 = 0x80;
const freeMark: u32 = 0x40;
const orderMask: u32 = 0x3f;

// @ts-ignore: decorator
@lazy const lists: usize = memory.data(104, 16);
let base: usize = 0;
let units: u32 = 0;
let map: usize = 0;
let freeUnits: u32 = 0;

/** Takes the memory for good. False when there is too little. */
export function startBlocks(bytes: u32): bool {
  const count = bytes / 65;
  if (count < 64) return false;
  map = take(count);
  base = take(count << unitBits);
  if (map === 0 || base === 0) return false;
  units = count;
  let at: u32 = 0;
  for (let order: i32 = orders - 1; order >= 0; order--) {
    if (at + (1 << order) > units) continue;
    put(at, order);
    at += 1 << order;
    freeUnits += 1 << order;
  }
  return true;
}

function put(unit: u32, order: u32): void {
  const at = base + (<usize>unit << unitBits);
  const head = lists + (<usize>order << 2);
  const next = load<u32>(head);
  store<u8>(map + unit, freeMark | order);
  store<u32>(at, next);
  store<u32>(at, 0, 4);
  if (next !== 0) store<u32>(next, <u32>at, 4);
  store<u32>(head, <u32>at);
}

function unlink(unit: u32, order: u32): void {
  const at = base + (<usize>unit << unitBits);
  const next = load<u32>(at);
  const previous = load<u32>(at, 4);
  if (previous === 0) store<u32>(lists + (<usize>order << 2), next);
  else store<u32>(previous, next);
  if (next !== 0) store<u32>(next, previous, 4);
  store<u8>(map + unit, 0);
}

function orderFor(bytes: u32): u32 {
  return bytes <= 64 ? 0 : 32 - <u32>clz<u32>((bytes - 1) >> unitBits);
}

/** A block of at least `bytes`, with whatever was in it before; 0 without room. */
export function allocate(bytes: u32): usize {
  if (bytes > 0x7fffffff) return 0;
  const wanted = orderFor(bytes);
  let order = wanted;
  while (order < orders && load<u32>(lists + (<usize>order << 2)) === 0) order++;
  if (order >= orders) return 0;
  const at = <usize>load<u32>(lists + (<usize>order << 2));
  const unit = <u32>((at - base) >> unitBits);
  unlink(unit, order);
  while (order > wanted) {
    order--;
    put(unit + (1 << order), order);
  }
  store<u8>(map + unit, takenMark | wanted);
  freeUnits -= 1 << wanted;
  return at;
}

/** A zeroed block. */
export function allocateZeroed(bytes: u32): usize {
  const at = allocate(bytes);
  if (at !== 0) memory.fill(at, 0, bytes);
  return at;
}

/** Gives a block back; nothing happens for 0. */
export function release(at: usize): void {
  if (at === 0) return;
  let unit = <u32>((at - base) >> unitBits);
  let order = <u32>load<u8>(map + unit) & orderMask;
  freeUnits += 1 << order;
  store<u8>(map + unit, 0);
  while (order + 1 < orders) {
    const buddy = unit ^ (1 << order);
    if (buddy + (1 << order) > units || load<u8>(map + buddy) !== (freeMark | order)) break;
    unlink(buddy, order);
    unit = min<u32>(unit, buddy);
    order++;
  }
  put(unit, order);
}

/** Bytes of a block, at least those that were asked for. */
export function blockBytes(at: usize): u32 {
  return 64 << (<u32>load<u8>(map + ((at - base) >> unitBits)) & orderMask);
}

/** Bytes in free blocks. */
export function freeBytes(): u32 {
  return freeUnits << unitBits;
}

/** Bytes of all blocks. */
export function allBytes(): u32 {
  return units << unitBits;
}
