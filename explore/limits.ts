/** Bounds of an exploration, unless the scenario says otherwise, and those that nobody changes. */
export const exploreLimits = {
  /** Events after the last message, signal or crash; a schedule that goes on is said not to end. */
  events: 60,
  /** Events of one schedule, in multiples of these; longer ones are cut off. */
  deepest: 4,
  /** Of one schedule: gateways that crash, calls that fail though no answer says so, stimuli that come twice, wakes that come late. */
  crashes: 1,
  errors: 1,
  duplicates: 1,
  delays: 1,
  /** Attempts at one transaction. */
  attempts: 2,
  /** Messages that one message may continue as. */
  turns: 1,
  /** Different worlds, about 1 KB of memory each; a search that has seen as many ends. */
  worlds: 1_500_000,
  /** Moves that are kept to be made; a search with more leaves some out, and says so. */
  moves: 1_000_000,
  /** Memory of waiting machines that are kept to be forked, in bytes; others are run again from their events. */
  machineBytes: 256 * 2 ** 20,
  /** States looked at for a shorter schedule of one violation. */
  shorterStates: 20_000,
  /** Schedules run to leave events out of one that was found. */
  shrinks: 2_000,
  /** After the first violation, the search for others goes on for this long, in milliseconds. */
  othersMs: 2_000,
  /** One step in so many takes a state with more disturbances than need be, so that a large space does not hide them. */
  mixed: 4,
} as const;

export type Bounds = Pick<
  { -readonly [Name in keyof typeof exploreLimits]: number },
  "events" | "crashes" | "errors" | "duplicates" | "delays" | "attempts" | "turns"
>;

export const defaultBounds: Bounds = {
  events: exploreLimits.events,
  crashes: exploreLimits.crashes,
  errors: exploreLimits.errors,
  duplicates: exploreLimits.duplicates,
  delays: exploreLimits.delays,
  attempts: exploreLimits.attempts,
  turns: exploreLimits.turns,
};
