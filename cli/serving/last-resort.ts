/**
 * The last resort: errors that reached the process go to the gateway's own report, and it serves on.
 *
 * It does not end the process, not even when they come often: who has found a message that causes one could then stop every flow by
 * sending it again. What the error may have left undone is bounded: a message is settled or given back by its deadline, the journal
 * holds what was accepted, and /ready says 503 for a minute, so that an orchestrator can restart what it no longer trusts.
 */

/** Hands uncaught exceptions and rejections to `report` until the function it gives is called. */
export function catchUnexpected(report: (error: unknown, where: string) => void): () => void {
  const thrown = (error: unknown): void => report(error, "an uncaught exception");
  const rejected = (error: unknown): void => report(error, "an unhandled rejection");
  process.on("uncaughtException", thrown);
  process.on("unhandledRejection", rejected);
  return () => {
    process.off("uncaughtException", thrown);
    process.off("unhandledRejection", rejected);
  };
}
