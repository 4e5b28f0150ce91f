/** Tries what could go wrong: every bounded order of events that flows may meet, and the rules that must hold in all of them. */
export { type Bounds, defaultBounds, exploreLimits } from "./limits.ts";
export type { Choice, Deed, MessageStimulus, Served, SignalStimulus, Stimulus } from "./matter.ts";
export type { Invariant, Scenario } from "./scenario.ts";
export { type Broken, type Explored, Search, type SearchOptions, type Violation } from "./search.ts";
export { Steps } from "./steps.ts";
export { type Line, timelineOf } from "./timeline.ts";
export type { WorldView } from "./view.ts";
