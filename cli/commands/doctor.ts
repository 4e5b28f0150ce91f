/** `mayfly doctor`: what this computer offers, and how to get what is missing. */
import type { Command } from "commander";
import { action, type Cli, examples, jsonOption } from "../cli.ts";
import { examine, type Finding } from "../doctor/examine.ts";
import { exitCodes } from "../failure.ts";
import type { Terminal } from "../terminal.ts";
import { withProgress } from "../terminal.ts";

function show({ out, paint }: Terminal, findings: readonly Finding[]): void {
  const marks = { ok: paint.green("✓"), missing: paint.yellow("–"), bad: paint.red("✗") };
  const width = Math.max(...findings.map(({ name }) => name.length));
  for (const { name, status, detail, remedy } of findings) {
    out(`${marks[status]} ${name.padEnd(width)}  ${detail}\n`);
    if (remedy !== undefined) out(`  ${" ".repeat(width)}  ${paint.dim(remedy)}\n`);
  }
  const bad = findings.filter(({ status }) => status === "bad").length;
  out(
    bad === 0
      ? "Mayfly runs here; findings marked – are optional.\n"
      : `Mayfly does not run here: ${bad === 1 ? "one thing is" : `${bad} things are`} missing.\n`,
  );
}

async function doctor({ terminal }: Cli, flags: { readonly json?: boolean }): Promise<number> {
  const findings = await withProgress(terminal, "looking around", examine);
  const bad = findings.some(({ status }) => status === "bad");
  if (flags.json === true) terminal.out(`${JSON.stringify({ ok: !bad, findings }, undefined, 2)}\n`);
  else show(terminal, findings);
  return bad ? exitCodes.failed : exitCodes.ok;
}

export function addDoctor(program: Command, cli: Cli): Command {
  const command = program
    .command("doctor")
    .description("Check this computer: Node, cores, QEMU, KVM, brokers, disk.")
    .addOption(jsonOption())
    .action(action(cli, (flags: { json?: boolean }) => doctor(cli, flags)));
  return examples(command, [
    ["mayfly doctor", "shows what is installed, and how to install the rest"],
    ["mayfly doctor --json", "exit code 1 if Mayfly can't run here"],
  ]);
}
