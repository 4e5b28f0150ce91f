/** Throws when one of our own invariants is broken. Never used on what a machine, a peer, a disk or a user can cause. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}

/** Marks a branch the types say cannot be taken. */
export function unreachable(value: never): never {
  throw new Error(`assertion failed: unreachable case ${String(value)}`);
}
