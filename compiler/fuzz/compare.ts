import { prng } from "#base";
import { type Backend, compileModule } from "../compile.ts";
import { decodeModule } from "../decode/module.ts";
import { f32, f64, type FunctionType, i32, type Module, type ValueType } from "../decode/types.ts";
import { instantiateName, linkProgram, type Program } from "../link/program.ts";
import { BenchProcess, type Outcome } from "../testing/bench-process.ts";

/** Runs modules under V8 and natively with the same calls and tells the first difference. */

export interface Subject {
  readonly label: string;
  readonly bytes: Uint8Array;
}

export interface Difference {
  readonly subject: Subject;
  readonly what: string;
}

interface V8 {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { readonly exports: Record<string, unknown> };
}
const virtualMachine = (globalThis as unknown as { WebAssembly: V8 }).WebAssembly;

const view = new DataView(new ArrayBuffer(8));
const interesting = [
  0n,
  1n,
  -1n,
  7n,
  255n,
  65535n,
  0x7fffffffn,
  0x80000000n,
  0x7fffffffffffffffn,
  0x8000000000000000n,
  0x3ff0000000000000n,
  0x40000000n,
];

function fromWord(type: ValueType, word: bigint): number | bigint {
  view.setBigUint64(0, BigInt.asUintN(64, word), true);
  if (type === i32) return view.getInt32(0, true);
  if (type === f32) return view.getFloat32(0, true);
  if (type === f64) return view.getFloat64(0, true);
  return view.getBigInt64(0, true);
}

function show(values: readonly (number | bigint)[]): string {
  return `(${values.map((v) => (Object.is(v, -0) ? "-0" : String(v))).join(" ")})`;
}

/** Names of traps in V8's messages. */
const v8Traps: readonly (readonly [RegExp, string])[] = [
  [/unreachable/, "unreachable"],
  [/memory access out of bounds/, "memory access out of bounds"],
  [/divide by zero|remainder by zero/, "integer divide by zero"],
  [/divide result unrepresentable/, "integer overflow"],
  [/float unrepresentable/, "conversion"],
  [/table index is out of bounds|null function|signature mismatch/, "indirect call"],
  [/table.*out of bounds/, "table access out of bounds"],
  [/stack size exceeded/, "stack exhausted"],
];
function v8Outcome(call: () => unknown, results: readonly ValueType[]): string {
  try {
    const value = call();
    if (results.length === 0) return "()";
    return show(results.length === 1 ? [value as number] : (value as number[]));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const found = v8Traps.find(([pattern]) => pattern.test(message));
    return `trap: ${found?.[1] ?? message}`;
  }
}
function nativeOutcome(outcome: Outcome, results: readonly ValueType[]): string {
  if (outcome.kind === "values") return show(outcome.words.map((word, i) => fromWord(results[i] as ValueType, word)));
  const trap = outcome.trap;
  if (trap === "undefined element" || trap === "uninitialized element" || trap === "indirect call type mismatch")
    return "trap: indirect call";
  if (trap === "invalid conversion to integer") return "trap: conversion";
  return `trap: ${trap}`;
}
/** V8 has one message for both kinds of failed conversion, Wasm's division overflow another. */
function same(v8: string, native: string): boolean {
  return (
    v8 === native ||
    (v8 === "trap: conversion" && native === "trap: integer overflow") ||
    v8 === "trap: stack exhausted" ||
    native === "trap: stack exhausted"
  );
}

function words(random: ReturnType<typeof prng>, type: FunctionType): bigint[] {
  return type.params.map((param) => {
    const word =
      random.below(3) === 0
        ? (BigInt(random.uint32()) << 32n) | BigInt(random.uint32())
        : (interesting[random.below(interesting.length)] as bigint);
    if (param === f32 || param === f64) {
      view.setFloat64(0, Number(BigInt.asIntN(64, word)) / 3, true);
      if (param === f32) view.setFloat32(0, Number(BigInt.asIntN(32, word)) / 3, true);
      return view.getBigUint64(0, true) & (param === f32 ? 0xffffffffn : 0xffffffffffffffffn);
    }
    return param === i32 ? BigInt.asUintN(32, word) : BigInt.asUintN(64, word);
  });
}

interface Call {
  readonly name: string;
  readonly type: FunctionType;
  readonly args: readonly bigint[];
}

function calls(module: Module, seed: number): Call[] {
  const random = prng(seed);
  return module.exports
    .filter((e) => e.kind === "function")
    .flatMap((e) => {
      const type = module.types[module.functionTypes[e.index] as number] as FunctionType;
      return Array.from({ length: type.params.length === 0 ? 1 : 3 }, () => ({ name: e.name, type, args: words(random, type) }));
    });
}

/** A function that the host lacks traps when called, as it does natively. */
function imports(host: Record<string, unknown> | undefined): object {
  const missing = (): never => {
    throw new Error("unbound import called");
  };
  const names = new Proxy({}, { get: (_, name) => host?.[String(name)] ?? missing });
  return new Proxy({}, { get: () => names });
}

async function compareOne(
  process: BenchProcess,
  program: Program,
  name: string,
  module: Module,
  subject: Subject,
  host: Uint8Array | undefined,
): Promise<string | undefined> {
  const hostExports = host === undefined ? undefined : new virtualMachine.Instance(new virtualMachine.Module(host), {}).exports;
  let exports: Record<string, unknown> = {};
  const instantiated = v8Outcome(() => {
    exports = new virtualMachine.Instance(new virtualMachine.Module(subject.bytes), imports(hostExports)).exports;
  }, []);
  const own = nativeOutcome(await process.invoke(name, instantiateName), []);
  if (!same(instantiated, own)) return `instantiation: V8 ${instantiated}, native ${own}`;
  if (instantiated !== "()") return undefined;
  for (const call of calls(module, subject.bytes.length)) {
    const args = call.args.map((word, i) => fromWord(call.type.params[i] as ValueType, word));
    const expected = v8Outcome(() => (exports[call.name] as (...a: unknown[]) => unknown)(...args), call.type.results);
    const actual = nativeOutcome(await process.invoke(name, call.name, call.args), call.type.results);
    if (!same(expected, actual)) return `${call.name}${show(args)}: V8 ${expected}, native ${actual}`;
    if (expected.includes("stack exhausted") || actual.includes("stack exhausted")) return undefined; // how far each got may differ
  }
  const memoryExport = module.exports.find((e) => e.kind === "memory");
  if (memoryExport === undefined) return undefined;
  const expected = new Uint8Array((exports[memoryExport.name] as { buffer: ArrayBuffer }).buffer);
  const base = program.memories.find((m) => m.module === name)?.base;
  if (base === undefined || expected.length === 0) return undefined;
  const actual = await process.peek(base, Math.min(expected.length, 65536));
  const at = actual.findIndex((byte, i) => byte !== expected[i]);
  return at < 0 ? undefined : `memory differs at ${at}: V8 ${expected[at]}, native ${actual[at]}`;
}

/** `host`, a module without imports, gives the subjects' imports on both sides; each subject gets its own copy. */
export async function compareModules(subjects: readonly Subject[], backend: Backend, host?: Uint8Array): Promise<Difference[]> {
  const modules = subjects.map((s) => decodeModule(s.bytes));
  const programModules = subjects.flatMap((_, i) => {
    const own = { name: `s${i}`, code: compileModule(modules[i] as Module, { backend }) };
    return host === undefined ? [own] : [{ name: `h${i}`, code: compileModule(decodeModule(host), { backend }) }, own];
  });
  const program = linkProgram(programModules, {
    platform: "bench",
    missing: "trap",
    stackBytes: 2 ** 20,
    resolve: (importer, item) => ({ module: `h${importer.slice(1)}`, name: item.name }),
  });
  const process = new BenchProcess(program);
  const differences: Difference[] = [];
  try {
    for (let i = 0; i < subjects.length; i++) {
      const subject = subjects[i] as Subject;
      if (host !== undefined) await process.invoke(`h${i}`, instantiateName);
      const what = await compareOne(process, program, `s${i}`, modules[i] as Module, subject, host).catch((error: unknown) =>
        String(error),
      );
      if (what !== undefined) differences.push({ subject, what });
    }
  } finally {
    await process.close();
  }
  return differences;
}
