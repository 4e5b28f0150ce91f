/**
 * The machine's only randomness: the ChaCha20 key stream (RFC 8439 §2.3) under the event's seed as key and a zero nonce.
 * Two machines with different seeds never share a value; the same seed gives the same values on every monitor.
 */
import { randomState } from "./state";

const atCounter: usize = 32;
const atBuffer: usize = 40;
const atUsed: usize = 104;
const blockBytes: u32 = 64;

// @ts-ignore: decorator
@lazy const work: usize = memory.data(64, 16);

export function seedRandom(seed: usize): void {
  const state = randomState();
  memory.copy(state, seed, 32);
  store<u64>(state, 0, atCounter);
  store<u32>(state, blockBytes, atUsed);
}

function quarterRound(a: usize, b: usize, c: usize, d: usize): void {
  let va = load<u32>(a), vb = load<u32>(b), vc = load<u32>(c), vd = load<u32>(d);
  va += vb; vd = rotl<u32>(vd ^ va, 16);
  vc += vd; vb = rotl<u32>(vb ^ vc, 12);
  va += vb; vd = rotl<u32>(vd ^ va, 8);
  vc += vd; vb = rotl<u32>(vb ^ vc, 7);
  store<u32>(a, va); store<u32>(b, vb); store<u32>(c, vc); store<u32>(d, vd);
}

function initial(state: usize, index: u32): u32 {
  switch (index) {
    case 0: return 0x61707865; // "expand 32-byte k"
    case 1: return 0x3320646e;
    case 2: return 0x79622d32;
    case 3: return 0x6b206574;
    case 12: return load<u32>(state, atCounter);
    case 13: return load<u32>(state, atCounter + 4);
    case 14: return 0;
    case 15: return 0;
    default: return load<u32>(state + ((index - 4) << 2));
  }
}

function nextBlock(state: usize): void {
  const w = work;
  for (let i: u32 = 0; i < 16; i++) store<u32>(w + (i << 2), initial(state, i));
  for (let round = 0; round < 10; round++) {
    quarterRound(w, w + 16, w + 32, w + 48);
    quarterRound(w + 4, w + 20, w + 36, w + 52);
    quarterRound(w + 8, w + 24, w + 40, w + 56);
    quarterRound(w + 12, w + 28, w + 44, w + 60);
    quarterRound(w, w + 20, w + 40, w + 60);
    quarterRound(w + 4, w + 24, w + 44, w + 48);
    quarterRound(w + 8, w + 28, w + 32, w + 52);
    quarterRound(w + 12, w + 16, w + 36, w + 56);
  }
  for (let i: u32 = 0; i < 16; i++) store<u32>(state + atBuffer + (i << 2), load<u32>(w + (i << 2)) + initial(state, i));
  store<u64>(state, load<u64>(state, atCounter) + 1, atCounter);
  store<u32>(state, 0, atUsed);
}

export function fillRandom(target: usize, length: u32): void {
  const state = randomState();
  let done: u32 = 0;
  while (done < length) {
    let used = load<u32>(state, atUsed);
    if (used >= blockBytes) {
      nextBlock(state);
      used = 0;
    }
    const take = min<u32>(blockBytes - used, length - done);
    memory.copy(target + done, state + atBuffer + used, take);
    memory.fill(state + atBuffer + used, 0, take); // what was handed out can't be read back
    store<u32>(state, used + take, atUsed);
    done += take;
  }
}
