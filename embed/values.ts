/**
 * Values as text, for both sides of the door: this file is part of every sandbox's image as well, so it imports nothing.
 *
 *   ""            undefined
 *   JSON          a value that JSON can hold without loss
 *   "!" and JSON  any other. Objects stand as they are; an array is a form, by its first item:
 *                   [0, …] array   [1] undefined   [2, text] NaN, Infinity, -Infinity, -0   [3, sign, hex] BigInt   [4, ms] Date
 *                   [5, k, v, …] Map   [6, …] Set   [7, kind, base64] bytes   [8, name, message] error
 *
 * A value is a tree: what is in it twice comes twice, and a cycle is refused. Of a class's object its own members cross, as with
 * structuredClone. Text from the other side is hostile: `decodeValue` makes nothing but these kinds, and sets no prototype.
 */

export interface ValueBounds {
  /** Levels of nesting. */
  readonly depth: number;
  readonly parts: number;
  readonly characters: number;
}

export interface Base64 {
  to(bytes: Uint8Array): string;
  /** Throws for what is no base64. */
  from(text: string): Uint8Array;
}

/** Code of every fault found here. */
export const valueCode = "MF_VALUE_INVALID";

function invalid(message: string): Error {
  return Object.assign(new Error(message), { code: valueCode });
}

interface BytesKind {
  readonly name: string;
  readonly of: (buffer: ArrayBuffer) => object;
}

/** By the number in their form: the order is part of it. */
const bytesKinds: readonly BytesKind[] = [
  { name: "ArrayBuffer", of: (buffer) => buffer },
  { name: "DataView", of: (buffer) => new DataView(buffer) },
  { name: "Uint8Array", of: (buffer) => new Uint8Array(buffer) },
  { name: "Int8Array", of: (buffer) => new Int8Array(buffer) },
  { name: "Uint8ClampedArray", of: (buffer) => new Uint8ClampedArray(buffer) },
  { name: "Uint16Array", of: (buffer) => new Uint16Array(buffer) },
  { name: "Int16Array", of: (buffer) => new Int16Array(buffer) },
  { name: "Uint32Array", of: (buffer) => new Uint32Array(buffer) },
  { name: "Int32Array", of: (buffer) => new Int32Array(buffer) },
  { name: "Float32Array", of: (buffer) => new Float32Array(buffer) },
  { name: "Float64Array", of: (buffer) => new Float64Array(buffer) },
  { name: "BigUint64Array", of: (buffer) => new BigUint64Array(buffer) },
  { name: "BigInt64Array", of: (buffer) => new BigInt64Array(buffer) },
];

const errorKinds: readonly ErrorConstructor[] = [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError];

const tagOf = (value: object): string => Object.prototype.toString.call(value).slice(8, -1);

/** True for what JSON gives back as it was. Not recursive beyond `depth`: deeper values take the other way, which refuses them. */
function isPlain(value: unknown, depth: number): boolean {
  if (value === null || typeof value === "string" || typeof value === "boolean") return true;
  if (typeof value === "number") return Number.isFinite(value) && !Object.is(value, -0);
  if (typeof value !== "object" || depth === 0) return false;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) if (!isPlain(value[index], depth - 1)) return false;
    return true;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if ((prototype !== Object.prototype && prototype !== null) || "toJSON" in value) return false;
  for (const key of Object.keys(value)) if (!isPlain((value as Record<string, unknown>)[key], depth - 1)) return false;
  return true;
}

function define(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__") Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  else object[key] = value;
}

class Encoder {
  readonly #bounds: ValueBounds;
  readonly #base64: Base64;
  readonly #open: object[] = [];
  #parts = 0;

  constructor(bounds: ValueBounds, base64: Base64) {
    this.#bounds = bounds;
    this.#base64 = base64;
  }

  of(value: unknown): unknown {
    switch (typeof value) {
      case "string":
      case "boolean":
        return value;
      case "number":
        return Number.isFinite(value) && !Object.is(value, -0) ? value : [2, Object.is(value, -0) ? "-0" : String(value)];
      case "undefined":
        return [1];
      case "bigint":
        return [3, value < 0n ? "-" : "", (value < 0n ? -value : value).toString(16)];
      case "object":
        return value === null ? null : this.#object(value);
      default:
        throw invalid(`a ${typeof value} can't cross: pass data, and name functions of the host in functions`);
    }
  }

  #object(value: object): unknown {
    if (this.#open.includes(value)) throw invalid("the value contains itself: pass it without the cycle");
    if (this.#open.length >= this.#bounds.depth) throw invalid(`the value nests deeper than ${this.#bounds.depth} levels: pass less of it`);
    this.#open.push(value);
    const form = this.#form(value);
    this.#open.pop();
    return form;
  }

  #count(parts: number): void {
    this.#parts += parts;
    if (this.#parts > this.#bounds.parts) throw invalid(`the value has more than ${this.#bounds.parts} parts: pass less at once`);
  }

  #form(value: object): unknown {
    if (Array.isArray(value)) return this.#list(0, value);
    const tag = tagOf(value);
    const kind = bytesKinds.findIndex(({ name }) => name === tag);
    if (kind >= 0) {
      const view = ArrayBuffer.isView(value)
        ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
        : new Uint8Array(value as ArrayBuffer);
      this.#count(1);
      return [7, kind, this.#base64.to(view)];
    }
    if (tag === "Date") return [4, Date.prototype.getTime.call(value)].map((part) => (Number.isNaN(part) ? null : part));
    if (tag === "Map") return this.#list(5, [...Map.prototype.entries.call(value)].flat());
    if (tag === "Set") return this.#list(6, [...Set.prototype.values.call(value)]);
    if (tag === "Error") return this.#error(value as Error);
    if (tag !== "Object") throw invalid(`a ${tag.slice(0, 64)} can't cross: pass what it holds as data`);
    const form: Record<string, unknown> = {};
    const keys = Object.keys(value);
    this.#count(keys.length);
    for (const key of keys) define(form, key, this.of((value as Record<string, unknown>)[key]));
    return form;
  }

  #error({ name, message }: Error): unknown {
    this.#count(1);
    return [8, String(name).slice(0, 64), String(message)];
  }

  #list(form: number, items: readonly unknown[]): unknown[] {
    this.#count(items.length);
    const list: unknown[] = [form];
    for (let index = 0; index < items.length; index++) list.push(this.of(items[index]));
    return list;
  }
}

/** Throws an error with the code MF_VALUE_INVALID for a value that can't cross. */
export function encodeValue(value: unknown, bounds: ValueBounds, base64: Base64): string {
  if (value === undefined) return "";
  const text = isPlain(value, bounds.depth) ? JSON.stringify(value) : `!${JSON.stringify(new Encoder(bounds, base64).of(value))}`;
  if (text.length > bounds.characters)
    throw invalid(`the value has ${text.length} characters, more than ${bounds.characters}: pass less at once`);
  return text;
}

const numbers: ReadonlyMap<unknown, number> = new Map([
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
  ["-0", -0],
]);

/** A form with its items already read, but for the first. */
function madeOf(form: unknown, items: readonly unknown[], base64: Base64): unknown {
  const [first, second] = items;
  switch (form) {
    case 0:
      return items;
    case 1:
      return undefined;
    case 2:
      if (numbers.has(first)) return numbers.get(first);
      break;
    case 3:
      if (typeof second !== "string" || !/^[0-9a-f]{1,1000000}$/.test(second)) break;
      return first === "-" ? -BigInt(`0x${second}`) : BigInt(`0x${second}`);
    case 4:
      if (first === null || typeof first === "number") return new Date(first ?? Number.NaN);
      break;
    case 5:
      if (items.length % 2 === 0) return mapOf(items);
      break;
    case 6:
      return new Set(items);
    case 7: {
      const kind = typeof first === "number" ? bytesKinds[first] : undefined;
      if (kind === undefined || typeof second !== "string") break;
      const bytes = base64.from(second);
      return kind.of(bytes.slice().buffer as ArrayBuffer);
    }
    case 8:
      if (typeof first !== "string" || typeof second !== "string") break;
      return errorOf(first, second);
  }
  throw invalid("the value has an unknown form");
}

function mapOf(items: readonly unknown[]): Map<unknown, unknown> {
  const map = new Map<unknown, unknown>();
  for (let at = 0; at < items.length; at += 2) map.set(items[at], items[at + 1]);
  return map;
}

function errorOf(name: string, message: string): Error {
  const error = new (errorKinds.find((kind) => kind.name === name) ?? Error)(message);
  Object.defineProperty(error, "stack", { value: `${error.name}: ${message}`, configurable: true, writable: true });
  return error;
}

function revived(value: unknown, base64: Base64): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    const items: unknown[] = [];
    for (let index = 1; index < value.length; index++) items.push(revived(value[index], base64));
    return madeOf(value[0], items, base64);
  }
  const object = value as Record<string, unknown>;
  for (const key of Object.keys(object)) define(object, key, revived(object[key], base64));
  return object;
}

/** `parse`: JSON.parse with the bounds of its side. Throws an error with the code MF_VALUE_INVALID for text that is malformed. */
export function decodeValue(text: string, parse: (json: string) => unknown, base64: Base64): unknown {
  if (text === "") return undefined;
  return text.startsWith("!") ? decodeForm(parse(text.slice(1)), base64) : parse(text);
}

/** Reads the form of a value, without its mark. Throws as `decodeValue`. */
export function decodeForm(form: unknown, base64: Base64): unknown {
  try {
    return revived(form, base64);
  } catch (error) {
    if ((error as { readonly code?: unknown } | null)?.code === valueCode) throw error;
    throw invalid("the value is malformed");
  }
}
