/** CRC-32 (RFC 1952, §8), eight bytes at a time, and Adler-32 (RFC 1950, §8.2). */

/** Bytes of the tables of `crc32`: eight of 256 entries. */
export const crcTablesBytes: u32 = 8192;

/** Makes the tables: entry b of table n is the remainder of byte b with n zero bytes behind it. */
export function makeCrcTables(tables: usize): void {
  for (let byte: u32 = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0xedb88320 & (0 - (crc & 1)));
    store<u32>(tables + (byte << 2), crc);
  }
  for (let at: u32 = 256; at < 2048; at++) {
    const before = load<u32>(tables + ((at - 256) << 2));
    store<u32>(tables + (at << 2), (before >>> 8) ^ load<u32>(tables + ((before & 0xff) << 2)));
  }
}

// @ts-ignore: decorator
@inline
function entry(tables: usize, table: usize, byte: u32): u32 {
  return load<u32>(tables + (table << 10) + ((byte & 0xff) << 2));
}

/** `crc`: of the bytes before, 0 at the beginning. */
export function crc32(tables: usize, crc: u32, bytes: usize, length: u32): u32 {
  let sum = ~crc;
  let at = bytes;
  const end = bytes + length;
  for (; at + 8 <= end; at += 8) {
    const low = load<u32>(at) ^ sum;
    const high = load<u32>(at, 4);
    sum =
      entry(tables, 7, low) ^ entry(tables, 6, low >>> 8) ^ entry(tables, 5, low >>> 16) ^ entry(tables, 4, low >>> 24) ^
      entry(tables, 3, high) ^ entry(tables, 2, high >>> 8) ^ entry(tables, 1, high >>> 16) ^ entry(tables, 0, high >>> 24);
  }
  for (; at < end; at++) sum = entry(tables, 0, sum ^ load<u8>(at)) ^ (sum >>> 8);
  return ~sum;
}

const adlerBase: u32 = 65521;
/** The most bytes of which the second sum stays below 2^32. */
const adlerRun: u32 = 5552;

/** `sum`: of the bytes before, 1 at the beginning. */
export function adler32(sum: u32, bytes: usize, length: u32): u32 {
  let low = sum & 0xffff;
  let high = sum >>> 16;
  let at = bytes;
  let left = length;
  while (left > 0) {
    const run = min(left, adlerRun);
    left -= run;
    for (const end = at + run; at < end; at++) {
      low += load<u8>(at);
      high += low;
    }
    low %= adlerBase;
    high %= adlerBase;
  }
  return (high << 16) | low;
}
