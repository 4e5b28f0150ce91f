/** `mayfly bench`: hands over to the bench program. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { CodedError } from "#base";
import { action, type Cli, examples } from "../cli.ts";
import { exitCodes } from "../failure.ts";
import { packageRoot } from "../package.ts";

function run(program: string, values: readonly string[]): Promise<number> {
  return new Promise((done, failed) => {
    const child = spawn(process.execPath, [program, ...values], { stdio: "inherit" });
    child.on("error", failed).on("close", (code) => done(code ?? exitCodes.unusable));
  });
}

async function bench(values: readonly string[]): Promise<number> {
  const program = join(packageRoot, "dist", "bench", "main.js");
  if (!existsSync(program))
    throw new CodedError(
      "MF_BENCH_MISSING",
      "the bench is part of the repository, not of the package: clone the repository and run `npm run bench`",
    );
  return await run(program, values);
}

export function addBench(program: Command, cli: Cli): Command {
  const command = program
    .command("bench")
    .description(
      "Measure this computer: machines compared with isolates, threads and processes; requests, density, builds. Passes its options to the bench.",
    )
    .option("--json", "write the result as one JSON object")
    .argument("[options...]", "options of the bench")
    .allowUnknownOption()
    .action(action(cli, (values: string[], flags: { json?: boolean }) => bench([...values, ...(flags.json === true ? ["--json"] : [])])));
  return examples(command, [
    ["mayfly bench", "runs everything, in some minutes"],
    ["mayfly bench --json", "for a machine"],
  ]);
}
