/** Headers (Fetch Standard, §5.1). */

const nameShape = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

function nameOf(name: unknown): string {
  const text = String(name);
  if (!nameShape.test(text)) throw new TypeError(`${JSON.stringify(text)} is not a header's name`);
  return text.toLowerCase();
}

function valueOf(value: unknown): string {
  const text = String(value).replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, "");
  if (/[\0\n\r]|[^\0-\xff]/.test(text)) throw new TypeError("a header must not hold line breaks or characters beyond latin1");
  return text;
}

export type HeadersInit = Headers | Iterable<readonly [string, string]> | Readonly<Record<string, string>>;

export class Headers {
  readonly #values = new Map<string, string[]>();

  constructor(init?: HeadersInit | null) {
    if (init === undefined || init === null) return;
    if (typeof init !== "object") throw new TypeError("Headers: an object or a list of pairs is needed");
    const pairs = Symbol.iterator in init ? (init as Iterable<Iterable<string>>) : Object.entries(init);
    for (const entry of pairs) {
      const pair = Array.from(entry);
      if (pair.length !== 2) throw new TypeError("Headers: each entry must be a name and a value");
      this.append(pair[0]!, pair[1]!);
    }
  }

  append(name: string, value: string): void {
    const key = nameOf(name);
    const values = this.#values.get(key);
    if (values === undefined) this.#values.set(key, [valueOf(value)]);
    else values.push(valueOf(value));
  }

  delete(name: string): void {
    this.#values.delete(nameOf(name));
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
    this.#values.set(nameOf(name), [valueOf(value)]);
  }

  forEach(callback: (value: string, name: string, headers: Headers) => void, self?: unknown): void {
    for (const [name, value] of this) callback.call(self, value, name, this);
  }

  /** Sorted by name; each cookie on its own. */
  *entries(): IterableIterator<[string, string]> {
    for (const name of [...this.#values.keys()].sort()) {
      const values = this.#values.get(name);
      if (values === undefined) continue;
      if (name === "set-cookie") for (const value of values) yield [name, value];
      else yield [name, values.join(", ")];
    }
  }

  *keys(): IterableIterator<string> {
    for (const [name] of this.entries()) yield name;
  }

  *values(): IterableIterator<string> {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator](): IterableIterator<[string, string]> {
    return this.entries();
  }

  get [Symbol.toStringTag](): string {
    return "Headers";
  }
}

/** The headers as the door takes them: a name has one text, so there can be but one cookie. */
export function headersRecord(headers: Headers): string {
  const record: Record<string, string> = Object.create(null);
  for (const [name, value] of headers) {
    if (name in record) throw new TypeError("only one set-cookie can leave a machine: join what it says, or set the others elsewhere");
    record[name] = value;
  }
  return JSON.stringify(record);
}
