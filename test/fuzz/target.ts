/** A decoder under fuzzing: everything a target needs to be fed with bytes, whatever they are. */

/** The result of one input. */
export interface Verdict {
  /** How the input was taken, in a few words: an input that is taken in a new way becomes a seed. */
  readonly signature: string;
  /** The fault; undefined when all is well. */
  readonly fault?: string | undefined;
}

export interface Target {
  readonly name: string;
  /** Inputs to begin with. */
  readonly seeds: readonly Uint8Array[];
  /** Texts that mean something to the decoder. */
  readonly words: readonly string[];
  /** Bytes at the beginning that say how the rest is read: every other change is made there. */
  readonly headBytes?: number;
  /** Never rejects for what an input does: that is a fault, and a rejection is taken for one. */
  run(input: Uint8Array): Verdict | Promise<Verdict>;
  close?(): Promise<void>;
}

/** Makes a target ready. Rejects with an Error that says why it can't run here. */
export type Open = () => Promise<Target>;

const mostFaultCharacters = 2_000; // it may quote the input

export function faulty(signature: string, fault: string): Verdict {
  return { signature, fault: fault.slice(0, mostFaultCharacters) };
}
