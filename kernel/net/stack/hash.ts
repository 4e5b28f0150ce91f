/** SipHash-1-3 of 16 bytes under a secret of this boot: initial sequence numbers, SYN cookies, buckets of the connection table. */
import { random } from "../host";

// @ts-ignore: decorator
@lazy const drawn: usize = memory.data(16, 8);
let key0: u64 = 0, key1: u64 = 0;
let v0: u64 = 0, v1: u64 = 0, v2: u64 = 0, v3: u64 = 0;

export function startHash(): void {
  random(<u32>drawn, 16);
  key0 = load<u64>(drawn);
  key1 = load<u64>(drawn, 8);
}

function round(): void {
  v0 += v1; v1 = rotl<u64>(v1, 13) ^ v0; v0 = rotl<u64>(v0, 32);
  v2 += v3; v3 = rotl<u64>(v3, 16) ^ v2;
  v0 += v3; v3 = rotl<u64>(v3, 21) ^ v0;
  v2 += v1; v1 = rotl<u64>(v1, 17) ^ v2; v2 = rotl<u64>(v2, 32);
}

function absorb(word: u64): void {
  v3 ^= word;
  round();
  v0 ^= word;
}

export function hash(first: u64, second: u64): u64 {
  v0 = key0 ^ 0x736f6d6570736575;
  v1 = key1 ^ 0x646f72616e646f6d;
  v2 = key0 ^ 0x6c7967656e657261;
  v3 = key1 ^ 0x7465646279746573;
  absorb(first);
  absorb(second);
  absorb(<u64>16 << 56);
  v2 ^= 0xff;
  round();
  round();
  round();
  return v0 ^ v1 ^ v2 ^ v3;
}

/** A random number, for ports and ids. */
export function draw(): u32 {
  random(<u32>drawn, 4);
  return load<u32>(drawn);
}
