/** Dependencies of every command. */
import { Command, Option } from "commander";
import { asCoded, exitCodes, reportFailure } from "./failure.ts";
import type { Terminal } from "./terminal.ts";

export interface Cli {
  /** `--profile` changes its environment before a command runs. */
  terminal: Terminal;
  /** Set by the command that ran. */
  exitCode: number;
}

/** Makes an action of a function that gives the exit code, or throws. */
export function action<Values extends unknown[]>(
  cli: Cli,
  run: (...values: Values) => Promise<number>,
): (...values: Values) => Promise<void> {
  return async (...values) => {
    try {
      cli.exitCode = await run(...values);
    } catch (error) {
      const options = values.find((value) => typeof value === "object" && value !== null && "json" in value) as
        | { json?: boolean }
        | undefined;
      reportFailure(cli.terminal, asCoded(error), options?.json === true);
      cli.exitCode = exitCodes.unusable;
    }
  };
}

export function jsonOption(): Option {
  return new Option("--json", "write the result as one JSON object to standard output");
}

/** Of commands that go on until they are stopped. */
export function jsonLinesOption(): Option {
  return new Option("--json", "write the log as lines of JSON to standard output, even on a terminal");
}

/** Collects an option that may be given more than once. */
export function collect(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), value];
}

/** Adds examples below a command's help. */
export function examples(command: Command, lines: readonly (readonly [command: string, what: string])[]): Command {
  const width = Math.max(...lines.map(([text]) => text.length));
  const text = lines.map(([line, what]) => `  ${line.padEnd(width)}  ${what}`).join("\n");
  return command.addHelpText("after", `\nExamples:\n${text}`);
}
