/** The part `lines`: lines of text, which end with `\n` or `\r\n`. */
import type { Malformed } from "../charset.ts";
import { charsetOf, startOf } from "./charsets.ts";
import { readingLimits } from "./limits.ts";
import { BodyReader, type PieceParser } from "./reader.ts";
import { onReader, type ReaderTerms } from "./reading.ts";
import { Transcoder } from "./transcoder.ts";

interface LineState {
  readonly encoding: Transcoder["encoding"];
  /** Lines before. */
  readonly lines: number;
}

class LineParser implements PieceParser {
  private readonly terms: ReaderTerms;
  private readonly malformed: Malformed;
  private coder: Transcoder | undefined;
  private rest = "";
  private isLast = false;
  private lines = 0;

  constructor(terms: ReaderTerms) {
    this.terms = terms;
    this.malformed = (terms.options as { malformed?: Malformed } | undefined)?.malformed ?? "refuse";
    const before = terms.from?.state as LineState | undefined;
    if (before === undefined) return;
    this.coder = new Transcoder(before.encoding, this.malformed, terms.from!.offset);
    this.lines = before.lines;
  }

  get pendingBytes(): number {
    return this.coder === undefined ? 0 : this.coder.heldBytes + this.coder.bytesOf(this.rest);
  }

  state(): LineState {
    return { encoding: this.coder?.encoding ?? "utf-8", lines: this.lines };
  }

  add(piece: Uint8Array, isLast: boolean): void {
    const isStart = this.coder === undefined;
    this.coder ??= new Transcoder(charsetOf(this.terms.message, piece), this.malformed, 0);
    const text = this.coder.text(piece, isLast);
    this.rest += isStart ? startOf(text) : text;
    this.isLast = isLast;
  }

  items(most: number): string[] {
    const { rest } = this;
    const found: string[] = [];
    let at = 0;
    while (found.length < most) {
      const end = rest.indexOf("\n", at);
      if (end < 0) break;
      found.push(rest.slice(at, rest.charCodeAt(end - 1) === 13 && end > at ? end - 1 : end));
      at = end + 1;
    }
    if (found.length === 0 && this.isLast && rest !== "") {
      found.push(rest);
      at = rest.length;
    }
    this.lines += found.length;
    this.rest = rest.slice(at);
    if (found.length === 0 && this.rest.length > readingLimits.itemBytes)
      throw new Error(`line ${this.lines + 1} is longer than ${readingLimits.itemBytes} bytes`);
    return found;
  }
}

onReader("lines", (terms) => new BodyReader(terms, "text", new LineParser(terms)));
