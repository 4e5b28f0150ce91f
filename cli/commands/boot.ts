/** `mayfly boot`: starts an ELF without an operating system in a virtual machine, and shows its console. */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import type { DeliverEvent, Effect } from "#abi";
import { CodedError, fromUtf8 } from "#base";
import { action, type Cli, examples, jsonOption } from "../cli.ts";
import { exitCodes } from "../failure.ts";
import { bodyJson } from "../format.ts";

interface BootFlags {
  readonly message?: string;
  readonly contentType: string;
  readonly verbose?: boolean;
  readonly json?: boolean;
}

async function read(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new CodedError("MF_FILE_UNREADABLE", `${path} can't be read: ${(cause as Error).message}`, { cause });
  }
}

function deliver(body: Uint8Array, contentType: string): DeliverEvent {
  return {
    kind: "deliver",
    timeMs: Date.now(),
    seed: randomBytes(32),
    id: "boot-1",
    source: "boot",
    attempt: 1,
    key: undefined,
    headersJson: JSON.stringify({ "content-type": contentType }),
    stateJson: undefined,
    body,
  };
}

/** An effect as a member of the result of `--json`. */
function effectJson(effect: Effect): object {
  switch (effect.kind) {
    case "send":
      return { kind: "send", outlet: effect.outlet, contentType: effect.contentType, ...bodyJson(effect.body) };
    case "call":
      return { kind: "call", target: effect.target, contentType: effect.contentType, ...bodyJson(effect.body) };
    case "done":
      return effect.reply === undefined
        ? { kind: "done" }
        : { kind: "done", status: effect.reply.status, contentType: effect.reply.contentType, ...bodyJson(effect.reply.body) };
    default:
      return effect;
  }
}

async function boot({ terminal }: Cli, elf: string, flags: BootFlags): Promise<number> {
  const { bootConsole } = await import("#monitors");
  const body = flags.message === undefined ? undefined : await (flags.message === "-" ? terminal.readStdin() : read(flags.message));
  const message = body === undefined ? undefined : deliver(body, flags.contentType);
  const end = await bootConsole(await read(elf), {
    console: (text) => (flags.json === true ? terminal.err(text) : terminal.out(text)),
    append: flags.verbose === true ? "verbose" : "",
    entropy: true,
    ...(message === undefined ? {} : { message }),
  });
  const answered = message === undefined || (end.effects !== undefined && end.effects.at(-1)?.kind !== "fail");
  const status = end.end === "clean" && answered ? exitCodes.ok : exitCodes.failed;
  if (flags.json === true) {
    const result = { end: end.text, bootMicros: end.bootMicros, effects: end.effects?.map(effectJson) };
    terminal.out(`${JSON.stringify(result, undefined, 2)}\n`);
    return status;
  }
  for (const effect of end.effects ?? []) {
    if (effect.kind === "log") terminal.out(`log    ${effect.level} ${effect.text} ${effect.fieldsJson ?? ""}\n`);
    else if (effect.kind === "send") terminal.out(`send   ${effect.outlet} ${fromUtf8(effect.body)}\n`);
    else if (effect.kind === "call") terminal.out(`asks   ${effect.target} ${fromUtf8(effect.body)}\n`);
    else if (effect.kind === "done" && effect.reply !== undefined)
      terminal.out(`reply  ${effect.reply.status} ${fromUtf8(effect.reply.body)}\n`);
    else if (effect.kind === "fail") terminal.out(`failed ${effect.code} ${effect.message}\n`);
  }
  const micros = end.bootMicros === undefined ? "" : `; ready ${end.bootMicros} µs after its first instruction`;
  terminal.err(`${end.text}${micros}\n`);
  return status;
}

export function addBoot(program: Command, cli: Cli): Command {
  const command = program
    .command("boot")
    .description("Boot an ELF written by `mayfly build --target pvh` in a virtual machine, and show its console.")
    .argument("<elf>", "the ELF")
    .option("--message <file>", "send it this message (- for standard input) and show its first step")
    .option("--content-type <type>", "the message's content type", "application/json")
    .option("--verbose", "print its memory map")
    .addOption(jsonOption())
    .action(action(cli, (elf: string, flags: BootFlags) => boot(cli, elf, flags)));
  return examples(command, [
    ["mayfly build flows/orders.ts --target pvh", "writes orders.pvh.elf"],
    ["mayfly boot orders.pvh.elf --verbose", "boots it, prints the memory map, ends it"],
    ["mayfly boot orders.pvh.elf --message order.json", "sends it an order"],
  ]);
}
