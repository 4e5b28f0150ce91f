/** The journal mayfly.yaml asks for. */
import { resolve } from "node:path";
import type { MemoryAccount } from "#base";
import type { GatewayConfig } from "../contract/config.ts";
import type { Logger } from "../contract/connector.ts";
import type { DeadLetters } from "./dead-letters.ts";
import type { Journal } from "./journal.ts";
import { logLimits } from "./log/limits.ts";
import { type JournalEvent, openJournal } from "./log/mod.ts";
import { MemoryJournal } from "./memory.ts";

/** Not recovered yet: nothing is touched. */
export function configuredJournal(config: GatewayConfig, deadLetters: DeadLetters, logger: Logger, memory: MemoryAccount): Journal {
  const { dir, retention } = config.journal;
  if (dir === undefined) return new MemoryJournal(deadLetters, memory);
  const bodyMemoryBytes = Math.min(logLimits.bodyMemoryBytes, Math.floor(memory.mostBytes / 2));
  return openJournal(resolve(config.base, dir), {
    deadLetters,
    retention,
    limits: { bodyMemoryBytes },
    onEvent: (event) => tell(event, logger),
  });
}

/** Events of a journal for the operator. */
function tell(event: JournalEvent, logger: Logger): void {
  switch (event.kind) {
    case "checkpoint":
      return logger.debug({ ...event.result }, "the journal wrote a checkpoint");
    case "checkpoint-failed":
      return logger.warn({ error: String(event.error) }, "the journal could not write a checkpoint: it grows until the next one succeeds");
    case "lock-lost":
      return logger.error({ code: "MF_JOURNAL_LOCKED" }, "another process has taken over the journal: writing has stopped");
  }
}
