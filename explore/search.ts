/**
 * The search: every order of events within the bounds, each world once. Worlds with fewer disturbances come first; what breaks a rule is
 * shrunk, and told as the events that lead there.
 */
import { CodedError, type Prng } from "#base";
import { exploreLimits } from "./limits.ts";
import { Moves, type Move } from "./moves.ts";
import type { Scenario } from "./scenario.ts";
import { Seen } from "./seen.ts";
import type { Steps } from "./steps.ts";
import { worldView } from "./view.ts";
import { identity, scheduleOf, type World } from "./world.ts";

export interface Broken {
  readonly rule: string;
  readonly why: string;
}

export interface Violation extends Broken {
  /** Events that lead there, as short as was found. */
  readonly schedule: readonly string[];
  readonly world: World;
}

export interface Explored {
  readonly violations: readonly Violation[];
  /** Orders of events that were tried, each to its end or to a world that was known. */
  readonly schedules: number;
  /** Different worlds. */
  readonly worlds: number;
  /** Steps that a machine was run for. */
  readonly steps: number;
  readonly seconds: number;
  /** True: every schedule within the bounds was tried. */
  readonly complete: boolean;
}

export interface SearchOptions {
  readonly timeMs: number;
  readonly random: Prng;
  readonly now?: () => number;
}

const endsRule = "always ends";
const waitRule = "no wait that nothing can end";

export class Search {
  readonly #moves: Moves;
  readonly #steps: Steps;
  readonly #scenario: Scenario;

  constructor(scenario: Scenario, steps: Steps) {
    this.#scenario = scenario;
    this.#steps = steps;
    this.#moves = new Moves(scenario, steps);
  }

  run({ timeMs, random, now = () => performance.now() }: SearchOptions): Explored {
    const startedMs = now();
    let untilMs = startedMs + timeMs;
    const seen = new Seen();
    const found = new Map<string, { readonly world: World; readonly why: string }>();
    /** Moves that were not made yet, by the disturbances of the world after them. */
    const waiting: Move[][] = [];
    let left = 0;
    let schedules = 0;
    let isWhole = true;
    const visit = (world: World): void => {
      if (!seen.add(identity(world)) && world.broken === undefined) {
        schedules += 1;
        return;
      }
      const { moves, broken } = this.#look(world);
      const isTooDeep = world.depth >= this.#scenario.bounds.events * exploreLimits.deepest;
      isWhole &&= !isTooDeep;
      if (moves.length === 0 || broken !== undefined || isTooDeep) schedules += 1;
      if (broken !== undefined) {
        if (found.size === 0) untilMs = Math.min(untilMs, now() + exploreLimits.othersMs);
        if (!found.has(broken.rule)) found.set(broken.rule, { world, why: broken.why });
      }
      if (broken !== undefined || isTooDeep) return;
      isWhole &&= left + moves.length <= exploreLimits.moves;
      if (left + moves.length > exploreLimits.moves) return;
      for (const move of shuffled(moves, random)) (waiting[world.disturbances + (move.disturbs === undefined ? 0 : 1)] ??= []).push(move);
      left += moves.length;
    };
    visit(this.#moves.start());
    for (let turn = 0; left > 0 && seen.size < exploreLimits.worlds && ((turn & 63) !== 0 || now() <= untilMs); turn++) {
      left -= 1;
      visit(this.#moves.after(take(waiting, turn, random)));
    }
    const seconds = (now() - startedMs) / 1000;
    const violations = [...found].map(([rule, { world, why }]) => this.#shrunk({ rule, why }, world));
    return { violations, schedules, worlds: seen.size, steps: this.#steps.made, seconds, complete: left === 0 && isWhole };
  }

  #look(world: World): { readonly moves: readonly Move[]; readonly broken: Broken | undefined } {
    if (world.broken !== undefined) return { moves: [], broken: world.broken };
    const moves = this.#moves.of(world);
    const ended = moves.length === 0;
    const broken = this.#brokenRule(world, ended) ?? (ended ? endless(world) : undefined);
    if (broken !== undefined) return { moves, broken };
    if (!ended && world.quiet >= this.#scenario.bounds.events) {
      const why = `${world.quiet} events after the last message or signal it has not ended: begin anew with continueAs(), or raise the bound`;
      return { moves, broken: { rule: endsRule, why } };
    }
    return { moves, broken: undefined };
  }

  #brokenRule(world: World, ended: boolean): Broken | undefined {
    if (!ended && looksAlike(world, world.parent)) return undefined;
    const view = worldView(world, this.#scenario.startMs, ended);
    for (const { name, holds } of this.#scenario.invariants) {
      try {
        const result = holds(view);
        if (result === false || typeof result === "string") return { rule: name, why: typeof result === "string" ? result : "" };
      } catch (error) {
        return { rule: name, why: error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error) };
      }
    }
    return undefined;
  }

  /**
   * Runs a schedule again; events that can't come there are left out. Gives the world at the end, or the first that breaks a rule, with the
   * events that did come.
   */
  replay(
    tokens: readonly string[],
    rule?: string,
  ): { readonly world: World; readonly broken: Broken | undefined; readonly skipped: readonly string[] } {
    let world = this.#moves.start();
    const skipped: string[] = [];
    for (const token of tokens) {
      const { moves, broken } = this.#look(world);
      if (broken !== undefined && (rule === undefined || broken.rule === rule)) return { world, broken, skipped };
      const move = moves.find((each) => each.token === token);
      if (move === undefined) skipped.push(token);
      else world = this.#moves.after(move);
    }
    return { world, broken: this.#look(world).broken, skipped };
  }

  /** Throws MF_EXPLORE_SCHEDULE for one that has an event which can't come. */
  exact(tokens: readonly string[]): { readonly world: World; readonly broken: Broken | undefined } {
    const { world, broken, skipped } = this.replay(tokens);
    if (skipped.length > 0 && broken === undefined)
      throw new CodedError(
        "MF_EXPLORE_SCHEDULE",
        `the event ${skipped[0]} can't come where the schedule has it: the flow, its rules or its answers are others than then`,
      );
    return { world, broken };
  }

  #shrunk(broken: Broken, world: World): Violation {
    let best = world;
    let why = broken.why;
    let tries = 0;
    const better = (tokens: readonly string[]): boolean => {
      if (++tries > exploreLimits.shrinks) return false;
      const again = this.replay(tokens, broken.rule);
      if (again.broken?.rule !== broken.rule || again.world.depth >= best.depth) return false;
      best = again.world;
      why = again.broken.why;
      return true;
    };
    for (let size = Math.max(1, best.depth >> 1); size >= 1; size >>= 1) {
      for (let at = 0; at < best.depth; ) {
        const tokens = scheduleOf(best);
        if (!better([...tokens.slice(0, at), ...tokens.slice(at + size)])) at += 1;
      }
    }
    const shorter = this.#shorter(broken.rule, best.depth);
    if (shorter !== undefined) [best, why] = [shorter.world, shorter.why];
    return { rule: broken.rule, why, schedule: scheduleOf(best), world: best };
  }

  /** The shortest schedule that breaks the rule, where it is found among so many of the shortest. */
  #shorter(rule: string, length: number): { readonly world: World; readonly why: string } | undefined {
    const seen = new Set<string>();
    let level: World[] = [this.#moves.start()];
    let looked = 0;
    while (level.length > 0 && (level[0]?.depth ?? 0) < length) {
      const next: World[] = [];
      for (const world of level) {
        const { moves, broken } = this.#look(world);
        if (broken?.rule === rule) return { world, why: broken.why };
        if (broken !== undefined) continue;
        for (const move of moves) {
          if (++looked > exploreLimits.shorterStates) return undefined;
          const after = this.#moves.after(move);
          const name = identity(after);
          if (seen.has(name) && after.broken === undefined) continue;
          seen.add(name);
          next.push(after);
        }
      }
      level = next;
    }
    return undefined;
  }
}

/** The newest move with the fewest disturbances; now and then one with more. */
function take(waiting: readonly (Move[] | undefined)[], turn: number, random: Prng): Move {
  let chosen: Move[] | undefined;
  const isMixed = turn % exploreLimits.mixed === exploreLimits.mixed - 1;
  for (let skip = isMixed ? random.below(waiting.length) : 0, at = 0; chosen === undefined; at++) {
    const moves = waiting[(at + skip) % waiting.length];
    if (moves !== undefined && moves.length > 0) chosen = moves;
  }
  return chosen.pop() as Move;
}

/** True if a rule sees the same in both. */
function looksAlike(world: World, before: World | undefined): boolean {
  if (before === undefined) return false;
  const { log, jobs, kept, nowMs } = world;
  return log === before.log && jobs === before.jobs && kept === before.kept && nowMs === before.nowMs;
}

/** A machine that sleeps when nothing can come any more. */
function endless({ jobs }: World): Broken | undefined {
  for (const { status, at, flow, message } of jobs) {
    const wait = status === "asleep" ? at?.reading.waits.find(({ dueMs }) => dueMs === undefined) : undefined;
    if (wait === undefined) continue;
    const why = `${flow.name} ${message.id} waits for ${wait.name} (${wait.key}), which no signal and no time can end any more: give the wait a timeout, or declare its signal`;
    return { rule: waitRule, why };
  }
  return undefined;
}

function shuffled<T>(values: readonly T[], random: Prng): T[] {
  const all = [...values];
  for (let at = all.length - 1; at > 0; at--) {
    const other = random.below(at + 1);
    [all[at], all[other]] = [all[other] as T, all[at] as T];
  }
  return all;
}
