import { registerName } from "./assemble/registers.ts";
import { compileBaseline } from "./baseline/compile.ts";
import { opcodeName } from "./decode/opcodes.ts";
import type { Module, ModuleFunction } from "./decode/types.ts";
import { buildIr } from "./ir/operators.ts";
import { dumpIr, lineOf, terminatorText } from "./ir/dump.ts";
import type { Block, Value } from "./ir/value.ts";
import { optimise } from "./optimise/optimise.ts";
import type { Machine } from "./allocate/machine.ts";
import { compileOptimised } from "./select/function.ts";

/** Output of `mayfly compile --dump`: a function after each phase, for people. */
export type DumpKind = "operators" | "ir" | "alloc" | "asm" | "baseline";

function place(register: number): string {
  return register >= 16 ? `xmm${register - 16}` : registerName(register);
}

function dumpOperators(item: ModuleFunction): string {
  let depth = 0;
  const lines = item.body.operators.map(({ code, a, b, targets }) => {
    const name = opcodeName(code);
    if (name === "end" || name === "else") depth = Math.max(0, depth - 1);
    const line = `${"  ".repeat(depth + 1)}${name} ${a} ${b} ${targets.join(" ")}`.trimEnd();
    if (["block", "loop", "if", "else"].includes(name)) depth++;
    return line;
  });
  return `function ${item.index}\n${lines.join("\n")}\n`;
}

/** Each step with the registers of its operands and result; `bytes` adds the code. */
function dumpAllocation(module: Module, item: ModuleFunction, bytes: boolean): string {
  const lines: { readonly text: string; readonly from: number; readonly to: number }[] = [];
  let machine: Machine | undefined;
  const state = (): string =>
    (machine?.contents ?? []).flatMap((value, register) => (value === undefined ? [] : [`${place(register)}=v${value.id}`])).join(" ");
  const block = compileOptimised(module, item, undefined, {
    block: (b: Block, m: Machine) => {
      machine = m;
      lines.push({ text: `  block${b.id}   ; ${state()}`, from: 0, to: 0 });
    },
    node: (value: Value, _node, from, to) => {
      const result = value.register >= 0 ? `   → ${place(value.register)}` : "";
      lines.push({ text: `${lineOf(value)}${result}`, from, to });
    },
    terminator: (b: Block, from, to) => lines.push({ text: `    ${terminatorText(b)}`, from, to }),
  });
  const final = (offset: number): number => machine?.assembler.finalPosition(offset) ?? offset;
  const hex = (from: number, to: number): string => Buffer.from(block.bytes.subarray(final(from), final(to))).toString("hex");
  return `function ${item.index}: ${block.bytes.length} bytes\n${lines.map(({ text, from, to }) => (bytes && to > from ? `${text}\n        ${final(from).toString(16)}: ${hex(from, to)}` : text)).join("\n")}\n`;
}

export function dumpFunction(module: Module, item: ModuleFunction, kind: DumpKind): string {
  switch (kind) {
    case "operators":
      return dumpOperators(item);
    case "ir": {
      const ir = buildIr(module, item);
      optimise(ir);
      return dumpIr(ir);
    }
    case "alloc":
      return dumpAllocation(module, item, false);
    case "asm":
      return dumpAllocation(module, item, true);
    case "baseline":
      return `function ${item.index}\n        0: ${Buffer.from(compileBaseline(module, item).bytes).toString("hex")}\n`;
  }
}
