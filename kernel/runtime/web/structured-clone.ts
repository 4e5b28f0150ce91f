/** The part `clone`: structuredClone (HTML, §2.7). Linked into images whose flow mentions it. */
import { table } from "../table.ts";
import { kernel } from "../link.ts";
import { cloners } from "./cloners.ts";

function refuse(what: string): never {
  throw new DOMException(`${what} can't be cloned`, "DataCloneError");
}

const errorTypes: Readonly<Record<string, ErrorConstructor>> = table({
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
});

type ViewConstructor = new (buffer: ArrayBufferLike, offset: number, length?: number) => ArrayBufferView;

type Resizable = ArrayBuffer & { readonly resizable: boolean; readonly maxByteLength: number };
const { at } = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array;

/** A view whose buffer was resized to end before it. */
function isOutOfBounds(value: ArrayBufferView): boolean {
  try {
    if (value instanceof DataView) void value.byteLength;
    else at.call(value, 0);
    return false;
  } catch {
    return true;
  }
}

/** The engine has these; the library of ES2023 does not know them yet. */
type Detachable = ArrayBuffer & { readonly detached: boolean; transfer(): ArrayBuffer };

const interfaceNames = [
  "URL",
  "URLSearchParams",
  "Headers",
  "Request",
  "Response",
  "Event",
  "EventTarget",
  "AbortController",
  "CryptoKey",
  "FormData",
];

/** An object of an interface that is neither serialisable nor a plain object of the flow's. */
function isPlatformObject(value: object): boolean {
  return interfaceNames.some((name) => {
    const constructor = (globalThis as unknown as Record<string, unknown>)[name];
    return typeof constructor === "function" && value instanceof (constructor as abstract new () => object);
  });
}

class Cloner {
  private readonly transferred: ReadonlySet<ArrayBuffer>;

  constructor(transferred: ReadonlySet<ArrayBuffer>) {
    this.transferred = transferred;
  }

  /** Objects already cloned: keeps cycles and shared parts as they are. */
  private readonly known = new Map<object, object>();

  value(value: unknown): unknown {
    if (typeof value === "symbol") refuse("a symbol");
    if (typeof value === "function") refuse("a function");
    if (typeof value !== "object" || value === null) return value;
    return this.known.get(value) ?? this.object(value);
  }

  private keep<T extends object>(original: object, copy: T): T {
    this.known.set(original, copy);
    return copy;
  }

  private object(value: object): unknown {
    if (Array.isArray(value)) return this.properties(value, this.keep(value, new Array(value.length) as object));
    if (value instanceof Date) return this.keep(value, new Date(value.getTime()));
    if (value instanceof RegExp) return this.keep(value, new RegExp(value.source, value.flags));
    if (value instanceof Map) return this.map(value);
    if (value instanceof Set) return this.set(value);
    if (value instanceof ArrayBuffer) return this.keep(value, this.buffer(value));
    if (ArrayBuffer.isView(value)) return this.view(value);
    if (value instanceof Error) return this.error(value);
    for (const clone of cloners) {
      const copy = clone(value);
      if (copy !== undefined) return this.keep(value, copy);
    }
    if (value instanceof Boolean || value instanceof Number || value instanceof String || value instanceof BigInt)
      return this.keep(value, Object(value.valueOf()) as object);
    if (
      value instanceof Promise ||
      value instanceof WeakMap ||
      value instanceof WeakSet ||
      value instanceof WeakRef ||
      value instanceof Symbol ||
      isPlatformObject(value)
    ) {
      refuse(Object.prototype.toString.call(value));
    }
    return this.properties(value, this.keep(value, {}));
  }

  private buffer(value: ArrayBuffer): ArrayBuffer {
    if ((value as Detachable).detached) refuse("a detached ArrayBuffer");
    if (this.transferred.has(value)) return (value as Detachable).transfer();
    const { resizable, maxByteLength } = value as Resizable;
    if (!resizable) return value.slice(0);
    const copy = new (ArrayBuffer as unknown as new (length: number, options: object) => ArrayBuffer)(value.byteLength, { maxByteLength });
    new Uint8Array(copy).set(new Uint8Array(value));
    return copy;
  }

  private properties(value: object, copy: object): object {
    for (const name of Object.keys(value)) {
      Object.defineProperty(copy, name, {
        value: this.value((value as Record<string, unknown>)[name]),
        writable: true,
        enumerable: true,
        configurable: true,
      });
    }
    return copy;
  }

  private map(value: Map<unknown, unknown>): object {
    const copy = this.keep(value, new Map<unknown, unknown>());
    for (const [name, item] of [...value]) copy.set(this.value(name), this.value(item));
    return copy;
  }

  private set(value: Set<unknown>): object {
    const copy = this.keep(value, new Set<unknown>());
    for (const item of [...value]) copy.add(this.value(item));
    return copy;
  }

  private view(value: ArrayBufferView): object {
    if (isOutOfBounds(value)) refuse("a view that is out of bounds of its buffer");
    const make = (globalThis as unknown as Record<string, ViewConstructor>)[viewName(value)]!;
    // Before the buffer is transferred, and the view with it.
    const { byteOffset } = value;
    const length = value instanceof DataView ? value.byteLength : (value as Uint8Array).length;
    return this.keep(value, new make(this.value(value.buffer) as ArrayBuffer, byteOffset, length));
  }

  private error(value: Error): object {
    const copy = this.keep(value, new (errorTypes[value.name] ?? Error)(Object.hasOwn(value, "message") ? value.message : undefined));
    for (const name of ["stack", "cause"] as const) {
      if (Object.hasOwn(value, name))
        Object.defineProperty(copy, name, { value: this.value(value[name]), writable: true, configurable: true });
    }
    return copy;
  }
}

function viewName(value: ArrayBufferView): string {
  return value instanceof DataView ? "DataView" : (value as unknown as Record<symbol, string>)[Symbol.toStringTag]!;
}

function structuredClone(value: unknown, options?: { readonly transfer?: Iterable<unknown> }): unknown {
  if (arguments.length === 0) throw new TypeError("structuredClone needs a value");
  if (options?.transfer === undefined && typeof value === "object" && value !== null) {
    const copy = kernel.native.clone(value);
    if (copy !== undefined) return copy;
  }
  const transferred = new Set<ArrayBuffer>();
  for (const item of options?.transfer ?? []) {
    if (!(item instanceof ArrayBuffer)) refuse("an entry of `transfer` that is not an ArrayBuffer");
    if (transferred.has(item)) refuse("an ArrayBuffer that is transferred twice");
    if ((item as Detachable).detached) refuse("a detached ArrayBuffer");
    transferred.add(item);
  }
  const clone = new Cloner(transferred).value(value);
  // Buffers that were not met on the way are detached all the same.
  for (const buffer of transferred) if (!(buffer as Detachable).detached) (buffer as Detachable).transfer();
  return clone;
}

kernel.define("structuredClone", structuredClone);
