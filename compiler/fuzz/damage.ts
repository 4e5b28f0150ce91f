import { prng } from "#base";
import { generateModule } from "./generate.ts";

/** How many sound modules damage is done to: making one takes longer than damaging it. */
const sources = 200;

/** A module of the generator with some bytes changed, or cut short; the same for the same seed. About one in three is valid all the same. */
export function damagedModule(seed: number): Uint8Array {
  const random = prng(seed);
  const bytes = generateModule(seed % sources).slice();
  const anywhere = (): number => 8 + random.below(bytes.length - 8); // magic and version stay
  for (let left = 1 + random.below(3); left > 0; left--) {
    const at = anywhere();
    const byte = bytes[at] as number;
    const changes = [random.below(256), byte ^ (1 << random.below(8)), bytes[anywhere()] as number, byte + 1];
    bytes[at] = changes[random.below(changes.length)] as number;
  }
  return random.below(20) === 0 ? bytes.slice(0, random.below(bytes.length)) : bytes;
}
