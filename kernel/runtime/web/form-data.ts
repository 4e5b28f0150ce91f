/** The part `form`: FormData (XMLHttpRequest Standard, §4) and the two encodings of forms. */
import { kernel } from "../link.ts";
import { asFile, bytesOfBlob, type File, fileOf, isBlob, joined, renamed } from "./blob.ts";
import { expose, pairIterators, scalar } from "./interface.ts";
import { parseMimeType } from "./mime-type.ts";
import { parseMultipart, quotedName, withLineBreaks } from "./multipart.ts";
import { parsePairs } from "./url-search-params.ts";

const { native, requireHandler, utf8 } = kernel;

type Value = string | File;
type Entry = readonly [name: string, value: Value];

let entriesOf: (form: FormData) => readonly Entry[];
/** Adds an entry that is one already. */
let add: (form: FormData, entry: Entry) => void;

/** An entry (XHR, "create an entry"). `given`: the number of values that the caller gave. */
function entryOf(given: number, name: unknown, value: unknown, filename: unknown): Entry {
  if (given < 2) throw new TypeError("FormData: a name and a value are needed");
  const key = scalar(name);
  const blob = typeof value === "object" && value !== null && isBlob(value) ? value : undefined;
  if (blob === undefined) {
    if (given > 2) throw new TypeError("FormData: only a Blob has a filename");
    return [key, scalar(value)];
  }
  return [key, filename === undefined ? asFile(blob) : renamed(blob, scalar(filename))];
}

export class FormData {
  #entries: Entry[] = [];

  static {
    entriesOf = (form) => form.#entries;
    add = (form, entry) => void form.#entries.push(entry);
  }

  constructor(form?: undefined) {
    if (form !== undefined) throw new TypeError("FormData: there is no page whose form could be given");
  }

  append(name: string, value: unknown, filename: string | undefined = undefined): void {
    this.#entries.push(entryOf(arguments.length, name, value, filename));
  }

  delete(name: string): void {
    const gone = scalar(name);
    this.#entries = this.#entries.filter(([key]) => key !== gone);
  }

  get(name: string): Value | null {
    const wanted = scalar(name);
    return this.#entries.find(([key]) => key === wanted)?.[1] ?? null;
  }

  getAll(name: string): Value[] {
    const wanted = scalar(name);
    return this.#entries.filter(([key]) => key === wanted).map(([, value]) => value);
  }

  has(name: string): boolean {
    const wanted = scalar(name);
    return this.#entries.some(([key]) => key === wanted);
  }

  set(name: string, value: unknown, filename: string | undefined = undefined): void {
    const entry = entryOf(arguments.length, name, value, filename);
    const at = this.#entries.findIndex(([key]) => key === entry[0]);
    if (at < 0) this.#entries.push(entry);
    else this.#entries = this.#entries.flatMap((each, index) => (index === at ? [entry] : each[0] === entry[0] ? [] : [each]));
  }

  forEach(callback: (value: Value, name: string, form: FormData) => void, self?: unknown): void {
    if (typeof callback !== "function") throw new TypeError("FormData.forEach needs a function to call");
    for (let index = 0; index < this.#entries.length; index++) {
      const [name, value] = this.#entries[index]!;
      callback.call(self, value, name, this);
    }
  }

  entries(): IterableIterator<[string, Value]> {
    return iterate(this, "entries");
  }

  keys(): IterableIterator<string> {
    return iterate(this, "keys");
  }

  values(): IterableIterator<Value> {
    return iterate(this, "values");
  }

  declare [Symbol.iterator]: () => IterableIterator<[string, Value]>;
}

const iterate = pairIterators<FormData>("FormData", (form, index) => {
  const entries = entriesOf(form);
  // Beyond the end an array finds what somebody put on its prototype.
  return index < entries.length ? entries[index] : undefined;
});
Object.defineProperty(FormData.prototype, Symbol.iterator, { value: FormData.prototype.entries, writable: true, configurable: true });

/** The engine has it; the library of ES2023 does not know it yet. */
type HexBytes = Uint8Array & { toHex(): string };

/** A boundary nobody can guess, from the machine's seed: a replay draws it again. */
function drawBoundary(): string {
  requireHandler("a FormData as a body");
  const bytes = new Uint8Array(16);
  native.random(bytes);
  return `----mayfly-form-${(bytes as HexBytes).toHex()}`;
}

/** A form as multipart/form-data (HTML, §4.10.21.8). */
function encode(form: FormData, boundary: string): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [name, value] of entriesOf(form)) {
    const head = `--${boundary}\r\nContent-Disposition: form-data; name=${quotedName(withLineBreaks(name))}`;
    if (typeof value === "string") parts.push(utf8.encode(`${head}\r\n\r\n${withLineBreaks(value)}\r\n`));
    else {
      const type = value.type === "" ? "application/octet-stream" : value.type;
      parts.push(utf8.encode(`${head}; filename=${quotedName(value.name)}\r\nContent-Type: ${type}\r\n\r\n`));
      parts.push(bytesOfBlob(value), utf8.encode("\r\n"));
    }
  }
  parts.push(utf8.encode(`--${boundary}--\r\n`));
  return joined(parts);
}

/** Decodes texts that lie in `whole`, or are made of it. */
function textDecoder(whole: Uint8Array, fatal: boolean): (text: Uint8Array) => string {
  return (text) => {
    try {
      return native.decodeUtf8(text, fatal);
    } catch (error) {
      const place = text.buffer === whole.buffer ? ` of the text at byte ${text.byteOffset - whole.byteOffset}` : "";
      throw new TypeError(`${(error as Error).message}${place}`, { cause: error });
    }
  };
}

function readMultipart(bytes: Uint8Array, boundary: string, fatal: boolean): FormData {
  const form = new FormData();
  const decode = textDecoder(bytes, fatal);
  for (const { name, filename, type, bytes: content } of parseMultipart(bytes, boundary, decode))
    add(form, [name, filename === undefined ? decode(content) : fileOf(content.slice(), filename, type ?? "text/plain")]);
  return form;
}

function readUrlEncoded(bytes: Uint8Array, fatal: boolean): FormData {
  const form = new FormData();
  const decode = textDecoder(bytes, fatal);
  for (const pair of parsePairs(decode(bytes), { ...utf8, decode })) add(form, pair);
  return form;
}

kernel.onForm((bytes, contentType, malformed) => {
  const type = parseMimeType(contentType);
  const fatal = malformed === "refuse";
  if (type?.essence === "multipart/form-data") return readMultipart(bytes, type.parameters.get("boundary") ?? "", fatal);
  if (type?.essence === "application/x-www-form-urlencoded") return readUrlEncoded(bytes, fatal);
  throw new TypeError(
    `the content type ${JSON.stringify(contentType)} is neither multipart/form-data nor application/x-www-form-urlencoded`,
  );
});

kernel.onBody((value) => {
  if (!(value instanceof FormData)) return undefined;
  const boundary = drawBoundary();
  return { bytes: encode(value, boundary), type: `multipart/form-data; boundary=${boundary}` };
});

expose("FormData", FormData);
