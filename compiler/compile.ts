import type { CodeBlock } from "./assemble/code.ts";
import { compileBaseline } from "./baseline/compile.ts";
import { compileOptimised } from "./select/function.ts";
import { opcode } from "./decode/opcodes.ts";
import type { Module, ModuleFunction } from "./decode/types.ts";

export type Backend = "baseline" | "optimising";

export interface CompiledFunction {
  /** Index in the function index space. */
  readonly index: number;
  readonly name: string;
  readonly code: CodeBlock;
}

/** A module's machine code before linking: it does not depend on what the imports will be bound to. */
export interface CompiledModule {
  readonly module: Module;
  readonly backend: Backend;
  readonly functions: readonly CompiledFunction[];
}

export interface CompileOptions {
  /** The optimising one unless told otherwise. */
  readonly backend?: Backend;
}

/**
 * Beyond these a function is left to the single pass, whose time and memory grow with the function's length alone: no real program
 * comes near, but a hostile one may.
 */
const optimisingLimits = { operators: 250_000, localsTimesBranches: 20_000_000 } as const;

const branches = new Set(["if", "br", "br_if", "br_table", "loop"].map(opcode));

function isWithinLimits(item: ModuleFunction): boolean {
  const { operators, locals } = item.body;
  if (operators.length > optimisingLimits.operators) return false;
  let edges = 0;
  for (const { code, targets } of operators) if (branches.has(code)) edges += Math.max(1, targets.length);
  return edges * (locals.length + item.type.params.length) <= optimisingLimits.localsTimesBranches;
}

export function functionName(module: Module, index: number): string {
  return module.functionNames.get(index) ?? `function${index}`;
}

export function compileModule(module: Module, options: CompileOptions = {}): CompiledModule {
  const backend = options.backend ?? "optimising";
  const compile = (item: ModuleFunction): CodeBlock =>
    backend === "optimising" && isWithinLimits(item) ? compileOptimised(module, item) : compileBaseline(module, item);
  const functions = module.functions.map((item) => ({
    index: item.index,
    name: functionName(module, item.index),
    code: compile(item),
  }));
  return { module, backend, functions };
}
