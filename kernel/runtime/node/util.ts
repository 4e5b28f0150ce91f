/** The part `nodeutil`: Node's util, as far as it has a meaning in a machine. */
import { kernel } from "../link.ts";
import { deepEqual } from "./equal.ts";
import { custom, format, inspect } from "./inspect.ts";

type AnyFunction = (this: unknown, ...values: unknown[]) => unknown;
type Callback = (error: unknown, value?: unknown) => void;

const globals = globalThis as unknown as Record<string, unknown>;
const promisifyCustom: symbol = Symbol.for("nodejs.util.promisify.custom");

/** Timers take their function first, and have a form of their own. */
function ownPromises(): ReadonlyMap<unknown, (...values: unknown[]) => unknown> {
  const { setTimeout, setImmediate } = globals as { setTimeout: AnyFunction; setImmediate?: AnyFunction };
  const after = (delayMs: unknown, value?: unknown): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, delayMs, value));
  return new Map<unknown, (...values: unknown[]) => unknown>([
    [setTimeout, after],
    [setImmediate ?? after, (value) => after(0, value)],
  ]);
}

function promisify(original: AnyFunction & { [key: symbol]: unknown }): AnyFunction {
  if (typeof original !== "function") throw new TypeError('The "original" argument must be of type function');
  const own = original[promisifyCustom] ?? ownPromises().get(original);
  if (typeof own === "function") return own as AnyFunction;
  const promised: AnyFunction = function (...values) {
    return new Promise((resolve, reject) => {
      original.call(this, ...values, ((error, value) => (error ? reject(error) : resolve(value))) satisfies Callback);
    });
  };
  Object.setPrototypeOf(promised, Object.getPrototypeOf(original) as object | null);
  return Object.defineProperties(promised, Object.getOwnPropertyDescriptors(original));
}

function callbackify(original: AnyFunction): (...values: unknown[]) => void {
  if (typeof original !== "function") throw new TypeError('The "original" argument must be of type function');
  return function (this: unknown, ...values) {
    const callback = values.pop() as Callback;
    const failed = (error: unknown): void =>
      callback(error ?? Object.assign(new Error("Promise was rejected with a falsy value"), { reason: error }));
    (original.apply(this, values) as Promise<unknown>).then(
      (value) => queueMicrotask(() => callback(null, value)),
      (error: unknown) => queueMicrotask(() => failed(error)),
    );
  };
}
declare function queueMicrotask(task: () => void): void;

interface Constructor {
  readonly prototype: object;
  super_?: unknown;
}

function inherits(constructor: Constructor, parent: Constructor): void {
  Object.defineProperty(constructor, "super_", { value: parent, writable: true, configurable: true });
  Object.setPrototypeOf(constructor.prototype, parent.prototype);
}

const warned = new Set<string>();

function deprecate<T extends AnyFunction>(deprecated: T, message: string, code = message): T {
  const shell: AnyFunction = function (...values) {
    if (!warned.has(code)) kernel.write(2, `DeprecationWarning: ${message}`, undefined);
    warned.add(code);
    return new.target ? Reflect.construct(deprecated, values, new.target) : deprecated.apply(this, values);
  };
  Object.setPrototypeOf(shell, deprecated);
  if (deprecated.prototype) shell.prototype = deprecated.prototype as object;
  return shell as T;
}

const tagOf = (value: unknown): string => Object.prototype.toString.call(value).slice(8, -1);
const tagged =
  (...names: string[]) =>
  (value: unknown): boolean =>
    typeof value === "object" && value !== null && names.includes(tagOf(value));
const calledLike =
  (name: string) =>
  (value: unknown): boolean =>
    typeof value === "function" && tagOf(value).endsWith(name);

export const types = {
  isAnyArrayBuffer: tagged("ArrayBuffer", "SharedArrayBuffer"),
  isArrayBuffer: (value: unknown): boolean => value instanceof ArrayBuffer,
  isArrayBufferView: (value: unknown): boolean => ArrayBuffer.isView(value),
  isSharedArrayBuffer: tagged("SharedArrayBuffer"),
  isArgumentsObject: tagged("Arguments"),
  isAsyncFunction: calledLike("AsyncFunction"),
  isGeneratorFunction: calledLike("GeneratorFunction"),
  isGeneratorObject: tagged("Generator", "AsyncGenerator"),
  isBoxedPrimitive: (value: unknown): boolean => [Number, String, Boolean, BigInt, Symbol].some((boxed) => value instanceof boxed),
  isBooleanObject: (value: unknown): boolean => value instanceof Boolean,
  isNumberObject: (value: unknown): boolean => value instanceof Number,
  isStringObject: (value: unknown): boolean => value instanceof String,
  isSymbolObject: (value: unknown): boolean => value instanceof Symbol,
  isBigIntObject: (value: unknown): boolean => value instanceof BigInt,
  isDataView: (value: unknown): boolean => value instanceof DataView,
  isDate: (value: unknown): boolean => value instanceof Date,
  isMap: (value: unknown): boolean => value instanceof Map,
  isMapIterator: tagged("Map Iterator"),
  isSet: (value: unknown): boolean => value instanceof Set,
  isSetIterator: tagged("Set Iterator"),
  isNativeError: (value: unknown): boolean => value instanceof Error,
  isPromise: (value: unknown): boolean => value instanceof Promise,
  isProxy: (): boolean => false,
  isExternal: (): boolean => false,
  isModuleNamespaceObject: tagged("Module"),
  isRegExp: (value: unknown): boolean => value instanceof RegExp,
  isTypedArray: (value: unknown): boolean => ArrayBuffer.isView(value) && !(value instanceof DataView),
  isWeakMap: (value: unknown): boolean => value instanceof WeakMap,
  isWeakSet: (value: unknown): boolean => value instanceof WeakSet,
  ...Object.fromEntries(
    ["Int8", "Uint8", "Uint8Clamped", "Int16", "Uint16", "Int32", "Uint32", "Float32", "Float64", "BigInt64", "BigUint64"].map((name) => [
      `is${name}Array`,
      (value: unknown): boolean =>
        ArrayBuffer.isView(value) && (value as unknown as { [Symbol.toStringTag]?: string })[Symbol.toStringTag] === `${name}Array`,
    ]),
  ),
};

/** Removed from Node by and by; older packages ask them still. */
const older = {
  isArray: Array.isArray,
  isBoolean: (value: unknown): boolean => typeof value === "boolean",
  isBuffer: (value: unknown): boolean => (value as { readonly _isBuffer?: boolean } | null)?._isBuffer === true,
  isDate: types.isDate,
  isError: types.isNativeError,
  isFunction: (value: unknown): boolean => typeof value === "function",
  isNull: (value: unknown): boolean => value === null,
  isNullOrUndefined: (value: unknown): boolean => value === null || value === undefined,
  isNumber: (value: unknown): boolean => typeof value === "number",
  isObject: (value: unknown): boolean => typeof value === "object" && value !== null,
  isPrimitive: (value: unknown): boolean => (typeof value !== "object" && typeof value !== "function") || value === null,
  isRegExp: types.isRegExp,
  isString: (value: unknown): boolean => typeof value === "string",
  isSymbol: (value: unknown): boolean => typeof value === "symbol",
  isUndefined: (value: unknown): boolean => value === undefined,
  _extend: (target: object, source: unknown): object => Object.assign(target, source),
};

/** Nothing turns sections of a debug log on: there is no environment. */
const debuglog = (): AnyFunction & { enabled?: boolean } => Object.assign(() => undefined, { enabled: false });

export default {
  ...older,
  callbackify,
  debuglog,
  debug: debuglog,
  deprecate,
  format,
  inherits,
  inspect: Object.assign(inspect, { custom, defaultOptions: {} }),
  isDeepStrictEqual: (a: unknown, b: unknown): boolean => deepEqual(a, b),
  promisify: Object.assign(promisify, { custom: promisifyCustom }),
  stripVTControlCharacters: (text: string): string => text.replace(/\x1b\[[\d;]*[A-Za-z]/g, ""),
  toUSVString: (text: unknown): string => String(text).replace(/\p{Surrogate}/gu, "\ufffd"),
  types,
  get TextDecoder() {
    return globals["TextDecoder"];
  },
  get TextEncoder() {
    return globals["TextEncoder"];
  },
};
