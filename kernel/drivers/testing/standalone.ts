/**
 * Drivers for tests: they serve as the others do, and compare the engine's memory with the image after every job. With `trap` on the command
 * line they overwrite the engine's memory under a step that polls, as a bug of the engine's might.
 */
import { hasWord } from "../command-line";
import { engineBase, fill } from "../cpu";
import { hostInterrupt as poll } from "../jobs";
import { parkCurrent } from "../machines";
import { differences } from "../pages";
import { printLine, printNumber } from "../serial";
import { jobsDone, startStandalone, turn } from "../standalone";

export { handleException, now, off, print, random, send, wall } from "../standalone";

/** Where the engine's data and heap begin (docs/ABI.md). */
const engineData: u64 = 0x100000;

export function hostInterrupt(): i32 {
  if (!hasWord("trap")) return poll();
  fill(engineBase() + engineData, 0xff, 0x80000);
  return 0;
}

let seen: u32 = 0;

export function main(): void {
  startStandalone();
  for (;;) {
    turn();
    if (jobsDone === seen) continue;
    seen = jobsDone;
    parkCurrent();
    printNumber(differences());
    printLine(" pages differ");
  }
}
