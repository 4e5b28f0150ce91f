/**
 * XML as objects, both ways. Elements become properties; attributes `@name`, text `#text`; an element with nothing but text is that
 * text. In order, they are `{ "#name", "@…", "#children" }`. A document type declaration is refused or read over, so there is nothing to expand. Reading is the machine's own (kernel/native/xml.ts), which
 * accepts what is well formed and nothing else.
 */
import { ignoreDoctype, inOrder, keepSpace, removePrefixes } from "./xml-options.ts";
import type { Malformed } from "../charset.ts";
import type { OrderedElement, XmlParseOptions, XmlStringifyOptions } from "../api.d.ts";
import type { Native } from "../native.ts";
import { table } from "../table.ts";
import { written } from "./written.ts";
import { faultError } from "./xml-fault.ts";
import { withNamespaces } from "./xml-namespaces.ts";

export type DecodeText = (bytes: Uint8Array, charset: string, malformed?: Malformed) => string | undefined;

/** The kernel, as far as reading needs it. */
export interface XmlMachine {
  readonly native: { xml(input: string | Uint8Array, options: number, arrays: string): unknown };
  readonly decodeText: DecodeText;
  encodingOf(label: string): string | undefined;
  readonly utf8: { encode(text: string): Uint8Array; decode(bytes: Uint8Array): string };
}

/** How deep elements may nest: each level is a call. */
const mostDepth = 200;

/** The source for the reader: bytes of UTF-8 as they are, others as text. The charset is told by the byte order mark, else by what the declaration names, else UTF-8 (XML 1.0, appendix F). */
function sourceOf(bytes: Uint8Array, machine: XmlMachine, malformed?: Malformed): string | Uint8Array {
  const charset = charsetIn(bytes);
  if (malformed !== "replace" && machine.encodingOf(charset) === "utf-8") return bytes;
  const text = machine.decodeText(bytes, charset, malformed);
  if (text === undefined) throw new Error(`the charset ${charset} is not supported: use utf-8, utf-16 or iso-8859-1`);
  return text;
}

export function charsetIn(bytes: Uint8Array): string {
  return wideCharset(bytes) ?? (isMarked(bytes) ? "utf-8" : declaredCharset(bytes));
}

function isMarked(bytes: Uint8Array): boolean {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
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

/** Options as bits of xml-options.ts. */
export function flagsOf(options: XmlParseOptions): number {
  const { doctype = "refuse" } = options;
  if (doctype !== "refuse" && doctype !== "ignore") throw new Error('`doctype` must be "refuse" or "ignore"');
  return (
    (options.removePrefixes === true ? removePrefixes : 0) |
    (options.keepSpace === true ? keepSpace : 0) |
    (options.order === true ? inOrder : 0) |
    (doctype === "ignore" ? ignoreDoctype : 0)
  );
}

/** `{ root: … }` of a document; in order, the root. */
export function parse(input: string | Uint8Array, machine: XmlMachine, options: XmlParseOptions = {}): unknown {
  if (options.namespaces !== undefined && options.removePrefixes === true)
    throw new Error("`namespaces` and `removePrefixes` do not go together: a name has a prefix of yours, or none");
  const source = typeof input === "string" ? input : sourceOf(input, machine, options.malformed);
  const { namespaces, arrays = [] } = options;
  // Lists are those of the flow's names.
  const value = machine.native.xml(source, flagsOf(options), namespaces === undefined ? [...arrays].join("\0") : "");
  if (!Array.isArray(value)) return namespaces === undefined ? value : withNamespaces(value, namespaces, arrays);
  const bytes = typeof source === "string" ? machine.utf8.encode(source) : source.subarray(isMarked(source) ? 3 : 0);
  throw faultError(value as number[], bytes, machine.utf8.decode);
}

/** White space (production 3); a no-break space is text. */
function isSpace(text: string): boolean {
  return /^[ \n\r\t]*$/.test(text);
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

  /** An element with its children in order. */
  ordered(value: OrderedElement, indent = "", step: string = this.step): string {
    const { "#name": given, "#children": children = [] } = value;
    if (typeof given !== "string") return this.refuse("`#name` must be a text");
    this.path.push(given);
    if (this.open.length >= mostDepth) this.refuse(`elements are nested deeper than ${mostDepth}`);
    if (this.open.includes(value)) this.refuse("it contains itself");
    if (!Array.isArray(children)) this.refuse("`#children` must be a list");
    for (const key of Object.keys(value))
      if (!key.startsWith("@") && key !== "#name" && key !== "#children")
        this.refuse(`${JSON.stringify(key)} can't stand beside \`#name\`: attributes begin with @, all else is in \`#children\``);
    this.open.push(value);
    const { attributes } = this.parts(value);
    // White space beside text would become part of it.
    const inner = children.every((child) => typeof child === "object" && child !== null) ? step : "";
    const start = `${indent}<${this.name(given)}${attributes}`;
    let content = "";
    for (const [index, child] of children.entries()) {
      this.path.push(index);
      content += this.child(child, inner === "" ? "" : indent + inner, inner);
      this.path.pop();
    }
    this.open.pop();
    this.path.pop();
    const end = step === "" ? "" : "\n";
    if (content === "") return `${start}/>${end}`;
    return `${start}>${inner === "" ? "" : "\n"}${content}${inner === "" ? "" : indent}</${given}>${end}`;
  }

  private child(child: unknown, indent: string, step: string): string {
    const plain = child === null ? "" : written(child, this.refuse);
    if (typeof plain === "string") return this.escaped(plain, inText);
    if (Object.hasOwn(plain, "#name")) return this.ordered(plain as OrderedElement, indent, step);
    const instruction: unknown = (plain as { "#instruction"?: unknown })["#instruction"];
    if (typeof instruction !== "string") return this.refuse("a child must be a text, an element with `#name`, or an instruction");
    const [, target = "", content = ""] = /^([^ \t\r\n]*)([^]*)$/.exec(instruction)!;
    if (!nameShape.test(target) || /^xml$/i.test(target) || content.includes("?>"))
      return this.refuse(`the instruction ${JSON.stringify(instruction)} can't be written`);
    this.escaped(content, inText);
    return `${indent}<?${instruction}?>${step === "" ? "" : "\n"}`;
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

/** The document of `{ root: … }`, or of an element in order. */
export function stringify(value: unknown, native: Pick<Native, "xmlText">, options: XmlStringifyOptions = {}): string {
  const declaration = options.declaration === false ? "" : `<?xml version="1.0" encoding="UTF-8"?>${options.indent ? "\n" : ""}`;
  if (typeof value === "object" && value !== null && Object.hasOwn(value, "#name"))
    return declaration + new Writer(options.indent ?? 0).ordered(value as OrderedElement);
  const roots = typeof value === "object" && value !== null ? Object.entries(value).filter(([, item]) => item !== undefined) : [];
  if (roots.length !== 1 || Array.isArray(roots[0]![1]))
    throw new Error("a document has one root element: pass an object with one property, or one with `#name`");
  const plain = options.indent ? undefined : native.xmlText(...roots[0]!);
  return declaration + (plain ?? new Writer(options.indent ?? 0).document(roots[0]![0], roots[0]![1]));
}
