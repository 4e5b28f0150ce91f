/**
 * XML as objects, both ways. Elements become properties; attributes `@name`, text `#text`; an element with nothing but text is that
 * text. A document type declaration is refused, so there is nothing to expand. Parsing is @rgrove/parse-xml's, which accepts
 * what is well formed and nothing else.
 */
import { table } from "../table.ts";
import { parseXml, XmlCdata, XmlDocumentType, XmlElement, XmlText } from "@rgrove/parse-xml";

import type { Malformed } from "../charset.ts";
import type { XmlParseOptions, XmlStringifyOptions } from "../api.d.ts";
import { written } from "./written.ts";

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
  if (text === undefined) throw new Error(`the charset ${charset} is not supported: use utf-8, utf-16 or iso-8859-1`);
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

function isSpaceAt(text: string, index: number): boolean {
  const code = text.charCodeAt(index);
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

/** Without XML's white space (production 3) at both ends; a no-break space is text. */
function trimmed(text: string): string {
  let [start, end] = [0, text.length];
  while (start < end && isSpaceAt(text, start)) start++;
  while (end > start && isSpaceAt(text, end - 1)) end--;
  return start === 0 && end === text.length ? text : text.slice(start, end);
}

function isSpace(text: string): boolean {
  return trimmed(text) === "";
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
    return (this.removePrefixes && name.slice(name.indexOf(":") + 1)) || name;
  }

  element(element: XmlElement, depth: number): unknown {
    if (depth > mostDepth) throw new Error(`elements are nested deeper than ${mostDepth}`);
    const result: Properties = {};
    let isText = true;
    for (const name of Object.keys(element.attributes)) {
      if (this.removePrefixes && (name === "xmlns" || name.startsWith("xmlns:"))) continue;
      const key = `@${this.name(name)}`;
      if (Object.hasOwn(result, key))
        throw new Error(`${element.name} has two attributes that are ${key} without their prefixes: read it without removePrefixes`);
      put(result, key, element.attributes[name]);
      isText = false;
    }
    let text = "";
    let isLeaf = true;
    for (const child of element.children) {
      if (child instanceof XmlText || child instanceof XmlCdata) text += child.text;
      else if (child instanceof XmlElement) {
        isText = isLeaf = false;
        this.add(result, this.name(element.name), this.name(child.name), this.element(child, depth + 1));
      }
    }
    if (!this.keepSpace) text = trimmed(text);
    if (isText) return text;
    if (text !== "" && (isLeaf || !isSpace(text))) put(result, "#text", text); // white space between elements is layout
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
    if (child instanceof XmlDocumentType) throw new Error("a document type declaration (<!DOCTYPE …>) is not allowed");
    if (child instanceof XmlElement) put(result, reader.name(child.name), reader.element(child, 1));
  }
  return result;
}

/** Name (XML 1.0, productions 4 to 5). */
const nameShape = (() => {
  const start =
    ":A-Z_a-z\\u{c0}-\\u{d6}\\u{d8}-\\u{f6}\\u{f8}-\\u{2ff}\\u{370}-\\u{37d}\\u{37f}-\\u{1fff}\\u{200c}\\u{200d}\\u{2070}-\\u{218f}" +
    "\\u{2c00}-\\u{2fef}\\u{3001}-\\u{d7ff}\\u{f900}-\\u{fdcf}\\u{fdf0}-\\u{fffd}\\u{10000}-\\u{effff}";
  return new RegExp(`^[${start}][${start}\\-.0-9\\u{b7}\\u{300}-\\u{36f}\\u{203f}\\u{2040}]*$`, "u");
})();
const escapes: Readonly<Record<string, string>> = table({
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "\t": "&#9;",
  "\n": "&#10;",
  "\r": "&#13;",
});
const inText = /[&<>\r]/g;
const inAttribute = /[&<>"\t\n\r]/g;

class Writer {
  private readonly step: string;
  private readonly open: object[] = [];
  /** Names and indices from the root to what is being written. */
  private readonly path: (string | number)[] = [];

  constructor(indent: number) {
    this.step = " ".repeat(indent);
  }

  /** `Order.Line[2].@id` */
  private get place(): string {
    return this.path.map((part, index) => (typeof part === "number" ? `[${part}]` : index === 0 ? part : `.${part}`)).join("");
  }

  private readonly refuse = (what: string): never => {
    throw new Error(`${this.place}: ${what}`);
  };

  document(name: string, value: unknown): string {
    return this.element(name, value, "", this.step);
  }

  private escaped(text: string, set: RegExp): string {
    if (/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|\p{Surrogate}/u.test(text)) this.refuse("it contains a character that XML can't represent");
    return text.replace(set, (character) => escapes[character]!);
  }

  private name(name: string): string {
    if (!nameShape.test(name)) this.refuse(`${JSON.stringify(name)} is not an XML name`);
    return name;
  }

  private element(name: string, value: unknown, indent: string, step: string): string {
    if (value === undefined) return "";
    this.path.push(name);
    const text = Array.isArray(value) ? this.list(name, value, indent, step) : this.single(name, value, indent, step);
    this.path.pop();
    return text;
  }

  private list(name: string, items: readonly unknown[], indent: string, step: string): string {
    let all = "";
    for (let index = 0; index < items.length; index++) {
      this.path.push(index);
      if (items[index] !== undefined) all += this.single(name, items[index], indent, step);
      this.path.pop();
    }
    return all;
  }

  private single(name: string, given: unknown, indent: string, step: string): string {
    const start = `${indent}<${this.name(name)}`;
    const end = step === "" ? "" : "\n";
    if (this.open.length >= mostDepth) this.refuse(`elements are nested deeper than ${mostDepth}`);
    const value = given === null ? "" : written(given, this.refuse);
    if (typeof value === "string") return value === "" ? `${start}/>${end}` : `${start}>${this.escaped(value, inText)}</${name}>${end}`;
    if (Array.isArray(value)) return this.refuse("a list in a list can't be written as XML");
    if (this.open.includes(value)) this.refuse("it contains itself");
    this.open.push(value);
    const { attributes, text } = this.parts(value);
    const inner = text === "" ? step : ""; // white space beside text would become part of it
    const children = this.children(value, inner === "" ? "" : indent + inner, inner);
    this.open.pop();
    if (text === "" && children === "") return `${start}${attributes}/>${end}`;
    if (text !== "" && children !== "" && isSpace(text)) this.refuse("white space beside elements is layout and can't be text");
    const layout = children !== "" && inner !== "";
    return `${start}${attributes}>${text}${layout ? end : ""}${children}${layout ? indent : ""}</${name}>${end}`;
  }

  private parts(value: object): { readonly attributes: string; readonly text: string } {
    let attributes = "";
    let text = "";
    for (const [key, item] of Object.entries(value)) {
      const isText = key === "#text";
      if (item === undefined || !(isText || key.startsWith("@"))) continue;
      this.path.push(key);
      const plain = item === null ? "" : written(item, this.refuse);
      if (typeof plain === "object")
        return this.refuse(`${Array.isArray(plain) ? "a list" : "an object"} can't be ${isText ? "text" : "an attribute"}`);
      if (isText) text = this.escaped(plain, inText);
      else attributes += ` ${this.name(key.slice(1))}="${this.escaped(plain, inAttribute)}"`;
      this.path.pop();
    }
    return { attributes, text };
  }

  private children(value: object, indent: string, step: string): string {
    let all = "";
    for (const [key, item] of Object.entries(value))
      if (key !== "#text" && !key.startsWith("@")) all += this.element(key, item, indent, step);
    return all;
  }
}

/** The document of `{ root: … }`. */
export function stringify(value: unknown, options: XmlStringifyOptions = {}): string {
  const roots = typeof value === "object" && value !== null ? Object.entries(value).filter(([, item]) => item !== undefined) : [];
  if (roots.length !== 1 || Array.isArray(roots[0]![1]))
    throw new Error("a document has one root element: pass an object with one property");
  const declaration = options.declaration === false ? "" : `<?xml version="1.0" encoding="UTF-8"?>${options.indent ? "\n" : ""}`;
  return declaration + new Writer(options.indent ?? 0).document(roots[0]![0], roots[0]![1]);
}
