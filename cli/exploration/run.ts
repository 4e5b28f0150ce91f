/** Runs explorations, and shows what they found. */
import { relative } from "node:path";
import { CodedError, prng } from "#base";
import { type Explored, type Line, Search, Steps, timelineOf, type Violation } from "#explore";
import { safeText, spanText } from "../format.ts";
import type { Terminal } from "../terminal.ts";
import { type Explorable, explorableOf, explorationAt } from "./build.ts";
import type { Exploration } from "./explore.d.ts";

export interface ExploreOptions {
  readonly timeMs: number;
  readonly seed: number;
  /** Runs this schedule alone. */
  readonly schedule?: readonly string[] | undefined;
}

export interface ShownViolation {
  readonly rule: string;
  readonly why: string;
  /** For --schedule. */
  readonly schedule: string;
  readonly timeline: readonly Line[];
}

/** The contract of `mayfly explore --json`, but for the file. */
export interface ExploreReport {
  readonly schedules: number;
  readonly perSecond: number;
  readonly worlds: number;
  readonly steps: number;
  readonly seconds: number;
  /** Every schedule within the bounds was tried. */
  readonly complete: boolean;
  readonly seed: number;
  readonly violations: readonly ShownViolation[];
  /** Of a single schedule. */
  readonly timeline?: readonly Line[];
}

function shownViolation({ rule, why, schedule, world }: Violation, { scenario }: Explorable): ShownViolation {
  return { rule, why, schedule: schedule.join(" "), timeline: timelineOf(world, scenario) };
}

function reportOf(
  { schedules, worlds, steps, seconds, complete, violations }: Explored,
  seed: number,
  explorable: Explorable,
): ExploreReport {
  return {
    schedules,
    perSecond: Math.round(schedules / Math.max(seconds, 0.001)),
    worlds,
    steps,
    seconds: Math.round(seconds * 1000) / 1000,
    complete,
    seed,
    violations: violations.map((violation) => shownViolation(violation, explorable)),
  };
}

/** Explores the flow at `path`, or the exploration there. `made`: stands in where the flow has none beside it; its messages and signals count more. */
export async function exploreAt(path: string, options: ExploreOptions, made?: Exploration): Promise<ExploreReport> {
  const found = await explorationAt(path);
  const exploration = merged(found?.exploration, made);
  if (exploration === undefined)
    throw new CodedError(
      "MF_EXPLORE_INVALID",
      `${relative(process.cwd(), path)} has no exploration beside it: write ${relative(process.cwd(), path).replace(/\.([mc]?ts)$/, ".explore.$1")}, or give a message with --case FILE`,
    );
  const explorable = await explorableOf(found?.file ?? path, exploration);
  return explored(explorable, options);
}

function merged(own: Exploration | undefined, made: Exploration | undefined): Exploration | undefined {
  if (own === undefined || made === undefined) return own ?? made;
  const { messages, signals = [], answers } = made;
  return { ...own, messages, ...(signals.length === 0 ? {} : { signals }), answers: { ...own.answers, ...answers } };
}

function explored(explorable: Explorable, { timeMs, seed, schedule }: ExploreOptions): ExploreReport {
  const { scenario, machines } = explorable;
  const search = new Search(scenario, new Steps(machines));
  if (schedule === undefined) return reportOf(search.run({ timeMs, random: prng(seed) }), seed, explorable);
  const { world, broken } = search.exact(schedule);
  const violations = broken === undefined ? [] : [{ ...broken, schedule, world }];
  const ran = { violations, schedules: 1, worlds: world.depth + 1, steps: 0, seconds: 0, complete: false };
  return { ...reportOf(ran, seed, explorable), timeline: timelineOf(world, scenario) };
}

export function timelineText({ paint }: Terminal, timeline: readonly Line[], indent = "    "): string {
  const width = Math.max(...timeline.map(({ token }) => token.length), 0);
  const times = Math.max(...timeline.map(({ atMs }) => spanText(atMs).length + 1), 0);
  return timeline
    .map(({ token, atMs, event, happened }) => {
      const head = `${indent}${paint.dim(`+${spanText(atMs)}`.padEnd(times))}  ${paint.dim(token.padEnd(width))}  ${safeText(event, 400)}\n`;
      const space = " ".repeat(indent.length + times + width + 4);
      return `${head}${happened.map((line) => `${space}${paint.dim("·")} ${safeText(line, 400)}\n`).join("")}`;
    })
    .join("");
}

export function showReport(
  terminal: Terminal,
  path: string,
  { violations, schedules, perSecond, worlds, steps, seconds, complete }: ExploreReport,
): void {
  const { out, paint } = terminal;
  for (const { rule, why, schedule, timeline } of violations) {
    out(`${paint.red("✗")} ${paint.bold(safeText(rule))}${why === "" ? "" : `: ${safeText(why)}`}\n`);
    out(timelineText(terminal, timeline));
    out(`    ${paint.dim(`mayfly explore ${path} --schedule "${schedule}"`)}\n\n`);
  }
  const sum = `${schedules.toLocaleString("en")} schedules in ${seconds.toFixed(1)} s, ${perSecond.toLocaleString("en")} a second: ${worlds.toLocaleString("en")} worlds, ${steps.toLocaleString("en")} steps of machines; ${complete ? "all within the bounds" : "not all within the bounds"}`;
  const found =
    violations.length === 0
      ? paint.green("nothing breaks a rule")
      : paint.red(`${violations.length} ${violations.length === 1 ? "rule" : "rules"} broken`);
  out(`${found} ${paint.dim(sum)}\n`);
}
