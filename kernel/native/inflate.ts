/**
 * Inflate (RFC 1951), a piece of the output a call. What it knows lies in bytes that the caller keeps, `work`, and zeroes at first; what they
 * say is looked at before it is used, so that no call leaves them:
 *
 *   0      4  offset in the input of the next byte         24  4  bytes of the stored block that are left
 *   4      4  phase                                        28  4  bytes of history
 *   8      8  bits that were taken, the next one lowest    32  4  bytes of output, from the call before
 *   16     4  their number                                 36  4  sum of the output
 *   20     4  1: the block is the last                     40  4  which sum: 0 none, 1 CRC-32, 2 Adler-32
 *   64        lengths of the codes, 320
 *   384       table of literals and lengths, by ten bits; 2432 numbers of codes by length, 2464 symbols in the order of their codes
 *   3040      the same for distances, by nine bits; 4064, 4096
 *   4352      tables of the CRC
 *   12544     history, 32 KiB, right before the output
 *   45312     output, up to the end
 */
import { adler32, crc32, makeCrcTables } from "./checksums";

const atOffset: usize = 0, atPhase: usize = 4, atBits: usize = 8, atCount: usize = 16, atLast: usize = 20, atStored: usize = 24;
const atHistory: usize = 28, atOutput: usize = 32, atSum: usize = 36, atKind: usize = 40;
const lengthsAt: usize = 64, literalsAt: usize = 384, distancesAt: usize = 3040, crcAt: usize = 4352;
const historyBytes: u32 = 32768;
const historyAt: usize = 12544;
const outputAt: usize = historyAt + historyBytes;
/** Least bytes of `work`. */
export const inflateLeastBytes: u32 = <u32>outputAt + 1024;

const literalBits: u32 = 10, distanceBits: u32 = 9;
const mostLiterals: u32 = 288, mostDistances: u32 = 32;
const longestMatch: u32 = 258;
/** Most blocks of a call: each may have codes to make, and nothing in it. */
const mostBlocks: u32 = 64;

const phaseStart: u32 = 0, phaseBlock: u32 = 1, phaseStored: u32 = 2, phaseSymbols: u32 = 3, phaseDone: u32 = 4;

/** Results below zero. */
const endsEarly: i32 = -1, isDamaged: i32 = -2;

/** Lengths from symbol 257 on, then distances: what is added to the extra bits, and their number (§3.2.5). */
// @ts-ignore: decorator
@lazy const lengthBases: usize = memory.data<u16>([
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
]);
// @ts-ignore: decorator
@lazy const lengthExtra: usize = memory.data<u8>([0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0]);
// @ts-ignore: decorator
@lazy const distanceBases: usize = memory.data<u16>([
  1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577,
]);
// @ts-ignore: decorator
@lazy const lengthOrder: usize = memory.data<u8>([16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]);

// @ts-ignore: decorator
@inline
function distanceExtra(symbol: u32): u32 {
  return symbol < 2 ? 0 : (symbol >>> 1) - 1;
}

/** Fills the bits that were taken up to 56 and more, as far as the input goes. */
function refill(work: usize, input: usize, length: u32): void {
  let bits = load<u64>(work + atBits);
  let count = load<u32>(work + atCount);
  let offset = load<u32>(work + atOffset);
  for (; count <= 56 && offset < length; count += 8) bits |= <u64>load<u8>(input + offset++) << count;
  store<u64>(work + atBits, bits);
  store<u32>(work + atCount, count);
  store<u32>(work + atOffset, offset);
}

/** The next bits, at most 16; -1 where there are not as many. */
function take(work: usize, input: usize, length: u32, wanted: u32): i32 {
  if (load<u32>(work + atCount) < wanted) refill(work, input, length);
  const count = load<u32>(work + atCount);
  if (count < wanted) return -1;
  const bits = load<u64>(work + atBits);
  store<u64>(work + atBits, bits >>> wanted);
  store<u32>(work + atCount, count - wanted);
  return <i32>(<u32>bits & ((1 << wanted) - 1));
}

// Of a code: its table by the first bits, then codes by length, then symbols.
// @ts-ignore: decorator
@inline
function countsOf(code: usize, bits: u32): usize {
  return code + (<usize>2 << bits);
}

/**
 * Makes the table of a code from the lengths of its symbols: `symbol << 4 | length`, and 0 for what is longer or not there. False for lengths
 * that make no code: too many of them, or too few but for a single one (zlib takes that, and none at all).
 */
function makeCode(code: usize, bits: u32, lengths: usize, symbols: u32, mayLack: bool): bool {
  const counts = countsOf(code, bits);
  const sorted = counts + 32;
  memory.fill(code, 0, (2 << bits) + 32);
  for (let symbol: u32 = 0; symbol < symbols; symbol++) {
    const at = counts + (<usize>(load<u8>(lengths + symbol) & 15) << 1);
    store<u16>(at, load<u16>(at) + 1);
  }
  store<u16>(counts, 0);
  let left: i32 = 1;
  let longest: u32 = 0;
  for (let length: u32 = 1; length < 16; length++) {
    const count = <i32>load<u16>(counts + (length << 1));
    if (count > 0) longest = length;
    left = (left << 1) - count;
    if (left < 0) return false;
  }
  if (left > 0 && !(mayLack && longest <= 1)) return false;
  let from: u32 = 0;
  let next: u32 = 0;
  for (let length: u32 = 1; length <= longest; length++) {
    for (let symbol: u32 = 0; symbol < symbols; symbol++) {
      if (load<u8>(lengths + symbol) !== length) continue;
      store<u16>(sorted + (<usize>(from++) << 1), <u16>symbol);
      if (length <= bits) enter(code, bits, next, length, symbol);
      next++;
    }
    next <<= 1;
  }
  return true;
}

/** Enters a symbol wherever its code is the beginning; codes come highest bit first. */
function enter(code: usize, bits: u32, value: u32, length: u32, symbol: u32): void {
  let reversed: u32 = 0;
  for (let bit: u32 = 0; bit < length; bit++) reversed |= ((value >>> bit) & 1) << (length - 1 - bit);
  for (let at = reversed; at < 1 << bits; at += 1 << length) store<u16>(code + (<usize>at << 1), <u16>((symbol << 4) | length));
}

/** The entry of a code longer than the table's bits, bit by bit; 0 for bits that are no code. */
function longEntry(code: usize, bits: u32, most: u32, given: u64): u32 {
  const counts = countsOf(code, bits);
  let value: u32 = 0, first: u32 = 0, index: u32 = 0;
  let rest = given;
  for (let length: u32 = 1; length < 16; length++) {
    value |= <u32>rest & 1;
    rest >>>= 1;
    const count = <u32>load<u16>(counts + (length << 1));
    if (value < first + count) {
      const at = index + (value - first);
      return at < most && value >= first ? (<u32>load<u16>(counts + 32 + (<usize>at << 1)) << 4) | length : 0;
    }
    index += count;
    first = (first + count) << 1;
    value <<= 1;
  }
  return 0;
}

// @ts-ignore: decorator
@inline
function entryOf(code: usize, bits: u32, most: u32, given: u64): u32 {
  const entry = <u32>load<u16>(code + ((<usize>given & ((1 << bits) - 1)) << 1));
  return entry !== 0 ? entry : longEntry(code, bits, most, given);
}

/** The codes of §3.2.6. */
function fixedCodes(work: usize): void {
  const lengths = work + lengthsAt;
  memory.fill(lengths, 8, 144);
  memory.fill(lengths + 144, 9, 112);
  memory.fill(lengths + 256, 7, 24);
  memory.fill(lengths + 280, 8, 8);
  makeCode(work + literalsAt, literalBits, lengths, mostLiterals, false);
  memory.fill(lengths, 5, 32);
  makeCode(work + distancesAt, distanceBits, lengths, mostDistances, false);
}

/** Reads the codes of §3.2.7; 0 or what is wrong. */
function readCodes(work: usize, input: usize, length: u32): i32 {
  const counts = take(work, input, length, 14);
  if (counts < 0) return endsEarly;
  const literals = (<u32>counts & 31) + 257, distances = ((<u32>counts >>> 5) & 31) + 1, given = (<u32>counts >>> 10) + 4;
  if (literals > 286 || distances > 30) return isDamaged;
  const lengths = work + lengthsAt;
  memory.fill(lengths, 0, 320);
  for (let index: u32 = 0; index < given; index++) {
    const bits = take(work, input, length, 3);
    if (bits < 0) return endsEarly;
    store<u8>(lengths + load<u8>(lengthOrder + index), <u8>bits);
  }
  // The code of lengths lies where that of distances will.
  const code = work + distancesAt;
  if (!makeCode(code, distanceBits, lengths, 19, false)) return isDamaged;
  memory.fill(lengths, 0, 320);
  for (let index: u32 = 0; index < literals + distances; ) {
    refill(work, input, length);
    const entry = entryOf(code, distanceBits, mostDistances, load<u64>(work + atBits));
    const size = entry & 15;
    if (size > load<u32>(work + atCount)) return endsEarly;
    if (entry === 0) return isDamaged;
    take(work, input, length, size);
    const symbol = entry >>> 4;
    if (symbol < 16) {
      store<u8>(lengths + index++, <u8>symbol);
      continue;
    }
    if (symbol === 16 && index === 0) return isDamaged;
    const before: u8 = symbol === 16 ? load<u8>(lengths + index - 1) : 0;
    const more = take(work, input, length, symbol === 16 ? 2 : symbol === 17 ? 3 : 7);
    if (more < 0) return endsEarly;
    const repeat = <u32>more + (symbol === 18 ? 11 : 3);
    if (index + repeat > literals + distances) return isDamaged;
    memory.fill(lengths + index, before, repeat);
    index += repeat;
  }
  if (load<u8>(lengths + 256) === 0) return isDamaged; // nothing would end the block
  if (!makeCode(work + literalsAt, literalBits, lengths, literals, true)) return isDamaged;
  return makeCode(code, distanceBits, lengths + literals, distances, true) ? 0 : isDamaged;
}

/** Begins a block; 0 or what is wrong. */
function beginBlock(work: usize, input: usize, length: u32): i32 {
  if (load<u32>(work + atLast) === 1) {
    store<u32>(work + atPhase, phaseDone);
    return 0;
  }
  const head = take(work, input, length, 3);
  if (head < 0) return endsEarly;
  store<u32>(work + atLast, <u32>head & 1);
  store<u32>(work + atPhase, head >>> 1 === 0 ? phaseStored : phaseSymbols);
  if (head >>> 1 === 1) fixedCodes(work);
  if (head >>> 1 === 2) return readCodes(work, input, length);
  if (head >>> 1 === 3) return isDamaged;
  if (head >>> 1 !== 0) return 0;
  take(work, input, length, load<u32>(work + atCount) & 7);
  const size = take(work, input, length, 16);
  const check = take(work, input, length, 16);
  if (size < 0 || check < 0) return endsEarly;
  store<u32>(work + atStored, <u32>size);
  return size === (check ^ 0xffff) ? 0 : isDamaged;
}

/** Copies of a stored block what there is room for: from the bits that were taken, then from the input. */
function copyStored(work: usize, input: usize, length: u32, output: usize, end: usize): usize {
  let at = output;
  let left = load<u32>(work + atStored);
  for (; left > 0 && at < end && load<u32>(work + atCount) >= 8; left--) store<u8>(at++, <u8>take(work, input, 0, 8));
  const offset = load<u32>(work + atOffset);
  const run = min(min(left, <u32>(end - at)), length - offset);
  memory.copy(at, input + offset, run);
  store<u32>(work + atOffset, offset + run);
  store<u32>(work + atStored, left - run);
  if (left === run) store<u32>(work + atPhase, phaseBlock);
  return at + run;
}

/** Copies a match; its source may overlap with what it makes. `output` has eight bytes more of room. */
// @ts-ignore: decorator
@inline
function copyMatch(output: usize, distance: u32, length: u32): void {
  const from = output - distance;
  if (distance >= 8) {
    for (let at: u32 = 0; at < length; at += 8) store<u64>(output + at, load<u64>(from + at));
  } else if (distance === 1) memory.fill(output, load<u8>(from), length);
  else for (let at: u32 = 0; at < length; at++) store<u8>(output + at, load<u8>(from + at));
}

/** Reads symbols while there is room for a match. Gives the end of the output, or what is wrong below zero. */
function readSymbols(work: usize, input: usize, length: u32, output: usize, end: usize): i32 {
  const oldest = work + outputAt - load<u32>(work + atHistory);
  const literals = work + literalsAt, distances = work + distancesAt;
  let bits = load<u64>(work + atBits);
  let count = load<u32>(work + atCount);
  let offset = load<u32>(work + atOffset);
  let at = output;
  let fault: i32 = 0;
  while (at < end) {
    if (offset + 8 <= length) {
      // Eight bytes at once; those that find no room are taken again (as libdeflate does).
      bits |= load<u64>(input + offset) << count;
      offset += (63 - count) >>> 3;
      count |= 56;
    } else for (; count <= 56 && offset < length; count += 8) bits |= <u64>load<u8>(input + offset++) << count;
    let entry = entryOf(literals, literalBits, mostLiterals, bits);
    let used = entry & 15;
    if (used > count || entry === 0) {
      fault = count < 15 && (entry !== 0 || offset === length) ? endsEarly : isDamaged;
      break;
    }
    let symbol = entry >>> 4;
    if (symbol < 256) {
      store<u8>(at++, <u8>symbol);
      bits >>>= used;
      count -= used;
      // The bits suffice for another, most of the time.
      entry = <u32>load<u16>(literals + ((<usize>bits & ((1 << literalBits) - 1)) << 1));
      used = entry & 15;
      symbol = entry >>> 4;
      if (entry === 0 || symbol > 255 || used > count) continue;
      store<u8>(at++, <u8>symbol);
      bits >>>= used;
      count -= used;
      continue;
    }
    if (symbol === 256) {
      bits >>>= used;
      count -= used;
      store<u32>(work + atPhase, phaseBlock);
      break;
    }
    symbol -= 257;
    if (symbol > 28) {
      fault = isDamaged;
      break;
    }
    let rest = bits >>> used;
    let extra = <u32>load<u8>(lengthExtra + symbol);
    const size = <u32>load<u16>(lengthBases + (symbol << 1)) + (<u32>rest & ((1 << extra) - 1));
    rest >>>= extra;
    used += extra;
    entry = entryOf(distances, distanceBits, mostDistances, rest);
    symbol = entry >>> 4;
    if (entry === 0 || symbol > 29) {
      fault = count < used + 15 ? endsEarly : isDamaged;
      break;
    }
    rest >>>= entry & 15;
    extra = distanceExtra(symbol);
    used += (entry & 15) + extra;
    const distance = <u32>load<u16>(distanceBases + (symbol << 1)) + (<u32>rest & ((1 << extra) - 1));
    if (used > count) {
      fault = endsEarly;
      break;
    }
    if (distance > <u32>(at - oldest)) {
      fault = isDamaged;
      break;
    }
    bits = rest >>> extra;
    count -= used;
    copyMatch(at, distance, size);
    at += size;
  }
  // Bits above the count are the beginning of bytes that are not taken yet.
  store<u64>(work + atBits, count < 64 ? bits & ((<u64>1 << count) - 1) : bits);
  store<u32>(work + atCount, count);
  store<u32>(work + atOffset, offset);
  return fault !== 0 ? fault : <i32>at; // below 2 GiB
}

/** Moves the last 32 KiB of what there is before the output. */
function keepHistory(work: usize, room: u32): void {
  const made = min(load<u32>(work + atOutput), room);
  const known = min(min(load<u32>(work + atHistory), historyBytes) + made, historyBytes);
  memory.copy(work + outputAt - known, work + outputAt + made - known, known);
  store<u32>(work + atHistory, known);
  store<u32>(work + atOutput, 0);
}

/**
 * Goes on with the input, which is whole and the same in every call. Gives the bytes of output that lie at 45312; less than zero for input that
 * ends early (-1) or is damaged (-2). At the end the phase is 4, and the offset that of the first byte behind.
 */
export function inflate(work: usize, workBytes: u32, input: usize, length: u32): i32 {
  const room = workBytes - <u32>outputAt;
  if (load<u32>(work + atPhase) === phaseStart) {
    makeCrcTables(work + crcAt);
    store<u32>(work + atPhase, phaseBlock);
  }
  store<u32>(work + atOffset, min(load<u32>(work + atOffset), length));
  store<u32>(work + atCount, load<u32>(work + atCount) & 63);
  keepHistory(work, room);
  const output = work + outputAt;
  const end = output + room;
  const lastMatch = end - longestMatch - 8;
  let at = output;
  let blocks: u32 = 0;
  while (load<u32>(work + atPhase) !== phaseDone) {
    const phase = load<u32>(work + atPhase);
    if (phase === phaseBlock) {
      if (blocks++ === mostBlocks) break;
      const fault = beginBlock(work, input, length);
      if (fault !== 0) return fault;
    } else if (phase === phaseStored) {
      if (at === end) break;
      const before = at;
      at = copyStored(work, input, length, at, end);
      if (at === before && load<u32>(work + atPhase) === phaseStored) return endsEarly;
    } else {
      if (at >= lastMatch) break;
      const reached = readSymbols(work, input, length, at, lastMatch);
      if (reached < 0) return reached;
      at = <usize>(<u32>reached);
    }
  }
  if (load<u32>(work + atPhase) === phaseDone) {
    store<u32>(work + atOffset, load<u32>(work + atOffset) - (load<u32>(work + atCount) >>> 3));
    store<u32>(work + atCount, 0);
  }
  const made = <u32>(at - output);
  store<u32>(work + atOutput, made);
  const sum = load<u32>(work + atSum);
  if (load<u32>(work + atKind) === 1) store<u32>(work + atSum, crc32(work + crcAt, sum, output, made));
  if (load<u32>(work + atKind) === 2) store<u32>(work + atSum, adler32(sum, output, made));
  return <i32>made;
}
