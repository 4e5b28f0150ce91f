/** The durable journal in a folder of this machine. */
import { join } from "node:path";
import { systemClock } from "#base";
import { makeFolder } from "../../contract/folders.ts";
import { DeadLetters } from "../dead-letters.ts";
import { realDisk } from "./disk.ts";
import { journalError } from "./errors.ts";
import { type LockTimes, takeLock } from "./lock.ts";
import { LogJournal, type LogJournalOptions } from "./log-journal.ts";

export interface OpenOptions extends Omit<LogJournalOptions, "disk" | "deadLetters" | "lock"> {
  readonly lockTimes?: LockTimes | undefined;
  /** Absent: `DIR/dead`. */
  readonly deadLetters?: DeadLetters | undefined;
}

/** A journal whose files are in `dir`; `recover` is what makes, locks and reads it. */
export function openJournal(dir: string, options: OpenOptions = {}): LogJournal {
  const { lockTimes, deadLetters, ...rest } = options;
  return new LogJournal({
    ...rest,
    disk: realDisk(dir),
    deadLetters: deadLetters ?? new DeadLetters(join(dir, "dead")),
    lock: async (lost) => {
      await makeFolder(dir, 0o700).catch((error: unknown) => {
        throw journalError(error, `make ${dir}`);
      });
      return await takeLock(dir, options.clock ?? systemClock, lost, lockTimes);
    },
  });
}
