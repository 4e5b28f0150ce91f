/**
 * Boots a machine once: engine, natives, runtime, then the flow's module up to the end of its top level, and its `warm`. What it leaves in memory
 * is the image. Runs the flow's own code, in the same VM that will run its messages, with the clock at zero and no randomness.
 */
import { readFileSync } from "node:fs";
import { assert, CodedError, fromUtf8, isCoded, toUtf8 } from "#base";
import {
  type EngineFile,
  instantiateKernel,
  type KernelArtifacts,
  type KernelInstance,
  layout,
  nativeFunctions,
  rewrittenEngine,
} from "#kernel";
import { imageLimits } from "./limits.ts";

/** Flags of qjs_compile: strict is left to the source; the source text and nothing else is left out (quickjs.h, JS_STRIP_SOURCE). */
const evalGlobal = 0;
const stripSource = 1 << 4;
/** The name stack traces show for the kernel's own functions. */
const kernelName = "mayfly:kernel";

/** A machine booted to the end of its top level. */
export interface BootedMachine {
  readonly memory: Uint8Array;
  readonly stackPointer: number;
  /** JSON of the options the flow was declared with. */
  readonly optionsJson: string;
  /** The flow has a `warm`, which was run. */
  readonly isWarm: boolean;
}

/** The engine's own ways to give up, in the words of who wrote the flow. */
const engineFaults: Readonly<Record<string, string>> = {
  interrupted: `the flow's top level, with warm, took more than ${imageLimits.topLevelMs / 1000} s of CPU time: look for an endless loop, or compute less`,
  "out of memory": `the flow's top level, with warm, used more than ${imageLimits.bootMemoryBytes / 1024 ** 2} MiB: keep less in memory, or compute it in the handler`,
};

interface Exception {
  readonly code: string | undefined;
  readonly message: string;
  readonly stack: string;
}

/** Says 1 once this process has used so much CPU time: on a busy computer a top level may take long without doing much. */
function cpuLimit(limitMs: number): () => number {
  const since = process.cpuUsage();
  const untilMs = performance.now() + limitMs;
  return () => {
    if (performance.now() <= untilMs) return 0;
    const { user, system } = process.cpuUsage(since);
    return user + system > limitMs * 1000 ? 1 : 0;
  };
}

/** A thin hold on the engine's boxed-value interface (`qjs_*`), enough to boot with. */
class Engine {
  readonly #kernel: KernelInstance;

  constructor(kernel: KernelInstance) {
    this.#kernel = kernel;
  }

  call(name: string, ...values: number[]): number {
    return this.#kernel.call(name, ...values);
  }

  bytes(): Uint8Array {
    return new Uint8Array(this.#kernel.engine.memory.buffer);
  }

  /** Copies text into the engine as a C string, runs `use`, frees it. */
  withText<T>(text: string | Uint8Array, use: (address: number, length: number) => T): T {
    const bytes = typeof text === "string" ? toUtf8(text) : text;
    const address = this.call("wasm_malloc", bytes.length + 1);
    if (address === 0)
      throw new CodedError("MF_BUILD_MEMORY", "the flow's bundle does not fit into a machine: import less, or raise limits.memory");
    this.bytes().set(bytes, address);
    this.bytes()[address + bytes.length] = 0;
    const result = use(address, bytes.length);
    this.bytes().fill(0, address, address + bytes.length); // nothing of it may be left in the image
    this.call("wasm_free", address);
    return result;
  }

  property(object: number, name: string): number {
    return this.withText(name, (address) => this.call("qjs_get_prop_string", object, address));
  }

  text(value: number): string {
    const address = this.call("qjs_get_string", value);
    if (address === 0) return "";
    const bytes = this.bytes();
    const text = fromUtf8(bytes.slice(address, bytes.indexOf(0, address)));
    this.call("qjs_free_cstring", address);
    return text;
  }

  isException(value: number): boolean {
    return this.call("qjs_is_exception", value) !== 0;
  }

  exception(): Exception {
    const error = this.call("qjs_get_exception");
    const field = (name: string): string | undefined => {
      if (this.call("qjs_is_object", error) === 0) return undefined;
      const value = this.property(error, name);
      return this.call("qjs_is_string", value) === 0 ? undefined : this.text(value);
    };
    const message = field("message") ?? this.text(error);
    const fault = field("name") === "InternalError" ? engineFaults[message] : undefined;
    return { code: field("code"), message: fault ?? message, stack: field("stack") ?? "" };
  }

  /** Runs `call` and throws its JavaScript exception, when it had one, as MF_BUILD_… */
  checked(value: number, code: string, during: string): number {
    if (!this.isException(value)) return value;
    const { code: own, message, stack } = this.exception();
    throw new CodedError(own ?? code, `${during}: ${message}${stack === "" ? "" : `\n${stack.trimEnd()}`}`);
  }

  /** Runs bytecode that `compile` made. */
  run(bytecode: Uint8Array, fileName: string, code: string): void {
    const value = this.withText(bytecode, (address, length) => this.call("qjs_eval_bytecode", address, length));
    this.call("qjs_free_value", this.checked(value, code, `running ${fileName}`));
  }

  compile(script: string | Uint8Array, fileName: string, code: string): Uint8Array {
    return this.withText(script, (address, length) =>
      this.withText(fileName, (nameAddress) => {
        const lengthAt = this.call("wasm_malloc", 4);
        const compiled = this.call("qjs_compile", address, length, nameAddress, evalGlobal, stripSource, lengthAt);
        if (compiled === 0) {
          const { message, stack } = this.exception();
          throw new CodedError(code, `compiling ${fileName}: ${message}\n${stack}`);
        }
        const size = new DataView(this.bytes().buffer).getUint32(lengthAt, true);
        const bytecode = this.bytes().slice(compiled, compiled + size);
        this.bytes().fill(0, compiled, compiled + size);
        this.call("wasm_free", compiled);
        this.call("wasm_free", lengthAt);
        return bytecode;
      }),
    );
  }

  /** Calls a function with boxed values. */
  apply(callee: number, values: readonly number[], code: string, during: string): number {
    const list = this.call("wasm_malloc", 4 * values.length);
    const view = new DataView(this.bytes().buffer);
    for (const [index, value] of values.entries()) view.setUint32(list + 4 * index, value, true);
    const result = this.call("qjs_call", callee, this.call("qjs_get_undefined"), values.length, list);
    this.call("wasm_free", list);
    return this.checked(result, code, during);
  }

  runJobs(code: string, during = "running the flow's top level"): void {
    while (this.call("qjs_is_job_pending") !== 0) {
      if (this.call("qjs_execute_pending_job") < 0) {
        const { message, stack } = this.exception();
        throw new CodedError(code, `${during}: ${message}\n${stack}`);
      }
    }
  }
}

function startEngine(kernel: KernelInstance): Engine {
  const engine = new Engine(kernel);
  engine.call("_initialize");
  assert(engine.call("qjs_init") === 0, "the engine did not start");
  engine.call("qjs_set_memory_limit", imageLimits.bootMemoryBytes);
  engine.call("qjs_set_max_stack_size", layout.stackBytes);
  engine.call("qjs_set_interrupt_handler", 1);
  kernel.door.boot();
  return engine;
}

/**
 * Compiles scripts to bytecode, in an engine of its own: what a compiler leaves on the heap must not end up in an image.
 */
class Compiler {
  readonly #engine: Engine;

  constructor(modules: Modules) {
    const kernel = instantiateKernel(modules.engine, modules.native, () => 0);
    this.#engine = new Engine(kernel);
    this.#engine.call("_initialize");
    assert(this.#engine.call("qjs_init") === 0, "the engine did not start");
    this.#engine.call("qjs_set_max_stack_size", layout.stackBytes);
  }

  compile(script: string | Uint8Array, fileName: string, code: string): Uint8Array {
    return this.#engine.compile(script, fileName, code);
  }
}

/** A machine being booted, and what compiles for it. */
interface Booting {
  readonly engine: Engine;
  readonly kernel: KernelInstance;
  readonly compiler: Compiler;
}

/** The script and the name of a flow; the outlets it declares, null for any. */
interface FlowScript {
  readonly bundle: Uint8Array;
  readonly name: string;
  readonly outlets: readonly string[] | null;
}

function startRuntime({ engine, kernel, compiler }: Booting, runtime: Uint8Array, outlets: FlowScript["outlets"]): number {
  engine.run(runtimeBytecode(compiler, runtime), kernelName, "MF_KERNEL_BROKEN");
  const prologue = `globalThis.__manifest = ${JSON.stringify(outlets === null ? {} : { outlets })}`;
  engine.run(compiler.compile(prologue, kernelName, "MF_KERNEL_BROKEN"), kernelName, "MF_KERNEL_BROKEN");
  const natives = engine.call("qjs_new_object");
  for (const [index, name] of nativeFunctions.entries()) {
    engine.withText(name, (address) => assert(kernel.door.define(natives, address, index) !== 0, `the natives have no ${name}`));
  }
  const global = engine.call("qjs_get_global");
  const boot = engine.property(global, "__mayfly");
  const functions = engine.apply(boot, [natives, engine.property(global, "__manifest")], "MF_KERNEL_BROKEN", "booting the kernel");
  kernel.door.adopt(engine.property(functions, "step"), engine.property(functions, "settle"), engine.property(functions, "rejection"));
  engine.run(compiler.compile(dismissal, kernelName, "MF_KERNEL_BROKEN"), kernelName, "MF_KERNEL_BROKEN");
  return functions;
}

/** The flow's code finds none of the globals that the kernel was booted with. */
const dismissal = "delete globalThis.__mayfly; delete globalThis.__manifest;";
/** Follows the flow's bundle. */
const epilogue = "globalThis.__options = JSON.stringify(globalThis.__flow?.options ?? {});";
const farewell = "delete globalThis.__flow; delete globalThis.__options;";

function startFlow({ engine, compiler }: Booting, runtimeFunctions: number, { bundle, name }: FlowScript): string {
  const run = (script: string | Uint8Array, fileName: string, code: string): void =>
    engine.run(compiler.compile(script, fileName, code), fileName, code);
  run(bundle, name, "MF_FLOW_TOP_LEVEL");
  engine.runJobs("MF_FLOW_TOP_LEVEL");
  run(epilogue, kernelName, "MF_FLOW_INVALID");
  const global = engine.call("qjs_get_global");
  const optionsJson = engine.text(engine.property(global, "__options"));
  engine.apply(engine.property(runtimeFunctions, "setFlow"), [engine.property(global, "__flow")], "MF_FLOW_INVALID", "taking the flow");
  run(farewell, kernelName, "MF_FLOW_INVALID");
  return optionsJson;
}

const warmCode = "MF_WARM_FAILED";
const duringWarm = "running warm";
/** Codes of errors that say what to do with `warm`; another stands in the sentence of MF_WARM_FAILED. */
const warmCodes: ReadonlySet<string> = new Set([warmCode, "MF_WARM_PENDING", "MF_TOP_LEVEL", "MF_FLOW_INVALID", "MF_UNHANDLED_REJECTION"]);

/** One of the runtime's functions for `warm`; true if it says so. */
function callWarm({ engine }: Booting, functions: number, name: string): boolean {
  const callee = engine.property(functions, name);
  let result: number;
  try {
    result = engine.apply(callee, [], warmCode, duringWarm);
  } catch (error) {
    if (!isCoded(error) || warmCodes.has(error.code)) throw error;
    throw new CodedError(warmCode, error.message.replace(duringWarm, `${duringWarm}: ${error.code}`), { cause: error });
  }
  const isTrue = engine.text(result) === "true";
  for (const value of [result, callee]) engine.call("qjs_free_value", value);
  return isTrue;
}

/** Runs a flow's `warm` to its end; false for a flow without. Throws MF_WARM_FAILED, MF_WARM_PENDING, MF_TOP_LEVEL. */
function runWarm(booting: Booting, functions: number): boolean {
  if (!callWarm(booting, functions, "startWarm")) return false;
  do booting.engine.runJobs(warmCode, duringWarm);
  while (callWarm(booting, functions, "advanceWarm"));
  callWarm(booting, functions, "endWarm");
  return true;
}

/** Drops what only `warm` holds. Throws MF_WARM_PENDING for promises that are held by others. */
function leaveWarm(booting: Booting, functions: number): void {
  callWarm(booting, functions, "dropWarm");
  booting.engine.call("qjs_run_gc");
  callWarm(booting, functions, "checkWarm");
}

interface Modules {
  readonly engine: WebAssembly.Module;
  readonly native: WebAssembly.Module;
}

const compiledModules = new WeakMap<KernelArtifacts, Modules>();

function compiled(artifacts: KernelArtifacts): Modules {
  let pair = compiledModules.get(artifacts);
  if (pair === undefined) {
    const cleaning = JSON.parse(readFileSync(new URL("./engine.json", import.meta.url), "utf8")) as EngineFile; // clean-free.ts
    const engine = rewrittenEngine(artifacts.engine, cleaning);
    if (engine === undefined)
      throw new CodedError("MF_KERNEL_BROKEN", "image/engine.json does not fit the kernel's engine: reinstall the package");
    pair = { engine: new WebAssembly.Module(engine), native: new WebAssembly.Module(artifacts.native) };
    compiledModules.set(artifacts, pair);
  }
  return pair;
}

const runtimeBytecodes = new WeakMap<Uint8Array, Uint8Array>();

/** The runtime's bytecode is the same for every image: compiled once. */
function runtimeBytecode(compiler: Compiler, runtime: Uint8Array): Uint8Array {
  let bytecode = runtimeBytecodes.get(runtime);
  if (bytecode === undefined) {
    bytecode = compiler.compile(runtime, kernelName, "MF_KERNEL_BROKEN");
    runtimeBytecodes.set(runtime, bytecode);
  }
  return bytecode;
}
/** Starts a machine and hands it to `use`. Throws MF_FLOW_TOP_LEVEL for what stops the machine itself. */
function withBooting<T>(artifacts: KernelArtifacts, name: string, use: (booting: Booting) => T): T {
  const modules = compiled(artifacts);
  const compiler = new Compiler(modules);
  const kernel = instantiateKernel(modules.engine, modules.native, cpuLimit(imageLimits.topLevelMs));
  const engine = startEngine(kernel);
  try {
    return use({ engine, kernel, compiler });
  } catch (error) {
    if (error instanceof CodedError) throw error;
    // A trap, or V8's own stack used up by a recursion deeper than the engine noticed.
    throw new CodedError("MF_FLOW_TOP_LEVEL", `running ${name}: the machine stopped: ${(error as Error).message}`, { cause: error });
  }
}

/** Boots a script that leaves the flow's default export in `globalThis.__flow`. Throws MF_FLOW_TOP_LEVEL, MF_FLOW_INVALID, MF_WARM_…. */
export function bootMachine(artifacts: KernelArtifacts, flow: FlowScript): BootedMachine {
  return withBooting(artifacts, flow.name, (booting) => {
    const { engine, kernel } = booting;
    const functions = startRuntime(booting, artifacts.runtime, flow.outlets);
    const optionsJson = startFlow(booting, functions, flow);
    const isWarm = runWarm(booting, functions);
    leaveWarm(booting, functions);
    engine.call("qjs_set_memory_limit", -1); // a machine's bound is that of its linear memory
    return { memory: engine.bytes(), stackPointer: kernel.engine.__stack_pointer.value, optionsJson, isWarm };
  });
}

/** Milliseconds of a flow's `warm` in a machine that has not run it, and in one that has. */
export interface WarmTimes {
  readonly coldMs: number;
  readonly warmMs: number;
}

/** Boots a flow with `warm` once more to measure it; undefined where it does not run a second time. */
export function measureWarm(artifacts: KernelArtifacts, flow: FlowScript): WarmTimes | undefined {
  try {
    return withBooting(artifacts, flow.name, (booting) => {
      const functions = startRuntime(booting, artifacts.runtime, flow.outlets);
      startFlow(booting, functions, flow);
      const timed = (): number => {
        const started = performance.now();
        runWarm(booting, functions);
        return performance.now() - started;
      };
      return { coldMs: timed(), warmMs: timed() };
    });
  } catch {
    return undefined;
  }
}
