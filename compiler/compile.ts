import { CodedError } from "#base";
import type { CodeBlock } from "./assemble/code.ts";
import { compileBaseline } from "./baseline/compile.ts";
import { compileOptimised } from "./select/function.ts";
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
  readonly backend?: Backend;
}

export function functionName(module: Module, index: number): string {
  return module.functionNames.get(index) ?? `function${index}`;
}

export function compileModule(module: Module, options: CompileOptions = {}): CompiledModule {
  const backend = options.backend ?? "baseline";
  const compile: (module: Module, item: ModuleFunction) => CodeBlock = backend === "baseline" ? compileBaseline : (m, item) => compileOptimised(m, item);
  if (module.functionTypes.length > 1_000_000) throw new CodedError("MF_COMPILE_LIMIT", "too many functions");
  const functions = module.functions.map((item) => ({
    index: item.index,
    name: functionName(module, item.index),
    code: compile(module, item),
  }));
  return { module, backend, functions };
}
