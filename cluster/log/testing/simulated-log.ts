/**
 * A replicated log in memory whose servers misbehave, as the seed says. Each client has its own view of it (`connect`):
 *
 * - An append is not stored, stored without an answer, stored some time later, or stored and refused all the same; one that is not stored
 *   may be refused for no reason.
 * - A server that answers may be behind: the newest messages are missing, the last number is a lower one.
 * - Purged messages come back in part when servers lose power.
 *
 * With `faults` it is full, fails one time out of so many, or takes nothing.
 */
import type { Prng } from "#base";
import type { Faults } from "../../../gateway/journal/testing/simulated-disk.ts";
import type { Appended, LogMessage, NewLogMessage, ReplicatedLog } from "../replicated-log.ts";

interface Late {
  readonly message: NewLogMessage;
  readonly expected: number;
}

function failure(code: string): Error {
  return Object.assign(new Error(`${code}: simulated`), { code });
}

export class SimulatedLog {
  readonly faults: Faults = { full: 0, broken: 0, readOnly: false };
  readonly messages = new Map<number, LogMessage>();
  readonly #random: Prng;
  /** One out of so many calls goes wrong; 0 for none. */
  readonly #oddity: number;
  last = 0;
  #late: Late[] = [];
  #purged: LogMessage[] = [];
  /** Appends whose answer was lost or wrong, and that came late or not at all. */
  readonly counts = { unanswered: 0, late: 0, lostOnTheWay: 0, refusedAndStored: 0, refusedForNothing: 0, fenced: 0, back: 0 };

  constructor(random: Prng, oddity = 12) {
    this.#random = random;
    this.#oddity = oddity;
  }

  /** Some of what was purged is there again. */
  losePower(): void {
    for (const message of this.#purged.splice(0)) {
      if (this.#random.below(3) > 0) continue;
      this.counts.back += 1;
      this.messages.set(message.sequence, message);
    }
    const ordered = [...this.messages].sort(([a], [b]) => a - b);
    this.messages.clear();
    for (const [sequence, message] of ordered) this.messages.set(sequence, message);
  }

  /** `step` runs before each call, and again before its answer: it may never end. */
  connect(step: (kind: "read" | "write") => Promise<void>, mostBytes = 600): ReplicatedLog {
    return {
      name: "SIMULATED",
      prefix: "sim",
      mostBytes,
      append: async (message, expected) => {
        const own = { ...message, data: Uint8Array.from(message.data) };
        await step("write");
        this.#deliverLate();
        const answer = this.#append(own, expected);
        await step("read");
        if (answer instanceof Error) throw answer;
        return answer;
      },
      get: async (sequence) => {
        await step("read");
        if (this.#isOdd()) {
          if (this.#random.below(2) === 0) throw failure("TIMEOUT");
          if (sequence > this.last - 2) return undefined;
        }
        return this.messages.get(sequence);
      },
      readHeaders: async (to, begin) => {
        await step("read");
        // A first reading may stop anywhere, and begins anew.
        for (const stop of this.#isOdd() ? [this.#random.below(to + 1), to] : [to]) {
          const each = begin();
          for (const message of [...this.messages.values()]) {
            if (message.sequence <= stop) each({ ...message, data: new Uint8Array(0) });
            if (this.#random.below(20) === 0) await step("read");
          }
        }
      },
      last: async () => {
        await step("read");
        if (this.#isOdd()) return Math.max(0, this.last - this.#random.below(3));
        return this.last;
      },
      purge: async (subject, sequences) => {
        await step("write");
        this.#remove(({ sequence }) => sequences.includes(sequence));
        if ([...this.messages.values()].some((message) => message.subject === subject)) throw new Error("a number is missing");
        await step("read");
      },
      trim: async (subject, below) => {
        await step("write");
        this.#remove((message) => message.subject === subject && message.sequence < below);
        await step("read");
      },
      freeBytes: async () => {
        await step("read");
        return Infinity;
      },
    };
  }

  #remove(isMeant: (message: LogMessage) => boolean): void {
    if (this.#isOdd()) throw failure("TIMEOUT");
    for (const message of [...this.messages.values()].filter(isMeant)) {
      this.messages.delete(message.sequence);
      this.#purged.push(message);
    }
  }

  #isOdd(): boolean {
    return this.#oddity > 0 && this.#random.below(this.#oddity) === 0;
  }

  #append(message: NewLogMessage, expected: number): Appended | Error {
    const { full, broken, readOnly } = this.faults;
    if (readOnly) {
      if (this.#random.below(2) === 0) this.#late.push({ message, expected });
      return failure("TIMEOUT");
    }
    if (full > 0 && this.#random.below(full) === 0) return failure("ENOSPC");
    const wrong = (broken > 0 && this.#random.below(broken) === 0) || this.#isOdd();
    if (!wrong) return this.#store(message, expected) ? "stored" : "refused";
    switch (this.#random.below(5)) {
      case 0:
        this.counts.lostOnTheWay += 1;
        return failure("TIMEOUT");
      case 1:
        this.counts.unanswered += 1;
        this.#store(message, expected);
        return failure("TIMEOUT");
      case 2:
        this.#late.push({ message, expected });
        return failure("TIMEOUT");
      case 3:
        if (this.#store(message, expected)) this.counts.refusedAndStored += 1;
        return "refused";
      default:
        this.counts.refusedForNothing += 1;
        return "refused";
    }
  }

  #store(message: NewLogMessage, expected: number): boolean {
    if (expected !== this.last) {
      this.counts.fenced += 1;
      return false;
    }
    this.last += 1;
    this.messages.set(this.last, { ...message, sequence: this.last });
    return true;
  }

  #deliverLate(): void {
    if (this.faults.readOnly) return;
    this.#late = this.#late.filter(({ message, expected }) => {
      if (this.#random.below(3) > 0) return true;
      if (this.#store(message, expected)) this.counts.late += 1;
      return false;
    });
  }
}
