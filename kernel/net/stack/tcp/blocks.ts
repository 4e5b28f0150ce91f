/** The pool of blocks that hold bytes, and a connection's two rings of them: 32 numbers each, filled in where bytes are. */
import { Counter, count } from "../counters";
import { blockBits, blockBytes, ringBlocks } from "../limits";

let pool: usize = 0, stack: usize = 0, total: u32 = 0, free: u32 = 0;

/** Takes over `blocks` blocks at `at`, and room for as many u16 at `list`. */
export function startBlocks(at: usize, list: usize, blocks: u32): void {
  pool = at;
  stack = list;
  total = blocks;
  free = blocks;
  for (let index: u32 = 0; index < blocks; index++) store<u16>(list + (index << 1), <u16>(index + 1));
}

export function freeBlocks(): u32 { return free; }
export function allBlocks(): u32 { return total; }

/** Bytes that one connection may hold in one direction: less, the fewer blocks there are. */
export function share(): u32 {
  if (free << 1 > total) return (ringBlocks - 1) * blockBytes;
  return free << 3 > total ? 4 * blockBytes : blockBytes;
}

// @ts-ignore: decorator
@inline function slot(ring: usize, position: u32): usize { return ring + (((position >> blockBits) & (ringBlocks - 1)) << 1); }
// @ts-ignore: decorator
@inline function blockAt(number: u32): usize { return pool + ((number - 1) << blockBits); }

/** Copies bytes to where `position` (an offset in the stream) belongs; returns how many had a block. */
export function keep(ring: usize, position: u32, from: usize, length: u32): u32 {
  let done: u32 = 0;
  while (done < length) {
    const at = slot(ring, position + done);
    let number = <u32>load<u16>(at);
    if (number === 0) {
      if (free === 0) {
        count(Counter.noBlock);
        break;
      }
      number = <u32>load<u16>(stack + (--free << 1));
      store<u16>(at, <u16>number);
    }
    const offset = (position + done) & (blockBytes - 1), part = min(length - done, blockBytes - offset);
    memory.copy(blockAt(number) + offset, from + done, part);
    done += part;
  }
  return done;
}

/** Copies bytes that are stored. */
export function fetch(ring: usize, position: u32, to: usize, length: u32): void {
  let done: u32 = 0;
  while (done < length) {
    const offset = (position + done) & (blockBytes - 1), part = min(length - done, blockBytes - offset);
    const number = <u32>load<u16>(slot(ring, position + done));
    if (number !== 0) memory.copy(to + done, blockAt(number) + offset, part);
    done += part;
  }
}

/** Address of a stored byte; the rest of its block lies behind it. 0: there is no block. */
export function place(ring: usize, position: u32): usize {
  const number = <u32>load<u16>(slot(ring, position));
  return number === 0 ? 0 : blockAt(number) + (position & (blockBytes - 1));
}

function give(at: usize): void {
  const number = load<u16>(at);
  if (number === 0) return;
  store<u16>(at, 0);
  store<u16>(stack + (free++ << 1), number);
}

/** Gives back the blocks that lie before `to` wholly, from that of `from` on. */
export function release(ring: usize, from: u32, to: u32): void {
  const most = min<u32>(((to >> blockBits) - (from >> blockBits)) & (0xffffffff >> blockBits), ringBlocks);
  for (let index: u32 = 0; index < most; index++) give(slot(ring, from + (index << blockBits)));
}

/** Gives back the block of one position. */
export function releaseAt(ring: usize, position: u32): void { give(slot(ring, position)); }

export function releaseAll(ring: usize): void {
  for (let index: u32 = 0; index < ringBlocks; index++) give(ring + (index << 1));
}
