/** Makes classes what Web IDL says of an interface (§3.7): names, tags and members as callers of any web platform find them. */
import { kernel } from "../link.ts";

type Interface = abstract new (...values: never[]) => object;

function enumerable(holder: object): void {
  for (const name of Object.getOwnPropertyNames(holder)) {
    const property = Object.getOwnPropertyDescriptor(holder, name)!;
    if (name === "constructor" || name === "prototype" || name === "name" || name === "length" || !property.configurable) continue;
    if (!property.enumerable) Object.defineProperty(holder, name, { ...property, enumerable: true });
  }
}

/** A text without lone surrogates (Web IDL, USVString). */
export function scalar(value: unknown): string {
  return `${value as string}`.replace(/\p{Surrogate}/gu, "\ufffd");
}

export function tag(prototype: object, name: string): void {
  Object.defineProperty(prototype, Symbol.toStringTag, { value: name, writable: false, enumerable: false, configurable: true });
}

/** Defines the global `name`. The bundler may have renamed the class where the flow's own text mentions the global. */
export function expose(name: string, constructor: Interface): void {
  Object.defineProperty(constructor, "name", { value: name, writable: false, enumerable: false, configurable: true });
  enumerable(constructor.prototype as object);
  enumerable(constructor);
  tag(constructor.prototype as object, name);
  kernel.define(name, constructor);
}

const iteratorPrototype: object = Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]())) as object;

/**
 * Iterators over something that may change meanwhile: each step asks for the pair at its index (Web IDL, §3.7.10.2). `name` is the
 * interface they belong to.
 */
export function pairIterators<T extends object>(
  name: string,
  pairAt: (of: T, index: number) => readonly [string, unknown] | undefined,
): (of: T, kind: "entries" | "keys" | "values") => IterableIterator<never> {
  const states = new WeakMap<object, { readonly of: T; readonly kind: string; index: number }>();
  const prototype = Object.create(iteratorPrototype, {
    next: {
      value(this: object): IteratorResult<unknown> {
        const state = states.get(this);
        if (state === undefined) throw new TypeError(`not an iterator of ${name}`);
        const pair = pairAt(state.of, state.index);
        if (pair === undefined) return { value: undefined, done: true };
        state.index++;
        return { value: state.kind === "keys" ? pair[0] : state.kind === "values" ? pair[1] : [pair[0], pair[1]], done: false };
      },
      writable: true,
      enumerable: true,
      configurable: true,
    },
  }) as object;
  tag(prototype, `${name} Iterator`);
  return (of, kind) => {
    const iterator = Object.create(prototype) as IterableIterator<never>;
    states.set(iterator, { of, kind, index: 0 });
    return iterator;
  };
}

/**
 * A record of texts (Web IDL, §3.2.17): own enumerable properties in order, each looked up and read once. `text` converts names and values.
 */
export function readRecord(object: object, text: (value: unknown) => string): [string, string][] {
  const pairs = new Map<string, string>();
  for (const key of Reflect.ownKeys(object)) {
    if (Object.getOwnPropertyDescriptor(object, key)?.enumerable !== true) continue;
    if (typeof key === "symbol") throw new TypeError("a symbol is no name");
    const name = text(key);
    pairs.set(name, text((object as Record<string, unknown>)[key]));
  }
  return [...pairs];
}

/** Pairs from an iterable of pairs, or from a record. */
export function readPairs(init: object, what: string, text: (value: unknown) => string): [string, string][] {
  const method = (init as { [Symbol.iterator]?: unknown })[Symbol.iterator];
  if (method === undefined || method === null) return readRecord(init, text);
  if (typeof method !== "function") throw new TypeError(`${what}: what it is made of can't be iterated`);
  return Array.from(init as Iterable<unknown>, (entry) => {
    if (typeof entry !== "object" || entry === null) throw new TypeError(`${what}: each entry must be a name and a value`);
    const pair = Array.from(entry as Iterable<unknown>);
    if (pair.length !== 2) throw new TypeError(`${what}: each entry must be a name and a value`);
    return [text(pair[0]), text(pair[1])];
  });
}
