/** The garbage collector, called by hand: V8 does not see that a few small objects hold very large buffers, and lets them lie. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

let collect: (() => void) | undefined;

/** A full collection of this thread's heap: some 10 ms for every 50 MB that live. */
export function collectGarbage(): void {
  if (collect === undefined) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as () => void;
  }
  collect();
}
