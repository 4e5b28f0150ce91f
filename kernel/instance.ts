/**
 * The engine and the natives brought together in V8's WebAssembly VM: one memory, one table, no import that reaches outside.
 * Image building boots machines in it; the embedded monitor runs them in it.
 */
import { assert } from "#base";
import { layout } from "./layout.ts";

type NativeFunction = (...values: number[]) => number;

/** The exports of kernel/native/door.ts. */
export interface Door {
  readonly boot: () => void;
  readonly define: (box: number, name: number, index: number) => number;
  readonly adopt: (step: number, settle: number, rejection: number) => void;
  readonly eventBuffer: (lengthBytes: number) => number;
  readonly step: () => number;
  readonly effects: () => number;
  readonly effectsLength: () => number;
  /** Makes a whole frame of the records that a step had written when it was cut off. */
  readonly closeFrame: () => void;
  /** Adds where a trap was to the closed frame. May trap itself. */
  readonly noteTrap: () => void;
  /** Adds where the interpreter is, when it is about to be told to stop. */
  readonly noteInterrupt: () => void;
}

/** The engine's exports that booting and running need; all of them are `quickjs-wasi`'s. */
export interface EngineExports {
  readonly memory: WebAssembly.Memory;
  readonly __stack_pointer: WebAssembly.Global<number>;
  readonly __indirect_function_table: WebAssembly.Table;
  readonly [name: string]: unknown;
}

export interface KernelInstance {
  readonly engine: EngineExports;
  readonly door: Door;
  /** Calls an engine function by name. */
  readonly call: (name: string, ...values: number[]) => number;
}

const wasiImports = ["clock_time_get", "fd_close", "fd_fdstat_get", "fd_seek", "fd_write", "random_get"] as const;
const hostImports = [
  "host_get_timezone_offset",
  "host_promise_rejection",
  "host_module_normalize",
  "host_module_load",
  "host_call",
] as const;

/**
 * Instantiates engine and natives. `interrupt` is polled by the interpreter every few thousand operations and by regular
 * expressions; a non-zero answer ends the step with an error that the flow cannot catch.
 */
export function instantiateKernel(
  engineModule: WebAssembly.Module,
  nativeModule: WebAssembly.Module,
  interrupt: () => number,
): KernelInstance {
  let natives: Record<string, NativeFunction> = {};
  // The engine's imports are exports of the natives, which need the engine's memory first: a call through this table closes the circle.
  const late = (name: string): ((...values: number[]) => number) => {
    return (...values) => {
      const target = natives[name];
      assert(target !== undefined, `the engine called ${name} before the natives were there`);
      return target(...values);
    };
  };
  const env: Record<string, WebAssembly.ImportValue> = { host_interrupt: interrupt };
  for (const name of hostImports) env[name] = late(name);
  const wasi: Record<string, WebAssembly.ImportValue> = {};
  for (const name of wasiImports) wasi[name] = late(name);
  const engine = new WebAssembly.Instance(engineModule, { env, wasi_snapshot_preview1: wasi }).exports as unknown as EngineExports;
  const table = engine.__indirect_function_table;
  assert(table.length === layout.engineTable, `the engine's table has ${table.length} entries, ${layout.engineTable} were expected`);
  table.grow(layout.nativeTable);
  const imports = { env: { memory: engine.memory, table }, engine: engine as unknown as Record<string, unknown> };
  const native = new WebAssembly.Instance(nativeModule, imports).exports;
  natives = native as unknown as Record<string, NativeFunction>;
  const call = (name: string, ...values: number[]): number => {
    const target = engine[name];
    assert(typeof target === "function", `the engine has no ${name}`);
    return (target as NativeFunction)(...values);
  };
  return { engine, door: native as unknown as Door, call };
}
