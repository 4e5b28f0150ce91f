/** Bodies: what a message or an answer carries, read on first touch; and what a flow gives to be sent. */
import type { CsvParseOptions, XmlElement, XmlParseOptions } from "./api.d.ts";
import { isHeaderText } from "../../abi/headers.ts";
import { FlowError, isEngineFailure } from "./errors.ts";
import { bodyValue, type Form, readForm, withParts } from "./bodies.ts";
import { csv, xml } from "./formats.ts";
import { native } from "./machine.ts";
import { decodeText, knownCharsets, type TextOptions, withoutMark } from "./charset.ts";
import { bytesIn } from "./values.ts";

/** A header's name → its text; the values of a repeated one with commas between them. */
export type Headers = Readonly<Record<string, string>> & { readonly [listsOf]?: Lists };
type Lists = Readonly<Record<string, readonly string[]>>;

/**
 * Where headers have their repeated ones as lists. A symbol shows in no listing, and goes along when a flow copies headers to send them on.
 */
const listsOf: unique symbol = Symbol("lists");

/** Headers as the door brings them: a JSON object of texts and lists. Its prototype goes, so that no name finds anything but a header. */
export function readHeaders(parsed: unknown): Headers {
  if (typeof parsed !== "object" || parsed === null) return Object.create(null);
  const headers = Object.setPrototypeOf(parsed, null);
  let lists: Record<string, readonly string[]> | undefined;
  for (const name in headers) {
    const value: unknown = headers[name];
    if (typeof value === "string") continue;
    (lists ??= Object.create(null) as Record<string, readonly string[]>)[name] = value as readonly string[];
    headers[name] = (value as readonly string[]).join(listSeparator);
  }
  if (lists !== undefined) headers[listsOf] = lists;
  return headers;
}

const listSeparator = ", "; // RFC 9110, 5.3

/** Codes that say nothing about what is in a body. */
const notOfTheBody: ReadonlySet<string> = new Set(["MF_FORMAT_NOT_LINKED", "MF_BODY_CLAIMED"]);

const charsetParameter = /;\s*charset\s*=\s*"?([^";\s]+)/i;

/** The charset a content type names, or "utf-8". */
function charsetOf(contentType: string): string {
  const found = charsetParameter.exec(contentType);
  return found === null ? "utf-8" : found[1]!;
}

/**
 * A body and its headers. While the event that brought them is the current one they are read straight from it (`live`); a machine that
 * goes to sleep takes them out of it first (`hold`).
 */
export abstract class Content {
  private live = true;
  private body: Uint8Array | undefined;
  private fields: Headers | undefined;
  /** The headers as they came, when the event went before anybody asked for them. */
  private fieldsText: string | undefined;

  /** Parts of the event that hold body and headers. */
  protected abstract readonly bodyPart: number;
  protected abstract readonly headersPart: number;
  /** Code and words for a body that can't be read; whether another attempt may help. */
  protected abstract refusal(sentence: string, cause: unknown): FlowError;
  /** "the message", "the answer". */
  protected abstract readonly what: string;

  protected invalid(format: string, error: unknown): unknown {
    if (isEngineFailure(error) || (error instanceof FlowError && notOfTheBody.has(error.code))) return error;
    return this.refusal(`${this.what} is not valid ${format}: ${error instanceof Error ? error.message : String(error)}`, error);
  }

  /** Names in lower case. */
  get headers(): Headers {
    return (this.fields ??= this.readFields());
  }

  protected readFields(): Headers {
    return readHeaders(this.live ? native.json(this.headersPart) : JSON.parse(this.fieldsText ?? "{}"));
  }

  /** All values of a header. */
  headerValues(name: string): readonly string[] {
    const { headers } = this;
    const key = String(name).toLowerCase();
    const value = headers[key];
    return value === undefined ? [] : [...(headers[listsOf]?.[key] ?? [value])];
  }

  /** The headers as JSON shows them. */
  protected get shownHeaders(): object {
    return { ...this.headers, ...this.headers[listsOf] };
  }

  get contentType(): string {
    return this.headers["content-type"] ?? "";
  }

  get bytes(): Uint8Array {
    const body = this.wholeBody();
    if (body.length === 0) this.checkEmpty();
    return body;
  }

  /** Called when an empty body is read: throws where that is not all there is. */
  protected checkEmpty(): void {}

  private wholeBody(): Uint8Array {
    return (this.body ??= native.bytes(this.bodyPart) ?? new Uint8Array(0));
  }

  /**
   * The body as text: by its byte order mark, which is dropped, else by the charset of its content type, else as UTF-8. Bytes that are
   * malformed in that are refused, or replaced by U+FFFD.
   */
  text(options?: TextOptions): string {
    const malformed = options?.malformed ?? "refuse";
    const charset = charsetOf(this.contentType);
    try {
      const text = this.plainText(charset) ?? decodeText(this.bytes, charset, malformed);
      if (text === undefined) throw new FlowError("MF_CHARSET_UNKNOWN", `the charset ${charset} is not supported: ${knownCharsets}`);
      if (text === "") this.checkEmpty();
      return text;
    } catch (error) {
      throw this.invalid("text", error);
    }
  }

  /** Straight from the event, if it is well-formed UTF-8. */
  private plainText(charset: string): string | undefined {
    if (!this.live || this.body !== undefined || (charset !== "utf-8" && charset !== "UTF-8")) return undefined;
    try {
      return withoutMark(native.text(this.bodyPart, true) ?? "");
    } catch (error) {
      if (isEngineFailure(error)) throw error;
      return undefined; // UTF-16 with a mark, or malformed
    }
  }

  /** The body parsed as JSON. */
  json<T = unknown>(): T {
    if (this.live && !native.mentionsCharset(this.headersPart)) {
      try {
        const value = native.json(this.bodyPart);
        if (value !== undefined) return value as T;
      } catch (error) {
        if (isEngineFailure(error)) throw error;
        // UTF-16 with a byte order mark, perhaps: text() knows it, and what is malformed where.
      }
    }
    const text = this.text();
    if (text === "") throw this.invalid("JSON", new SyntaxError("the body is empty"));
    try {
      return JSON.parse(text) as T;
    } catch (error) {
      throw this.invalid("JSON", error);
    }
  }

  /** The body parsed as XML (docs/FLOWS.md, "XML"). */
  xml<T = XmlElement>(options?: XmlParseOptions): T {
    // A mark counts most, then what the transport says of the charset, then what the document says (RFC 7303 §3).
    const source = charsetParameter.test(this.contentType) ? this.text(options) : this.bytes;
    try {
      return xml.parse(source, options) as T;
    } catch (error) {
      throw this.invalid("XML", error);
    }
  }

  /** The body parsed as CSV (docs/FLOWS.md, "CSV"). */
  csv<T = Record<string, string>>(options?: CsvParseOptions): T[] {
    const text = this.text(options);
    // RFC 4180 §3: the sender says that there is no row of names.
    const absent = options?.header === undefined && /;\s*header\s*=\s*"?absent\b/i.test(this.contentType);
    try {
      return csv.parse(text, absent ? { ...options, header: false } : options) as T[];
    } catch (error) {
      throw this.invalid("CSV", error);
    }
  }

  /** The body as a FormData: `multipart/form-data` or `application/x-www-form-urlencoded`, by its content type. */
  formData(options?: TextOptions): FormData {
    try {
      return readForm(this.bytes, this.contentType, options?.malformed ?? "refuse") as FormData;
    } catch (error) {
      throw this.invalid("form data", error);
    }
  }

  /** The same, with its fields and its files apart. */
  form(options?: TextOptions): Form {
    return withParts(this.formData(options));
  }

  /** Of content that no event brought. */
  protected give(body: Uint8Array, headersJson: string): void {
    this.body = body;
    this.fieldsText = headersJson;
    this.live = false;
  }

  /** Takes everything out of the current event, which is about to go. */
  hold(): void {
    if (!this.live) return;
    this.wholeBody();
    if (this.fields === undefined) this.fieldsText = native.text(this.headersPart);
    this.live = false;
  }
}

/** The content type of the body last given to `serialise`. A second result without an object for it. */
export let serialisedType = "";

const plainText = "text/plain; charset=utf-8";
const octets = "application/octet-stream";

function whyNotJson(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.startsWith("BigInt") ? "it contains a BigInt: use String(value), or Number(value) if that is exact" : text;
}

const { getPrototypeOf } = Object;
const objectPrototype = Object.prototype;
const arrayPrototype = Array.prototype;

/** True if a value can only be sent as JSON: most bodies are such objects, and checking class by class takes longer. */
export function isPlain(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = getPrototypeOf(value);
  return prototype === objectPrototype || prototype === arrayPrototype;
}

export const jsonType = "application/json";

export function toJson(value: unknown, code: string): string {
  let text: string | undefined;
  try {
    text = native.stringify(value);
  } catch (error) {
    throw new FlowError(code, `the value can't be written as JSON: ${whyNotJson(error)}`, false, 0, error);
  }
  if (text === undefined)
    throw new FlowError(code, `${value === undefined ? "undefined" : `a ${typeof value}`} can't be written as JSON`, false);
  return text;
}

/** Any value as a body: text as it is, bytes as they are, a message, an answer, a blob or a form with its own type, everything else as JSON. */
export function serialise(value: unknown, code: string): string | Uint8Array {
  if (typeof value === "string") {
    serialisedType = plainText;
    return value;
  }
  if (typeof value === "object" && value !== null && !isPlain(value)) {
    if (value instanceof Uint8Array || value instanceof ArrayBuffer || ArrayBuffer.isView(value)) {
      serialisedType = octets;
      if (value instanceof Uint8Array) return value;
      return value instanceof ArrayBuffer ? new Uint8Array(value) : new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    }
    if (value instanceof Content) {
      serialisedType = value.contentType === "" ? octets : value.contentType;
      return value.bytes;
    }
    const written = bodyValue(value);
    if (written !== undefined) {
      serialisedType = written.type === "" ? octets : written.type;
      return written.bytes;
    }
  }
  serialisedType = jsonType;
  return toJson(value, code);
}

/** A body whose content type is another than that of `serialise`: a text is written in the charset that it names. */
export function inCharset(body: string | Uint8Array, contentType: string): string | Uint8Array {
  if (typeof body !== "string" || body === "") return body;
  const charset = charsetOf(contentType);
  return charset === "utf-8" ? body : bytesIn(body, charset);
}

/** The same as bytes, with its content type. */
export function serialised(value: unknown): { readonly bytes: Uint8Array; readonly type: string } {
  const data = serialise(value, "MF_BODY_UNSERIALISABLE");
  return { bytes: typeof data === "string" ? native.encodeUtf8(data) : data, type: serialisedType };
}

/** The content type among the headers last given to `headersJson`. A second result without an object for it. */
export let headersType: string | undefined;

const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

function checkedText(name: string, value: unknown): string {
  const text = String(value);
  if (isHeaderText(text)) return text;
  throw new FlowError("MF_ARGUMENT", `the header ${name} contains line breaks or other characters that no header can have`, false);
}

/**
 * Headers a flow gives, as a JSON object of texts and lists with names in lower case; the content type is set apart. Of an object's members
 * with one name the last counts, of pairs with one name each.
 */
export function headersJson(headers: unknown): string {
  headersType = undefined;
  if (headers === undefined) return "{}";
  const out: Record<string, string | string[]> = Object.create(null);
  if (typeof headers !== "object" || headers === null)
    throw new FlowError("MF_ARGUMENT", "headers must be an object that maps names to texts", false);
  const isList = Symbol.iterator in headers;
  const pairs: Iterable<readonly [string, unknown]> = isList ? (headers as Iterable<readonly [string, unknown]>) : Object.entries(headers);
  const lists = isList ? undefined : (headers as Headers)[listsOf];
  for (const [name, value] of pairs) {
    if (!headerName.test(name) || name === "__proto__")
      throw new FlowError("MF_ARGUMENT", `${JSON.stringify(name)} is not a header name`, false);
    if (value === undefined || (Array.isArray(value) && value.length === 0)) continue;
    const key = name.toLowerCase();
    const list = Array.isArray(value) ? value : lists?.[name];
    const text = checkedText(name, Array.isArray(value) ? value.join(listSeparator) : value);
    if (key === "content-type") headersType = text;
    else if (isList && key in out) out[key] = [out[key]!, text].flat();
    // A list that came with the message, unless the flow has put something else in its place.
    else if (list !== undefined && list.join(listSeparator) === text) out[key] = list.map((each) => checkedText(name, each));
    else out[key] = text;
  }
  return JSON.stringify(out);
}
