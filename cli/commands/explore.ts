/** `mayfly explore`: what could go wrong with a flow, before it does. */
import { readdir, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import type { Command } from "commander";
import { action, type Cli, collect, examples, jsonOption } from "../cli.ts";
import { exitCodes, usageError } from "../failure.ts";
import { contentTypeOf } from "../format.ts";
import type { AnswerInput, Exploration, MessageInput, SignalInput } from "../exploration/explore.d.ts";

interface ExploreFlags {
  readonly case?: readonly string[];
  readonly signal?: readonly string[];
  readonly outlet?: readonly string[];
  readonly key?: string;
  readonly seconds: string;
  readonly seed: string;
  readonly schedule?: string;
  readonly json?: boolean;
}

function numberOf(text: string, flag: string, least: number, most: number): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= least && value <= most)) throw usageError(`${flag} ${text}: give a number from ${least} to ${most}`);
  return value;
}

/** Files below the paths, in order: a folder stands for the files in it. */
async function casesOf(paths: readonly string[]): Promise<readonly string[]> {
  const found: string[] = [];
  for (const path of paths) {
    if (!(await stat(path).catch(() => undefined))?.isDirectory()) found.push(path);
    else for (const name of (await readdir(path)).sort()) found.push(join(path, name));
  }
  return found;
}

/** The exploration that the options make. */
async function madeOf(target: string, flags: ExploreFlags): Promise<Exploration | undefined> {
  if (flags.case === undefined) return undefined;
  const [{ projectOf }, { readInputOf }, { readSignals }] = await Promise.all([
    import("../machine/load.ts"),
    import("../machine/stubs.ts"),
    import("../machine/signals.ts"),
  ]);
  const folder = projectOf(target);
  const signals = await readSignals(flags.signal ?? [], folder);
  const answers: Record<string, AnswerInput[]> = {};
  for (const text of flags.outlet ?? []) {
    const at = text.indexOf("=");
    if (at <= 0) throw usageError(`--outlet ${text}: give it as --outlet NAME=FILE`);
    const file = text.slice(at + 1);
    (answers[text.slice(0, at)] ??= []).push({ bytes: await readInputOf(folder, file, "answer"), contentType: contentTypeOf(file) });
  }
  const { key } = flags;
  const messages: MessageInput[] = [];
  for (const path of await casesOf(flags.case)) {
    const bytes = await readInputOf(folder, path, "message");
    const contentType = extname(path) === "" ? "application/json" : contentTypeOf(path);
    messages.push({ bytes, contentType, ...(key === undefined ? {} : { key }) });
  }
  return {
    messages,
    signals: signals.map(({ name, key: own, headers, body }): SignalInput => {
      const { "content-type": type, ...rest } = headers;
      const typed = typeof type === "string" ? { contentType: type } : {};
      return { name, ...(own === undefined ? {} : { key: own }), bytes: body, headers: rest, ...typed };
    }),
    answers,
  };
}

async function explore({ terminal }: Cli, target: string, flags: ExploreFlags): Promise<number> {
  const timeMs = numberOf(flags.seconds, "--seconds", 0.1, 86_400) * 1000;
  const seed = numberOf(flags.seed, "--seed", 0, 2 ** 32 - 1);
  const { exploreAt, showReport, timelineText } = await import("../exploration/run.ts");
  const schedule = flags.schedule?.split(/[\s,]+/).filter((token) => token !== "");
  const report = await exploreAt(target, { timeMs, seed, schedule }, await madeOf(target, flags));
  if (flags.json === true) terminal.out(`${JSON.stringify(report, undefined, 2)}\n`);
  else if (report.timeline !== undefined && report.violations.length === 0) {
    terminal.out(timelineText(terminal, report.timeline, "  "));
    terminal.out(`${terminal.paint.green("nothing breaks a rule")}\n`);
  } else showReport(terminal, target, report);
  return report.violations.length === 0 ? exitCodes.ok : exitCodes.failed;
}

export function addExplore(program: Command, cli: Cli): Command {
  const command = program
    .command("explore")
    .description(
      "Try every bounded order of answers, errors, signals, timeouts, duplicates and crashes against the rules of NAME.explore.ts, in virtual time.",
    )
    .argument("<flow>", "a flow's source file, or its NAME.explore.ts")
    .option("-m, --case <file>", "a message's body, or a folder of them, in place of the messages of NAME.explore.ts; repeatable", collect)
    .option("-k, --key <key>", "with --case: the messages' key")
    .option("--signal <name:key=file>", "with --case: a signal that may come, in place of those of NAME.explore.ts; repeatable", collect)
    .option("-O, --outlet <name=file>", "with --case: a way in which requests to this outlet may be answered; repeatable", collect)
    .option("--seconds <n>", "longest time to search", "60")
    .option("--seed <n>", "order in which schedules are tried", "1")
    .option("--schedule <events>", "run this schedule alone, and show what happens")
    .addOption(jsonOption())
    .action(action(cli, (target: string, flags: ExploreFlags) => explore(cli, target, flags)));
  return examples(command, [
    ["mayfly explore flows/saga.ts", "explores flows/saga.explore.ts"],
    ["mayfly explore flows/saga.ts --case order.json --signal payment:4711=paid.json", "a flow without rules of its own"],
    ['mayfly explore flows/saga.ts --schedule "m1 s1 w1"', "shows one schedule"],
  ]);
}
