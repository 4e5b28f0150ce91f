/**
 * A realm of V8 that looks like a machine: its own built-ins, none of Node's globals, time and chance from the event, and the kernel's own
 * runtime on top.
 */
import { type Context, createContext, Script } from "node:vm";
import { kernelArtifacts } from "#kernel";
import type { Door } from "./natives.ts";

/** A flow's bundle, which leaves the flow in `globalThis.__flow`. */
export interface DebugScript {
  /** With its source map at the end. */
  readonly text: string;
  /** Its URL in the debugger. */
  readonly url: string;
  /** Outlets that the flow may use; null: any. */
  readonly outlets: readonly string[] | null;
}

export interface Runtime {
  step(): void;
  /** 0: it waits. */
  settle(): number;
  rejection(promise: unknown, reason: unknown, handled: boolean): void;
  setFlow(flow: unknown): void;
}

/** Functions of the host as functions of the realm: bytes and errors are the realm's own, so that `instanceof` holds in the flow. */
const adopt = `(host, encoding) => {
  const { parse, stringify } = JSON;
  const classes = { TypeError, RangeError, SyntaxError };
  const bytes = (given) => { if (given === undefined) return undefined; const own = new Uint8Array(given.length); own.set(given); return own; };
  const natives = {};
  for (const name of Object.keys(host)) {
    const given = host[name];
    const own = (...values) => {
      try {
        const result = given(...values);
        return ArrayBuffer.isView(result) ? bytes(result) : result;
      } catch (error) {
        throw new (classes[error.name] ?? Error)(error.message);
      }
    };
    natives[name] = own;
  }
  const { now, detach } = natives;
  delete natives.now;
  delete natives.detach;
  const text = natives.json;
  natives.json = (part) => { const found = text(part); return found === undefined || found === "" ? undefined : parse(found); };
  for (const name of ["xml", "csv"]) {
    const json = natives[name];
    natives[name] = (...values) => parse(json(...values));
  }
  natives.stringify = (value) => stringify(value);

  const Before = Date;
  const Now = function Date(...values) {
    if (new.target === undefined) return new Now(now()).toString();
    return Reflect.construct(Before, values.length === 0 ? [now()] : values, new.target === Now ? Before : new.target);
  };
  for (const name of ["parse", "UTC"]) Object.defineProperty(Now, name, Object.getOwnPropertyDescriptor(Before, name));
  Object.defineProperty(Now, "now", { value: () => now(), writable: true, configurable: true });
  Object.defineProperty(Now, "length", { value: 7, configurable: true });
  Now.prototype = Before.prototype;
  // The engine names no time zone.
  for (const name of ["toString", "toTimeString"]) {
    const shown = Before.prototype[name];
    Object.defineProperty(Before.prototype, name, { value: { [name]() { return Reflect.apply(shown, this, []).replace(/ \\([^)]*\\)$/, ""); } }[name], writable: true, configurable: true });
  }
  Object.defineProperty(Before.prototype, "constructor", { value: Now, writable: true, configurable: true });

  const put = (name, value) => Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
  put("Date", Now);
  const resolved = Promise.resolve();
  const then = Promise.prototype.then;
  put("queueMicrotask", (task) => void Reflect.apply(then, resolved, [() => void task()]));
  // Of the engine's built-ins, those that V8 before 14 lacks and that need few lines.
  const add = (to, name, value) => { if (!(name in to)) Object.defineProperty(to, name, { value, writable: true, configurable: true }); };
  add(Uint8Array.prototype, "toHex", function toHex() { return Array.from(this, (byte) => byte.toString(16).padStart(2, "0")).join(""); });
  add(Uint8Array.prototype, "toBase64", function toBase64() { return encoding.btoa(Array.from(this, (byte) => String.fromCharCode(byte)).join("")); });
  add(Uint8Array, "fromHex", function fromHex(text) { return Uint8Array.from(text.match(/../g) ?? [], (byte) => parseInt(byte, 16)); });
  add(Uint8Array, "fromBase64", function fromBase64(text) { return Uint8Array.from(encoding.atob(text), (character) => character.charCodeAt(0)); });
  add(ArrayBuffer.prototype, "transfer", function transfer(length = this.byteLength) { const made = new ArrayBuffer(length); new Uint8Array(made).set(new Uint8Array(this, 0, Math.min(length, this.byteLength))); detach(this); return made; });
  add(Promise, "withResolvers", function withResolvers() { let resolve, reject; const promise = new this((a, b) => { resolve = a; reject = b; }); return { promise, resolve, reject }; });
  add(Promise, "try", function tried(callback, ...values) { return new this((resolve) => resolve(callback(...values))); });
  add(Object, "groupBy", function groupBy(items, key) { const groups = Object.create(null); let index = 0; for (const item of items) (groups[key(item, index++)] ??= []).push(item); return groups; });
  add(Map, "groupBy", function groupBy(items, key) { const groups = new Map(); let index = 0; for (const item of items) { const name = key(item, index++); if (groups.has(name)) groups.get(name).push(item); else groups.set(name, [item]); } return groups; });
  for (const name of Object.keys(encoding)) put(name, encoding[name]);
  for (const name of ["console", "Intl", "WebAssembly", "Atomics"]) delete globalThis[name];
  return natives;
}`;

const pause = `(flow) => {
  const { handler } = flow;
  const paused = (message, context) => {
    debugger; // The message is here. Step into the next line (F11) to enter the flow's handler.
    return handler(message, context);
  };
  Object.defineProperty(flow, "handler", { value: paused });
}`;

function run(context: Context, text: string, filename: string): unknown {
  return new Script(text, { filename }).runInContext(context) as unknown;
}

/** Boots the runtime with the flow. `pauses`: a debugger stops in front of the flow's handler. Throws what the flow's top level throws. */
export function bootRealm(door: Door, { text, url, outlets }: DebugScript, pauses: boolean): Runtime {
  const context = createContext({}, { name: "mayfly machine" });
  // As in kernel/boot.ts: the engine's globals that V8 takes from its embedder.
  const encoding = { atob, btoa, DOMException };
  const natives = (run(context, adopt, "mayfly:debug") as (host: object, encoding: object) => object)(door.natives, encoding);
  run(context, Buffer.from(kernelArtifacts().runtime).toString("utf8"), "mayfly:kernel");
  const globals = context as unknown as { __mayfly: (natives: object, manifest: object) => Runtime; __flow: { handler: unknown } };
  const manifest = run(context, `(${JSON.stringify(outlets === null ? {} : { outlets })})`, "mayfly:debug") as object;
  const runtime = globals.__mayfly(natives, manifest);
  run(context, "delete globalThis.__mayfly;", "mayfly:debug");
  run(context, text, url);
  const flow = globals.__flow;
  if (pauses && typeof flow?.handler === "function") (run(context, pause, "mayfly:debug") as (flow: object) => void)(flow);
  runtime.setFlow(flow);
  run(context, "delete globalThis.__flow;", "mayfly:debug");
  return runtime;
}
