/**
 * Codes of a block of deflate (RFC 1951, §3.2) and its bits: dynamic, fixed or stored, whichever is shortest. Its part of `work`
 * (deflate.ts):
 *
 *   4      4  bits that fill no byte yet; 8: their number
 *   64        how often each of 288 literals and lengths came, numbers; 1216: of 32 distances
 *   1344      lengths of their codes, 320 bytes; 1664: the codes, lowest bit first, of 16 bits
 *   2304      how often each of 19 lengths came; 2384: lengths of their codes; 2404: the codes
 *   2448      the lengths as runs, `extra bits << 8 | symbol` of 16 bits, at most 320
 *   4096      room to make a code in: 288 numbers, 5248: their symbols; 5824: codes by length, 33 numbers
 */
const atBits: usize = 4, atCount: usize = 8;
const literalsAt: usize = 64, distancesAt: usize = 1216, lengthsAt: usize = 1344, codesAt: usize = 1664;
const runCountsAt: usize = 2304, runLengthsAt: usize = 2384, runCodesAt: usize = 2404, runsAt: usize = 2448;
const keysAt: usize = 4096, sortedAt: usize = 5248, perLengthAt: usize = 5824;
const mostLiterals: u32 = 288, mostDistances: u32 = 32, runSymbols: u32 = 19;
const endOfBlock: u32 = 256;
const mostStored: u32 = 65535;

// @ts-ignore: decorator
@lazy const lengthOrder: usize = memory.data<u8>([16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]);

// @ts-ignore: decorator
@inline
function log2(value: u32): u32 {
  return 31 - <u32>clz(value);
}

/** Symbol of a length, from 3 to 258. */
// @ts-ignore: decorator
@inline
function lengthSymbol(length: u32): u32 {
  const x = length - 3;
  if (x < 4) return 257 + x;
  if (x === 255) return 285;
  const n = log2(x);
  return 257 + ((n - 1) << 2) + ((x >>> (n - 2)) & 3);
}

/** Bits behind the code of a length. */
// @ts-ignore: decorator
@inline
function lengthExtra(symbol: u32): u32 {
  return symbol < 265 || symbol === 285 ? 0 : (symbol - 261) >>> 2;
}

/** Symbol of a distance, from 1 to 32,768. */
// @ts-ignore: decorator
@inline
function distanceSymbol(distance: u32): u32 {
  const x = distance - 1;
  if (x < 2) return x;
  const n = log2(x);
  return (n << 1) + ((x >>> (n - 1)) & 1);
}

// @ts-ignore: decorator
@inline
function distanceExtra(symbol: u32): u32 {
  return symbol < 2 ? 0 : (symbol >>> 1) - 1;
}

// @ts-ignore: decorator
@inline
function addOne(counts: usize, symbol: u32): void {
  const at = counts + (<usize>symbol << 2);
  store<u32>(at, load<u32>(at) + 1);
}

/** Begins to count. */
export function beginBlock(work: usize): void {
  memory.fill(work + literalsAt, 0, lengthsAt - literalsAt);
  addOne(work + literalsAt, endOfBlock);
}

/** Adds `distance << 16 | length`, or a literal, to a block. */
// @ts-ignore: decorator
@inline
export function addSymbol(work: usize, symbols: usize, index: u32, symbol: u32): void {
  store<u32>(symbols + (<usize>index << 2), symbol);
  const distance = symbol >>> 16;
  if (distance === 0) {
    addOne(work + literalsAt, symbol);
    return;
  }
  addOne(work + literalsAt, lengthSymbol(symbol & 0xffff));
  addOne(work + distancesAt, distanceSymbol(distance));
}

/** Sorts the symbols that came, rarest first; gives their number. */
function sortKeys(work: usize, counts: usize, symbols: u32): u32 {
  const keys = work + keysAt, sorted = work + sortedAt;
  let length: u32 = 0;
  for (let symbol: u32 = 0; symbol < symbols; symbol++) {
    const key = load<u32>(counts + (<usize>symbol << 2));
    if (key === 0) continue;
    let at = length++;
    for (; at > 0 && load<u32>(keys + (<usize>(at - 1) << 2)) > key; at--) {
      store<u32>(keys + (<usize>at << 2), load<u32>(keys + (<usize>(at - 1) << 2)));
      store<u16>(sorted + (<usize>at << 1), load<u16>(sorted + (<usize>(at - 1) << 1)));
    }
    store<u32>(keys + (<usize>at << 2), key);
    store<u16>(sorted + (<usize>at << 1), <u16>symbol);
  }
  return length;
}

// @ts-ignore: decorator
@inline
function key(keys: usize, index: i32): u32 {
  return load<u32>(keys + (<usize>index << 2));
}
// @ts-ignore: decorator
@inline
function setKey(keys: usize, index: i32, value: u32): void {
  store<u32>(keys + (<usize>index << 2), value);
}

/** Turns at least two counts, least first, into lengths of codes, in place (Moffat and Katajainen, In-Place Calculation of Minimum-Redundancy Codes). */
function minimise(keys: usize, length: i32): void {
  setKey(keys, 0, key(keys, 0) + key(keys, 1));
  let root = 0, leaf = 2;
  for (let next = 1; next < length - 1; next++) {
    let sum: u32 = 0;
    for (let child = 0; child < 2; child++) {
      const isTree = leaf >= length || ((child === 0 || root < next) && key(keys, root) < key(keys, leaf));
      if (isTree) {
        sum += key(keys, root);
        setKey(keys, root++, next);
      } else sum += key(keys, leaf++);
    }
    setKey(keys, next, sum);
  }
  setKey(keys, length - 2, 0);
  for (let next = length - 3; next >= 0; next--) setKey(keys, next, key(keys, <i32>key(keys, next)) + 1);
  let available = 1, used = 0;
  let depth: u32 = 0;
  root = length - 2;
  for (let next = length - 1; available > 0; depth++) {
    for (; root >= 0 && key(keys, root) === depth; root--) used++;
    for (; available > used; available--) setKey(keys, next--, depth);
    available = 2 * used;
    used = 0;
  }
}

/** Makes no code longer than `most` bits: `perLength` are the numbers of codes, whose sum of 2^-length stays 1. */
function shorten(perLength: usize, most: u32): void {
  let last = load<u32>(perLength + (most << 2));
  for (let length = most + 1; length < 33; length++) last += load<u32>(perLength + (length << 2));
  store<u32>(perLength + (most << 2), last);
  let total: u32 = 0;
  for (let length: u32 = 1; length <= most; length++) total += load<u32>(perLength + (length << 2)) << (most - length);
  for (; total > 1 << most; total--) {
    store<u32>(perLength + (most << 2), load<u32>(perLength + (most << 2)) - 1);
    for (let length = most - 1; length > 0; length--) {
      const at = perLength + (length << 2);
      if (load<u32>(at) === 0) continue;
      store<u32>(at, load<u32>(at) - 1);
      store<u32>(at + 4, load<u32>(at + 4) + 2);
      break;
    }
  }
}

/** Makes a code of counts: the length for each symbol, and its bits. Symbols that did not come have none; there are two at least. */
function makeCode(work: usize, counts: usize, symbols: u32, lengths: usize, codes: usize, most: u32): void {
  const keys = work + keysAt, sorted = work + sortedAt, perLength = work + perLengthAt;
  let length = sortKeys(work, counts, symbols);
  for (let symbol: u32 = 0; length < 2; symbol++) {
    if (load<u32>(counts + (<usize>symbol << 2)) === 0) store<u32>(counts + (<usize>symbol << 2), 1);
    length = sortKeys(work, counts, symbols);
  }
  minimise(keys, <i32>length);
  memory.fill(perLength, 0, 33 << 2);
  for (let index: u32 = 0; index < length; index++) addOne(perLength, min<u32>(load<u32>(keys + (<usize>index << 2)), 32));
  shorten(perLength, most);
  memory.fill(lengths, 0, symbols);
  let index = length;
  for (let bits: u32 = 1; bits <= most; bits++)
    for (let left = load<u32>(perLength + (bits << 2)); left > 0; left--) store<u8>(lengths + load<u16>(sorted + (<usize>(--index) << 1)), <u8>bits);
  setCodes(lengths, symbols, codes);
}

/** The bits of codes with these lengths, turned round, since they are written highest bit first (§3.2.2). */
function setCodes(lengths: usize, symbols: u32, codes: usize): void {
  let next: u32 = 0;
  for (let length: u32 = 1; length < 16; length++) {
    for (let symbol: u32 = 0; symbol < symbols; symbol++) {
      if (load<u8>(lengths + symbol) !== length) continue;
      let reversed: u32 = 0;
      for (let bit: u32 = 0; bit < length; bit++) reversed |= ((next >>> bit) & 1) << (length - 1 - bit);
      store<u16>(codes + (<usize>symbol << 1), <u16>reversed);
      next++;
    }
    next <<= 1;
  }
}

/** Lengths up to the last that is not zero, `least` of them at least. */
function usedOf(lengths: usize, symbols: u32, least: u32): u32 {
  let used = symbols;
  while (used > least && load<u8>(lengths + used - 1) === 0) used--;
  return used;
}

/** Writes the lengths as runs (§3.2.7) and counts them; gives the number of runs. */
function makeRuns(work: usize, lengths: usize, total: u32): u32 {
  const counts = work + runCountsAt, runs = work + runsAt;
  memory.fill(counts, 0, runSymbols << 2);
  let made: u32 = 0;
  for (let at: u32 = 0; at < total; ) {
    const value = <u32>load<u8>(lengths + at);
    let same: u32 = 1;
    while (at + same < total && load<u8>(lengths + at + same) === value) same++;
    at += same;
    if (value !== 0) {
      addRun(counts, runs, made++, value);
      same--;
    }
    while (same >= 3) {
      const run = min<u32>(same, value !== 0 ? 6 : 138);
      const symbol: u32 = value !== 0 ? 16 : run < 11 ? 17 : 18;
      addRun(counts, runs, made++, symbol | ((run - (symbol === 18 ? 11 : 3)) << 8));
      same -= run;
    }
    for (; same > 0; same--) addRun(counts, runs, made++, value);
  }
  return made;
}

function addRun(counts: usize, runs: usize, index: u32, run: u32): void {
  store<u16>(runs + (<usize>index << 1), <u16>run);
  addOne(counts, run & 0xff);
}

// @ts-ignore: decorator
@inline
function runExtra(symbol: u32): u32 {
  return symbol === 16 ? 2 : symbol === 17 ? 3 : symbol === 18 ? 7 : 0;
}

/** Bits of the block's symbols under codes of these lengths. */
function bitsOf(work: usize, lengths: usize): u32 {
  let bits: u32 = 0;
  for (let symbol: u32 = 0; symbol < mostLiterals; symbol++) {
    const extra = symbol > 256 ? lengthExtra(symbol) : 0;
    bits += load<u32>(work + literalsAt + (<usize>symbol << 2)) * (load<u8>(lengths + symbol) + extra);
  }
  for (let symbol: u32 = 0; symbol < mostDistances; symbol++)
    bits += load<u32>(work + distancesAt + (<usize>symbol << 2)) * (load<u8>(lengths + mostLiterals + symbol) + distanceExtra(symbol));
  return bits;
}

function setFixed(work: usize): void {
  const lengths = work + lengthsAt;
  memory.fill(lengths, 8, 144);
  memory.fill(lengths + 144, 9, 112);
  memory.fill(lengths + 256, 7, 24);
  memory.fill(lengths + 280, 8, 8);
  memory.fill(lengths + mostLiterals, 5, mostDistances);
  setCodes(lengths, mostLiterals, work + codesAt);
  setCodes(lengths + mostLiterals, mostDistances, work + codesAt + (mostLiterals << 1));
}

/** Adds at most 16 bits. Gives the place behind the bytes that are full. */
function put(work: usize, at: usize, value: u32, bits: u32): usize {
  let all = load<u32>(work + atBits) | (value << load<u32>(work + atCount));
  let count = load<u32>(work + atCount) + bits;
  let to = at;
  for (; count >= 8; count -= 8) {
    store<u8>(to++, <u8>all);
    all >>>= 8;
  }
  store<u32>(work + atBits, all);
  store<u32>(work + atCount, count);
  return to;
}

/** Fills the last byte. */
function align(work: usize, at: usize): usize {
  return load<u32>(work + atCount) === 0 ? at : put(work, at, 0, 8 - load<u32>(work + atCount));
}

/** Writes the symbols under the codes that were made. */
function putSymbols(work: usize, at: usize, symbols: usize, count: u32): usize {
  const lengths = work + lengthsAt, codes = work + codesAt;
  let bits = <u64>load<u32>(work + atBits);
  let held = load<u32>(work + atCount);
  let to = at;
  for (let index: u32 = 0; index <= count; index++) {
    const given = index === count ? endOfBlock : load<u32>(symbols + (<usize>index << 2));
    const distance = given >>> 16;
    const size = given & 0xffff;
    const symbol = distance === 0 ? size : lengthSymbol(size);
    bits |= <u64>load<u16>(codes + (<usize>symbol << 1)) << held;
    held += load<u8>(lengths + symbol);
    if (distance !== 0) {
      let extra = lengthExtra(symbol);
      bits |= <u64>((size - 3) & ((1 << extra) - 1)) << held;
      held += extra;
      const far = distanceSymbol(distance);
      bits |= <u64>load<u16>(codes + (<usize>(mostLiterals + far) << 1)) << held;
      held += load<u8>(lengths + mostLiterals + far);
      extra = distanceExtra(far);
      bits |= <u64>((distance - 1) & ((1 << extra) - 1)) << held;
      held += extra;
    }
    store<u64>(to, bits);
    to += held >>> 3;
    bits >>>= held & 0x38;
    held &= 7;
  }
  store<u32>(work + atBits, <u32>bits);
  store<u32>(work + atCount, held);
  return to;
}

/** Writes bytes as they are, in as many blocks as they need. */
function putStored(work: usize, at: usize, bytes: usize, length: u32, isLast: bool): usize {
  let to = at;
  let done: u32 = 0;
  do {
    const size = min(length - done, mostStored);
    to = put(work, to, u32(isLast && done + size === length), 3);
    to = align(work, to);
    store<u16>(to, <u16>size);
    store<u16>(to, <u16>~size, 2);
    memory.copy(to + 4, bytes + done, size);
    to += 4 + size;
    done += size;
  } while (done < length);
  return to;
}

/** Writes the head of a dynamic block, behind its first three bits. */
function putCodes(work: usize, at: usize, literals: u32, distances: u32, runs: u32, given: u32): usize {
  const lengths = work + runLengthsAt, codes = work + runCodesAt;
  let to = put(work, at, (literals - 257) | ((distances - 1) << 5), 10);
  to = put(work, to, given - 4, 4);
  for (let index: u32 = 0; index < given; index++) to = put(work, to, load<u8>(lengths + load<u8>(lengthOrder + index)), 3);
  for (let index: u32 = 0; index < runs; index++) {
    const run = <u32>load<u16>(work + runsAt + (<usize>index << 1));
    const symbol = run & 0xff;
    to = put(work, to, load<u16>(codes + (<usize>symbol << 1)), load<u8>(lengths + symbol));
    to = put(work, to, run >>> 8, runExtra(symbol));
  }
  return to;
}

/** Writes a block of symbols, which stand for these bytes. Gives the place behind what was written. */
export function writeBlock(work: usize, symbols: usize, count: u32, bytes: usize, length: u32, isLast: bool, output: usize): usize {
  store<u32>(work + atCount, load<u32>(work + atCount) & 7);
  store<u32>(work + atBits, load<u32>(work + atBits) & 0x7f);
  const lengths = work + lengthsAt;
  setFixed(work);
  const fixed = bitsOf(work, lengths);
  makeCode(work, work + literalsAt, mostLiterals, lengths, work + codesAt, 15);
  makeCode(work, work + distancesAt, 30, lengths + mostLiterals, work + codesAt + (mostLiterals << 1), 15);
  const literals = usedOf(lengths, mostLiterals, 257);
  const distances = usedOf(lengths + mostLiterals, 30, 1);
  // Runs go from the literals on to the distances.
  const whole = work + keysAt;
  memory.copy(whole, lengths, literals);
  memory.copy(whole + literals, lengths + mostLiterals, distances);
  const runs = makeRuns(work, whole, literals + distances);
  makeCode(work, work + runCountsAt, runSymbols, work + runLengthsAt, work + runCodesAt, 7);
  let given = runSymbols;
  while (given > 4 && load<u8>(work + runLengthsAt + load<u8>(lengthOrder + given - 1)) === 0) given--;
  let dynamic = bitsOf(work, lengths) + 14 + given * 3;
  for (let symbol: u32 = 0; symbol < runSymbols; symbol++)
    dynamic += load<u32>(work + runCountsAt + (<usize>symbol << 2)) * (load<u8>(work + runLengthsAt + symbol) + runExtra(symbol));
  const least = min(fixed, dynamic);
  const stored = ((length / mostStored) * 5 + length + 5) << 3;
  if (length < 1 << 27 && stored < least) return finish(work, putStored(work, output, bytes, length, isLast), isLast);
  let to = put(work, output, u32(isLast) | (least === fixed ? 2 : 4), 3);
  if (least === fixed) setFixed(work);
  else to = putCodes(work, to, literals, distances, runs, given);
  return finish(work, putSymbols(work, to, symbols, count), isLast);
}

function finish(work: usize, at: usize, isLast: bool): usize {
  return isLast ? align(work, at) : at;
}
