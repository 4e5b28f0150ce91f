/** CSV as rows, both ways, as RFC 4180 has it. The machine reads it (kernel/native/csv.ts). */
import type { CsvParseOptions, CsvStringifyOptions } from "../api.d.ts";
import { behindQuote, keepEmpty, quoteOpen, skipFirst, strict } from "./csv-options.ts";
import type { Native } from "../native.ts";
import { written } from "./written.ts";
import type { DecodeText } from "./xml-format.ts";

type Row = string[];

/** The kernel, as far as reading needs it. */
export interface CsvMachine {
  readonly native: { csv(text: string, delimiter: string, options: number, most: number, names?: readonly string[]): unknown[] };
  readonly decodeText: DecodeText;
}

/** Delimiters that are found where none is given; of two that do as well, the first. */
const usualDelimiters = ",\t|;\x1e\x1f";

/** A delimiter is one character that a row can't hold otherwise. */
export function checkDelimiter(delimiter: string): void {
  if ([...delimiter].length !== 1 || /[\r\n"\ufeff]/.test(delimiter))
    throw new Error(`${JSON.stringify(delimiter)} can't be the delimiter: use one character other than a quote or a line break`);
}

/** The first line of spreadsheets that names the delimiter. */
export const delimiterLine: RegExp = /^sep=(.)(?:\r\n|\r|\n|$)/iu;

const sampleRows = 10;
const sampleCharacters = 65_536;

/** How well a delimiter reads the first rows; undefined where it does not. */
interface Reading {
  /** Quotes that are part of a field: a wrong delimiter leaves those in that enclose another's. */
  readonly quotes: number;
  /** Between the numbers of fields of one row and the next. */
  readonly difference: number;
  readonly fieldsPerRow: number;
}

function readingOf(machine: CsvMachine, text: string, delimiter: string): Reading | undefined {
  const rows = machine.native.csv(text, delimiter, keepEmpty, sampleRows);
  if (typeof rows[0] === "number") return undefined;
  const data = (rows as Row[]).filter((row) => row.length > 1 || row[0] !== "");
  let [quotes, difference, fields] = [0, 0, 0];
  for (const [index, row] of data.entries()) {
    for (const field of row) if (field.includes('"')) quotes += field.split('"').length - 1;
    fields += row.length;
    if (index > 0) difference += Math.abs(row.length - data[index - 1]!.length);
  }
  return fields < 1.99 * data.length ? undefined : { quotes, difference, fieldsPerRow: fields / data.length };
}

function isBetter(reading: Reading, than: Reading): boolean {
  if (reading.quotes !== than.quotes) return reading.quotes < than.quotes;
  if (reading.difference !== than.difference) return reading.difference < than.difference;
  return reading.fieldsPerRow > than.fieldsPerRow;
}

function likelyDelimiter(machine: CsvMachine, text: string): string | undefined {
  let found: string | undefined;
  let best: Reading | undefined;
  for (const delimiter of usualDelimiters) {
    if (!text.includes(delimiter)) continue;
    const reading = readingOf(machine, text, delimiter);
    if (reading !== undefined && (best === undefined || isBetter(reading, best))) [found, best] = [delimiter, reading];
  }
  return found;
}

/** A sample is enough, unless it ends within quotes. */
export function foundDelimiter(machine: CsvMachine, text: string): string {
  const breaks = Math.max(text.lastIndexOf("\n", sampleCharacters), text.lastIndexOf("\r", sampleCharacters));
  const sample = text.length > sampleCharacters ? text.slice(0, breaks + 1) : text;
  return likelyDelimiter(machine, sample) ?? (sample === text ? undefined : likelyDelimiter(machine, text)) ?? ",";
}

const allRows = 2 ** 31 - 1;

/** Rows as the machine reads them. Throws what is wrong with the text. */
function readCsv(
  { native }: CsvMachine,
  text: string,
  delimiter: string,
  options: number,
  most: number = allRows,
  columns?: readonly string[],
): unknown[] {
  const rows = native.csv(text, delimiter, options, most, columns);
  const fault = faultOf(rows, { rows: 0, kept: 0, columns: columns?.length ?? 0 });
  if (fault !== undefined) throw fault;
  return rows;
}

/** The error of a text, from the numbers that the machine found behind so many rows of it; undefined for rows. */
export function faultOf(
  found: readonly unknown[],
  { rows, kept, columns }: { readonly rows: number; readonly kept: number; readonly columns: number },
): Error | undefined {
  if (typeof found[0] !== "number" || found.length !== 3) return undefined;
  const [kind, row, count] = found as [number, number, number];
  if (kind === quoteOpen) return new Error(`row ${rows + row}: a quoted field has no closing quote`);
  if (kind === behindQuote) return new Error(`row ${rows + row}: something stands between a closing quote and the next delimiter`);
  return wrongCount(kept + row, count, columns);
}

export function wrongCount(row: number, fields: number, columns: number): Error {
  return new Error(`row ${row} has ${fields} fields instead of ${columns}`);
}

export function checkNames(names: readonly string[]): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) throw new Error(`two columns have the name ${JSON.stringify(name)}: pass distinct names as \`header\``);
    seen.add(name);
  }
}

/** The object of a row, with as many columns as the row has fields. Defined, not assigned: `__proto__` is a name like any other. */
export function objectOf(names: readonly string[], row: readonly string[]): object {
  const object = {};
  for (let column = 0; column < names.length && column < row.length; column++)
    Object.defineProperty(object, names[column]!, { value: row[column], writable: true, enumerable: true, configurable: true });
  return object;
}

/** Rows as objects by column name, or as arrays when there is no header. */
export function parse(input: string | Uint8Array, machine: CsvMachine, options: CsvParseOptions = {}): unknown[] {
  const source = typeof input === "string" ? input : machine.decodeText(input, "utf-8", options.malformed)!;
  let text = source.charCodeAt(0) === 0xfeff ? source.slice(1) : source;
  const named = delimiterLine.exec(text);
  if (named !== null) text = text.slice(named[0].length);
  const chosen = options.delimiter ?? named?.[1];
  if (chosen !== undefined) checkDelimiter(chosen);
  const delimiter = chosen ?? foundDelimiter(machine, text);
  const flags = options.keepEmptyRows === true ? keepEmpty : 0;
  if (options.header === false) return readCsv(machine, text, delimiter, flags);
  const given = typeof options.header === "object" ? options.header : undefined;
  const names = given ?? (readCsv(machine, text, delimiter, flags, 1)[0] as Row | undefined) ?? [];
  if (new Set(names).size < names.length) readCsv(machine, text, delimiter, flags); // what is wrong with the text comes first
  checkNames(names);
  const isStrict = options.strict !== false;
  const first = given === undefined ? skipFirst : 0;
  const rows = readCsv(machine, text, delimiter, flags | first | (isStrict ? strict : 0), allRows, names);
  if (isStrict && !Array.isArray(rows[0])) return rows;
  for (const [index, row] of (rows as Row[]).entries()) {
    if (!Array.isArray(row)) continue;
    if (isStrict && row.length !== names.length) throw wrongCount(index + (first === 0 ? 1 : 2), row.length, names.length);
    rows[index] = objectOf(names, row);
  }
  return rows;
}

/** Beginnings that a spreadsheet takes for a formula (OWASP, CSV injection), in its wide forms too. */
const formulaStart = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;
const number = /^[+-]?(?:\d+(?:[.,]\d+)*[.,]?|[.,]\d+)(?:[eE][+-]?\d+)?$/;

/** The natives, as far as writing needs them. */
export type CsvWriter = Pick<Native, "csvText" | "unlikeRows">;

/** Every column that some row has, in the order in which they come. */
function columnsOf(rows: readonly unknown[], native: CsvWriter): string[] {
  const names = new Set<string>();
  for (const row of native.unlikeRows(rows) ?? rows)
    if (typeof row === "object" && row !== null) for (const name of Object.keys(row)) names.add(name);
  return [...names];
}

/**
 * Fields that need quotes so that a reader takes them for what they are: those that hold this delimiter or another, a quote or a line break,
 * those that spaces begin or end, and one that looks like a delimiter's line.
 */
function misread(delimiter: string): RegExp {
  return new RegExp(`^(?:[sS][eE][pP]=| )| $|["\\r\\n\\ufeff${usualDelimiters}${delimiter.replace(/[\\\]^-]/, "\\$&")}]`, "u");
}

const doubled = (field: string): string => (field.includes('"') ? `"${field.replaceAll('"', '""')}"` : `"${field}"`);

class Writer {
  private readonly escapes: boolean;
  private readonly names: readonly string[] | undefined;
  /** Of the row and the column that are being written, from 0; −1 for the row of names. */
  private row = -1;
  private column = 0;

  constructor(names: readonly string[] | undefined, escapes: boolean) {
    this.names = names;
    this.escapes = escapes;
  }

  private readonly refuse = (why: string): never => {
    const column = this.names === undefined ? this.column + 1 : JSON.stringify(this.names[this.column]);
    throw new Error(`${this.row < 0 ? "the header" : `row ${this.row + 1}`}, column ${column}: ${why}`);
  };

  private field(value: unknown): string {
    if (value === undefined || value === null) return "";
    if (typeof value === "number" || typeof value === "bigint") return String(value);
    const plain = written(value, this.refuse);
    const text = typeof plain === "string" ? plain : JSON.stringify(plain);
    if (/\p{Surrogate}/u.test(text)) this.refuse("it contains half of a character (a lone surrogate)");
    return this.escapes && formulaStart.test(text) && !number.test(text) ? `'${text}` : text;
  }

  header(names: readonly string[]): string[] {
    return this.list(names, -1);
  }

  list(row: readonly unknown[], index: number): string[] {
    this.row = index;
    if (row.length === 0) throw new Error(`row ${index + 1} has no fields`);
    if (this.names !== undefined && row.length !== this.names.length)
      throw new Error(`row ${index + 1} has ${row.length} fields instead of ${this.names.length}`);
    const fields: string[] = [];
    for (this.column = 0; this.column < row.length; this.column++) fields.push(this.field(row[this.column]));
    return fields;
  }

  object(row: object, index: number): string[] {
    const { names = [] } = this;
    this.row = index;
    if (names.length === 0) throw new Error("the rows have no columns");
    const fields: string[] = [];
    for (this.column = 0; this.column < names.length; this.column++) {
      const name = names[this.column]!;
      fields.push(Object.hasOwn(row, name) ? this.field((row as Record<string, unknown>)[name]) : "");
    }
    return fields;
  }
}

/** Rows that are plain, by native code; undefined for others. */
function plainText(
  rows: readonly unknown[],
  columns: readonly string[] | undefined,
  isNamed: boolean,
  delimiter: string,
  newline: string,
  native: CsvWriter,
): string | undefined {
  const [code, bytes] = [delimiter.charCodeAt(0), newline.charCodeAt(0) | ((newline.charCodeAt(1) || 0) << 8)];
  const head = isNamed ? native.csvText([columns], undefined, code, bytes) : "";
  const body = head === undefined ? undefined : native.csvText(rows, columns, code, bytes);
  return body === undefined ? undefined : head + body;
}

/** The text of rows given as objects or arrays. */
export function stringify(value: unknown, native: CsvWriter, options: CsvStringifyOptions = {}): string {
  if (!Array.isArray(value)) throw new Error("the value must be a list of rows");
  const { delimiter = ",", newline = "\r\n" } = options;
  checkDelimiter(delimiter);
  if (!/^(?:\r\n|\r|\n)$/.test(newline)) throw new Error(`${JSON.stringify(newline)} is not a line break: use "\\r\\n", "\\n" or "\\r"`);
  const given = typeof options.header === "object" ? [...options.header] : undefined;
  const names = given ?? (value.length === 0 || Array.isArray(value[0]) ? undefined : columnsOf(value, native));
  if (names !== undefined) checkNames(names);
  const isNamed = names !== undefined && options.header !== false;
  if (options.escapeFormulas !== true && value.length > 0) {
    const plain = plainText(value, names, isNamed, delimiter, newline, native);
    if (plain !== undefined) return plain;
  }
  const writer = new Writer(names, options.escapeFormulas === true);
  const rows = value.map((row: unknown, index) => {
    if (Array.isArray(row) && (names === undefined || given !== undefined)) return writer.list(row, index);
    if (typeof row !== "object" || row === null || Array.isArray(row) || names === undefined)
      throw new Error("every row must be an object, or every row a list");
    return writer.object(row, index);
  });
  if (isNamed) rows.unshift(writer.header(names));
  if (rows.length === 0) return "";
  // A single empty field without quotes would be an empty line.
  const single = rows.some((row) => row.length === 1);
  const needsQuotes = misread(delimiter);
  const quoted = (field: string): string => (field === "" ? (single ? '""' : "") : needsQuotes.test(field) ? doubled(field) : field);
  return `${rows.map((row) => row.map(quoted).join(delimiter)).join(newline)}${newline}`;
}
