/**
 * Randomness for whoever serves by himself: ChaCha20 under a key of the entropy device and the processor (RDSEED), either of which is enough. The
 * key is replaced from its own stream after every draw, so that what was handed out can't be had again.
 */
import { fillRandom, seedRandom } from "../native/random";
import { cpuid, rdseed } from "./cpu";
import { drawSeed } from "./entropy";

const keyBytes: u32 = 32;
const rdseedFeature: u32 = 1 << 18; // leaf 7, ebx
const inEbx: u32 = 1;
/** Tries for one word; a processor whose source is drained has some again after a few hundred. */
const mostTries: u32 = 100_000;

// @ts-ignore: decorator
@lazy const key: usize = memory.data(32, 16);
// @ts-ignore: decorator
@lazy const own: usize = memory.data(32, 16);

/** Mixes what the processor gives into the key; false when it has no such instruction, or gives nothing. */
function drawProcessor(): bool {
  if (cpuid(0, 0, 0) < 7 || (cpuid(7, 0, inEbx) & rdseedFeature) === 0) return false;
  for (let at: usize = 0; at < keyBytes; at += 8) {
    let word: u64 = 0;
    for (let tries: u32 = 0; tries < mostTries && word === 0; tries++) word = rdseed();
    if (word === 0) return false;
    store<u64>(own + at, word);
  }
  for (let at: usize = 0; at < keyBytes; at += 8) store<u64>(key + at, load<u64>(key + at) ^ load<u64>(own + at));
  return true;
}

/** False when neither source gives anything: nobody may serve then. */
export function startRandom(): bool {
  const device = drawSeed(key);
  const processor = drawProcessor();
  if (!device && !processor) return false;
  seedRandom(key);
  memory.fill(key, 0, keyBytes);
  memory.fill(own, 0, keyBytes);
  return true;
}

/** Fills at most `mostDraw` bytes of static memory. */
export const mostDraw: u32 = 256;
export function draw(to: usize, length: u32): void {
  fillRandom(to, length);
  fillRandom(key, keyBytes);
  seedRandom(key);
  memory.fill(key, 0, keyBytes);
}
