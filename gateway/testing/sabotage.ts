/**
 * Makes callbacks throw and calls of the disk fail: imported before what it is to sabotage, it wraps every listener, timer, promise
 * reaction and zlib callback that files of this project register, and every call of node:fs that they make. `arm(n)` makes the n-th of
 * those called from then on throw, or fail with EIO, once.
 */
import { EventEmitter } from "node:events";
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import zlib from "node:zlib";

type Callback = (this: unknown, ...values: unknown[]) => unknown;

type Methods = Record<string, Callback>;

export class Sabotage extends Error {
  override readonly name = "Sabotage";
}

const nothing = /(?!)/;
let callbacks = nothing;
let disk = nothing;
let called = 0;
let armedAt = Number.POSITIVE_INFINITY;

/** Files whose callbacks and disk calls are wrapped, as patterns of paths such as `…/dist/gateway/http/server.js`. */
export interface Targets {
  readonly callbacks: RegExp;
  readonly disk?: RegExp;
}

export function sabotage(targets: Targets): void {
  callbacks = targets.callbacks;
  disk = targets.disk ?? nothing;
  patchEmitter();
  patchPromises();
  patchTimers();
  patchZlib();
  patchFiles();
  syncBuiltinESMExports();
}

export function arm(n: number): void {
  called = 0;
  armedAt = n;
}

/** Callbacks and calls of the disk since `arm`. */
export function calls(): number {
  return called;
}

/** Lets all calls through from now on; gives how many there were. */
export function disarm(): number {
  armedAt = Number.POSITIVE_INFINITY;
  return calls();
}

/** Makes the calls of a class fail as well, instead of what was asked; all of its methods give promises, but for those named. */
export function sabotageCalls(prototype: object, synchronous: readonly string[] = []): void {
  const methods = prototype as Methods;
  for (const name of Object.getOwnPropertyNames(prototype)) {
    const original = Object.getOwnPropertyDescriptor(prototype, name)?.value as Callback | undefined;
    if (name === "constructor" || typeof original !== "function" || synchronous.includes(name)) continue;
    methods[name] = function (...values) {
      return isTurn() ? Promise.reject(new Sabotage(`${name}: sabotage ${called}`)) : Reflect.apply(original, this, values);
    };
  }
}

/** True when the nearest file of the project on the stack matches. */
function isTarget(pattern: RegExp): boolean {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 12;
  const frames = (new Error().stack ?? "").split("\n").slice(3);
  Error.stackTraceLimit = stackTraceLimit;
  const frame = frames.find((line) => !/\(node:|at node:|\/sabotage\.[jt]s|\/base\/|<anonymous>/.test(line));
  return frame !== undefined && !frame.includes("node_modules") && pattern.test(frame);
}

function isTurn(): boolean {
  called += 1;
  return called === armedAt;
}

/** `last`: the work is done before it throws. */
function wrapped(callback: unknown, last = false): unknown {
  if (typeof callback !== "function" || !isTarget(callbacks)) return callback;
  const original = callback as Callback & { listener?: unknown };
  const wrapper: Callback & { listener?: unknown } = function (...values) {
    const throws = isTurn();
    const error = throws ? new Sabotage(`sabotage ${called}`) : undefined;
    if (throws && !last) throw error;
    const result = Reflect.apply(original, this, values);
    if (throws) throw error;
    return result;
  };
  wrapper.listener = original.listener ?? original;
  return wrapper;
}

/** Replaces a method whose argument at `index` is a callback. */
function patch(target: unknown, name: string, index: number, last = false): void {
  const methods = target as Methods;
  const original = methods[name] as Callback;
  methods[name] = function (...values) {
    const at = index < 0 ? values.length + index : index;
    values[at] = wrapped(values[at], last);
    return Reflect.apply(original, this, values);
  };
}

function patchEmitter(): void {
  const methods = EventEmitter.prototype as unknown as Methods;
  for (const name of ["on", "addListener", "prependListener", "once", "prependOnceListener"]) patch(methods, name, 1);
}

function patchPromises(): void {
  const methods = Promise.prototype as unknown as Methods;
  const original = methods["then"] as Callback;
  methods["then"] = function (fulfilled, rejected) {
    return Reflect.apply(original, this, [wrapped(fulfilled), wrapped(rejected)]);
  };
}

/** A timer that never runs is a fault of Node's, not of a callback: these throw at their end. */
function patchTimers(): void {
  for (const name of ["setTimeout", "setInterval", "setImmediate", "queueMicrotask"]) patch(globalThis, name, 0, true);
}

function patchZlib(): void {
  for (const name of ["gzip", "gunzip", "inflate", "deflate", "brotliCompress", "brotliDecompress"]) patch(zlib, name, -1);
}

const refusal = (): Error => Object.assign(new Sabotage(`EIO: sabotage ${called}`), { code: "EIO", errno: -5, syscall: "sabotage" });

/** By name: `close` fails after it has closed, the rest instead of what was asked. */
function patchFiles(): void {
  const withCallbacks = fs as unknown as Methods;
  for (const name of ["open", "read", "write", "fdatasync", "fsync", "fstat", "ftruncate", "close"]) {
    const original = withCallbacks[name] as Callback;
    withCallbacks[name] = function (...values) {
      const callback = values.at(-1);
      if (typeof callback !== "function" || !isTarget(disk) || !isTurn()) return Reflect.apply(original, this, values);
      const error = refusal();
      const refuse = (): unknown => callback(error);
      return name === "close" ? Reflect.apply(original, this, [values[0], refuse]) : process.nextTick(refuse);
    };
  }
  const withPromises = fs.promises as unknown as Methods;
  const names = [
    "open",
    "readFile",
    "writeFile",
    "readdir",
    "rename",
    "unlink",
    "rm",
    "mkdir",
    "stat",
    "lstat",
    "statfs",
    "copyFile",
    "chmod",
  ];
  for (const name of names) {
    const original = withPromises[name] as Callback;
    withPromises[name] = function (...values) {
      return isTarget(disk) && isTurn() ? Promise.reject(refusal()) : Reflect.apply(original, this, values);
    };
  }
}
