/** SHA-256 (FIPS 180-4, 6.2), for ids that are too long to be kept, and HMAC with it (RFC 2104), for signatures. One text at a time. */
// @ts-ignore: decorator
@lazy const constants: usize = memory.data<u32>([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
  0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
  0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
  0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
]);
// @ts-ignore: decorator
@lazy const state: usize = memory.data(32, 16);
// @ts-ignore: decorator
@lazy const words: usize = memory.data(256, 16);
// @ts-ignore: decorator
@lazy const tail: usize = memory.data(128, 16);

// @ts-ignore: decorator
@inline function word(index: u32): u32 { return load<u32>(words + (<usize>index << 2)); }

function setState(index: u32, value: u32): void { store<u32>(state + (<usize>index << 2), value); }
function stateOf(index: u32): u32 { return load<u32>(state + (<usize>index << 2)); }

function block(at: usize): void {
  for (let index: u32 = 0; index < 16; index++) store<u32>(words + (<usize>index << 2), bswap<u32>(load<u32>(at + (<usize>index << 2))));
  for (let index: u32 = 16; index < 64; index++) {
    const x = word(index - 15);
    const y = word(index - 2);
    const small = rotr<u32>(x, 7) ^ rotr<u32>(x, 18) ^ (x >> 3);
    const large = rotr<u32>(y, 17) ^ rotr<u32>(y, 19) ^ (y >> 10);
    store<u32>(words + (<usize>index << 2), word(index - 16) + small + word(index - 7) + large);
  }
  let a = stateOf(0), b = stateOf(1), c = stateOf(2), d = stateOf(3), e = stateOf(4), f = stateOf(5), g = stateOf(6), h = stateOf(7);
  for (let index: u32 = 0; index < 64; index++) {
    const one = h + (rotr<u32>(e, 6) ^ rotr<u32>(e, 11) ^ rotr<u32>(e, 25)) + ((e & f) ^ (~e & g)) + load<u32>(constants + (<usize>index << 2)) + word(index);
    const two = (rotr<u32>(a, 2) ^ rotr<u32>(a, 13) ^ rotr<u32>(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g; g = f; f = e; e = d + one; d = c; c = b; b = a; a = one + two;
  }
  setState(0, stateOf(0) + a); setState(1, stateOf(1) + b); setState(2, stateOf(2) + c); setState(3, stateOf(3) + d);
  setState(4, stateOf(4) + e); setState(5, stateOf(5) + f); setState(6, stateOf(6) + g); setState(7, stateOf(7) + h);
}

let held: u32 = 0;
let total: u64 = 0;

export const digestBytes: u32 = 32;
const blockBytes: u32 = 64;

/** Begins a text. */
export function beginSha256(): void {
  setState(0, 0x6a09e667); setState(1, 0xbb67ae85); setState(2, 0x3c6ef372); setState(3, 0xa54ff53a);
  setState(4, 0x510e527f); setState(5, 0x9b05688c); setState(6, 0x1f83d9ab); setState(7, 0x5be0cd19);
  held = 0;
  total = 0;
}

/** Adds bytes to the text. */
export function addSha256(at: usize, length: u32): void {
  total += length;
  if (held > 0) {
    const more = min<u32>(blockBytes - held, length);
    memory.copy(tail + held, at, more);
    held += more;
    at += more;
    length -= more;
    if (held < blockBytes) return;
    block(tail);
    held = 0;
  }
  for (; length >= blockBytes; at += blockBytes, length -= blockBytes) block(at);
  memory.copy(tail, at, length);
  held = length;
}

/** Ends the text, and writes its digest: 32 bytes. */
export function endSha256(to: usize): void {
  const padded: u32 = held < 56 ? blockBytes : 2 * blockBytes;
  memory.fill(tail + held, 0, padded - held);
  store<u8>(tail + held, 0x80);
  store<u64>(tail + padded - 8, bswap<u64>(total << 3));
  block(tail);
  if (padded > blockBytes) block(tail + blockBytes);
  for (let index: u32 = 0; index < 8; index++) store<u32>(to + (<usize>index << 2), bswap<u32>(stateOf(index)));
}

// @ts-ignore: decorator
@lazy const digest: usize = memory.data(32, 16);

/** Writes the digest as 64 hexadecimal digits. */
export function writeSha256(at: usize, length: u32, to: usize): void {
  beginSha256();
  addSha256(at, length);
  endSha256(digest);
  for (let index: u32 = 0; index < 64; index++) {
    const digit = (<u32>load<u8>(digest + (index >> 1)) >> (index & 1 ? 0 : 4)) & 15;
    store<u8>(to + index, digit < 10 ? 48 + digit : 87 + digit);
  }
}

// @ts-ignore: decorator
@lazy const pad: usize = memory.data(64, 16);

function addPad(value: u32): void {
  for (let index: u32 = 0; index < blockBytes; index++) store<u8>(pad + index, <u32>load<u8>(pad + index) ^ value);
  addSha256(pad, blockBytes);
}

/** Begins an HMAC under a key; its text follows by `addSha256`. */
export function beginHmac(key: usize, length: u32): void {
  memory.fill(pad, 0, blockBytes);
  if (length <= blockBytes) memory.copy(pad, key, length);
  else {
    beginSha256();
    addSha256(key, length);
    endSha256(pad);
  }
  beginSha256();
  addPad(0x36);
}

/** Ends it, and writes 32 bytes. */
export function endHmac(to: usize): void {
  endSha256(digest);
  beginSha256();
  addPad(0x36 ^ 0x5c);
  addSha256(digest, digestBytes);
  endSha256(to);
  memory.fill(pad, 0, blockBytes);
}
