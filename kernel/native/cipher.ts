/** Modes of AES: CBC and CTR (NIST SP 800-38A), GCM (SP 800-38D), key wrap (RFC 3394). Lengths were checked by the caller (web/subtle/aes.ts). */
import { aesBytes, decryptBlocks, encryptBlocks, expandKey } from "./aes";
import { ghash } from "./ghash";

/** Bytes of a cipher in use: the key, four blocks, and six blocks of GCM and of what is remembered. */
export const cipherBytes: u32 = aesBytes + 64 + 96;
const atBlocks: u32 = aesBytes;
const atKeep: u32 = atBlocks + 64;

function exclusiveOr(target: usize, other: usize, length: u32): void {
  for (let i: u32 = 0; i < length; i++) store<u8>(target + i, load<u8>(target + i) ^ load<u8>(other + i));
}

/** Adds one to the last `bits` bits of a block, as a big-endian number. */
function count(block: usize, bits: u32): void {
  let carry: u32 = 1;
  for (let i: u32 = 0; i << 3 < bits; i++) {
    const at = block + 15 - i;
    const inside = min<u32>(8, bits - (i << 3));
    const mask = (1 << inside) - 1;
    const byte = <u32>load<u8>(at);
    store<u8>(at, (byte & ~mask) | ((byte + carry) & mask));
    carry = ((byte & mask) + carry) >> inside;
  }
}

/** Enciphers or deciphers in place with the key stream that begins with `counter`, which goes on. */
function counterMode(room: usize, keyLength: u32, counter: usize, bits: u32, data: usize, length: u32): void {
  const blocks = room + atBlocks;
  for (let at: u32 = 0; at < length; at += 64) {
    for (let block: u32 = 0; block < 4; block++) {
      memory.copy(blocks + 16 * block, counter, 16);
      if (at + 16 * block < length) count(counter, bits);
    }
    encryptBlocks(room, keyLength, blocks);
    exclusiveOr(data + at, blocks, min<u32>(64, length - at));
  }
}

/** `bits`: of the counter, from 1 to 128. */
export function ctr(room: usize, key: usize, keyLength: u32, counter: usize, bits: u32, data: usize, length: u32): void {
  expandKey(room, key, keyLength);
  memory.copy(room + atKeep, counter, 16);
  counterMode(room, keyLength, room + atKeep, bits, data, length);
}

/** `length`: whole blocks. */
export function cbcEncrypt(room: usize, key: usize, keyLength: u32, iv: usize, data: usize, length: u32): void {
  expandKey(room, key, keyLength);
  const blocks = room + atBlocks;
  const before = room + atKeep;
  memory.copy(before, iv, 16);
  for (let at: u32 = 0; at < length; at += 16) {
    memory.copy(blocks, data + at, 16);
    exclusiveOr(blocks, before, 16);
    encryptBlocks(room, keyLength, blocks);
    memory.copy(data + at, blocks, 16);
    memory.copy(before, blocks, 16);
  }
}

export function cbcDecrypt(room: usize, key: usize, keyLength: u32, iv: usize, data: usize, length: u32): void {
  expandKey(room, key, keyLength);
  const blocks = room + atBlocks;
  const before = room + atKeep;
  memory.copy(before, iv, 16);
  for (let at: u32 = 0; at < length; at += 64) {
    const size = min<u32>(64, length - at);
    memory.copy(blocks, data + at, size);
    decryptBlocks(room, keyLength, blocks);
    exclusiveOr(blocks, before, 16);
    if (size > 16) exclusiveOr(blocks + 16, data + at, size - 16);
    memory.copy(before, data + at + size - 16, 16);
    memory.copy(data + at, blocks, size);
  }
}

function storeBits(target: usize, bytes: u32): void {
  store<u64>(target, bswap<u64>(<u64>bytes << 3));
}

/** Enciphers or deciphers in place; `tag`: 16 bytes, the whole tag. */
export function gcm(
  room: usize, key: usize, keyLength: u32, iv: usize, ivLength: u32, data: usize, length: u32, more: usize, moreLength: u32, encrypts: bool, tag: usize,
): void {
  expandKey(room, key, keyLength);
  const hashKey = room + atKeep, first = hashKey + 16, counter = first + 16, lengths = counter + 16, hash = lengths + 16;
  const blocks = room + atBlocks;
  memory.fill(blocks, 0, 64);
  encryptBlocks(room, keyLength, blocks);
  memory.copy(hashKey, blocks, 16);
  memory.fill(first, 0, 16);
  if (ivLength === 12) {
    memory.copy(first, iv, 12);
    store<u8>(first, 1, 15);
  } else {
    ghash(first, hashKey, iv, ivLength);
    store<u64>(lengths, 0);
    storeBits(lengths + 8, ivLength);
    ghash(first, hashKey, lengths, 16);
  }
  memory.copy(counter, first, 16);
  count(counter, 32);
  memory.fill(hash, 0, 16);
  ghash(hash, hashKey, more, moreLength);
  if (!encrypts) ghash(hash, hashKey, data, length);
  counterMode(room, keyLength, counter, 32, data, length);
  if (encrypts) ghash(hash, hashKey, data, length);
  storeBits(lengths, moreLength);
  storeBits(lengths + 8, length);
  ghash(hash, hashKey, lengths, 16);
  memory.copy(blocks, first, 16);
  encryptBlocks(room, keyLength, blocks);
  memory.copy(tag, hash, 16);
  exclusiveOr(tag, blocks, 16);
}

/** In place: `data` has eight bytes before the `length` of the key, which become the check. */
export function wrapKey(room: usize, key: usize, keyLength: u32, data: usize, length: u32): void {
  expandKey(room, key, keyLength);
  const blocks = room + atBlocks;
  const n = length >> 3;
  store<u64>(data, 0xa6a6a6a6a6a6a6a6);
  for (let t: u32 = 1; t <= 6 * n; t++) {
    const at = data + 8 * (((t - 1) % n) + 1);
    store<u64>(blocks, load<u64>(data));
    store<u64>(blocks, load<u64>(at), 8);
    encryptBlocks(room, keyLength, blocks);
    store<u64>(data, load<u64>(blocks) ^ bswap<u64>(<u64>t));
    store<u64>(at, load<u64>(blocks, 8));
  }
}

/** In place, of eight bytes and `length`; gives 1 where the check is right. */
export function unwrapKey(room: usize, key: usize, keyLength: u32, data: usize, length: u32): u32 {
  expandKey(room, key, keyLength);
  const blocks = room + atBlocks;
  const n = length >> 3;
  for (let t = 6 * n; t > 0; t--) {
    const at = data + 8 * (((t - 1) % n) + 1);
    store<u64>(blocks, load<u64>(data) ^ bswap<u64>(<u64>t));
    store<u64>(blocks, load<u64>(at), 8);
    decryptBlocks(room, keyLength, blocks);
    store<u64>(data, load<u64>(blocks));
    store<u64>(at, load<u64>(blocks, 8));
  }
  return <u32>(load<u64>(data) === 0xa6a6a6a6a6a6a6a6);
}
