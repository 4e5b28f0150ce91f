/** The signals of one flow's machines that are awake: an attempt asks for one for each wait it opens, and is given it once. */
import type { OpenWait } from "../../contract/sleep.ts";
import type { KeptSignal, SignalNumber } from "../../journal/journal.ts";
import type { Cancel } from "../attempt/effects.ts";

export interface SignalDesk {
  /**
   * Calls `give` once, later, with a signal for the wait that no other attempt has; never, where none comes before it is cancelled.
   * It stays the attempt's until `returned`; the journal forgets it with the attempt's commit.
   */
  ask(wait: OpenWait, give: (signal: KeptSignal) => void): Cancel;
  /** Signals that are there for the waits now, each signal for one of them and now the caller's: those that came in time, the oldest first. */
  claim(waits: readonly OpenWait[]): Promise<readonly { readonly wait: OpenWait; readonly signal: KeptSignal }[]>;
  /** The attempt has ended without a commit: others may have the signals. */
  returned(signals: readonly KeptSignal[]): void;
  /** The journal has forgotten them. */
  consumed(signals: readonly SignalNumber[]): void;
}

/** Came in time: from the end of a wait on its timeout wins. */
export function inTime({ dueMs }: OpenWait, { receivedMs }: Pick<KeptSignal, "receivedMs">): boolean {
  return dueMs === undefined || receivedMs < dueMs;
}
