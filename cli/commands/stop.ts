/** `mayfly stop`: finishes the requests of microVMs, and ends them. */
import type { Command } from "commander";
import type { StopResult } from "#standalone";
import { action, type Cli, examples, jsonOption } from "../cli.ts";
import { exitCodes, usageError } from "../failure.ts";

const sentences: Readonly<Record<StopResult, string>> = {
  drained: "stopped",
  killed: "switched off: it did not end by itself",
  ended: "removed: it had ended before",
};

interface Flags {
  readonly all?: boolean;
  readonly json?: boolean;
}

async function stop({ terminal }: Cli, name: string | undefined, flags: Flags): Promise<number> {
  if ((name === undefined) === (flags.all !== true)) throw usageError("name one microVM, or say --all");
  const { allMachines, requireMachine, stopMachine } = await import("#standalone");
  const machines = name === undefined ? await allMachines(terminal.env) : [await requireMachine(name, terminal.env)];
  const results = await Promise.all(machines.map(async (machine) => ({ name: machine.record.name, result: await stopMachine(machine) })));
  if (flags.json === true) terminal.out(`${JSON.stringify({ stopped: results }, undefined, 2)}\n`);
  else for (const each of results) terminal.out(`${each.name} ${sentences[each.result]}\n`);
  return exitCodes.ok;
}

export function addStop(program: Command, cli: Cli): Command {
  const command = program
    .command("stop")
    .description(
      "Stop a microVM: it takes no new connections, finishes its requests within `drain`, and ends. Its console is gone afterwards.",
    )
    .argument("[name]", "the microVM")
    .option("--all", "every microVM of this user")
    .addOption(jsonOption())
    .action(action(cli, (name: string | undefined, flags: Flags) => stop(cli, name, flags)));
  return examples(command, [
    ["mayfly stop orders", "one"],
    ["mayfly stop --all", "all of them"],
  ]);
}
