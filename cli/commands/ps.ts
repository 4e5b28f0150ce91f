/** `mayfly ps`: microVMs of this user. */
import type { Command } from "commander";
import type { Machine } from "#standalone";
import { action, type Cli, examples, jsonOption } from "../cli.ts";
import { exitCodes } from "../failure.ts";
import { bytesText, spanText, table } from "../format.ts";

function portsText({ record }: Machine): string {
  if (record.tap !== undefined) return record.tap;
  return record.ports.map(({ address, host, guest }) => `${address}:${host}->${guest}`).join(" ");
}

async function ps({ terminal }: Cli, flags: { readonly json?: boolean }): Promise<number> {
  const { allMachines } = await import("#standalone");
  const machines = await allMachines(terminal.env);
  if (flags.json === true) {
    const shown = machines.map(({ record: { process: mark, ...record }, running }) => ({ ...record, pid: mark.pid, running }));
    terminal.out(`${JSON.stringify({ machines: shown }, undefined, 2)}\n`);
    return exitCodes.ok;
  }
  const rows = machines.map((machine) => {
    const { record, running } = machine;
    const age = running ? spanText(Date.now() - Date.parse(record.startedAt)) : "ended";
    return [
      record.name,
      age,
      portsText(machine),
      bytesText(record.memoryBytes),
      record.accelerator,
      record.image.slice(0, 12),
      String(record.process.pid),
    ];
  });
  terminal.out(
    rows.length === 0 ? "no microVM is running\n" : table([["NAME", "UP", "PORTS", "MEMORY", "BY", "IMAGE", "PID"], ...rows], [3, 6]),
  );
  return exitCodes.ok;
}

export function addPs(program: Command, cli: Cli): Command {
  const command = program
    .command("ps")
    .description("List the microVMs of this user, with those that have ended by themselves and were not stopped.")
    .addOption(jsonOption())
    .action(action(cli, (flags: { json?: boolean }) => ps(cli, flags)));
  return examples(command, [
    ["mayfly ps", "names, ports, age"],
    ["mayfly ps --json", "for other tools"],
  ]);
}
