/** Programs of calls of the kernel's natives with hostile arguments, each followed by a message of another flow. */
import { NativesFuzzer } from "#monitors/embedded";
import { prng } from "#base";
import { faulty, type Target } from "../target.ts";

const seedCount = 24;
const seedBytes = 120;

export async function openNatives(): Promise<Target> {
  const fuzzer = new NativesFuzzer();
  const random = prng(20261128);
  return {
    name: "natives",
    seeds: Array.from({ length: seedCount }, () => Uint8Array.from({ length: seedBytes }, () => random.below(256))),
    words: [],
    headBytes: 2,
    run: (input) => {
      const { status, outcome, fault } = fuzzer.run(input);
      const signature = `${status}: ${outcome.slice(0, 60)}`;
      return fault === undefined ? { signature } : faulty(signature, fault);
    },
  };
}
