/**
 * Signals that move from one partition's journal to another's, where somebody consumes them.
 *
 *   1  at the old place    replaced, in one commit, by one that is nobody's but the new place's: "for 7 …"
 *   2  at the new place    a copy, "moved N", N being the number at the old place
 *   3  at the old place    dropped: from now on the copy is anybody's
 *
 * A crash between two steps leaves one that counts. A signal that is for another place is moved there again, and recognised there if it
 * had arrived; a copy whose original may not be dropped yet is hidden until it is.
 */
import type { Partition } from "../../contract/cluster.ts";
import type { KeptSignal, NewSignal, SignalNumber } from "../journal.ts";
import { partitionLimits } from "./limits.ts";

/** Begin the dedup ids of signals that move: no sender's id, which is a JSON array or a hash, begins so. */
const forMark = "for ";
const movedMark = "moved ";

type Marked = Pick<KeptSignal, "number" | "dedup">;

const dedupOf = (id: string): NewSignal["dedup"] => ({ id, windowMs: partitionLimits.movedMs, count: partitionLimits.movedIds });

/** Step 1. */
export function reserved({ number, ...signal }: KeptSignal, to: Partition): NewSignal {
  return { ...signal, dedup: dedupOf(`${forMark}${to} ${number}`) };
}

/** Step 2. */
export function copied({ number, ...signal }: KeptSignal): NewSignal {
  return { ...signal, dedup: dedupOf(`${movedMark}${number}`) };
}

/** The partition that a signal is reserved for, if it is. */
export function reservedFor({ dedup }: Pick<Marked, "dedup">): Partition | undefined {
  return dedup?.id.startsWith(forMark) === true ? (Number.parseInt(dedup.id.slice(forMark.length), 10) as Partition) : undefined;
}

/** The number of a copy's original, if it is one. */
function originalOf({ dedup }: Marked): SignalNumber | undefined {
  return dedup?.id.startsWith(movedMark) === true ? (Number(dedup.id.slice(movedMark.length)) as SignalNumber) : undefined;
}

export class MovedSignals {
  /** Where signals are now that somebody has been given under an earlier number. */
  readonly #now = new Map<SignalNumber, SignalNumber>();
  /** Copies that nobody is given: their commit is under way. */
  readonly #hidden = new Set<SignalNumber>();
  /** Copies whose originals are gone. */
  readonly #settled = new Set<SignalNumber>();

  isHidden(signal: Marked): boolean {
    return this.#hidden.has(signal.number) || this.originalOf(signal) !== undefined || reservedFor(signal) !== undefined;
  }

  /** The original's number, of a copy whose original may be there still. */
  originalOf(signal: Marked): SignalNumber | undefined {
    return this.#settled.has(signal.number) ? undefined : originalOf(signal);
  }

  /** The number that a signal has now. */
  now(number: SignalNumber): SignalNumber {
    return this.#now.get(number) ?? number;
  }

  /** Notes where a signal is that somebody knows by an earlier number. */
  moved(given: SignalNumber, number: SignalNumber): void {
    this.#now.delete(given);
    this.#now.set(given, number);
    if (this.#now.size > partitionLimits.movedKnown) for (const [oldest] of this.#now) return void this.#now.delete(oldest);
  }

  /** A commit has taken them. */
  consumed(numbers: readonly SignalNumber[]): void {
    if (this.#now.size === 0 && this.#settled.size === 0) return;
    const gone = new Set(numbers);
    for (const number of numbers) this.#settled.delete(number);
    for (const [given, number] of this.#now) if (gone.has(number)) this.#now.delete(given);
  }

  hide(number: SignalNumber): void {
    this.#hidden.add(number);
  }

  reveal(numbers: readonly SignalNumber[]): void {
    for (const number of numbers) this.#hidden.delete(number);
  }

  settled(copy: SignalNumber): void {
    this.#settled.add(copy);
  }

  /** The partition of these numbers is another node's now. */
  forget(isOf: (number: SignalNumber) => boolean): void {
    for (const number of this.#hidden) if (isOf(number)) this.#hidden.delete(number);
    for (const copy of this.#settled) if (isOf(copy)) this.#settled.delete(copy);
  }
}
