/** A scenario: what is explored, and the rules that must hold. Data. */
import type { CallEffect } from "#abi";
import type { Bounds } from "./limits.ts";
import type { Choice, Deed, Served, Stimulus } from "./matter.ts";
import type { WorldView } from "./view.ts";

/** A rule. False, or a sentence, when it is broken; so is a throw. */
export interface Invariant {
  readonly name: string;
  readonly holds: (world: WorldView) => boolean | string | void;
}

export interface Scenario {
  readonly flows: readonly Served[];
  readonly stimuli: readonly Stimulus[];
  readonly choices: (flow: Served, call: CallEffect) => readonly Choice[];
  /** Stimuli that a committed send becomes. */
  readonly routes: (deed: Deed) => readonly Stimulus[];
  readonly invariants: readonly Invariant[];
  readonly bounds: Bounds;
  readonly startMs: number;
}
