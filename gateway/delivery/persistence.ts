/**
 * Calls to the journal that must succeed sooner or later: repeated with a growing wait while the disk refuses, and meanwhile new
 * messages are refused, so that nothing is lost and nothing grows.
 */
import { type Clock, type CodedError, isCoded, type Prng } from "#base";
import type { Logger } from "../contract/connector.ts";
import { gatewayLimits } from "../contract/limits.ts";
import { backoffMs } from "../contract/backoff.ts";

const always = (): boolean => true;

/** Faults of one record, whatever the disk does: no reason to refuse others. */
const recordFaults: ReadonlySet<string> = new Set(["MF_JOURNAL_RECORD", "MF_JOURNAL_RECORD_LIMIT"]);

export function isRecordFault(error: unknown): error is CodedError {
  return isCoded(error) && recordFaults.has(error.code);
}

/** False for a damaged file: reading it again does not help. */
export function isNotDamage(error: unknown): boolean {
  return !(isCoded(error) && error.code === "MF_JOURNAL_CORRUPT");
}

export class Persistence {
  readonly #clock: Clock;
  readonly #random: Prng;
  readonly #logger: Logger;
  /** Calls that are being repeated: writes of the journal, and of dead letters. */
  #repeating = 0;
  #burying = 0;
  #lastMessage = "";
  #buryMessage = "";
  #troubledUntilMs = 0;
  #closed = false;
  readonly #waits = new Set<() => void>();

  constructor(clock: Clock, random: Prng, logger: Logger) {
    this.#clock = clock;
    this.#random = random;
    this.#logger = logger;
  }

  /** Why new messages are refused, or undefined. */
  get troubled(): string | undefined {
    return this.#repeating > 0 || this.#clock.monotonicMs() < this.#troubledUntilMs ? this.#lastMessage : undefined;
  }

  /** Why dead letters can't be written, or undefined. It holds up the messages concerned and no others. */
  get buryTrouble(): string | undefined {
    return this.#burying > 0 ? this.#buryMessage : undefined;
  }

  /** A call that is not repeated failed: look away for a moment, unless the fault is the record's own. */
  failed(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#logger.error({ code: isCoded(error) ? error.code : undefined }, message);
    if (isRecordFault(error)) return;
    this.#lastMessage = message;
    this.#troubledUntilMs = this.#clock.monotonicMs() + gatewayLimits.journalBackoffMs.least;
  }

  /** A damaged entry stays in the journal, leased, and holds up nothing else: it is logged for an operator. */
  damaged(damage: CodedError, message: string, what: string): void {
    this.#logger.error(
      { code: damage.code, message },
      `${what} stays in the journal, and does not go on before a restart: ${damage.message}`,
    );
  }

  /** The call's result once it succeeds; undefined when the journal or this was closed before. Rejects with errors that do not pass. */
  keepTrying<T>(call: () => Promise<T>, passes: (error: unknown) => boolean = always): Promise<T | undefined> {
    return call().catch((error: unknown) => this.#repeat(call, error, passes));
  }

  /** No more repeating: open calls give undefined. */
  close(): void {
    this.#closed = true;
    for (const wake of [...this.#waits]) wake();
  }

  async #repeat<T>(call: () => Promise<T>, first: unknown, passes: (error: unknown) => boolean): Promise<T | undefined> {
    const burying = isCoded(first) && first.code.startsWith("MF_DEAD_LETTER");
    const troubles = !burying && !isRecordFault(first);
    if (burying) this.#burying += 1;
    else if (troubles) this.#repeating += 1;
    try {
      let error = first;
      for (let attempt = 1; ; attempt += 1) {
        if (!passes(error)) throw error;
        const message = error instanceof Error ? error.message : String(error);
        if (burying) this.#buryMessage = message;
        else if (troubles) this.#lastMessage = message;
        if (this.#closed || (isCoded(error) && error.code === "MF_JOURNAL_CLOSED")) return undefined;
        const waitMs = backoffMs(attempt, gatewayLimits.journalBackoffMs, this.#random);
        this.#logger.error({ code: isCoded(error) ? error.code : undefined, retryInMs: waitMs }, message);
        await this.#wait(waitMs);
        if (this.#closed) return undefined;
        try {
          return await call();
        } catch (next) {
          error = next;
        }
      }
    } finally {
      if (burying) this.#burying -= 1;
      else if (troubles) this.#repeating -= 1;
    }
  }

  #wait(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        this.#waits.delete(done);
        resolve();
      };
      const cancel = this.#clock.after(waitMs, done);
      this.#waits.add(done);
    });
  }
}
