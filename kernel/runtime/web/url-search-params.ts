/** URLSearchParams (URL Standard, §6) and application/x-www-form-urlencoded (§5). */
import { pairIterators, readRecord, scalar } from "./interface.ts";
import { percentDecode, percentEncode, type Utf8 } from "./url-host.ts";

type Pair = [name: string, value: string];
export type ParametersInit = string | Iterable<readonly [string, string]> | Readonly<Record<string, string>>;

const formSet = /[^*\-.0-9A-Z_a-z]/gu;

let utf8: Utf8;

export function useUtf8(value: Utf8): void {
  utf8 = value;
}

function encodeForm(text: string): string {
  return percentEncode(text, formSet, utf8).replace(/%20/g, "+");
}

/** Names and values of application/x-www-form-urlencoded (§5.1). */
export function parsePairs(text: string, coder: Utf8): Pair[] {
  const decodeForm = (part: string): string => percentDecode(part.replace(/\+/g, " "), coder);
  const pairs: Pair[] = [];
  for (const part of text.split("&")) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    pairs.push(equals < 0 ? [decodeForm(part), ""] : [decodeForm(part.slice(0, equals)), decodeForm(part.slice(equals + 1))]);
  }
  return pairs;
}

function readInit(init: unknown): Pair[] {
  if (init === undefined || init === null) return [];
  if (typeof init !== "object" && typeof init !== "function") {
    const text = scalar(init);
    return parsePairs(text.startsWith("?") ? text.slice(1) : text, utf8);
  }
  const method = (init as { [Symbol.iterator]?: unknown })[Symbol.iterator];
  if (method === undefined || method === null) return readRecord(init, scalar);
  return Array.from(init as Iterable<Iterable<unknown>>, (entry) => {
    const pair = Array.from(entry);
    if (pair.length !== 2) throw new TypeError("URLSearchParams: each entry must be a name and a value");
    return [scalar(pair[0]), scalar(pair[1])];
  });
}

/** The pair at an index of the parameters as they are now. */
let pairAt: (parameters: URLSearchParams, index: number) => Pair | undefined;
/** Takes new parameters without telling the URL, which has them already. */
export let reload: (parameters: URLSearchParams, query: string) => void;

export class URLSearchParams {
  #pairs: Pair[];
  /** Tells the URL these parameters belong to that they changed. */
  #changed: ((query: string) => void) | undefined;

  constructor(init?: ParametersInit, changed?: (query: string) => void) {
    this.#pairs = readInit(init);
    this.#changed = changed;
  }

  static {
    // Beyond the end an array finds what somebody put on its prototype.
    pairAt = (parameters, index) => (index < parameters.#pairs.length ? parameters.#pairs[index] : undefined);
    reload = (parameters, query) => void (parameters.#pairs = parsePairs(query, utf8));
  }

  get size(): number {
    return this.#pairs.length;
  }

  append(name: string, value: string): void {
    this.#pairs.push([scalar(name), scalar(value)]);
    this.#changed?.(this.toString());
  }

  delete(name: string, value?: string): void {
    const [gone, only] = [scalar(name), value === undefined ? undefined : scalar(value)];
    this.#pairs = this.#pairs.filter((pair) => pair[0] !== gone || (only !== undefined && pair[1] !== only));
    this.#changed?.(this.toString());
  }

  get(name: string): string | null {
    const wanted = scalar(name);
    return this.#pairs.find((pair) => pair[0] === wanted)?.[1] ?? null;
  }

  getAll(name: string): string[] {
    const wanted = scalar(name);
    return this.#pairs.filter((pair) => pair[0] === wanted).map((pair) => pair[1]);
  }

  has(name: string, value?: string): boolean {
    const [wanted, only] = [scalar(name), value === undefined ? undefined : scalar(value)];
    return this.#pairs.some((pair) => pair[0] === wanted && (only === undefined || pair[1] === only));
  }

  set(name: string, value: string): void {
    const wanted = scalar(name);
    const first = this.#pairs.find((pair) => pair[0] === wanted);
    if (first === undefined) this.#pairs.push([wanted, scalar(value)]);
    else {
      first[1] = scalar(value);
      this.#pairs = this.#pairs.filter((pair) => pair === first || pair[0] !== wanted);
    }
    this.#changed?.(this.toString());
  }

  sort(): void {
    this.#pairs.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
    this.#changed?.(this.toString());
  }

  forEach(callback: (value: string, name: string, parameters: URLSearchParams) => void, self?: unknown): void {
    if (typeof callback !== "function") throw new TypeError("URLSearchParams.forEach needs a function to call");
    for (let index = 0, pair = pairAt(this, 0); pair !== undefined; pair = pairAt(this, ++index))
      callback.call(self, pair[1], pair[0], this);
  }

  entries(): IterableIterator<Pair> {
    return iterate(this, "entries");
  }

  keys(): IterableIterator<string> {
    return iterate(this, "keys");
  }

  values(): IterableIterator<string> {
    return iterate(this, "values");
  }

  declare [Symbol.iterator]: () => IterableIterator<Pair>;

  toString(): string {
    return this.#pairs.map(([name, value]) => `${encodeForm(name)}=${encodeForm(value)}`).join("&");
  }
}

const iterate = pairIterators<URLSearchParams>("URLSearchParams", pairAt);
Object.defineProperty(URLSearchParams.prototype, Symbol.iterator, {
  value: URLSearchParams.prototype.entries,
  writable: true,
  configurable: true,
});
