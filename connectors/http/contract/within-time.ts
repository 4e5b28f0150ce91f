/** Runs what a caller's body may make slow: a pattern that backtracks, unique items of a long list, nested alternatives. */
import { createContext, Script } from "node:vm";
import { contractLimits } from "./limits.ts";

export class OutOfTime extends Error {}

let context: { task: (() => unknown) | undefined } | undefined;
let script: Script | undefined;

/**
 * Throws OutOfTime once the task has used the time for so many bytes twice; V8 ends it then, also within a regular expression. The clock is the wall's, and a
 * process that the computer lets wait has done nothing wrong: such a try does not count. The clock costs some 100 µs.
 */
export function withinTime<T>(bytes: number, task: () => T): T {
  const limitMs = contractLimits.checkMs + Math.ceil(bytes / contractLimits.checkedBytesPerMs);
  for (let tries = 1, slow = 0; ; tries++) {
    const before = process.cpuUsage();
    try {
      return timed(task, limitMs);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw error;
      const { user, system } = process.cpuUsage(before);
      if ((user + system) / 1000 >= limitMs / 2) slow += 1;
      if (slow >= 2 || tries >= contractLimits.checkTries) throw new OutOfTime();
    }
  }
}

function timed<T>(task: () => T, limitMs: number): T {
  context ??= createContext({ task: undefined }) as { task: undefined };
  script ??= new Script("task()");
  context.task = task;
  try {
    return script.runInContext(context, { timeout: limitMs }) as T;
  } finally {
    context.task = undefined;
  }
}
