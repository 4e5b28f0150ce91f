/**
 * AES (FIPS 197) on bits instead of bytes: eight words of 64 bits hold four blocks, word i bit i of each byte. No table is looked up and no
 * branch depends on key or data, so nothing can be read off the cache or the clock. The S-box is the circuit of Boyar and Peralta
 * ("A small depth-16 circuit for the AES S-box", 2012).
 *
 * A byte of block b, column c and row r is bit 16 r + 4 c + b of the words: shifting rows turns 16 bits, and the rows of a column are 16 apart.
 */

/** Bytes of a key in use: 15 round keys of eight words, then the words of a state and of its copy. */
export const aesBytes: u32 = 15 * 64 + 2 * 64 + 64;
const atState: u32 = 15 * 64;
const atSpare: u32 = atState + 64;
const atBytes: u32 = atSpare + 64;

// @ts-ignore: decorator
@inline
function word(q: usize, index: u32): u64 {
  return load<u64>(q + (<usize>index << 3));
}

// @ts-ignore: decorator
@inline
function setWord(q: usize, index: u32, value: u64): void {
  store<u64>(q + (<usize>index << 3), value);
}

/** Bit i of byte j becomes bit j of byte i. */
function transpose(given: u64): u64 {
  let x = given;
  let t = (x ^ (x >> 7)) & 0x00aa00aa00aa00aa;
  x ^= t ^ (t << 7);
  t = (x ^ (x >> 14)) & 0x0000cccc0000cccc;
  x ^= t ^ (t << 14);
  t = (x ^ (x >> 28)) & 0x00000000f0f0f0f0;
  return x ^ t ^ (t << 28);
}

/** Address of byte j of the words' order, in four blocks. */
// @ts-ignore: decorator
@inline
function placeOf(blocks: usize, index: u32): usize {
  return blocks + (index & 3) * 16 + ((index >> 2) & 3) * 4 + (index >> 4);
}

function pack(q: usize, blocks: usize): void {
  memory.fill(q, 0, 64);
  for (let k: u32 = 0; k < 8; k++) {
    let x: u64 = 0;
    for (let m: u32 = 0; m < 8; m++) x |= <u64>load<u8>(placeOf(blocks, 8 * k + m)) << (8 * m);
    x = transpose(x);
    for (let i: u32 = 0; i < 8; i++) setWord(q, i, word(q, i) | (((x >> (8 * i)) & 0xff) << (8 * k)));
  }
}

function unpack(q: usize, blocks: usize): void {
  for (let k: u32 = 0; k < 8; k++) {
    let x: u64 = 0;
    for (let i: u32 = 0; i < 8; i++) x |= ((word(q, i) >> (8 * k)) & 0xff) << (8 * i);
    x = transpose(x);
    for (let m: u32 = 0; m < 8; m++) store<u8>(placeOf(blocks, 8 * k + m), <u8>(x >> (8 * m)));
  }
}

function substitute(q: usize): void {
  const x0 = word(q, 7), x1 = word(q, 6), x2 = word(q, 5), x3 = word(q, 4), x4 = word(q, 3), x5 = word(q, 2), x6 = word(q, 1), x7 = word(q, 0);
  const y14 = x3 ^ x5, y13 = x0 ^ x6, y9 = x0 ^ x3, y8 = x0 ^ x5, u0 = x1 ^ x2;
  const y1 = u0 ^ x7, y4 = y1 ^ x3, y12 = y13 ^ y14, y2 = y1 ^ x0, y5 = y1 ^ x6, y3 = y5 ^ y8, u1 = x4 ^ y12;
  const y15 = u1 ^ x5, y20 = u1 ^ x1, y6 = y15 ^ x7, y10 = y15 ^ u0, y11 = y20 ^ y9, y7 = x7 ^ y11, y17 = y10 ^ y11;
  const y19 = y10 ^ y8, y16 = u0 ^ y11, y21 = y13 ^ y16, y18 = x0 ^ y16;
  const t2 = y12 & y15, t4 = (y3 & y6) ^ t2, t6 = (y4 & x7) ^ t2, t7 = y13 & y16, t9 = (y5 & y1) ^ t7, t11 = (y2 & y7) ^ t7;
  const t12 = y9 & y11, t14 = (y14 & y17) ^ t12, t16 = (y8 & y10) ^ t12;
  const t21 = t4 ^ t14 ^ y20, t22 = t6 ^ t16 ^ y19, t23 = t9 ^ t14 ^ y21, t24 = t11 ^ t16 ^ y18;
  const t25 = t21 ^ t22, t26 = t21 & t23, t27 = t24 ^ t26, t29 = (t25 & t27) ^ t22, t30 = t23 ^ t24;
  const t33 = ((t22 ^ t26) & t30) ^ t24, t34 = t23 ^ t33, t36 = t24 & (t27 ^ t33), t37 = t36 ^ t34, t40 = t25 ^ (t29 & (t27 ^ t36));
  const t41 = t40 ^ t37, t42 = t29 ^ t33, t43 = t29 ^ t40, t44 = t33 ^ t37, t45 = t42 ^ t41;
  const z0 = t44 & y15, z1 = t37 & y6, z2 = t33 & x7, z3 = t43 & y16, z4 = t40 & y1, z5 = t29 & y7, z6 = t42 & y11, z7 = t45 & y17;
  const z8 = t41 & y10, z9 = t44 & y12, z10 = t37 & y3, z11 = t33 & y4, z12 = t43 & y13, z13 = t40 & y5, z14 = t29 & y2, z15 = t42 & y9;
  const z16 = t45 & y14, z17 = t41 & y8;
  const t46 = z15 ^ z16, t47 = z10 ^ z11, t48 = z5 ^ z13, t49 = z9 ^ z10, t50 = z2 ^ z12, t51 = z2 ^ z5, t52 = z7 ^ z8, t53 = z0 ^ z3;
  const t54 = z6 ^ z7, t55 = z16 ^ z17, t56 = z12 ^ t48, t57 = t50 ^ t53, t58 = z4 ^ t46, t59 = z3 ^ t54, t60 = t46 ^ t57, t61 = z14 ^ t57;
  const t62 = t52 ^ t58, t63 = t49 ^ t58, t64 = z4 ^ t59, t65 = t61 ^ t62, t66 = z1 ^ t63, t67 = t64 ^ t65;
  const s3 = t53 ^ t66;
  setWord(q, 7, t59 ^ t63);
  setWord(q, 6, ~(t64 ^ s3));
  setWord(q, 5, ~(t55 ^ t67));
  setWord(q, 4, s3);
  setWord(q, 3, t51 ^ t66);
  setWord(q, 2, t47 ^ t65);
  setWord(q, 1, ~(t56 ^ t62));
  setWord(q, 0, ~(t48 ^ t60));
}

/** The inverse of the S-box's last step, an affine map (FIPS 197, §5.3.2). */
function undoAffine(q: usize): void {
  const q0 = word(q, 0), q1 = word(q, 1), q2 = word(q, 2), q3 = word(q, 3), q4 = word(q, 4), q5 = word(q, 5), q6 = word(q, 6), q7 = word(q, 7);
  setWord(q, 0, ~(q2 ^ q5 ^ q7));
  setWord(q, 1, q3 ^ q6 ^ q0);
  setWord(q, 2, ~(q4 ^ q7 ^ q1));
  setWord(q, 3, q5 ^ q0 ^ q2);
  setWord(q, 4, q6 ^ q1 ^ q3);
  setWord(q, 5, q7 ^ q2 ^ q4);
  setWord(q, 6, q0 ^ q3 ^ q5);
  setWord(q, 7, q1 ^ q4 ^ q6);
}

/** The S-box is that map after the inverse of GF(2⁸), which is its own inverse. */
function substituteBack(q: usize): void {
  undoAffine(q);
  substitute(q);
  undoAffine(q);
}

// @ts-ignore: decorator
@inline
function shiftedRows(x: u64): u64 {
  const r1 = (x >> 16) & 0xffff, r2 = (x >> 32) & 0xffff, r3 = x >> 48;
  return (
    (x & 0xffff) | ((((r1 >> 4) | (r1 << 12)) & 0xffff) << 16) | ((((r2 >> 8) | (r2 << 8)) & 0xffff) << 32) | ((((r3 >> 12) | (r3 << 4)) & 0xffff) << 48)
  );
}

function shiftRows(q: usize): void {
  for (let i: u32 = 0; i < 8; i++) setWord(q, i, shiftedRows(word(q, i)));
}

/** Three more turns are a whole one. */
function shiftRowsBack(q: usize): void {
  for (let i: u32 = 0; i < 8; i++) setWord(q, i, shiftedRows(shiftedRows(shiftedRows(word(q, i)))));
}

/** Each row a becomes 2 (a + b) + b + c + d, with the rows b, c, d below it. */
function mixColumns(q: usize): void {
  const a0 = word(q, 0), a1 = word(q, 1), a2 = word(q, 2), a3 = word(q, 3), a4 = word(q, 4), a5 = word(q, 5), a6 = word(q, 6), a7 = word(q, 7);
  const b0 = rotr<u64>(a0, 16), b1 = rotr<u64>(a1, 16), b2 = rotr<u64>(a2, 16), b3 = rotr<u64>(a3, 16);
  const b4 = rotr<u64>(a4, 16), b5 = rotr<u64>(a5, 16), b6 = rotr<u64>(a6, 16), b7 = rotr<u64>(a7, 16);
  const s0 = a0 ^ b0, s1 = a1 ^ b1, s2 = a2 ^ b2, s3 = a3 ^ b3, s4 = a4 ^ b4, s5 = a5 ^ b5, s6 = a6 ^ b6, s7 = a7 ^ b7;
  setWord(q, 0, s7 ^ b0 ^ rotr<u64>(s0, 32));
  setWord(q, 1, s0 ^ s7 ^ b1 ^ rotr<u64>(s1, 32));
  setWord(q, 2, s1 ^ b2 ^ rotr<u64>(s2, 32));
  setWord(q, 3, s2 ^ s7 ^ b3 ^ rotr<u64>(s3, 32));
  setWord(q, 4, s3 ^ s7 ^ b4 ^ rotr<u64>(s4, 32));
  setWord(q, 5, s4 ^ b5 ^ rotr<u64>(s5, 32));
  setWord(q, 6, s5 ^ b6 ^ rotr<u64>(s6, 32));
  setWord(q, 7, s6 ^ b7 ^ rotr<u64>(s7, 32));
}

function addKey(q: usize, roundKey: usize): void {
  for (let i: u32 = 0; i < 8; i++) setWord(q, i, word(q, i) ^ word(roundKey, i));
}

function roundsOf(keyLength: u32): u32 {
  return (keyLength >> 2) + 6;
}

/** The S-box of each byte of a word, by way of the same circuit. */
function substituteWord(key: usize, value: u32): u32 {
  const bytes = key + atBytes;
  memory.fill(bytes, 0, 64);
  store<u32>(bytes, value);
  pack(key + atState, bytes);
  substitute(key + atState);
  unpack(key + atState, bytes);
  return load<u32>(bytes);
}

/** Expands a key of 16, 24 or 32 bytes (FIPS 197, §5.2). `room`: `aesBytes`, to be cleared by the caller. */
export function expandKey(room: usize, key: usize, keyLength: u32): void {
  const words: u32 = keyLength >> 2;
  const all: u32 = (roundsOf(keyLength) + 1) << 2;
  // The words are gathered where the round keys of bits will be: round k's 16 bytes at 64 k, its copies behind it.
  let constant: u32 = 1;
  for (let i: u32 = 0; i < all; i++) {
    let value: u32;
    if (i < words) value = load<u32>(key + 4 * i);
    else {
      value = load<u32>(wordPlace(room, i - 1));
      if (i % words === 0) {
        value = substituteWord(room, rotr<u32>(value, 8)) ^ constant;
        constant = ((constant << 1) ^ ((constant >> 7) * 0x11b)) & 0xff;
      } else if (words > 6 && i % words === 4) value = substituteWord(room, value);
      value ^= load<u32>(wordPlace(room, i - words));
    }
    store<u32>(wordPlace(room, i), value);
  }
  const bytes = room + atBytes;
  for (let round: u32 = 0; round << 2 < all; round++) {
    const at = room + 64 * round;
    for (let block: u32 = 0; block < 4; block++) memory.copy(bytes + 16 * block, at, 16);
    pack(at, bytes);
  }
}

// @ts-ignore: decorator
@inline
function wordPlace(room: usize, index: u32): usize {
  return room + 64 * (index >> 2) + 4 * (index & 3);
}

/** Enciphers four blocks of 16 bytes in place. */
export function encryptBlocks(room: usize, keyLength: u32, blocks: usize): void {
  const q = room + atState;
  const rounds = roundsOf(keyLength);
  pack(q, blocks);
  addKey(q, room);
  for (let round: u32 = 1; round < rounds; round++) {
    substitute(q);
    shiftRows(q);
    mixColumns(q);
    addKey(q, room + 64 * round);
  }
  substitute(q);
  shiftRows(q);
  addKey(q, room + 64 * rounds);
  unpack(q, blocks);
}

/** Deciphers four blocks of 16 bytes in place. */
export function decryptBlocks(room: usize, keyLength: u32, blocks: usize): void {
  const q = room + atState;
  const rounds = roundsOf(keyLength);
  pack(q, blocks);
  addKey(q, room + 64 * rounds);
  for (let round = rounds - 1; round > 0; round--) {
    shiftRowsBack(q);
    substituteBack(q);
    addKey(q, room + 64 * round);
    for (let i = 0; i < 3; i++) mixColumns(q); // the fourth power of that map is one
  }
  shiftRowsBack(q);
  substituteBack(q);
  addKey(q, room);
  unpack(q, blocks);
}
