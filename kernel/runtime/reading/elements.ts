/**
 * The part `elements`: elements of XML that have a name, as `msg.xml` gives them, but one after another. An element is found by its tags, and
 * read as a document of its own; the document around it is checked tag by tag, so that what `msg.xml` refuses is refused here.
 */
import type { XmlParseOptions } from "../api.d.ts";
import { charsetIn, flagsOf } from "../formats/xml-format.ts";
import { faultError } from "../formats/xml-fault.ts";
import { kernel } from "../link.ts";
import { charsetOf, namedCharset, startOf } from "./charsets.ts";
import { readingLimits } from "./limits.ts";
import { BodyReader, type PieceParser } from "./reader.ts";
import { onReader, type ReaderTerms } from "./reading.ts";
import { Transcoder } from "./transcoder.ts";
import { cut, elementEnd, markupEnd, nameIn, tagEnd } from "./tags.ts";

interface ElementState {
  readonly encoding: Transcoder["encoding"];
  /** Names of the elements that are open. */
  readonly open: readonly string[];
  /** The root element is closed. */
  readonly isOver: boolean;
  readonly line: number;
  readonly column: number;
}

/** How deep elements may nest, as in a document that is read as a whole. */
const mostDepth = 200;

class ElementParser implements PieceParser {
  private readonly terms: ReaderTerms;
  private readonly options: XmlParseOptions;
  private readonly flags: number;
  private readonly arrays: string;
  private coder: Transcoder | undefined;
  private rest = "";
  private isLast = false;
  private open: string[] = [];
  private isOver = false;
  /** Place of `rest` in the document. */
  private line = 1;
  private column = 1;
  /** Nothing of the document was read: only here can an XML declaration stand. */
  private isStart = true;

  constructor(terms: ReaderTerms) {
    const { options = {}, from, name } = terms;
    this.terms = terms;
    this.options = options;
    this.flags = flagsOf(this.options);
    this.arrays = [...(this.options.arrays ?? [])].filter((each) => each !== name).join("\0");
    if (this.options.namespaces !== undefined)
      throw new Error(
        "msg.elements takes no `namespaces`: what an element stands in was read before. Use removePrefixes, or prefixes as they are",
      );
    if (name === undefined || name === "" || /[\s<>/]/.test(name)) throw new Error(`${JSON.stringify(name)} is not the name of an element`);
    if (from === undefined) return;
    const { encoding, open, isOver, line, column } = from.state as ElementState;
    Object.assign(this, { open: [...open], isOver, line, column, isStart: open.length === 0 && !isOver });
    this.coder = new Transcoder(encoding, this.malformed, from.offset);
  }

  private get malformed(): "refuse" | "replace" {
    return this.options.malformed ?? "refuse";
  }

  get pendingBytes(): number {
    return this.coder === undefined ? 0 : this.coder.heldBytes + this.coder.bytesOf(this.rest);
  }

  state(): ElementState {
    const { open, isOver, line, column } = this;
    return { encoding: this.coder?.encoding ?? "utf-8", open: [...open], isOver, line, column };
  }

  add(piece: Uint8Array, isLast: boolean): void {
    const isFirst = this.coder === undefined;
    const { message } = this.terms;
    // A mark counts most, then what the transport says of the charset, then what the document says (RFC 7303 §3).
    const inside = namedCharset(message) === undefined ? charsetIn(piece) : undefined;
    this.coder ??= new Transcoder(charsetOf(message, piece, inside), this.malformed, 0);
    const text = this.coder.text(piece, isLast);
    this.rest += isFirst ? startOf(text) : text;
    this.isLast = isLast;
  }

  items(most: number): unknown[] {
    const found: unknown[] = [];
    let at = 0;
    while (found.length < most) {
      const next = this.step(at, found);
      if (next === cut) break;
      at = next;
    }
    const isMissing = found.length === 0 && this.isLast && (at < this.rest.length || !this.isOver);
    const last = this.open.at(-1);
    if (isMissing) this.refuse(at, last === undefined ? "" : `<${last}>`, this.rest.slice(at));
    this.drop(at);
    if (found.length === 0 && this.rest.length > readingLimits.itemBytes)
      throw new Error(`what begins in line ${this.line}, column ${this.column} is longer than ${readingLimits.itemBytes} bytes`);
    return found;
  }

  /** Reads what stands at a place: text, a tag, or an element that is wanted. Returns the place behind it; `cut` if it goes on in the next piece. */
  private step(at: number, found: unknown[]): number {
    const { rest } = this;
    if (at >= rest.length) return cut;
    if (rest.charCodeAt(at) !== 0x3c) return this.text(at);
    const second = rest.charAt(at + 1);
    if (second === "!" || second === "?") return this.markup(at);
    if (second === "/") return this.endTag(at);
    return second === "" ? cut : this.startTag(at, found);
  }

  private text(at: number): number {
    const end = this.rest.indexOf("<", at);
    if (end < 0 && !(this.isLast && this.isOver)) return cut; // it may end within a reference
    const to = end < 0 ? this.rest.length : end;
    const text = this.rest.slice(at, to);
    if (/[^ \t\r\n]/.test(text)) this.check(at, this.open.length > 0 ? "<x>" : "", text, this.open.length > 0 ? "</x>" : "<x/>");
    this.isStart = false;
    return to;
  }

  private markup(at: number): number {
    const end = markupEnd(this.rest, at);
    if (end === cut) return cut;
    const text = this.rest.slice(at, end);
    if (text.startsWith("<?xml") && this.isStart) this.check(at, "", text, "<x/>");
    else if (text.startsWith("<![")) this.check(at, this.open.length > 0 ? "<x>" : "", text, this.open.length > 0 ? "</x>" : "<x/>");
    else this.check(at, this.isStart ? "" : "<x>", text, this.isStart ? "<x/>" : "</x>");
    this.isStart = false;
    return end;
  }

  private endTag(at: number): number {
    const end = this.rest.indexOf(">", at);
    if (end < 0) return cut;
    const name = this.rest.slice(at + 2, end).trimEnd();
    const last = this.open.at(-1);
    if (last !== name) return this.refuse(at, last === undefined ? "<x/>" : `<${last}>`, this.rest.slice(at, end + 1));
    this.open.pop();
    this.isOver = this.open.length === 0;
    return end + 1;
  }

  private startTag(at: number, found: unknown[]): number {
    const { rest } = this;
    const end = tagEnd(rest, at);
    if (end === cut) return cut;
    const name = nameIn(rest, at);
    const isEmpty = rest.charAt(end - 2) === "/";
    const isWanted = (this.options.removePrefixes === true ? name.slice(name.indexOf(":") + 1) : name) === this.terms.name;
    if (this.isOver) return this.refuse(at, "<x/>", rest.slice(at, end));
    if (this.open.length >= mostDepth) throw new Error(`elements are nested deeper than ${mostDepth} (line ${this.line})`);
    if (isWanted) {
      const to = isEmpty ? end : elementEnd(rest, end, name);
      if (to === cut) return cut;
      const value = this.check(at, "", rest.slice(at, to), "") as Record<string, unknown>;
      const element = this.options.order === true ? value : Object.values(value)[0];
      found.push(Array.isArray(element) ? element[0] : element);
      this.isOver = this.open.length === 0;
      this.isStart = false;
      return to;
    }
    const tag = rest.slice(at, end);
    this.check(at, "", isEmpty ? tag : `${tag.slice(0, -1)}/>`, "");
    if (!isEmpty) this.open.push(name);
    this.isOver = this.open.length === 0;
    this.isStart = false;
    return end;
  }

  /** Reads a part of the document as a document, with what makes it one around it. Throws what is wrong with it. */
  private check(at: number, before: string, text: string, after: string): unknown {
    const source = before + text + after;
    const value = kernel.native.xml(source, this.flags, this.arrays);
    if (!Array.isArray(value)) return value;
    const { line, column } = this.placeOf(at);
    throw faultError(value as number[], kernel.utf8.encode(source), kernel.utf8.decode, { line, column: column - before.length });
  }

  /** Throws what is wrong with the text behind `before`. */
  private refuse(at: number, before: string, text: string): never {
    this.check(at, before, text, "");
    throw new Error(`the document is not well formed at line ${this.placeOf(at).line}`);
  }

  private placeOf(at: number): { readonly line: number; readonly column: number } {
    const before = this.rest.slice(0, at);
    const lines = before.split("\n").length - 1;
    return { line: this.line + lines, column: lines === 0 ? this.column + at : at - before.lastIndexOf("\n") };
  }

  private drop(at: number): void {
    if (at === 0) return;
    const { line, column } = this.placeOf(at);
    this.line = line;
    this.column = column;
    this.rest = this.rest.slice(at);
  }
}

onReader("elements", (terms) => new BodyReader(terms, "XML", new ElementParser(terms)));
