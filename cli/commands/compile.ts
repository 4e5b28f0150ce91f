/** `mayfly compile`: looks into the compiler, one function after each phase. */
import { readFile } from "node:fs/promises";
import { type Command, Option } from "commander";
import { CodedError } from "#base";
import type { DumpKind, Module, ModuleFunction } from "#compiler";
import { action, type Cli, examples, jsonOption } from "../cli.ts";
import { exitCodes, usageError } from "../failure.ts";

const phases: readonly DumpKind[] = ["operators", "ir", "alloc", "asm", "baseline"];

interface CompileFlags {
  readonly dump: DumpKind;
  readonly function?: string;
  readonly json?: boolean;
}

async function binaryOf(path: string | undefined): Promise<Uint8Array> {
  if (path === undefined) return (await import("#kernel")).kernelArtifacts().engine;
  try {
    return await readFile(path);
  } catch (cause) {
    throw new CodedError("MF_FILE_UNREADABLE", `${path} can't be read: ${(cause as Error).message}`, { cause });
  }
}

function find(module: Module, wanted: string): ModuleFunction {
  const index = /^\d+$/.test(wanted) ? Number(wanted) : [...module.functionNames].find(([, name]) => name === wanted)?.[0];
  const found = module.functions.find((item) => item.index === index);
  if (found === undefined) throw usageError(`the module defines no function ${wanted}: leave --function out to list them`);
  return found;
}

async function compile({ terminal }: Cli, path: string | undefined, flags: CompileFlags): Promise<number> {
  const { decodeModule, dumpFunction } = await import("#compiler");
  const module = decodeModule(await binaryOf(path));
  if (flags.function === undefined) {
    const list = module.functions.map(({ index, body }) => ({
      index,
      name: module.functionNames.get(index) ?? "",
      operators: body.operators.length,
    }));
    terminal.out(
      flags.json === true
        ? `${JSON.stringify(list)}\n`
        : list.map(({ index, name, operators }) => `${index}\t${operators} operators\t${name}\n`).join(""),
    );
    return exitCodes.ok;
  }
  const text = dumpFunction(module, find(module, flags.function), flags.dump);
  terminal.out(flags.json === true ? `${JSON.stringify({ function: flags.function, phase: flags.dump, text })}\n` : text);
  return exitCodes.ok;
}

export function addCompile(program: Command, cli: Cli): Command {
  const command = program
    .command("compile")
    .description("Show a WebAssembly function on its way to x86-64: after decoding, optimising, allocating, encoding.")
    .argument("[module]", "a WebAssembly module (default: the engine)")
    .option("--function <index|name>", "the function (default: list all)")
    .addOption(new Option("--dump <phase>", "phase to show").choices(phases).default("ir"))
    .addOption(jsonOption())
    .action(action(cli, (module: string | undefined, flags: CompileFlags) => compile(cli, module, flags)));
  return examples(command, [
    ["mayfly compile", "lists the engine's functions"],
    ["mayfly compile --function JS_NewNumber --dump asm", "shows its machine code beside the values it computes"],
    ["mayfly compile module.wasm --function 3 --dump ir", "of another module"],
  ]);
}
