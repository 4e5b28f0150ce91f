/** `mayfly test`: flow tests against the real machine. */
import { relative } from "node:path";
import type { Command } from "commander";
import { action, type Cli, examples, jsonOption } from "../cli.ts";
import { asCoded, exitCodes, reportFailure, usageError } from "../failure.ts";
import { indent, msText, roundMs } from "../format.ts";
import type { Terminal } from "../terminal.ts";
import type { CaseResult } from "../flow-tests/runner.ts";
import type { RecordingFlags } from "../recorded/find.ts";
import { recordingOptions } from "../recorded/options.ts";

interface TestFlags extends RecordingFlags {
  readonly only?: string;
  readonly watch?: boolean;
  readonly explore?: boolean;
  readonly seconds: string;
  readonly record?: string;
  readonly output?: string;
  readonly json?: boolean;
}

function showCase({ out, paint }: Terminal, result: CaseResult, file: string | undefined): void {
  if (file !== result.file) out(`${paint.bold(result.file)}\n`);
  const mark = result.passed ? paint.green("✓") : paint.red("✗");
  out(
    `  ${mark} ${result.name} ${paint.dim(msText(result.ms))}${result.passed || result.line === 0 ? "" : paint.dim(` ${result.file}:${result.line}`)}\n`,
  );
  for (const { path, expected, actual } of result.differences) {
    out(`      ${path}\n`);
    out(`        ${paint.green(`expected  ${expected ?? "nothing"}`)}\n`);
    out(`        ${paint.red(`got       ${actual ?? "nothing"}`)}\n`);
  }
  if (result.thrown !== undefined) out(`${indent(result.thrown, "      ")}\n`);
  for (const line of result.context) out(`      ${paint.dim(line)}\n`);
}

/** Explorations at or below the paths, each as one case. */
async function exploreAll(
  { terminal }: Cli,
  paths: readonly string[],
  flags: TestFlags,
  onCase: (result: CaseResult) => void,
): Promise<void> {
  const [{ exploreAt, timelineText }, { findExplorations }] = await Promise.all([
    import("../exploration/run.ts"),
    import("../exploration/find.ts"),
  ]);
  const seconds = Number(flags.seconds);
  if (!(seconds > 0)) throw usageError(`--seconds ${flags.seconds}: give a number of seconds`);
  for (const path of await findExplorations(paths)) {
    const file = relative(process.cwd(), path);
    if (flags.only !== undefined && !file.includes(flags.only)) continue;
    const startedMs = performance.now();
    const { violations, schedules, complete } = await exploreAt(path, { timeMs: seconds * 1000, seed: 1 });
    onCase({
      name: `${schedules} schedules${complete ? "" : ", not all within the bounds"}`,
      file,
      line: 0,
      passed: violations.length === 0,
      ms: performance.now() - startedMs,
      differences: [],
      context: violations.flatMap(({ rule, why, schedule, timeline }) => [
        `${rule}${why === "" ? "" : `: ${why}`}`,
        ...timelineText(terminal, timeline, "  ").trimEnd().split("\n"),
        `mayfly explore ${file} --schedule "${schedule}"`,
      ]),
    });
  }
}

async function runOnce(cli: Cli, paths: readonly string[], flags: TestFlags): Promise<number> {
  const { terminal } = cli;
  const { findTests, runTests } = await import("../flow-tests/runner.ts");
  const started = performance.now();
  const cases: CaseResult[] = [];
  let file: string | undefined;
  const onCase = (result: CaseResult): void => {
    cases.push(result);
    if (flags.json !== true) showCase(terminal, result, file);
    file = result.file;
  };
  if (flags.explore === true) await exploreAll(cli, paths, flags, onCase);
  else await runTests(await findTests(paths), { only: flags.only, onCase });
  const failed = cases.filter(({ passed }) => !passed).length;
  const passed = cases.length - failed;
  if (flags.json === true) {
    const report = cases.map((each) => ({ ...each, ms: roundMs(each.ms) }));
    terminal.out(`${JSON.stringify({ passed, failed, cases: report }, undefined, 2)}\n`);
  } else {
    const { green, red, dim } = terminal.paint;
    const sum = failed === 0 ? green(`${passed} passed`) : `${red(`${failed} failed`)}, ${passed} passed`;
    terminal.out(`${sum} ${dim(`in ${msText(performance.now() - started)}`)}\n`);
  }
  if (cases.length === 0) terminal.err("MF_TEST_NOT_FOUND: no case has a matching name\n");
  return failed === 0 && cases.length > 0 ? exitCodes.ok : exitCodes.failed;
}

/** A recorded message becomes a case: to the file, which is run then, or to standard output. */
async function record(cli: Cli, id: string, flags: TestFlags): Promise<number> {
  const { writeRecordedTest } = await import("../recorded/test-file.ts");
  const { out, err, env, paintErr } = cli.terminal;
  const { output, json } = flags;
  const test = await writeRecordedTest(id, flags, { ...process.env, ...env });
  for (const remark of test.remarks) err(`${paintErr.dim(remark)}\n`);
  if (output === undefined) {
    out(json === true ? `${JSON.stringify({ file: null, name: test.name, text: test.text, remarks: test.remarks })}\n` : test.text);
    return exitCodes.ok;
  }
  if (json !== true) out(`${output}: ${test.name}\n`);
  return await runOnce(cli, [output], { ...flags, only: test.name });
}

async function test(cli: Cli, paths: readonly string[], flags: TestFlags): Promise<number> {
  if (flags.record !== undefined) return await record(cli, flags.record, flags);
  const chosen = paths.length === 0 ? ["."] : paths;
  if (flags.watch !== true) return await runOnce(cli, chosen, flags);
  const { watchFolders } = await import("../watch.ts");
  let code: number = exitCodes.ok;
  const again = async (): Promise<void> => {
    try {
      code = await runOnce(cli, chosen, flags);
    } catch (error) {
      reportFailure(cli.terminal, asCoded(error), false);
      code = exitCodes.unusable;
    }
    cli.terminal.err(`${cli.terminal.paintErr.dim("waiting for changes, Ctrl-C to stop")}\n`);
  };
  await again();
  await watchFolders(chosen, again);
  return code;
}

export function addTest(program: Command, cli: Cli): Command {
  const command = program
    .command("test")
    .description("Run flow tests (*.flow-test.yaml, *.flow-test.ts) in real machines, with stubbed answers of outlets.")
    .argument("[path...]", "test files, or folders to search (default: this folder)")
    .option("--only <text>", "only cases whose name contains this text")
    .option("-w, --watch", "rerun when a file changes")
    .option("--explore", "run the explorations (*.explore.ts) instead, as \`mayfly explore\` does")
    .option("--seconds <n>", "with --explore: longest time for each", "20")
    .option("--record <id>", "write a case from a recorded message instead: to standard output, or to the file of -o, and run it")
    .option("-o, --output <file>", "with --record: a NAME.flow-test.yaml; cases that are in it stay");
  recordingOptions(command)
    .addOption(jsonOption())
    .action(action(cli, (paths: string[], flags: TestFlags) => test(cli, paths, flags)));
  return examples(command, [
    ["mayfly test", "runs every flow test below this folder"],
    ["mayfly test flows/orders.flow-test.yaml --only big", "runs some cases of one file"],
    ["mayfly test --watch", "reruns at each change"],
    ["mayfly test --explore", "tries every bounded order of events against the rules of each *.explore.ts"],
    ["mayfly test --record 4711 -o flows/orders.flow-test.yaml", "makes a case of a message that was served"],
  ]);
}
