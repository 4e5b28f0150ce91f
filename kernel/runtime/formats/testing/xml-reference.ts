/**
 * XML as values, made with @rgrove/parse-xml: what kernel/native/xml.ts is held against. Slow, and never in a machine.
 */
import { parseXml, XmlCdata, XmlDocumentType, XmlElement, XmlText } from "@rgrove/parse-xml";
import type { XmlParseOptions } from "../../api.d.ts";
import * as faults from "../xml-faults.ts";

type Properties = Record<string, unknown>;

/** How deep elements may nest: each level is a call. */
const mostDepth = 200;

/** A property whatever its name: `__proto__` must not become the prototype. */
function put(target: Properties, name: string, value: unknown): void {
  if (name === "__proto__") Object.defineProperty(target, name, { value, writable: true, enumerable: true, configurable: true });
  else target[name] = value;
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
function parseWithLibrary(source: string, options: XmlParseOptions = {}): unknown {
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

/** Beginnings of the library's sentences, and of ours in this file, by fault. */
const sentences: readonly (readonly [start: string, fault: number])[] = [
  ["Attribute value expected", faults.attributeValueMissing],
  ["Duplicate attribute", faults.attributeTwice],
  ["Value of the `xml:space`", faults.spaceValue],
  ["Unescaped `<`", faults.lessThanInAttribute],
  ["Unclosed attribute", faults.attributeOpen],
  ["Unclosed CDATA", faults.cdataOpen],
  ["Element content may not", faults.cdataEnd],
  ["The string `--`", faults.hyphensInComment],
  ["Unclosed comment", faults.commentOpen],
  ["Expected a name", faults.doctypeName],
  ["Expected a public", faults.publicIdMissing],
  ["Expected a system", faults.systemIdMissing],
  ["Unclosed internal", faults.subsetOpen],
  ["Unclosed doctype", faults.doctypeOpen],
  ["Unclosed start tag", faults.startTagOpen],
  ["Missing end tag", faults.endTagMissing],
  ["Unclosed end tag", faults.endTagOpen],
  ["XML declaration isn't", faults.declarationMisplaced],
  ["Invalid processing", faults.instructionName],
  ["Whitespace is required", faults.instructionSpace],
  ["Unterminated processing", faults.instructionOpen],
  ["Invalid character in public", faults.publicIdCharacter],
  ["Unterminated reference", faults.referenceOpen],
  ["Invalid character reference", faults.characterReference],
  ["Character reference resolves", faults.referencedCharacter],
  ["Named entity", faults.entityUnknown],
  ["Missing end quote", faults.quoteMissing],
  ["Invalid XML declaration", faults.declarationSpace],
  ["XML version is", faults.versionMissing],
  ["Invalid character in version", faults.versionValue],
  ["Invalid character in encoding", faults.encodingValue],
  ['Only "yes"', faults.standaloneValue],
  ["Invalid or unclosed XML", faults.declarationOpen],
  ["Root element", faults.rootMissing],
  ["Extra content", faults.contentBehindRoot],
  ["Invalid character", faults.character],
  ["a document type", faults.doctype],
  ["elements are nested", faults.depth],
];

export interface Judgement {
  readonly value?: unknown;
  readonly fault?: number;
  /** Where the fault is, in characters; undefined where the library does not say. */
  readonly at?: number | undefined;
}

/** The library's judgement of a text. */
export function judgementOfLibrary(source: string, options: XmlParseOptions = {}): Judgement {
  try {
    return { value: parseWithLibrary(source, options) };
  } catch (error) {
    const { message, pos } = error as Error & { readonly pos?: number };
    const found = sentences.find(([start]) => message.startsWith(start))?.[1];
    return { fault: found ?? (message.includes("two attributes") ? faults.sameWithoutPrefix : Number.NaN), at: pos };
  }
}
