import { assert } from "#base";
import type { CodeBlock } from "../assemble/code.ts";
import { opcode, opcodeCount, opcodeInfo } from "../decode/opcodes.ts";
import type { Module, ModuleFunction } from "../decode/types.ts";
import { controlEmitters, type Emitter, revives } from "./control.ts";
import { FunctionCompiler } from "./function.ts";
import { numericEmitters } from "./numeric.ts";
import { variableEmitters } from "./variables.ts";

/** The single pass: one emitter per operator, in the order of the code. The oracle of the optimising backend. */

const emitters: (Emitter | undefined)[] = new Array<Emitter | undefined>(opcodeCount).fill(undefined);
for (const [name, emitter] of Object.entries({ ...controlEmitters, ...numericEmitters, ...variableEmitters }))
  emitters[opcode(name)] = emitter;
for (let code = 0; code < opcodeCount; code++)
  assert(opcodeInfo(code) === undefined || emitters[code] !== undefined, `the single pass knows ${opcodeInfo(code)?.name}`);

export function compileBaseline(module: Module, item: ModuleFunction): CodeBlock {
  const compiler = new FunctionCompiler(module, item);
  const { operators } = item.body;
  compiler.prologue();
  compiler.frames.push({
    kind: "function",
    label: -1,
    elseLabel: undefined,
    height: 0,
    params: [],
    results: item.type.results,
    live: true,
    targeted: false,
    caches: undefined,
    elseCaches: undefined,
  });
  for (let i = 0; i < operators.length; i++) {
    const operator = operators[i]!;
    compiler.next = i + 1;
    if (!compiler.reachable && !revives(compiler, operator)) continue;
    (emitters[operator.code] as Emitter)(compiler, operator);
  }
  return compiler.finish();
}
