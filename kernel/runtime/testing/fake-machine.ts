/**
 * A machine for unit tests: the runtime's real bundle on the real engine, driven through the `quickjs-wasi` package, above a `Native`
 * of Node's own crypto. Effects are encoded as a real machine encodes them and decoded by abi/, which refuses what it must.
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { decodeEffects, decodeFrame, type Effect, encodeEvent, encodeFrame, type Event, type Part } from "#abi";
import { buildSync } from "esbuild";
import { type JSValueHandle, QuickJS } from "quickjs-wasi";
import { nativeInNode } from "../node-natives.ts";
import { linkedParts, partModules } from "../parts.ts";

const runtime = resolve(process.cwd(), "kernel/runtime");
/** Compiled once for all machines. Node's types know nothing of WebAssembly, hence the shape given here. */
const { Module } = (globalThis as unknown as { WebAssembly: { Module: new (bytes: Uint8Array) => never } }).WebAssembly;
const engine = new Module(readFileSync(createRequire(`${process.cwd()}/package.json`).resolve("quickjs-wasi/quickjs.wasm")));
const scripts = new Map<string, string>();

const partPaths = Object.fromEntries(Object.entries(partModules).map(([name, path]) => [`mayfly/${name}`, resolve(runtime, path)]));

function build(source: string, minify = false): string {
  return buildSync({
    stdin: { contents: source, resolveDir: runtime, sourcefile: "test-flow.ts", loader: "ts" },
    bundle: true,
    write: false,
    minify,
    format: "iife",
    globalName: "exported",
    platform: "neutral",
    mainFields: ["browser", "module", "main"],
    conditions: ["source"],
    target: "es2023",
    alias: { mayfly: `${runtime}/flow.ts`, ...partPaths },
    logLevel: "silent",
  }).outputFiles[0]!.text;
}

/** Bundles source text as a script with the parts it mentions, once. */
export function bundle(source: string): string {
  let script = scripts.get(source);
  if (script === undefined) {
    script = build(source);
    const parts = linkedParts(script);
    if (parts.length > 0) script = build(`${parts.map((part) => `import "mayfly/${part}";`).join("")}\n${source}`);
    scripts.set(source, script);
  }
  return script;
}

let kernelScript: string | undefined;

export interface Step {
  readonly effects: readonly Effect[];
  /** 0 waiting, 1 done, 2 failed. */
  readonly outcome: number;
}

export interface FakeMachine {
  event(event: Event): Step;
  readonly vm: QuickJS;
}

export interface MachineOptions {
  readonly outlets?: readonly string[];
  readonly limits?: { readonly sends?: number; readonly logBytes?: number };
}

const algorithms: Readonly<Record<number, string>> = { 1: "sha1", 256: "sha256", 384: "sha384", 512: "sha512" };

/** The layer below, as far as a test needs it. */
class Door {
  private parts: readonly (Uint8Array | undefined)[] = [];
  private eventKind = 0;
  private records: { kind: number; parts: Part[] }[] = [];
  private draws = 1;
  timeMs = 0;

  load(event: Event): void {
    const frame = decodeFrame(encodeEvent(event));
    if (!frame.ok) throw new Error(frame.error);
    this.parts = frame.value[0]!.parts;
    this.eventKind = frame.value[0]!.kind;
    this.timeMs = event.timeMs;
    this.records = [];
  }

  effects(): Effect[] {
    const decoded = decodeEffects(encodeFrame(this.records));
    if (!decoded.ok) throw new Error(decoded.error);
    return decoded.value;
  }

  private draw(): number {
    this.draws = (Math.imul(this.draws, 1664525) + 1013904223) >>> 0;
    return this.draws;
  }

  /** The functions by name, on handles of the engine's values. */
  functions(vm: QuickJS): Record<string, (...values: JSValueHandle[]) => JSValueHandle> {
    const bytes = (handle: JSValueHandle | undefined): Uint8Array => Uint8Array.from(handle!.toUint8Array());
    const part = (handle: JSValueHandle | undefined): Uint8Array | undefined => this.parts[handle!.toNumber()];
    const give = (value: Uint8Array | undefined): JSValueHandle => (value === undefined ? vm.undefined : vm.newUint8Array(value));
    const written = (value: unknown): JSValueHandle => (typeof value === "number" ? vm.newNumber(value) : give(value as Uint8Array));
    const decode = (value: Uint8Array, fatal: boolean): JSValueHandle =>
      vm.newString(new TextDecoder("utf-8", { fatal, ignoreBOM: true }).decode(value));
    const parse = vm.evalCode("JSON.parse");
    const quote = vm.evalCode("JSON.stringify");
    /** As it is: the package drops a byte order mark. */
    const textOf = (handle: JSValueHandle | undefined): unknown => JSON.parse(vm.callFunction(quote, vm.undefined, handle!).toString());
    const fill = vm.evalCode("(to, from) => { to.set(from); }");
    const arrayOf = (handle: JSValueHandle): Part => {
      if (handle.isUndefined) return undefined;
      if (handle.isString) return handle.toString();
      if (handle.isNumber) return handle.toNumber();
      return handle.isBool ? handle.toBoolean() : bytes(handle);
    };
    return {
      kind: () => vm.newNumber(this.eventKind),
      text: (index, fatal) =>
        part(index) === undefined ? vm.undefined : decode(part(index)!, fatal?.isBool === true && fatal.toBoolean()),
      mentionsCharset: (index) => (/charset/i.test(Buffer.from(part(index) ?? []).toString("latin1")) ? vm.true : vm.false),
      bytes: (index) => give(part(index)),
      json: (index) => {
        const found = part(index);
        return found === undefined || found.length === 0 ? vm.undefined : vm.callFunction(parse, vm.undefined, decode(found, true));
      },
      number: (index) => {
        const found = part(index);
        return vm.newNumber(found?.length === 8 ? new DataView(found.buffer, found.byteOffset, 8).getFloat64(0, true) : Number.NaN);
      },
      emit: (kind, ...parts) => {
        if (this.records.length >= 100_000) throw new RangeError("too many effects");
        this.records.push({ kind: kind!.toNumber(), parts: parts.map(arrayOf) });
        return vm.undefined;
      },
      encodeUtf8: (text) => give(new TextEncoder().encode(text!.toString())),
      decodeUtf8: (value, fatal) => decode(bytes(value), fatal!.toBoolean()),
      random: (to) => {
        const drawn = Uint8Array.from({ length: to!.toUint8Array().length }, () => this.draw() >>> 24);
        return vm.callFunction(fill, vm.undefined, to!, vm.newUint8Array(drawn));
      },
      randomFloat: () => vm.newNumber(this.draw() / 2 ** 32),
      digest: (algorithm, value) => give(createHash(algorithms[algorithm!.toNumber()]!).update(bytes(value)).digest()),
      hmac: (algorithm, key, value) => give(createHmac(algorithms[algorithm!.toNumber()]!, bytes(key)).update(bytes(value)).digest()),
      equal: (a, b) => {
        const [left, right] = [bytes(a), bytes(b)];
        return left.length === right.length && timingSafeEqual(left, right) ? vm.true : vm.false;
      },
      decodeBytes: (value, high) => vm.newString(nativeInNode("decodeBytes", bytes(value), high!.toString()) as string),
      decodeMultibyte: (value, charset, tables, state, options, most) => {
        const kept = bytes(state);
        const numbers = [options!.toNumber(), most!.toNumber()];
        const text = nativeInNode("decodeMultibyte", bytes(value), charset!.toNumber(), bytes(tables), kept, ...numbers) as string;
        vm.callFunction(fill, vm.undefined, state!, vm.newUint8Array(kept));
        return vm.newString(text);
      },
      encodeBytes: (text, high, replaces) => written(nativeInNode("encodeBytes", textOf(text), textOf(high), replaces!.toBoolean())),
      encodeUtf16: (text, isBig, replaces) => written(nativeInNode("encodeUtf16", textOf(text), isBig!.toBoolean(), replaces!.toBoolean())),
      encodeMultibyte: (text, charset, tables, options) =>
        written(nativeInNode("encodeMultibyte", textOf(text), charset!.toNumber(), bytes(tables), options!.toNumber())),
      csv: (text, ...values) =>
        vm.hostToHandle(nativeInNode("csv", text!.isString ? text!.toString() : bytes(text), ...values.map((value) => vm.dump(value)))),
      xml: (input, options, arrays) =>
        vm.hostToHandle(nativeInNode("xml", input!.isString ? input!.toString() : bytes(input), options!.toNumber(), arrays!.toString())),
    };
  }
}

/** The package copies a host's error by name and message; this makes one of the engine's own class of it. One native is the engine's. */
const wrapNatives = `(natives) => {
  const classes = { TypeError, RangeError, SyntaxError };
  const wrapped = { stringify: (value) => JSON.stringify(value), exhausted: () => false, clone: () => undefined, csvText: () => undefined, unlikeRows: () => undefined, xmlText: () => undefined };
  for (const name of Object.keys(natives)) {
    wrapped[name] = (...values) => {
      try { return natives[name](...values); } catch (error) { throw classes[error.name] === undefined ? error : new classes[error.name](error.message); }
    };
  }
  return wrapped;
}`;

/** Boots a machine with a flow given as source text. */
export async function bootMachine(source: string, options: MachineOptions = {}): Promise<FakeMachine> {
  const door = new Door();
  let rejection: ((promise: JSValueHandle, reason: JSValueHandle, handled: boolean) => void) | undefined;
  const vm = await QuickJS.create({
    wasm: engine,
    timezoneOffset: 0,
    maxStackSize: 256 * 1024,
    wasi: (memory: { readonly buffer: ArrayBuffer }) => ({
      clock_time_get(_clock: number, _precision: bigint, address: number): number {
        new DataView(memory.buffer).setBigUint64(address, BigInt(Math.round(door.timeMs * 1000)) * 1000n, true);
        return 0;
      },
    }),
    onUnhandledRejection: (promise: JSValueHandle, reason: JSValueHandle, handled: boolean) => rejection?.(promise, reason, handled),
  });
  const native = vm.newObject();
  for (const [name, value] of Object.entries(door.functions(vm))) vm.setProp(native, name, vm.newFunction(name, value));
  kernelScript ??= build('import "./boot.ts";', true);
  vm.evalCode(kernelScript, "kernel.js");
  const exported = vm.callFunction(
    vm.global.getProp("__mayfly"),
    vm.undefined,
    vm.callFunction(vm.evalCode(wrapNatives), vm.undefined, native),
    vm.hostToHandle(options),
  );
  const call = (name: string, ...values: JSValueHandle[]): JSValueHandle =>
    vm.callFunction(exported.getProp(name), vm.undefined, ...values);
  vm.evalCode(bundle(source), "flow.js");
  call("setFlow", vm.global.getProp("exported").getProp("default"));
  rejection = (promise, reason, handled) => {
    try {
      call("rejection", promise, reason, handled ? vm.true : vm.false);
    } catch {
      // No stack is left to note it on: the native layer drops such an exception too.
    }
  };
  return {
    vm,
    event(event) {
      door.load(event);
      call("step");
      vm.executePendingJobs();
      const outcome = call("settle").toNumber();
      return { outcome, effects: door.effects() };
    },
  };
}

export const deliver = {
  kind: "deliver",
  timeMs: 1_700_000_000_000,
  seed: new Uint8Array(32),
  id: "m-1",
  source: "test",
  attempt: 1,
  key: undefined,
  headersJson: "{}",
  stateJson: undefined,
  body: new Uint8Array(0),
} satisfies Event;

/** A deliver event with a body; objects go as JSON. */
export function deliverBody(body: unknown, more: Partial<Extract<Event, { kind: "deliver" }>> = {}): Event {
  const bytes = body instanceof Uint8Array ? body : new TextEncoder().encode(typeof body === "string" ? body : JSON.stringify(body));
  return { ...deliver, body: bytes, ...more };
}

/** Runs a flow on one message: its first step. */
export async function run(source: string, event: Event = deliver, options: MachineOptions = {}): Promise<Step> {
  return (await bootMachine(source, options)).event(event);
}

/** Evaluates an expression inside a machine and gives its value back through JSON. `input` is the message's body. */
export async function evaluate(expression: string, input: unknown = null, setup = ""): Promise<unknown> {
  const step = await run(
    `import { flow, ...imports } from "mayfly"; ${setup}; export default flow(async (msg, context) => ({ value: await (${expression}) }));`.replace(
      ", ...imports",
      ", fail, json, xml, csv, text, timingSafeEqual, FlowError",
    ),
    deliverBody(input),
  );
  const last = step.effects.at(-1);
  if (last?.kind === "fail") throw new Error(`${last.code}: ${last.message}\n${last.stack ?? ""}`);
  if (last?.kind !== "done") throw new Error(`the machine waits: ${JSON.stringify(step.effects)}`);
  return (JSON.parse(new TextDecoder().decode(last.reply?.body)) as { value?: unknown }).value;
}
