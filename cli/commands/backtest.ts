/** `mayfly backtest`: the code of now over the messages of yesterday. */
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, dirname, resolve } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { CodedError } from "#base";
import type { RecordedMessage } from "#gateway";
import type { Backtest, Bisect } from "#replay";
import { action, type Cli, examples, jsonOption } from "../cli.ts";
import { exitCodes } from "../failure.ts";
import { cliLimits } from "../limits.ts";
import { moment } from "../messages/options.ts";
import { withProgress } from "../terminal.ts";

interface BacktestFlags {
  readonly config: string;
  readonly flow?: string;
  readonly since?: number;
  readonly until?: number;
  readonly limit?: number;
  readonly bisect?: boolean;
  readonly workers?: number;
  readonly json?: boolean;
}

function wholeNumber(text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1) throw new InvalidArgumentError("It must be a whole number from 1.");
  return number;
}

/** The flow's names in mayfly.yaml: by option, by its file, or by the file's name. */
async function namesOf(path: string, flags: BacktestFlags, env: Readonly<Record<string, string | undefined>>): Promise<readonly string[]> {
  if (flags.flow !== undefined) return [flags.flow];
  const { flowsOf } = await import("../machine/deployed.ts");
  const names = await flowsOf(flags.config, path, env);
  return names.length > 0 ? names : [basename(path).replace(/\.[^.]+$/, "")];
}

async function* recordings(
  folder: string,
  names: readonly string[],
  { since, until, limit }: BacktestFlags,
): AsyncGenerator<RecordedMessage> {
  const { openHistory } = await import("#gateway");
  const reader = openHistory(folder);
  try {
    let left = limit ?? Number.POSITIVE_INFINITY;
    for (const flow of names)
      for await (const message of reader.recordings({ flow, sinceMs: since, untilMs: until, limit: left })) {
        left -= 1;
        yield message;
      }
  } finally {
    await reader.close();
  }
}

async function run(
  cli: Cli,
  path: string,
  flags: BacktestFlags,
): Promise<{ readonly result: Backtest; readonly bisected: Bisect | undefined }> {
  const [{ backtest, bisect }, { openMonitor }, { sourceImage }, { deployedFlow }, { folderOf }, { keptImages }] = await Promise.all([
    import("#replay"),
    import("../monitors.ts"),
    import("../recorded/image.ts"),
    import("../machine/deployed.ts"),
    import("../messages/source.ts"),
    import("../recorded/candidates.ts"),
  ]);
  const { terminal } = cli;
  const env = { ...process.env, ...terminal.env };
  const names = await namesOf(path, flags, env);
  const [name = ""] = names;
  const { rules } = await deployedFlow(flags.config, name, env);
  const folder = await folderOf(flags.config, env);
  const image = await withProgress(terminal, `building ${path}`, () => sourceImage(path, name));
  const limitsOf = (of: typeof image): typeof image.manifest.limits => rules?.limits(of.manifest.limits) ?? of.manifest.limits;
  const monitor = await openMonitor("embedded", { workers: flags.workers ?? availableParallelism(), isolation: "flow" });
  try {
    const different: RecordedMessage[] = [];
    const result = await backtest(monitor, await monitor.load(image), recordings(folder, names, flags), {
      rules,
      limits: limitsOf(image),
      progress: (done) => {
        if (terminal.interactive) terminal.err(`\r${terminal.paintErr.dim(`${done.toLocaleString("en")} messages`)}`);
      },
      found: (message) => {
        if (different.length < cliLimits.bisectedMessages) different.push(message);
      },
    });
    if (terminal.interactive) terminal.err("\r\x1b[K");
    if (result.messages === 0)
      throw new CodedError(
        "MF_BACKTEST_EMPTY",
        `no recorded message of ${names.join(", ")} in ${folder} to run${result.skipped > 0 ? ` (${result.skipped} were recorded without bodies)` : ""}: choose a longer time with --since, or another flow with --flow`,
      );
    if (flags.bisect !== true || different.length === 0) return { result, bisected: undefined };
    const candidates = await keptImages(dirname(resolve(flags.config)), resolve(path), monitor, limitsOf);
    return { result, bisected: await bisect(monitor, candidates, different, { rules }) };
  } finally {
    await monitor.close();
  }
}

async function backtestFlow(cli: Cli, path: string, flags: BacktestFlags): Promise<number> {
  if (!existsSync(path)) throw new CodedError("MF_FLOW_NOT_FOUND", `there is no flow at ${path}`);
  const { result, bisected } = await run(cli, path, flags);
  if (flags.json === true)
    cli.terminal.out(`${JSON.stringify({ ...result, ...(bisected === undefined ? {} : { bisect: bisected }) }, undefined, 2)}\n`);
  else {
    const { showBacktest } = await import("../recorded/show-backtest.ts");
    showBacktest(cli.terminal, result, bisected);
  }
  return result.same === result.messages ? exitCodes.ok : exitCodes.failed;
}

export function addBacktest(program: Command, cli: Cli): Command {
  const command = program
    .command("backtest")
    .description(
      "Run a flow's code over recorded messages, with recorded answers, and report what would have changed. Nothing is sent. Reads the folder of history on this computer, also while a gateway runs. Exit code 0: all the same, 1: not.",
    )
    .argument("<flow>", "the flow's source file")
    .option("--flow <name>", "messages of this flow (default: the flows that mayfly.yaml makes of the file)")
    .option("--since <time>", "received within this time, such as 24h, or since a date (default: all that are kept)", moment)
    .option("--until <time>", "received before", moment)
    .option("--limit <number>", "at most so many, the newest", wholeNumber)
    .option("--bisect", "find the first of the flow's built images, as .mayfly/images keeps them, that treats the messages otherwise")
    .option("--workers <number>", "threads that run machines (default: one for each core)", wholeNumber)
    .option("-c, --config <file>", "path of mayfly.yaml, to find the recordings", "mayfly.yaml")
    .addOption(jsonOption())
    .action(action(cli, (path: string, flags: BacktestFlags) => backtestFlow(cli, path, flags)));
  return examples(command, [
    ["mayfly backtest flows/orders.ts --since 24h", "what would the code of now have done with yesterday's messages?"],
    ["mayfly backtest flows/orders.ts --limit 10000 --json", "for CI: exit code 1 if anything differs"],
    ["mayfly backtest flows/orders.ts --since 7d --bisect", "which build changed it?"],
  ]);
}
