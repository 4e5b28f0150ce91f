/**
 * XML as objects, both ways. Elements become properties; attributes `@name`, text `#text`; an element with nothing but text is that
 * text. A document type declaration is refused, so there is nothing to expand. Parsing is @rgrove/parse-xml's, which accepts
 * what is well formed and nothing else.
 */
import { table } from "../table.ts";
import { parseXml, XmlCdata, XmlDocumentType, XmlElement, XmlText } from "@rgrove/parse-xml";

import type { Malformed } from "../charset.ts";
import type { XmlParseOptions, XmlStringifyOptions } from "../api.d.ts";

export type DecodeText = (bytes: Uint8Array, charset: string, malformed?: Malformed) => string | undefined;

type Properties = Record<string, unknown>;

/** How deep elements may nest: each level is a call. */
const mostDepth = 200;

/** A property whatever its name: `__proto__` must not become the prototype. */
function put(target: Properties, name: string, value: unknown): void {
  if (name === "__proto__") Object.defineProperty(target, name, { value, writable: true, enumerable: true, configurable: true });
  else target[name] = value;
}

/** Text of XML's bytes: by the byte order mark, else by what the declaration names, else UTF-8 (XML 1.0, appendix F). */
export function decodeXml(bytes: Uint8Array, decode: DecodeText, malformed?: Malformed): string {
  const charset = wideCharset(bytes) ?? declaredCharset(bytes);
  const text = decode(bytes, charset, malformed);
  if (text === undefined) throw new Error(`the charset ${charset} is not known; there are utf-8, utf-16 and iso-8859-1`);
  return text;
}

/** UTF-16 begins with a mark, or with "<" in two bytes. */
function wideCharset(bytes: Uint8Array): string | undefined {
  const [first, second] = bytes;
  if ((first === 0xff && second === 0xfe) || (first === 0x3c && second === 0)) return "utf-16le";
  return (first === 0xfe && second === 0xff) || (first === 0 && second === 0x3c) ? "utf-16be" : undefined;
}

function declaredCharset(bytes: Uint8Array): string {
  let start = "";
  for (let index = 0; index < bytes.length && index < 120; index++) start += String.fromCharCode(bytes[index]!);
  return /^(?:\xef\xbb\xbf)?<\?xml[^>]*\sencoding\s*=\s*["']([A-Za-z][A-Za-z0-9._-]*)["']/.exec(start)?.[1] ?? "utf-8";
}

class Reader {
  private readonly arrays: ReadonlySet<string>;
  private readonly removePrefixes: boolean;
  private readonly keepSpace: boolean;

  constructor(options: XmlParseOptions) {
    this.arrays = new Set(options.arrays);
    this.removePrefixes = options.removePrefixes === true;
    this.keepSpace = options.keepSpace === true;
  }

  name(name: string): string {
    return this.removePrefixes ? name.slice(name.indexOf(":") + 1) : name;
  }

  element(element: XmlElement, depth: number): unknown {
    if (depth > mostDepth) throw new Error(`elements are nested deeper than ${mostDepth}`);
    const result: Properties = {};
    let isText = true;
    for (const name of Object.keys(element.attributes)) {
      if (this.removePrefixes && (name === "xmlns" || name.startsWith("xmlns:"))) continue;
      put(result, `@${this.name(name)}`, element.attributes[name]);
      isText = false;
    }
    let text = "";
    for (const child of element.children) {
      if (child instanceof XmlText || child instanceof XmlCdata) text += child.text;
      else if (child instanceof XmlElement) {
        isText = false;
        this.add(result, this.name(element.name), this.name(child.name), this.element(child, depth + 1));
      }
    }
    if (!this.keepSpace) text = text.trim();
    if (isText) return text;
    if (text !== "" && (!this.keepSpace || text.trim() !== "")) put(result, "#text", text);
    return result;
  }

  private add(target: Properties, parent: string, name: string, value: unknown): void {
    if (Object.hasOwn(target, name)) {
      const existing = target[name];
      if (Array.isArray(existing)) existing.push(value);
      else put(target, name, [existing, value]);
    } else put(target, name, this.arrays.has(name) || this.arrays.has(`${parent}.${name}`) ? [value] : value);
  }
}

/** `{ root: … }` of a document. */
export function parse(input: string | Uint8Array, decode: DecodeText, options: XmlParseOptions = {}): unknown {
  const source = typeof input === "string" ? input : decodeXml(input, decode, options.malformed);
  // Refused before the parser sees it: outside of comments and CDATA, `<!DOCTYPE` can only be a declaration, and those are rare enough.
  const document = parseXml(source, { preserveDocumentType: true });
  const result: Properties = {};
  const reader = new Reader(options);
  for (const child of document.children) {
    if (child instanceof XmlDocumentType) throw new Error("a document type declaration (<!DOCTYPE …>) is refused");
    if (child instanceof XmlElement) put(result, reader.name(child.name), reader.element(child, 1));
  }
  return result;
}

/** A name as XML 1.0 has it (production 5), with the letters of all scripts taken as they come. */
const nameShape = /^[A-Za-z_:\u00c0-\ud7ff\uf900-\ufffd][\w:.\-\u00b7-\ud7ff\uf900-\ufffd]*$/;
const escapes: Readonly<Record<string, string>> = table({
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "\t": "&#9;",
  "\n": "&#10;",
  "\r": "&#13;",
});

function escape(value: unknown, set: RegExp, where: string): string {
  const text = value instanceof Date ? value.toISOString() : String(value);
  if (/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|\p{Surrogate}/u.test(text)) throw new Error(`${where} holds a character that XML can't`);
  return text.replace(set, (character) => escapes[character]!);
}

function isName(name: string): string {
  if (!nameShape.test(name)) throw new Error(`${JSON.stringify(name)} is not a name of XML`);
  return name;
}

class Writer {
  private readonly step: string;
  private readonly open: object[] = [];

  constructor(indent: number) {
    this.step = " ".repeat(indent);
  }

  element(name: string, value: unknown, indent: string): string {
    if (value === undefined) return "";
    if (Array.isArray(value)) return value.map((item) => this.element(name, item, indent)).join("");
    const start = `${indent}<${isName(name)}`;
    const end = this.step === "" ? "" : "\n";
    if (typeof value === "function" || typeof value === "symbol") throw new Error(`${name} is a ${typeof value}, which XML can't hold`);
    if (value === null || value === "") return `${start}/>${end}`;
    if (typeof value !== "object" || value instanceof Date) return `${start}>${escape(value, /[&<>\r]/g, name)}</${name}>${end}`;
    if (this.open.includes(value)) throw new Error(`${name} contains itself`);
    if (this.open.length >= mostDepth) throw new Error(`elements are nested deeper than ${mostDepth}`);
    this.open.push(value);
    let attributes = "";
    let text = "";
    let children = "";
    for (const [key, item] of Object.entries(value)) {
      if (item === undefined) continue;
      if (key === "#text") text += escape(item, /[&<>\r]/g, name);
      else if (key.startsWith("@")) attributes += ` ${isName(key.slice(1))}="${escape(item, /[&<>"\t\n\r]/g, key)}"`;
      else children += this.element(key, item, indent + this.step);
    }
    this.open.pop();
    if (text === "" && children === "") return `${start}${attributes}/>${end}`;
    // White space beside text would become part of it.
    if (text !== "" && children !== "" && this.step !== "")
      return `${start}${attributes}>${text}${new Writer(0).children(value)}</${name}>${end}`;
    return children === ""
      ? `${start}${attributes}>${text}</${name}>${end}`
      : `${start}${attributes}>${text}${end}${children}${this.step === "" ? "" : indent}</${name}>${end}`;
  }

  private children(value: object): string {
    return Object.entries(value)
      .map(([key, item]) => (key === "#text" || key.startsWith("@") ? "" : this.element(key, item, "")))
      .join("");
  }
}

/** The document of `{ root: … }`. */
export function stringify(value: unknown, options: XmlStringifyOptions = {}): string {
  const roots = typeof value === "object" && value !== null ? Object.entries(value).filter(([, item]) => item !== undefined) : [];
  if (roots.length !== 1 || Array.isArray(roots[0]![1]))
    throw new Error("a document has one root element: give an object with one property");
  const declaration = options.declaration === false ? "" : `<?xml version="1.0" encoding="UTF-8"?>${options.indent ? "\n" : ""}`;
  return declaration + new Writer(options.indent ?? 0).element(roots[0]![0], roots[0]![1], "");
}
