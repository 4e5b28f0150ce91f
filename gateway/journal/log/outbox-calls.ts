/** The journal's calls about waiting sends. Each holds the lock of its send from the check to the change. */
import type { AttemptRecord, EntryNumber, OutboxEntry } from "../journal.ts";
import { keptAttempts } from "../ledger.ts";
import type { OutboxQueue } from "../outbox-queue.ts";
import { burySend } from "./burials.ts";
import type { ByteWriter } from "../format/bytes.ts";
import { writeSendAttempt, writeSettle } from "../format/change-records.ts";
import { KeyedLocks } from "./keyed-locks.ts";
import type { LiveIndex } from "./live-index.ts";
import type { RecoveredLog } from "./recovered-log.ts";

export interface CallPorts {
  readonly index: () => LiveIndex;
  /** Runs a call of an open journal. */
  readonly call: <T>(work: (log: RecoveredLog) => Promise<T>) => Promise<T>;
  /** Records a failed attempt. */
  readonly record: (log: RecoveredLog, encode: (out: ByteWriter) => void, apply: () => void) => Promise<void>;
}

export interface OutboxLease {
  readonly flow: string;
  readonly outlet: string;
  readonly most: number;
  /** By the monotonic clock. */
  readonly nowMs: number;
  /** By the wall clock. */
  readonly dateMs: number;
}

export class OutboxCalls {
  readonly #ports: CallPorts;
  readonly #locks = new KeyedLocks<EntryNumber>();

  constructor(ports: CallPorts) {
    this.#ports = ports;
  }

  lease({ flow, outlet, most, nowMs, dateMs }: OutboxLease): Promise<readonly OutboxEntry[]> {
    return this.#ports.call(async ({ index: { bodies, ledger } }) => {
      const queue = ledger.outbox(flow, outlet);
      const entries = queue.lease(most, nowMs, dateMs);
      if (!entries.some((entry) => bodies.isAway(entry.body))) return entries;
      try {
        return await Promise.all(entries.map(async (entry) => ({ ...entry, ...(await bodies.loadLeased(entry.body)) })));
      } catch (error) {
        for (const entry of entries) queue.release(entry.number);
        throw error;
      }
    });
  }

  async settle(entry: OutboxEntry): Promise<void> {
    await this.#withEntry(entry, async (log) => {
      const { flow, outlet, number } = entry;
      const blob = log.index.removeEntry(flow, outlet, number);
      log.writer.appendLazily(
        (out) => writeSettle(out, { flow, outlet, number, letter: undefined }),
        () => log.removeLater(blob),
      );
    });
  }

  async defer(entry: OutboxEntry, record: AttemptRecord, dueMs: number): Promise<void> {
    await this.#withEntry(entry, (log, queue) => {
      const apply = (): void => {
        log.index.buryingSends.delete(entry.number);
        queue.defer(entry.number, keptAttempts(entry.attempts, record), dueMs);
      };
      return this.#ports.record(log, (out) => writeSendAttempt(out, "defer", { ...entry, dueMs, record }), apply);
    });
  }

  bury(entry: OutboxEntry, record: AttemptRecord): Promise<string | undefined> {
    return this.#withEntry(entry, (log) => burySend(log.burialPorts, entry, record));
  }

  release(entry: OutboxEntry, dueMs?: number): void {
    const busy = this.#locks.busy(entry.number);
    if (busy !== undefined) return void busy.then(() => this.release(entry, dueMs));
    const queue = this.#ports.index().ledger.outbox(entry.flow, entry.outlet);
    if (queue.holds(entry)) queue.release(entry.number, dueMs);
  }

  /** Runs `work` while no other call about the send is in flight; undefined when the lease is stale. */
  #withEntry<T>(entry: OutboxEntry, work: (log: RecoveredLog, queue: OutboxQueue) => Promise<T>): Promise<T | undefined> {
    return this.#ports.call(async (log) => {
      for (let busy = this.#locks.busy(entry.number); busy !== undefined; busy = this.#locks.busy(entry.number)) await busy;
      const queue = log.index.ledger.outbox(entry.flow, entry.outlet);
      if (!queue.holds(entry)) return undefined;
      this.#locks.acquire(entry.number);
      try {
        return await work(log, queue);
      } finally {
        this.#locks.release(entry.number);
      }
    });
  }
}
