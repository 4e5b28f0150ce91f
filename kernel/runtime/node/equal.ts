/** Node's deep equality: `loose` compares primitives by `==` and asks no prototypes. */

type Pairs = Map<object, object>;

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

function samePrimitive(a: unknown, b: unknown, loose: boolean): boolean {
  // biome-ignore lint/suspicious/noDoubleEquals: what loose means
  return loose ? a == b || (a !== a && b !== b) : Object.is(a, b);
}

function sameBytes(a: ArrayBufferView, b: ArrayBufferView): boolean {
  const left = new Uint8Array(a.buffer, a.byteOffset, a.byteLength);
  const right = new Uint8Array(b.buffer, b.byteOffset, b.byteLength);
  return left.length === right.length && left.every((byte, index) => byte === right[index]);
}

function sameSet(a: ReadonlySet<unknown>, b: ReadonlySet<unknown>, loose: boolean, pairs: Pairs): boolean {
  if (a.size !== b.size) return false;
  const rest = new Set(b);
  for (const value of a) {
    if (rest.delete(value)) continue;
    let found = false;
    for (const other of rest)
      if ((isObject(value) || loose) && deepEqual(value, other, loose, pairs)) {
        rest.delete(other);
        found = true;
        break;
      }
    if (!found) return false;
  }
  return true;
}

function sameMap(a: ReadonlyMap<unknown, unknown>, b: ReadonlyMap<unknown, unknown>, loose: boolean, pairs: Pairs): boolean {
  if (a.size !== b.size) return false;
  const rest = new Map(b);
  for (const [key, value] of a) {
    if (rest.has(key) && deepEqual(value, rest.get(key), loose, pairs)) {
      rest.delete(key);
      continue;
    }
    const found = [...rest].find(
      ([other, its]) => (isObject(key) || loose) && deepEqual(key, other, loose, pairs) && deepEqual(value, its, loose, pairs),
    );
    if (found === undefined) return false;
    rest.delete(found[0]);
  }
  return true;
}

/** Values inside objects that have no properties for them. */
function sameInside(a: object, b: object, loose: boolean, pairs: Pairs): boolean {
  if (a instanceof Date && b instanceof Date) return a.getTime() === b.getTime();
  if (a instanceof RegExp && b instanceof RegExp) return String(a) === String(b) && a.lastIndex === b.lastIndex;
  if (a instanceof Error && b instanceof Error)
    return a.message === b.message && a.name === b.name && deepEqual(a.cause, b.cause, loose, pairs);
  if (ArrayBuffer.isView(a) && ArrayBuffer.isView(b)) return sameBytes(a, b);
  if (a instanceof ArrayBuffer && b instanceof ArrayBuffer) return sameBytes(new Uint8Array(a), new Uint8Array(b));
  if (a instanceof Set && b instanceof Set) return sameSet(a, b, loose, pairs);
  if (a instanceof Map && b instanceof Map) return sameMap(a, b, loose, pairs);
  for (const boxed of [Number, String, Boolean, BigInt, Symbol] as const)
    if (a instanceof boxed || b instanceof boxed) return a instanceof boxed && b instanceof boxed && Object.is(a.valueOf(), b.valueOf());
  return !(a instanceof WeakMap || a instanceof WeakSet || a instanceof Promise);
}

const keysOf = (value: object): (string | symbol)[] =>
  Reflect.ownKeys(value).filter((key) => Object.prototype.propertyIsEnumerable.call(value, key));

export function deepEqual(a: unknown, b: unknown, loose = false, pairs: Pairs = new Map()): boolean {
  if (!isObject(a) || !isObject(b)) {
    if (typeof a === "function" || typeof b === "function" || isObject(a) !== isObject(b)) return a === b;
    return samePrimitive(a, b, loose);
  }
  if (a === b) return true;
  if (!loose && Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (Object.prototype.toString.call(a) !== Object.prototype.toString.call(b) || Array.isArray(a) !== Array.isArray(b)) return false;
  if (Array.isArray(a) && a.length !== (b as unknown[]).length) return false;
  if (pairs.has(a)) return pairs.get(a) === b;
  pairs.set(a, b);
  const same =
    sameInside(a, b, loose, pairs) &&
    (ArrayBuffer.isView(a) || sameProperties(a as Record<string | symbol, unknown>, b as Record<string | symbol, unknown>, loose, pairs));
  pairs.delete(a);
  return same;
}

type Properties = Readonly<Record<string | symbol, unknown>>;

function sameProperties(a: Properties, b: Properties, loose: boolean, pairs: Pairs): boolean {
  const keys = loose ? Object.keys(a) : keysOf(a);
  if (keys.length !== (loose ? Object.keys(b) : keysOf(b)).length) return false;
  return keys.every((key) => Object.hasOwn(b, key) && deepEqual(a[key], b[key], loose, pairs));
}
