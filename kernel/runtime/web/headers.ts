/** Headers (Fetch Standard, §5.1). */
import { pairIterators, readPairs } from "./interface.ts";

const nameShape = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** A ByteString (Web IDL, §3.2.9). */
function byteString(value: unknown): string {
  const text = `${value as string}`;
  if (/[^\0-\xff]/.test(text)) throw new TypeError("a header must not contain characters beyond Latin-1");
  return text;
}

function nameOf(name: unknown): string {
  const text = byteString(name);
  if (!nameShape.test(text)) throw new TypeError(`${JSON.stringify(text)} is not a header name`);
  return text.toLowerCase();
}

function valueOf(value: unknown): string {
  const text = byteString(value).replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, "");
  if (/[\0\n\r]/.test(text)) throw new TypeError("a header must not contain line breaks");
  return text;
}

export type HeadersInit = Headers | Iterable<readonly [string, string]> | Readonly<Record<string, string>>;

/** The pair at an index of what the headers are iterated as. */
let pairAt: (headers: Headers, index: number) => readonly [string, string] | undefined;
/** Headers that can be changed no more (guard "immutable"). */
export let fixed: (headers: Headers) => Headers;
/** A copy with the same guard. */
export let copied: (headers: Headers) => Headers;
let valuesOf: (headers: Headers) => ReadonlyMap<string, readonly string[]>;

export class Headers {
  readonly #values = new Map<string, string[]>();
  /** Of a response that somebody else made: what it says is not to be changed. */
  #isFixed = false;
  /** Sorted by name, each cookie on its own; made anew after a change. */
  #sorted: (readonly [string, string])[] | undefined;

  constructor(init?: HeadersInit) {
    if (init === undefined) return;
    if (typeof init !== "object" || init === null) throw new TypeError("Headers: an object or a list of pairs is needed");
    for (const [name, value] of readPairs(init, "Headers", byteString)) this.append(name, value);
  }

  append(name: string, value: string): void {
    const [key, text] = [nameOf(name), valueOf(value)];
    this.#change();
    const values = this.#values.get(key);
    if (values === undefined) this.#values.set(key, [text]);
    else values.push(text);
  }

  delete(name: string): void {
    const key = nameOf(name);
    this.#change();
    this.#values.delete(key);
  }

  get(name: string): string | null {
    return this.#values.get(nameOf(name))?.join(", ") ?? null;
  }

  getSetCookie(): string[] {
    return [...(this.#values.get("set-cookie") ?? [])];
  }

  has(name: string): boolean {
    return this.#values.has(nameOf(name));
  }

  set(name: string, value: string): void {
    const [key, text] = [nameOf(name), valueOf(value)];
    this.#change();
    this.#values.set(key, [text]);
  }

  forEach(callback: (value: string, name: string, headers: Headers) => void, self?: unknown): void {
    if (typeof callback !== "function") throw new TypeError("Headers.forEach needs a function to call");
    for (let index = 0, pair = pairAt(this, 0); pair !== undefined; pair = pairAt(this, ++index))
      callback.call(self, pair[1], pair[0], this);
  }

  #change(): void {
    if (this.#isFixed) throw new TypeError("these headers are a response's and can't be changed: make new Headers of them");
    this.#sorted = undefined;
  }

  static {
    fixed = (headers) => {
      headers.#isFixed = true;
      return headers;
    };
    copied = (headers) => {
      const copy = new Headers(headers);
      copy.#isFixed = headers.#isFixed;
      return copy;
    };
    valuesOf = (headers) => headers.#values;
    pairAt = (headers, index) => {
      headers.#sorted ??= [...headers.#values.keys()].sort().flatMap((name): (readonly [string, string])[] => {
        const values = headers.#values.get(name) ?? [];
        return name === "set-cookie" ? values.map((value) => [name, value] as const) : [[name, values.join(", ")]];
      });
      // Beyond the end an array finds what somebody put on its prototype.
      return index < headers.#sorted.length ? headers.#sorted[index] : undefined;
    };
  }

  entries(): IterableIterator<[string, string]> {
    return iterate(this, "entries");
  }

  keys(): IterableIterator<string> {
    return iterate(this, "keys");
  }

  values(): IterableIterator<string> {
    return iterate(this, "values");
  }

  declare [Symbol.iterator]: () => IterableIterator<[string, string]>;
}

const iterate = pairIterators<Headers>("Headers", pairAt);
Object.defineProperty(Headers.prototype, Symbol.iterator, { value: Headers.prototype.entries, writable: true, configurable: true });

/** The headers as the door takes them: a text, or a list of them, for each name. */
export function headersRecord(headers: Headers): string {
  const record: Record<string, string | readonly string[]> = Object.create(null);
  for (const [name, values] of valuesOf(headers)) record[name] = values.length === 1 ? values[0]! : values;
  return JSON.stringify(record);
}
