/** Ends that are asked for: the first signal lets what is under way finish, the second does not wait. */

/** Resolves with the name of the first SIGINT or SIGTERM. From then on a second one ends the process at once. */
export function untilSignal(): Promise<NodeJS.Signals> {
  return new Promise((done) => {
    let first = true;
    const heard = (signal: NodeJS.Signals): void => {
      if (!first) process.exit(signal === "SIGINT" ? 130 : 143);
      first = false;
      done(signal);
    };
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, heard);
  });
}
