/** CSV as rows, both ways, as RFC 4180 has it. The work is papaparse's; its errors become one error that names the row. */
import papaparse from "papaparse";
import type { CsvParseOptions, CsvStringifyOptions } from "../api.d.ts";
import type { DecodeText } from "./xml-format.ts";

type Row = string[];

/** Line breaks of several kinds in one text: outside of quoted fields each ends a row (RFC 4180 §2). */
function withOneLineBreak(text: string): string {
  const hasBoth = text.includes("\r") && /(?:^|[^\r])\n|\r(?!\n)/.test(text);
  if (!hasBoth) return text;
  if (!text.includes('"')) return text.replace(/\r\n?/g, "\n");
  return text.replace(/(\r\n?|^|[\n,;\t|])("(?:[^"]|"")*")|\r\n?/g, (_found, before?: string, quoted?: string) =>
    quoted === undefined ? "\n" : `${before!.startsWith("\r") ? "\n" : before}${quoted}`,
  );
}

/** The first line of spreadsheets that names the delimiter. */
const delimiterLine = /^sep=(.)(?:\r\n|\r|\n|$)/;

function rowsOf(source: string, options: CsvParseOptions): Row[] {
  // A line break at the end closes the last row; it does not begin an empty one.
  let text = (source.charCodeAt(0) === 0xfeff ? source.slice(1) : source).replace(/(?:\r\n|\r|\n)$/, "");
  const named = delimiterLine.exec(text);
  if (named !== null) text = text.slice(named[0].length);
  const { data, errors } = papaparse.parse<Row>(withOneLineBreak(text), {
    delimiter: options.delimiter ?? named?.[1] ?? "",
    skipEmptyLines: options.keepEmptyRows !== true,
  });
  // A text without any delimiter has one column: that is no error.
  const error = errors.find(({ code }) => code !== "UndetectableDelimiter");
  if (error !== undefined) throw new Error(`row ${(error.row ?? 0) + 1}: ${error.message}`);
  return data;
}

function checkNames(names: readonly string[]): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) throw new Error(`two columns have the name ${JSON.stringify(name)}: give the names as \`header\``);
    seen.add(name);
  }
}

/** Rows as objects by column name, or as arrays when there is no header. */
export function parse(input: string | Uint8Array, decode: DecodeText, options: CsvParseOptions = {}): unknown[] {
  const rows = rowsOf(typeof input === "string" ? input : decode(input, "utf-8", options.malformed)!, options);
  if (options.header === false) return rows;
  const given = typeof options.header === "object" ? options.header : undefined;
  const names = given ?? rows[0] ?? [];
  checkNames(names);
  const first = given === undefined ? 1 : 0;
  const result: Record<string, string>[] = [];
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
    result.push(object);
  }
  return result;
}

/** Beginnings that a spreadsheet takes for a formula (OWASP, CSV injection), in its wide forms too. */
const formulaStart = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;
const number = /^[+-]?\d+(?:[.,]\d+)*(?:[eE][+-]?\d+)?$/;

function field(value: unknown, escapes: boolean): string {
  if (value === undefined || value === null) return "";
  if (value instanceof Date) return value.toISOString();
  if (typeof value === "number" || typeof value === "bigint") return String(value);
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return escapes && formulaStart.test(text) && !number.test(text) ? `'${text}` : text;
}

/** Every column that some row has, in the order in which they come. */
function columnsOf(rows: readonly unknown[]): string[] {
  const names = new Set<string>();
  for (const row of rows) if (typeof row === "object" && row !== null) for (const name of Object.keys(row)) names.add(name);
  return [...names];
}

/** The text of rows given as objects or arrays. */
export function stringify(value: unknown, options: CsvStringifyOptions = {}): string {
  if (!Array.isArray(value)) throw new Error("CSV is made of a list of rows");
  const first: unknown = value[0];
  const names =
    typeof options.header === "object" ? [...options.header] : Array.isArray(first) || first === undefined ? undefined : columnsOf(value);
  const escapes = options.escapeFormulas === true;
  const rows = value.map((row: unknown) => {
    if (Array.isArray(row)) return row.map((each) => field(each, escapes));
    if (typeof row !== "object" || row === null || names === undefined) throw new Error("every row must be an object, or every row a list");
    return names.map((name) => field((row as Record<string, unknown>)[name], escapes));
  });
  if (names !== undefined && options.header !== false) rows.unshift(names.map((name) => field(name, escapes)));
  const newline = options.newline ?? "\r\n";
  const text = papaparse.unparse(rows, { delimiter: options.delimiter ?? ",", newline });
  return text === "" ? "" : text + newline;
}
