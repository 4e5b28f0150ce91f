/** `mayfly logs`: the console of a microVM. */
import { join } from "node:path";
import type { Command } from "commander";
import { action, type Cli, examples } from "../cli.ts";
import { exitCodes } from "../failure.ts";

async function logs({ terminal }: Cli, name: string, flags: { readonly follow?: boolean }): Promise<number> {
  const { readConsole, requireMachine } = await import("#standalone");
  const machine = await requireMachine(name, terminal.env);
  const stopped = new AbortController();
  const stop = (): void => stopped.abort();
  if (flags.follow === true) process.once("SIGINT", stop).once("SIGTERM", stop);
  try {
    const full = await readConsole(machine, flags.follow === true, (text) => terminal.out(text), stopped.signal);
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
    .action(action(cli, (name: string, flags: { follow?: boolean }) => logs(cli, name, flags)));
  return examples(command, [
    ["mayfly logs orders", "all of it"],
    ["mayfly logs -f orders", "and what comes"],
  ]);
}
