/** `mayfly logs`: the console of a microVM. */
import { join } from "node:path";
import type { Command } from "commander";
import { action, type Cli, examples, jsonOption } from "../cli.ts";
import { exitCodes, usageError } from "../failure.ts";

interface Flags {
  readonly follow?: boolean;
  readonly json?: boolean;
}

async function logs({ terminal }: Cli, name: string, flags: Flags): Promise<number> {
  if (flags.follow === true && flags.json === true) throw usageError("--json is one object, and -f has no end: leave one of them out");
  const { readConsole, requireMachine } = await import("#standalone");
  const machine = await requireMachine(name, terminal.env);
  let text = "";
  const write = flags.json === true ? (part: string): void => void (text += part) : (part: string): void => terminal.out(part);
  const stopped = new AbortController();
  const stop = (): void => stopped.abort();
  if (flags.follow === true) process.once("SIGINT", stop).once("SIGTERM", stop);
  try {
    const full = await readConsole(machine, flags.follow === true, write, stopped.signal);
    const lines = text.split("\n").filter((line) => line !== "");
    if (flags.json === true) terminal.out(`${JSON.stringify({ name, running: machine.running, full, lines }, undefined, 2)}\n`);
    if (full)
      terminal.err(`later lines are lost: ${join(machine.folder, "console.log")} is full; truncate it, as logrotate's copytruncate does\n`);
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
  }
  return exitCodes.ok;
}

export function addLogs(program: Command, cli: Cli): Command {
  const command = program
    .command("logs")
    .description("Show what a microVM printed: its flow's log as lines of JSON, and what it says of itself.")
    .argument("<name>", "the microVM")
    .option("-f, --follow", "go on with what it prints, until it ends")
    .addOption(jsonOption())
    .action(action(cli, (name: string, flags: Flags) => logs(cli, name, flags)));
  return examples(command, [
    ["mayfly logs orders", "all of it"],
    ["mayfly logs -f orders", "and what comes"],
  ]);
}
