/** Drivers for tests: they serve as the others do, and compare the engine's memory with the image after every job. */
import { parkCurrent } from "../machines";
import { differences } from "../pages";
import { printLine, printNumber } from "../serial";
import { jobsDone, startStandalone, turn } from "../standalone";

export { handleException, hostInterrupt, now, off, print, random, send, wall } from "../standalone";

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
