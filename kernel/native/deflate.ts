/**
 * Deflate (RFC 1951), a block a call, with the matching of zlib's level 6: chains of hashes, and a match is put off where the next byte has a
 * longer one. What it knows lies in bytes that the caller keeps, `work`, and zeroes at first; what they say is looked at before it is used:
 *
 *   0      4  offset in the input                          12     4  1: the last block is written
 *   4      4  bits that fill no byte yet                   16     4  sum of the input
 *   8      4  their number                                 20     4  which sum: 0 none, 1 CRC-32, 2 Adler-32
 *   24     4  1: the tables of the CRC are made            28     4  number of symbols
 *   64        what makes codes (deflate-codes.ts)
 *   16384     tables of the CRC
 *   24576     where each hash was last, plus one: 32,768 numbers
 *   155648    the same for the place before, by offset modulo 32 KiB
 *   286720    symbols of the block: 16,384 numbers, `distance << 16 | length`, or a literal
 *   352256    output, 102,400 bytes
 */
import { adler32, crc32, makeCrcTables } from "./checksums";
import { addSymbol, beginBlock, writeBlock } from "./deflate-codes";

const atOffset: usize = 0, atDone: usize = 12, atSum: usize = 16, atKind: usize = 20, atStarted: usize = 24, atSymbols: usize = 28;
const crcAt: usize = 16384, headsAt: usize = 24576, chainsAt: usize = 155648, symbolsAt: usize = 286720, outputAt: usize = 352256;
/** Bytes of `work`. */
export const deflateBytes: u32 = 454656;

const mostSymbols: u32 = 16384;
const windowBytes: u32 = 32768;
// A match of three bytes mostly costs more than it saves, and chains of four are shorter (so in Chromium's zlib).
const leastMatch: u32 = 4, mostMatch: u32 = 258;
// zlib's level 6 (deflate.c, configuration_table).
const goodMatch: u32 = 8, lazyMatch: u32 = 16, niceMatch: u32 = 128, mostLinks: u32 = 128;

// @ts-ignore: decorator
@inline
function hashOf(at: usize): usize {
  return <usize>((load<u32>(at) * 0x9e3779b1) >>> 17) << 2;
}

/** Enters an offset among those with its hash. Gives the one before, plus one; 0 for none. */
// @ts-ignore: decorator
@inline
function enter(work: usize, input: usize, offset: u32): u32 {
  const head = work + headsAt + hashOf(input + offset);
  const before = load<u32>(head);
  store<u32>(work + chainsAt + (<usize>(offset & (windowBytes - 1)) << 2), before);
  store<u32>(head, offset + 1);
  return before;
}

/** The number of bytes that two places have alike, up to `most`. */
// @ts-ignore: decorator
@inline
function alike(a: usize, b: usize, most: u32): u32 {
  let at: u32 = 0;
  for (; at + 8 <= most; at += 8) {
    const difference = load<u64>(a + at) ^ load<u64>(b + at);
    if (difference !== 0) return at + (<u32>ctz(difference) >>> 3);
  }
  while (at < most && load<u8>(a + at) === load<u8>(b + at)) at++;
  return at;
}

/** The longest match of `offset` that is longer than `known`, as `distance << 16 | length`; 0 for none. `candidate`: an offset plus one. */
function longest(work: usize, input: usize, offset: u32, length: u32, candidate: u32, known: u32): u32 {
  const most = min(length - offset, mostMatch);
  const here = input + offset;
  let best = max<u32>(known, leastMatch - 1);
  let found: u32 = 0;
  let next = candidate;
  if (best >= most) return 0;
  for (let links = known >= goodMatch ? mostLinks >>> 2 : mostLinks; links > 0; links--) {
    const from = next - 1; // a huge number for none
    if (from >= offset || offset - from > windowBytes) break;
    const there = input + from;
    if (load<u8>(there + best) === load<u8>(here + best) && load<u32>(there) === load<u32>(here)) {
      const size = alike(there, here, most);
      if (size > best) {
        best = size;
        found = ((offset - from) << 16) | size;
        if (size >= niceMatch || size === most) break;
      }
    }
    const before = load<u32>(work + chainsAt + (<usize>(from & (windowBytes - 1)) << 2));
    if (before >= next) break;
    next = before;
  }
  return found;
}

/** Finds symbols from `offset` on until the block is full or the input ends. Gives the offset behind them. */
function findSymbols(work: usize, input: usize, length: u32, begin: u32): u32 {
  const symbols = work + symbolsAt;
  let count: u32 = 0;
  let offset = begin;
  /** The match of the byte before, which is not decided yet. */
  let held: u32 = 0;
  let isHeld = false;
  // A held byte takes a symbol more.
  while (offset < length && count < mostSymbols - 2) {
    let match: u32 = 0;
    const heldSize = held & 0xffff;
    if (offset + leastMatch <= length) {
      const before = enter(work, input, offset);
      if (heldSize < lazyMatch) match = longest(work, input, offset, length, before, heldSize);
    }
    if (match !== 0) {
      // Longer than what is held: its byte becomes a literal.
      if (isHeld) addSymbol(work, symbols, count++, load<u8>(input + offset - 1));
      held = match;
      isHeld = true;
      offset++;
    } else if (heldSize >= leastMatch) {
      addSymbol(work, symbols, count++, held);
      const end = offset - 1 + heldSize;
      for (offset++; offset < end; offset++) if (offset + leastMatch <= length) enter(work, input, offset);
      held = 0;
      isHeld = false;
    } else {
      addSymbol(work, symbols, count++, load<u8>(input + offset));
      offset++;
    }
  }
  if (isHeld) {
    // The block ends in the middle of a decision: what is held is taken.
    const heldSize = held & 0xffff;
    addSymbol(work, symbols, count++, held);
    for (const end = min(offset - 1 + heldSize, length); offset < end; offset++) if (offset + leastMatch <= length) enter(work, input, offset);
  }
  store<u32>(work + atSymbols, count);
  return offset;
}

/**
 * Writes the next block of the input, which is whole and the same in every call. Gives the bytes of output that lie at 352256; the last block
 * was written when the number at 12 is 1.
 */
export function deflate(work: usize, input: usize, length: u32): i32 {
  const begin = min(load<u32>(work + atOffset), length);
  if (load<u32>(work + atStarted) === 0) {
    makeCrcTables(work + crcAt);
    store<u32>(work + atStarted, 1);
  }
  beginBlock(work);
  const end = findSymbols(work, input, length, begin);
  const sum = load<u32>(work + atSum);
  if (load<u32>(work + atKind) === 1) store<u32>(work + atSum, crc32(work + crcAt, sum, input + begin, end - begin));
  if (load<u32>(work + atKind) === 2) store<u32>(work + atSum, adler32(sum, input + begin, end - begin));
  store<u32>(work + atOffset, end);
  store<u32>(work + atDone, u32(end === length));
  const output = work + outputAt;
  const behind = writeBlock(work, work + symbolsAt, load<u32>(work + atSymbols), input + begin, end - begin, end === length, output);
  return <i32>(behind - output);
}
