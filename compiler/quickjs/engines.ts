import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fromUtf8, toUtf8 } from "#base";
import { type Backend, compileModule } from "../compile.ts";
import { decodeModule } from "../decode/module.ts";
import { instantiateName, linkProgram, type Program } from "../link/program.ts";
import { BenchProcess } from "../testing/bench-process.ts";

/** quickjs.wasm behind one small interface, run by V8 or natively, with the same deterministic host. For tests and measurements. */

export interface Engine {
  call(name: string, ...args: readonly number[]): Promise<number>;
  /** Instantiates a side module linked to the program. */
  load?(name: string): Promise<void>;
  callIn?(module: string, name: string, ...args: readonly number[]): Promise<number>;
  write(address: number, bytes: Uint8Array): Promise<void>;
  read(address: number, bytes: number): Promise<Uint8Array>;
  close(): Promise<void>;
  /** Process that runs it. */
  readonly pid: number | "self";
}

export function quickjsBytes(): Uint8Array {
  return new Uint8Array(readFileSync(createRequire(import.meta.url).resolve("quickjs-wasi/quickjs.wasm")));
}

/** The twelve imports: a clock that stands still, fixed randomness, output that is counted and dropped. */
export const hostText = `(module
  (import "engine" "memory" (memory 1))
  (func (export "host_get_timezone_offset") (param i32 i32) (result i32) (i32.const 0))
  (func (export "host_interrupt") (result i32) (i32.const 0))
  (func (export "host_promise_rejection") (param i32 i32 i32))
  (func (export "host_module_normalize") (param i32 i32) (result i32) (i32.const 0))
  (func (export "host_module_load") (param i32 i32) (result i32) (i32.const 0))
  (func (export "host_call") (param i32 i32 i32 i32 i32) (result i32) (i32.const 0))
  (func (export "clock_time_get") (param i32 i64 i32) (result i32) (i64.store (local.get 2) (i64.const 0)) (i32.const 0))
  (func (export "fd_close") (param i32) (result i32) (i32.const 0))
  (func (export "fd_fdstat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_write") (param i32 i32 i32 i32) (result i32) (local i32)
    (loop $next
      (if (local.get 2) (then
        (local.set 4 (i32.add (local.get 4) (i32.load offset=4 (local.get 1))))
        (local.set 1 (i32.add (local.get 1) (i32.const 8)))
        (local.set 2 (i32.sub (local.get 2) (i32.const 1)))
        (br $next))))
    (i32.store (local.get 3) (local.get 4)) (i32.const 0))
  (func (export "random_get") (param i32 i32) (result i32) (memory.fill (local.get 0) (i32.const 7) (local.get 1)) (i32.const 0)))`;

/** A C extension of the package: a side module that shares the engine's memory and table, at bases its loader chose. */
export interface SideModule {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly memoryBase: number;
  readonly tableBase: number;
}

/** Engine and host as one program; `host` is `hostText` as a binary. */
export function quickjsProgram(host: Uint8Array, backend: Backend, side?: SideModule): Program {
  const engine = compileModule(decodeModule(quickjsBytes()), { backend });
  const stubs = compileModule(decodeModule(host), { backend });
  const extensions = side === undefined ? [] : [{ name: side.name, code: compileModule(decodeModule(side.bytes), { backend }) }];
  const bases: Record<string, number | undefined> = { __memory_base: side?.memoryBase, __table_base: side?.tableBase };
  return linkProgram([{ name: "host", code: stubs }, { name: "engine", code: engine }, ...extensions], {
    platform: "bench",
    missing: "trap",
    growTables: true,
    resolve: (importer, item) => {
      if (importer === "engine" || item.module.startsWith("wasi")) return { module: "host", name: item.name };
      return { module: "engine", name: item.name };
    },
    globals: (_, item) => {
      const value = bases[item.name];
      return value === undefined ? undefined : BigInt(value);
    },
  });
}

export async function nativeEngine(program: Program): Promise<Engine> {
  const process = new BenchProcess(program);
  const base = program.memories.find((m) => m.module === "engine")?.base ?? 0n;
  const callIn = async (module: string, name: string, ...args: readonly number[]): Promise<number> => {
    const outcome = await process.invoke(
      module,
      name,
      args.map((a) => BigInt.asUintN(32, BigInt(a))),
    );
    if (outcome.kind === "trap") throw new Error(`${outcome.trap} in ${outcome.function}`);
    return Number(BigInt.asIntN(32, outcome.words[0] ?? 0n));
  };
  const load = async (module: string): Promise<void> => void (await callIn(module, instantiateName));
  for (const module of ["engine", "host"]) await load(module);
  return {
    load,
    callIn,
    call: (name, ...args) => callIn("engine", name, ...args),
    write: (address, bytes) => process.poke(base + BigInt(address), bytes),
    read: (address, bytes) => process.peek(base + BigInt(address), bytes),
    close: () => process.close(),
    pid: process.child.pid ?? "self",
  };
}

interface VirtualMachine {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { readonly exports: Record<string, never> };
  Memory: new (limits: object) => object;
}
/** V8's own, for which the language's library has no types without the DOM. */
export const virtualMachine = (globalThis as unknown as { WebAssembly: VirtualMachine }).WebAssembly;

let compiledByV8: object | undefined;

export function v8Engine(host: Uint8Array): Engine {
  // Host and engine import from each other: the host's functions are reached through a table of closures.
  let stubs: Record<string, (...args: unknown[]) => unknown> = {};
  const names = [...hostText.matchAll(/export "(\w+)"/g)].map((m) => m[1] as string);
  const late = Object.fromEntries(names.map((name) => [name, (...args: unknown[]) => stubs[name]?.(...args)]));
  const engine = new virtualMachine.Instance((compiledByV8 ??= new virtualMachine.Module(quickjsBytes())), {
    env: late,
    wasi_snapshot_preview1: late,
  });
  const exports = engine.exports as unknown as { memory: { buffer: ArrayBuffer } } & Record<string, (...args: number[]) => number>;
  stubs = new virtualMachine.Instance(new virtualMachine.Module(host), { engine: { memory: exports.memory } }).exports as never;
  return {
    call: async (name, ...args) => exports[name]?.(...args) ?? 0,
    write: async (address, bytes) => new Uint8Array(exports.memory.buffer).set(bytes, address),
    read: async (address, bytes) => new Uint8Array(exports.memory.buffer).slice(address, address + bytes),
    close: async () => undefined,
    pid: "self",
  };
}

export async function start(engine: Engine): Promise<void> {
  await engine.call("_initialize");
  if ((await engine.call("qjs_init")) !== 0) throw new Error("QuickJS did not start");
  // Deep recursion must meet QuickJS's own limit, which is the same everywhere, before that of V8's stack.
  await engine.call("qjs_set_max_stack_size", 128 * 1024);
}

async function text(engine: Engine, value: string): Promise<{ readonly address: number; readonly bytes: number }> {
  const bytes = toUtf8(`${value}\0`);
  const address = await engine.call("malloc", bytes.length);
  await engine.write(address, bytes);
  return { address, bytes: bytes.length - 1 };
}

/** Evaluates a script; gives its completion value, or the exception thrown, as text. */
export async function evaluate(engine: Engine, code: string): Promise<string> {
  const source = await text(engine, code);
  const file = await text(engine, "test.js");
  let result = await engine.call("qjs_eval", source.address, source.bytes, file.address, 0);
  const threw = (await engine.call("qjs_is_exception", result)) !== 0;
  if (threw) result = await engine.call("qjs_get_exception");
  const length = await engine.call("malloc", 4);
  const string = await engine.call("qjs_get_string_len", result, length);
  const bytes = Buffer.from(await engine.read(length, 4)).readUInt32LE();
  const out = string === 0 ? "<no text>" : fromUtf8(await engine.read(string, bytes));
  return threw ? `thrown: ${out}` : out;
}
