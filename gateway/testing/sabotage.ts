/**
 * Makes callbacks throw: imported before what it is to sabotage, it wraps every listener, timer, promise reaction and zlib callback that
 * files of this project register. `arm(n)` makes the n-th of those called from then on throw, once.
 */
import { EventEmitter } from "node:events";
import { syncBuiltinESMExports } from "node:module";
import zlib from "node:zlib";

type Callback = (this: unknown, ...values: unknown[]) => unknown;

export class Sabotage extends Error {
  override readonly name = "Sabotage";
}

let pattern = /(?!)/;
let called = 0;
let armedAt = Number.POSITIVE_INFINITY;

/** Only callbacks registered by files that match are wrapped; `files` is tried on a path such as `…/dist/gateway/http/server.js`. */
export function sabotage(files: RegExp): void {
  pattern = files;
  patchEmitter();
  patchPromises();
  patchTimers();
  patchZlib();
}

export function arm(n: number): void {
  called = 0;
  armedAt = n;
}

/** Callbacks that were called since `arm`. */
export function disarm(): number {
  armedAt = Number.POSITIVE_INFINITY;
  return called;
}

/** True when the nearest file of the project on the stack matches. */
function isTarget(): boolean {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 12;
  const frames = (new Error().stack ?? "").split("\n").slice(3);
  Error.stackTraceLimit = stackTraceLimit;
  const frame = frames.find((line) => !/\(node:|at node:|\/sabotage\.[jt]s|\/base\/|<anonymous>/.test(line));
  return frame !== undefined && !frame.includes("node_modules") && pattern.test(frame);
}

function wrapped(callback: unknown): unknown {
  if (typeof callback !== "function" || !isTarget()) return callback;
  const original = callback as Callback & { listener?: unknown };
  const wrapper: Callback & { listener?: unknown } = function (...values) {
    called += 1;
    if (called === armedAt) throw new Sabotage(`sabotage ${called}`);
    return Reflect.apply(original, this, values);
  };
  wrapper.listener = original.listener ?? original;
  return wrapper;
}

type Methods = Record<string, Callback>;

/** Replaces a method whose argument at `index` is a callback. */
function patch(target: unknown, name: string, index = 0): void {
  const methods = target as Methods;
  const original = methods[name] as Callback;
  methods[name] = function (...values) {
    const at = index < 0 ? values.length + index : index;
    values[at] = wrapped(values[at]);
    return Reflect.apply(original, this, values);
  };
}

function patchEmitter(): void {
  const methods = EventEmitter.prototype as unknown as Methods;
  for (const name of ["on", "addListener", "prependListener"]) patch(methods, name, 1);
}

function patchPromises(): void {
  const methods = Promise.prototype as unknown as Methods;
  const original = methods["then"] as Callback;
  methods["then"] = function (fulfilled, rejected) {
    return Reflect.apply(original, this, [wrapped(fulfilled), wrapped(rejected)]);
  };
}

function patchTimers(): void {
  for (const name of ["setTimeout", "setInterval", "setImmediate", "queueMicrotask"]) patch(globalThis, name);
}

function patchZlib(): void {
  for (const name of ["gzip", "gunzip", "inflate", "deflate", "brotliCompress", "brotliDecompress"]) patch(zlib, name, -1);
  syncBuiltinESMExports();
}
