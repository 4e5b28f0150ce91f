/** `mayfly lint`: what is wrong with flows and configurations before they are served. */
import type { Command } from "commander";
import { action, type Cli, examples, jsonOption } from "../cli.ts";
import { exitCodes } from "../failure.ts";
import { withProgress } from "../terminal.ts";

async function lintCommand({ terminal }: Cli, paths: readonly string[], flags: { readonly json?: boolean }): Promise<number> {
  const { lint } = await import("../lint/lint.ts");
  const { findings, flows, configs } = await withProgress(terminal, "checking", () => lint(paths.length === 0 ? ["."] : paths));
  const errors = findings.filter(({ level }) => level === "error").length;
  if (flags.json === true) {
    terminal.out(`${JSON.stringify({ errors, warnings: findings.length - errors, flows, configs, findings }, undefined, 2)}\n`);
    return errors === 0 ? exitCodes.ok : exitCodes.failed;
  }
  const { red, yellow, dim, green } = terminal.paint;
  for (const { file, line, column, level, code, message } of findings)
    terminal.out(
      `${file}${line === 0 ? "" : `:${line}:${column}`}: ${level === "error" ? red(level) : yellow(level)} ${message} ${dim(code)}\n`,
    );
  const checked = `${flows} ${flows === 1 ? "flow" : "flows"}, ${configs} ${configs === 1 ? "configuration" : "configurations"}`;
  const warnings = findings.length - errors;
  if (findings.length === 0) terminal.out(`${green("no findings")} ${dim(`in ${checked}`)}\n`);
  else
    terminal.out(
      `${errors} ${errors === 1 ? "error" : "errors"}, ${warnings} ${warnings === 1 ? "warning" : "warnings"} ${dim(`in ${checked}`)}\n`,
    );
  return errors === 0 ? exitCodes.ok : exitCodes.failed;
}

export function addLint(program: Command, cli: Cli): Command {
  const command = program
    .command("lint")
    .description("Check flows and mayfly.yaml: types, Node built-ins, time and randomness at the top level, outlets, environment.")
    .argument("[path...]", "flows, configurations, or folders to search (default: this folder)")
    .addOption(jsonOption())
    .action(action(cli, (paths: string[], flags: { json?: boolean }) => lintCommand(cli, paths, flags)));
  return examples(command, [
    ["mayfly lint", "checks every flow and mayfly.yaml below this folder"],
    ["mayfly lint flows/orders.ts --json", "checks one flow, output for an editor"],
  ]);
}
