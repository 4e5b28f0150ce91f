/** The part `rows`: rows of CSV as `msg.csv` gives them, but one after another. */
import type { CsvParseOptions } from "../api.d.ts";
import { checkDelimiter, checkNames, delimiterLine, faultOf, foundDelimiter, objectOf, wrongCount } from "../formats/csv-format.ts";
import { keepEmpty, more, piece as isPiece, strict } from "../formats/csv-options.ts";
import { kernel } from "../link.ts";
import { charsetOf } from "./charsets.ts";
import { readingLimits } from "./limits.ts";
import { BodyReader, type PieceParser } from "./reader.ts";
import { onReader, type ReaderTerms } from "./reading.ts";
import { joined, Transcoder } from "./transcoder.ts";

interface RowState {
  readonly encoding: Transcoder["encoding"];
  readonly delimiter: string | undefined;
  readonly names: readonly string[] | undefined;
  /** Rows before, with and without those that are empty. */
  readonly rows: number;
  readonly kept: number;
  readonly hasHeader: boolean;
}

const nothing = new Uint8Array(0);
/** Longest first line that names the delimiter, in bytes: `sep=`, four bytes, a line break. */
const delimiterLineBytes = 10;

class RowParser implements PieceParser {
  private readonly terms: ReaderTerms;
  private readonly options: CsvParseOptions;
  private readonly flags: number;
  private readonly isStrict: boolean;
  private coder: Transcoder | undefined;
  /** UTF-8 that is not read yet. */
  private rest: Uint8Array = nothing;
  private isLast = false;
  private delimiter: string | undefined;
  private names: readonly string[] | undefined;
  private rows = 0;
  private kept = 0;
  private hasHeader = false;

  constructor(terms: ReaderTerms) {
    this.terms = terms;
    this.options = rowOptions(terms);
    this.flags = isPiece | (this.options.keepEmptyRows === true ? keepEmpty : 0);
    this.isStrict = this.options.strict !== false;
    if (this.options.delimiter !== undefined) checkDelimiter(this.options.delimiter);
    const before = terms.from?.state as RowState | undefined;
    if (before === undefined) return;
    const { encoding, delimiter, names, rows, kept, hasHeader } = before;
    Object.assign(this, { delimiter, names, rows, kept, hasHeader });
    this.coder = new Transcoder(encoding, this.malformed, terms.from!.offset);
  }

  private get malformed(): "refuse" | "replace" {
    return this.options.malformed ?? "refuse";
  }

  get pendingBytes(): number {
    const { coder, rest } = this;
    if (coder === undefined) return 0;
    const restBytes = coder.encoding === "utf-8" ? rest.length : coder.bytesOf(kernel.native.decodeUtf8(rest, false));
    return coder.heldBytes + restBytes;
  }

  state(): RowState {
    const { delimiter, names, rows, kept, hasHeader } = this;
    return { encoding: this.coder?.encoding ?? "utf-8", delimiter, names, rows, kept, hasHeader };
  }

  add(piece: Uint8Array, isLast: boolean): void {
    const isStart = this.coder === undefined;
    this.coder ??= new Transcoder(charsetOf(this.terms.message, piece), this.malformed, 0);
    const bytes = this.coder.utf8(piece, isLast);
    const isMarked = isStart && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
    this.rest = joined(this.rest, isMarked ? bytes.subarray(3) : bytes);
    this.isLast = isLast;
  }

  items(most: number): readonly unknown[] {
    if (this.coder === undefined || (!this.hasHeader && !this.begin())) return [];
    const { names, isStrict } = this;
    const items = this.read(most, isStrict && names !== undefined ? strict : 0, names);
    if (names === undefined) return items;
    const start = this.kept - items.length;
    for (const [index, row] of items.entries()) {
      if (!Array.isArray(row)) continue;
      if (isStrict && row.length !== names.length) throw wrongCount(start + index + 1, row.length, names.length);
      items[index] = objectOf(names, row as string[]);
    }
    return items;
  }

  /** Finds the delimiter and the names. False while it needs more. */
  private begin(): boolean {
    const { options } = this;
    if (this.delimiter === undefined) {
      const needed = options.delimiter === undefined ? readingLimits.sampleBytes : delimiterLineBytes;
      if (!this.isLast && this.rest.length < needed) return false;
      this.begun(options.delimiter);
    }
    if (options.header === undefined || options.header === true) {
      const [header] = this.read(1, 0, undefined) as (readonly string[])[];
      if (header === undefined && !this.isLast) return false;
      this.names = header ?? [];
    } else if (options.header !== false) this.names = options.header;
    checkNames(this.names ?? []);
    this.hasHeader = true;
    return true;
  }

  private begun(given: string | undefined): void {
    const start = kernel.native.decodeUtf8(this.rest.subarray(0, delimiterLineBytes), false);
    const named = delimiterLine.exec(start);
    if (named !== null) this.rest = this.rest.subarray(kernel.utf8.encode(named[0]).length);
    const chosen = given ?? named?.[1];
    if (chosen !== undefined) checkDelimiter(chosen);
    this.delimiter = chosen ?? foundDelimiter(kernel, kernel.native.decodeUtf8(this.rest, false));
    // One line break alone has no row, also where empty rows are kept.
    if (this.isLast && this.rest.length <= 2 && /^(?:\r\n|\n|\r)$/.test(kernel.native.decodeUtf8(this.rest, false))) this.rest = nothing;
  }

  private read(most: number, extra: number, names: readonly string[] | undefined): unknown[] {
    const flags = this.flags | extra | (this.isLast ? 0 : more);
    const found = kernel.native.csv(this.rest, this.delimiter!, flags, most, names);
    const fault = faultOf(found, { rows: this.rows, kept: this.kept, columns: names?.length ?? 0 });
    if (fault !== undefined) throw fault;
    this.rows += found.pop() as number;
    const bytes = found.pop() as number;
    this.kept += found.length;
    this.rest = this.rest.subarray(bytes);
    if (found.length === 0 && this.rest.length > readingLimits.itemBytes)
      throw new Error(`row ${this.rows + 1} is longer than ${readingLimits.itemBytes} bytes: look for a quote that is not closed`);
    return found;
  }
}

function rowOptions({ message, options = {}, most }: ReaderTerms): CsvParseOptions {
  const given: CsvParseOptions = options;
  if (given.malformed === "replace" && most !== Number.POSITIVE_INFINITY)
    throw new Error('`malformed: "replace"` and `batch` do not go together: a batch begins at a byte of the body');
  // RFC 4180 §3: the sender says that there is no row of names.
  return given.header === undefined && /;\s*header\s*=\s*"?absent\b/i.test(message.contentType) ? { ...given, header: false } : given;
}

onReader("rows", (terms) => new BodyReader(terms, "CSV", new RowParser(terms)));
