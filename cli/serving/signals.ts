/** Ends that are asked for: the first signal lets what is under way finish, the second does not wait. */

const signals = ["SIGINT", "SIGTERM"] as const;

/**
 * Runs `task` with a promise of the first SIGINT or SIGTERM. From that one on, another ends the process at once. Signals do what they
 * did before once the task is over.
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
  }
}
