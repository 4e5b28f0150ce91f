/** CSV as values, made with papaparse: what kernel/native/csv.ts is held against. Slow, and never in a machine. */
import papaparse from "papaparse";
import type { CsvParseOptions } from "../../api.d.ts";

type Row = string[];

/** Delimiters that are found where none is given; of two that do as well, the first. */
const usualDelimiters = ",\t|;\x1e\x1f";

/** A delimiter is one character that a row can't hold otherwise. */
function checkDelimiter(delimiter: string): void {
  if ([...delimiter].length !== 1 || /[\r\n"\ufeff]/.test(delimiter))
    throw new Error(`${JSON.stringify(delimiter)} can't be the delimiter: use one character other than a quote or a line break`);
}

/** Line breaks of several kinds in one text: outside of quoted fields each ends a row (RFC 4180 §2). */
function withOneLineBreak(text: string, delimiter: string): string {
  if (!text.includes('"')) return text.replace(/\r\n?/g, "\n");
  const before = delimiter.replace(/[\\\]^-]/, "\\$&");
  return text.replace(new RegExp(`(\\r\\n?|^|[\\n${before}])("(?:[^"]|"")*")|\\r\\n?`, "gu"), (_found, start?: string, quoted?: string) =>
    quoted === undefined ? "\n" : `${start!.startsWith("\r") ? "\n" : start}${quoted}`,
  );
}

/** The first line of spreadsheets that names the delimiter. */
const delimiterLine = /^sep=(.)(?:\r\n|\r|\n|$)/iu;

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

function readingOf(text: string, delimiter: string, newline: string): Reading | undefined {
  const { data, errors } = papaparse.parse<Row>(text, { delimiter, newline, skipEmptyLines: true, preview: sampleRows });
  let [quotes, difference, fields] = [0, 0, 0];
  for (const [index, row] of data.entries()) {
    for (const field of row) if (field.includes('"')) quotes += field.split('"').length - 1;
    fields += row.length;
    if (index > 0) difference += Math.abs(row.length - data[index - 1]!.length);
  }
  return errors.length > 0 || fields < 1.99 * data.length ? undefined : { quotes, difference, fieldsPerRow: fields / data.length };
}

function isBetter(reading: Reading, than: Reading): boolean {
  if (reading.quotes !== than.quotes) return reading.quotes < than.quotes;
  if (reading.difference !== than.difference) return reading.difference < than.difference;
  return reading.fieldsPerRow > than.fieldsPerRow;
}

function likelyDelimiter(text: string, newline: string): string | undefined {
  let found: string | undefined;
  let best: Reading | undefined;
  for (const delimiter of usualDelimiters) {
    if (!text.includes(delimiter)) continue;
    const reading = readingOf(text, delimiter, newline);
    if (reading !== undefined && (best === undefined || isBetter(reading, best))) [found, best] = [delimiter, reading];
  }
  return found;
}

/** A sample is enough, unless it ends within quotes. */
function foundDelimiter(text: string, newline: string): string {
  const sample = text.length > sampleCharacters ? text.slice(0, text.lastIndexOf(newline, sampleCharacters) + 1) : text;
  return likelyDelimiter(sample, newline) ?? (sample === text ? undefined : likelyDelimiter(text, newline)) ?? ",";
}

/** A line break at the end closes the last row; it does not begin an empty one. */
function withoutLastBreak(text: string): string {
  if (text.endsWith("\r\n")) return text.slice(0, -2);
  return text.endsWith("\n") || text.endsWith("\r") ? text.slice(0, -1) : text;
}

/** Reports whether a line feed comes without a carriage return before it, or the other way round. */
function mixesLineBreaks(text: string): boolean {
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) if (text[at - 1] !== "\r") return true;
  for (let at = text.indexOf("\r"); at !== -1; at = text.indexOf("\r", at + 1)) if (text[at + 1] !== "\n") return true;
  return false;
}

/** Rows of a text without quotes: each line is one, and `split` of the engine finds its fields. It takes less time than papaparse. */
function plainRows(text: string, delimiter: string, newline: string, keepsEmptyRows: boolean): Row[] {
  const rows: Row[] = [];
  if (text === "") return rows;
  for (let start = 0; start <= text.length; ) {
    let end = text.indexOf(newline, start);
    if (end === -1) end = text.length;
    if (end > start || keepsEmptyRows) rows.push(text.slice(start, end).split(delimiter));
    start = end + newline.length;
  }
  return rows;
}

function rowsOf(source: string, options: CsvParseOptions): Row[] {
  let text = withoutLastBreak(source.charCodeAt(0) === 0xfeff ? source.slice(1) : source);
  const named = delimiterLine.exec(text);
  if (named !== null) text = text.slice(named[0].length);
  const given = options.delimiter ?? named?.[1];
  if (given !== undefined) checkDelimiter(given);
  const hasSeveral = text.includes("\r") && text.includes("\n") && mixesLineBreaks(text);
  const newline = hasSeveral || !text.includes("\r") ? "\n" : text.includes("\n") ? "\r\n" : "\r";
  const delimiter = given ?? foundDelimiter(hasSeveral ? text.replace(/\r\n?/g, "\n") : text, newline);
  if (hasSeveral) text = withOneLineBreak(text, delimiter);
  if (!text.includes('"')) return plainRows(text, delimiter, newline, options.keepEmptyRows === true);
  const { data, errors } = papaparse.parse<Row>(text, { delimiter, newline, skipEmptyLines: false });
  const [error] = errors;
  if (error !== undefined) throw new Error(`row ${(error.row ?? 0) + 1}: ${error.message}`);
  return options.keepEmptyRows === true ? data : withoutEmptyRows(data, text, delimiter, newline);
}

function isEmptyRow(row: Row): boolean {
  return row.length === 1 && row[0] === "";
}

/** A line with nothing on it is no row; one with `""` on it has a field. */
function withoutEmptyRows(rows: Row[], text: string, delimiter: string, newline: string): Row[] {
  if (!rows.some(isEmptyRow)) return rows;
  if (!/(?:^|[\r\n])""(?:[\r\n]|$)/.test(text)) return rows.filter((row) => !isEmptyRow(row));
  const kept: Row[] = [];
  let start = 0;
  const step = ({ data, meta }: { readonly data: Row; readonly meta: { readonly cursor: number } }): void => {
    if (!isEmptyRow(data) || text[start] === '"') kept.push(data);
    start = meta.cursor;
  };
  papaparse.parse<Row>(text, { delimiter, newline, skipEmptyLines: false, step });
  return kept;
}

function checkNames(names: readonly string[]): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) throw new Error(`two columns have the name ${JSON.stringify(name)}: pass distinct names as \`header\``);
    seen.add(name);
  }
}

/** Rows as objects by column name, or as arrays when there is no header. */
export function parseWithLibrary(source: string, options: CsvParseOptions = {}): unknown[] {
  const rows = rowsOf(source, options);
  if (options.header === false) return rows;
  const given = typeof options.header === "object" ? options.header : undefined;
  const names = given ?? rows[0] ?? [];
  checkNames(names);
  const first = given === undefined ? 1 : 0;
  // Objects take the places of the rows that they are made of: both together need twice the memory.
  const result: unknown[] = rows;
  for (let index = first; index < rows.length; index++) {
    const row = rows[index]!;
    if (options.strict !== false && row.length !== names.length)
      throw new Error(`row ${index + 1} has ${row.length} fields instead of ${names.length}`);
    const object: Record<string, string> = {};
    for (let column = 0; column < names.length; column++) {
      const value = row[column];
      if (value === undefined) continue;
      if (names[column] === "__proto__")
        Object.defineProperty(object, "__proto__", { value, writable: true, enumerable: true, configurable: true });
      else object[names[column]!] = value;
    }
    result[index - first] = object;
  }
  result.length = Math.max(0, rows.length - first);
  return result;
}
