/** The durable journal, and what can be done to one from the command line. */
export { type CompactionResult, type JournalEvent, type Retention } from "./compaction.ts";
export { type Disk, type DiskFile } from "./disk.ts";
export { holderOf, type LockHolder, type LockTimes } from "./lock.ts";
export { LogJournal, type LogJournalOptions } from "./log-journal.ts";
export { type LogLimits, logLimits } from "./limits.ts";
export { openJournal, type OpenOptions } from "./open.ts";
export {
  checkJournal,
  type CheckReport,
  compactJournal,
  type CompactOptions,
  type CompactReport,
  exportDisk,
  exportJournal,
  type ExportPart,
  sleepersOfJournal,
} from "./operations.ts";
