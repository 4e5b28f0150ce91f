/**
 * Removes stored bodies nothing needs any more: mark and sweep, with no count of references on disk.
 *
 * A body is live while it is held in this process (being staged, accepted or retried), or while a pending message, an unsettled send
 * or a dead letter names it in its headers. One sweep:
 *
 *   files there are ─▶ minus held ─▶ minus named by the journal ─▶ minus named by a dead letter ─▶ journal synced ─▶ minus held meanwhile ─▶ removed
 *
 * Why none is removed that is needed:
 * - In one process. A body that is free stays free: only who has it in hand can name it anew. It goes from record to record in two ways.
 *   From the journal to a dead letter, which is written before the journal forgets: the journal is looked at first, so one of the two
 *   looks finds it. Into the journal, from a source, another flow's send or a dead letter that is retried: it is held from before
 *   until after, and a body held at any time since the sweep began counts as live.
 * - After a crash. That a send is settled is written lazily, and a refused record may turn out to have happened until a later one is safe
 *   (docs/JOURNAL.md), so the log may name what the ledger has forgotten. `sync` makes safe all that was said before it, and voids what
 *   was refused. Files go only once it has succeeded: no record that a recovery finds names them.
 * - Beside another process. Whoever has lost the journal's lock can't sync, and removes nothing.
 */
import type { Clock } from "#base";
import type { Logger } from "../contract/connector.ts";
import type { DeadLetters } from "../journal/dead-letters.ts";
import type { Journal } from "../journal/journal.ts";
import { gatewayLimits } from "../contract/limits.ts";
import { storedBodyOf } from "../contract/stored-body.ts";
import type { BodyStore } from "./store.ts";

export interface SweepPorts {
  readonly bodyStore: Pick<BodyStore, "held" | "onHold" | "onFree" | "ids" | "remove" | "removeUnfinished">;
  readonly journal: Pick<Journal, "liveHeaders" | "sync">;
  readonly deadLetters: Pick<DeadLetters, "ids" | "letter">;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class Sweeper {
  readonly #ports: SweepPorts;
  /** Stored bodies by dead letter, for letters that name one; and letters that do not. A letter never changes, so it is read once. */
  #letters = new Map<string, string | undefined>();
  #cancel: (() => void) | undefined;
  #dueMs = Number.POSITIVE_INFINITY;
  #sweeping: Promise<unknown> | undefined;
  #closed = false;

  constructor(ports: SweepPorts) {
    this.#ports = ports;
    ports.bodyStore.onFree = () => this.#in(gatewayLimits.bodySweepMs.least);
  }

  /** After the journal was recovered and before anything is staged. Never rejects: what can't be removed now is tried again. */
  async start(): Promise<void> {
    await this.#ports.bodyStore.removeUnfinished().catch((error: unknown) => this.#warn(error));
    this.#in(0);
  }

  /** Waits for a sweep that is under way. */
  async stop(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#sweeping;
  }

  /** One sweep; gives how many files it removed. Rejects as the disk and the journal do. Not to be called while one is under way. */
  async sweep(): Promise<number> {
    const { bodyStore, journal } = this.#ports;
    const live = new Set(bodyStore.held);
    bodyStore.onHold = (id) => live.add(id);
    try {
      const candidates = new Set(await bodyStore.ids());
      if (candidates.size === 0) return 0; // the usual case: spares a look through the journal
      const keep = (id: string | undefined): boolean => id !== undefined && candidates.delete(id);
      for (const id of live) keep(id);
      for (const headers of journal.liveHeaders()) keep(storedBodyOf(headers)?.id);
      if (candidates.size > 0) for (const id of await this.#lettersBodies()) keep(id);
      if (candidates.size === 0) return 0;
      await journal.sync();
      let removed = 0;
      for (const id of candidates) {
        if (live.has(id)) continue;
        await bodyStore.remove(id);
        removed += 1;
      }
      return removed;
    } finally {
      bodyStore.onHold = undefined;
    }
  }

  async #lettersBodies(): Promise<Iterable<string | undefined>> {
    const { deadLetters } = this.#ports;
    const known = new Map<string, string | undefined>();
    for await (const id of deadLetters.ids()) known.set(id, this.#letters.has(id) ? this.#letters.get(id) : await this.#bodyOf(id));
    this.#letters = known;
    return known.values();
  }

  async #bodyOf(letterId: string): Promise<string | undefined> {
    const letter = await this.#ports.deadLetters.letter(letterId);
    return letter === undefined ? undefined : storedBodyOf(letter.headers)?.id;
  }

  /** Sweeps in so many milliseconds, or earlier if that was planned. */
  #in(ms: number): void {
    const { clock } = this.#ports;
    const dueMs = clock.monotonicMs() + ms;
    if (this.#closed || dueMs >= this.#dueMs) return;
    this.#cancel?.();
    this.#dueMs = dueMs;
    this.#cancel = clock.after(ms, () => {
      this.#dueMs = Number.POSITIVE_INFINITY;
      if (this.#sweeping !== undefined) return this.#in(gatewayLimits.bodySweepMs.least);
      this.#sweeping = this.sweep()
        .catch((error: unknown) => this.#warn(error))
        .finally(() => {
          this.#sweeping = undefined;
          this.#in(gatewayLimits.bodySweepMs.most);
        });
    });
  }

  #warn(error: unknown): void {
    this.#ports.logger.warn({}, `unused stored bodies could not be deleted: ${error instanceof Error ? error.message : String(error)}`);
  }
}
