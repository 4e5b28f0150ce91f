/** Ends that are asked for: the first signal lets what is under way finish, the second does not wait. */
import { cliLimits } from "../limits.ts";

const signals = ["SIGINT", "SIGTERM"] as const;

/**
 * Runs `task` with a promise of the first SIGINT or SIGTERM. From that one on, another ends the process at once. Signals do what they
 * did before once the task is over; after one, the process ends soon, whatever is still open.
 */
export async function withSignals<T>(task: (ended: Promise<NodeJS.Signals>) => Promise<T>): Promise<T> {
  let first = true;
  let heard: (signal: NodeJS.Signals) => void = () => undefined;
  const ended = new Promise<NodeJS.Signals>((done) => {
    heard = (signal) => {
      if (!first) process.exit(signal === "SIGINT" ? 130 : 143);
      first = false;
      done(signal);
    };
  });
  for (const signal of signals) process.on(signal, heard);
  try {
    return await task(ended);
  } finally {
    for (const signal of signals) process.off(signal, heard);
    if (!first) setTimeout(endAnyway, cliLimits.lingerMs).unref();
  }
}

function endAnyway(): void {
  const open = process.getActiveResourcesInfo().filter((name) => !/^(TTY|Pipe)Wrap$/.test(name));
  process.stderr.write(`mayfly: the process exits with these still open: ${open.join(", ")}\n`);
  process.exit();
}
