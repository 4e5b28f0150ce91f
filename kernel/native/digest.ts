/**
 * SHA-1, SHA-256, SHA-384, SHA-512 (FIPS 180-4) and HMAC (RFC 2104), one computation at a time in static memory.
 * The constants are the standard's: fractional parts of the cube and square roots of the first primes. SHA-256's round
 * constants are the upper halves of SHA-512's first 64.
 */

// prettier-ignore
// @ts-ignore: decorator
@lazy const rounds: usize = memory.data<u64>([
  0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc, 0x3956c25bf348b538, 0x59f111f1b605d019,
  0x923f82a4af194f9b, 0xab1c5ed5da6d8118, 0xd807aa98a3030242, 0x12835b0145706fbe, 0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2,
  0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235, 0xc19bf174cf692694, 0xe49b69c19ef14ad2, 0xefbe4786384f25e3,
  0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65, 0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5,
  0x983e5152ee66dfab, 0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4, 0xc6e00bf33da88fc2, 0xd5a79147930aa725,
  0x06ca6351e003826f, 0x142929670a0e6e70, 0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed, 0x53380d139d95b3df,
  0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b, 0xa2bfe8a14cf10364, 0xa81a664bbc423001,
  0xc24b8b70d0f89791, 0xc76c51a30654be30, 0xd192e819d6ef5218, 0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8,
  0x19a4c116b8d2d0c8, 0x1e376c085141ab53, 0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8, 0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb,
  0x5b9cca4f7763e373, 0x682e6ff3d6b2b8a3, 0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
  0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b, 0xca273eceea26619c, 0xd186b8c721c0c207,
  0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178, 0x06f067aa72176fba, 0x0a637dc5a2c898a6, 0x113f9804bef90dae, 0x1b710b35131c471b,
  0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc, 0x431d67c49c100d4c, 0x4cc5d4becb3e42b6, 0x597f299cfc657e2a,
  0x5fcb6fab3ad6faec, 0x6c44198c4a475817
]);
// @ts-ignore: decorator
@lazy const start512: usize = memory.data<u64>([
  0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1, 0x510e527fade682d1, 0x9b05688c2b3e6c1f,
  0x1f83d9abfb41bd6b, 0x5be0cd19137e2179
]);
// @ts-ignore: decorator
@lazy const start384: usize = memory.data<u64>([
  0xcbbb9d5dc1059ed8, 0x629a292a367cd507, 0x9159015a3070dd17, 0x152fecd8f70e5939, 0x67332667ffc00b31, 0x8eb44a8768581511,
  0xdb0c2e0d64f98fa7, 0x47b5481dbefa4fa4
]);
// @ts-ignore: decorator
@lazy const start256: usize = memory.data<u32>([
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19
]);
// @ts-ignore: decorator
@lazy const start1: usize = memory.data<u32>([0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0]);

/** The hash under way: 64 bytes of state, then a block of at most 128 bytes, then the message schedule. */
// @ts-ignore: decorator
@lazy const state: usize = memory.data(64, 16);
// @ts-ignore: decorator
@lazy const block: usize = memory.data(128, 16);
// @ts-ignore: decorator
@lazy const schedule: usize = memory.data(640, 16);
// @ts-ignore: decorator
@lazy const inner: usize = memory.data(64, 16);
// @ts-ignore: decorator
@lazy const padded: usize = memory.data(128, 16);

/** Length of a digest in bytes; 0 for an algorithm there is not. */
export function digestBytes(algorithm: i32): u32 {
  switch (algorithm) {
    case 1: return 20;
    case 256: return 32;
    case 384: return 48;
    case 512: return 64;
    default: return 0;
  }
}

function blockBytes(algorithm: i32): u32 {
  return algorithm > 256 ? 128 : 64;
}

function begin(algorithm: i32): void {
  if (algorithm === 1) memory.copy(state, start1, 20);
  else if (algorithm === 256) memory.copy(state, start256, 32);
  else memory.copy(state, algorithm === 384 ? start384 : start512, 64);
}

function compress1(at: usize): void {
  const w = schedule;
  for (let i: u32 = 0; i < 16; i++) store<u32>(w + (i << 2), bswap<u32>(load<u32>(at + (i << 2))));
  for (let i: u32 = 16; i < 80; i++) {
    const p = w + (i << 2);
    store<u32>(p, rotl<u32>(load<u32>(p - 12) ^ load<u32>(p - 32) ^ load<u32>(p - 56) ^ load<u32>(p - 64), 1));
  }
  let a = load<u32>(state), b = load<u32>(state, 4), c = load<u32>(state, 8), d = load<u32>(state, 12), e = load<u32>(state, 16);
  for (let i: u32 = 0; i < 80; i++) {
    let f: u32, k: u32;
    if (i < 20) { f = (b & c) | (~b & d); k = 0x5a827999; }
    else if (i < 40) { f = b ^ c ^ d; k = 0x6ed9eba1; }
    else if (i < 60) { f = (b & c) | (b & d) | (c & d); k = 0x8f1bbcdc; }
    else { f = b ^ c ^ d; k = 0xca62c1d6; }
    const t = rotl<u32>(a, 5) + f + e + k + load<u32>(w + (i << 2));
    e = d; d = c; c = rotl<u32>(b, 30); b = a; a = t;
  }
  store<u32>(state, load<u32>(state) + a);
  store<u32>(state, load<u32>(state, 4) + b, 4);
  store<u32>(state, load<u32>(state, 8) + c, 8);
  store<u32>(state, load<u32>(state, 12) + d, 12);
  store<u32>(state, load<u32>(state, 16) + e, 16);
}

function compress256(at: usize): void {
  const w = schedule;
  for (let i: u32 = 0; i < 16; i++) store<u32>(w + (i << 2), bswap<u32>(load<u32>(at + (i << 2))));
  for (let i: u32 = 16; i < 64; i++) {
    const p = w + (i << 2);
    const x = load<u32>(p - 60), y = load<u32>(p - 8);
    const s0 = rotr<u32>(x, 7) ^ rotr<u32>(x, 18) ^ (x >> 3);
    const s1 = rotr<u32>(y, 17) ^ rotr<u32>(y, 19) ^ (y >> 10);
    store<u32>(p, load<u32>(p - 64) + s0 + load<u32>(p - 28) + s1);
  }
  let a = load<u32>(state), b = load<u32>(state, 4), c = load<u32>(state, 8), d = load<u32>(state, 12);
  let e = load<u32>(state, 16), f = load<u32>(state, 20), g = load<u32>(state, 24), h = load<u32>(state, 28);
  for (let i: u32 = 0; i < 64; i++) {
    const s1 = rotr<u32>(e, 6) ^ rotr<u32>(e, 11) ^ rotr<u32>(e, 25);
    const t1 = h + s1 + ((e & f) ^ (~e & g)) + load<u32>(rounds + (i << 3), 4) + load<u32>(w + (i << 2));
    const s0 = rotr<u32>(a, 2) ^ rotr<u32>(a, 13) ^ rotr<u32>(a, 22);
    const t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
    h = g; g = f; f = e; e = d + t1; d = c; c = b; b = a; a = t1 + t2;
  }
  store<u32>(state, load<u32>(state) + a);
  store<u32>(state, load<u32>(state, 4) + b, 4);
  store<u32>(state, load<u32>(state, 8) + c, 8);
  store<u32>(state, load<u32>(state, 12) + d, 12);
  store<u32>(state, load<u32>(state, 16) + e, 16);
  store<u32>(state, load<u32>(state, 20) + f, 20);
  store<u32>(state, load<u32>(state, 24) + g, 24);
  store<u32>(state, load<u32>(state, 28) + h, 28);
}

function compress512(at: usize): void {
  const w = schedule;
  for (let i: u32 = 0; i < 16; i++) store<u64>(w + (i << 3), bswap<u64>(load<u64>(at + (i << 3))));
  for (let i: u32 = 16; i < 80; i++) {
    const p = w + (i << 3);
    const x = load<u64>(p - 120), y = load<u64>(p - 16);
    const s0 = rotr<u64>(x, 1) ^ rotr<u64>(x, 8) ^ (x >> 7);
    const s1 = rotr<u64>(y, 19) ^ rotr<u64>(y, 61) ^ (y >> 6);
    store<u64>(p, load<u64>(p - 128) + s0 + load<u64>(p - 56) + s1);
  }
  let a = load<u64>(state), b = load<u64>(state, 8), c = load<u64>(state, 16), d = load<u64>(state, 24);
  let e = load<u64>(state, 32), f = load<u64>(state, 40), g = load<u64>(state, 48), h = load<u64>(state, 56);
  for (let i: u32 = 0; i < 80; i++) {
    const s1 = rotr<u64>(e, 14) ^ rotr<u64>(e, 18) ^ rotr<u64>(e, 41);
    const t1 = h + s1 + ((e & f) ^ (~e & g)) + load<u64>(rounds + (i << 3)) + load<u64>(w + (i << 3));
    const s0 = rotr<u64>(a, 28) ^ rotr<u64>(a, 34) ^ rotr<u64>(a, 39);
    const t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
    h = g; g = f; f = e; e = d + t1; d = c; c = b; b = a; a = t1 + t2;
  }
  store<u64>(state, load<u64>(state) + a);
  store<u64>(state, load<u64>(state, 8) + b, 8);
  store<u64>(state, load<u64>(state, 16) + c, 16);
  store<u64>(state, load<u64>(state, 24) + d, 24);
  store<u64>(state, load<u64>(state, 32) + e, 32);
  store<u64>(state, load<u64>(state, 40) + f, 40);
  store<u64>(state, load<u64>(state, 48) + g, 48);
  store<u64>(state, load<u64>(state, 56) + h, 56);
}

function compress(algorithm: i32, at: usize): void {
  if (algorithm === 1) compress1(at);
  else if (algorithm === 256) compress256(at);
  else compress512(at);
}

/** Hashes whole blocks of `bytes`, then the rest with its padding; `before` bytes were hashed already (a multiple of the block). */
function finish(algorithm: i32, bytes: usize, length: u32, before: u32, target: usize): void {
  const size = blockBytes(algorithm);
  let at: u32 = 0;
  for (; at + size <= length; at += size) compress(algorithm, bytes + at);
  const rest = length - at;
  memory.fill(block, 0, 128);
  memory.copy(block, bytes + at, rest);
  store<u8>(block + rest, 0x80);
  const lengthBytes: u32 = size >> 3;
  if (rest + 1 + lengthBytes > size) {
    compress(algorithm, block);
    memory.fill(block, 0, 128);
  }
  store<u64>(block + size - 8, bswap<u64>((<u64>before + <u64>length) << 3));
  compress(algorithm, block);
  const words = digestBytes(algorithm);
  if (algorithm > 256) for (let i: u32 = 0; i < words; i += 8) store<u64>(target + i, bswap<u64>(load<u64>(state + i)));
  else for (let i: u32 = 0; i < words; i += 4) store<u32>(target + i, bswap<u32>(load<u32>(state + i)));
}

export function digest(algorithm: i32, bytes: usize, length: u32, target: usize): void {
  begin(algorithm);
  finish(algorithm, bytes, length, 0, target);
}

function padKey(size: u32, mask: u8): void {
  for (let i: u32 = 0; i < size; i++) store<u8>(padded + i, load<u8>(padded + i) ^ mask);
}

export function hmac(algorithm: i32, key: usize, keyLength: u32, bytes: usize, length: u32, target: usize): void {
  const size = blockBytes(algorithm);
  memory.fill(padded, 0, 128);
  if (keyLength > size) digest(algorithm, key, keyLength, padded);
  else memory.copy(padded, key, keyLength);
  padKey(size, 0x36);
  begin(algorithm);
  compress(algorithm, padded);
  finish(algorithm, bytes, length, size, inner);
  padKey(size, 0x36 ^ 0x5c);
  begin(algorithm);
  compress(algorithm, padded);
  finish(algorithm, inner, digestBytes(algorithm), size, target);
  memory.fill(padded, 0, 128); // no key stays behind
}

/** States after the padded key, inner and outer, of the repetitions under way. */
// @ts-ignore: decorator
@lazy const keyed: usize = memory.data(128, 16);

/** One block whose hash goes on from the state at `from`: `bytes`, as long as a digest, behind a whole block. The result takes their place. */
function finishShort(algorithm: i32, from: usize, bytes: usize, size: u32, length: u32): void {
  memory.copy(state, from, 64);
  memory.fill(block, 0, 128);
  memory.copy(block, bytes, length);
  store<u8>(block + length, 0x80);
  store<u64>(block + size - 8, bswap<u64>(<u64>(size + length) << 3));
  compress(algorithm, block);
  if (algorithm > 256) for (let i: u32 = 0; i < length; i += 8) store<u64>(bytes + i, bswap<u64>(load<u64>(state + i)));
  else for (let i: u32 = 0; i < length; i += 4) store<u32>(bytes + i, bswap<u32>(load<u32>(state + i)));
}

/** HMACs `value` so many times in place, and adds each result to `sum`: the key's blocks are hashed once. */
export function repeatHmac(algorithm: i32, key: usize, keyLength: u32, value: usize, sum: usize, iterations: i32): void {
  const size = blockBytes(algorithm);
  const length = digestBytes(algorithm);
  memory.fill(padded, 0, 128);
  if (keyLength > size) digest(algorithm, key, keyLength, padded);
  else memory.copy(padded, key, keyLength);
  for (let side: u32 = 0; side < 2; side++) {
    padKey(size, side === 0 ? 0x36 : 0x36 ^ 0x5c);
    begin(algorithm);
    compress(algorithm, padded);
    memory.copy(keyed + 64 * side, state, 64);
  }
  for (let i = 0; i < iterations; i++) {
    finishShort(algorithm, keyed, value, size, length);
    finishShort(algorithm, keyed + 64, value, size, length);
    for (let at: u32 = 0; at < length; at += 4) store<u32>(sum + at, load<u32>(sum + at) ^ load<u32>(value + at));
  }
  memory.fill(padded, 0, 128); // no key stays behind
  memory.fill(keyed, 0, 128);
}
