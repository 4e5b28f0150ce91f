/** CSV as rows, both ways, as RFC 4180 has it. The work is papaparse's; its errors become one error that names the row. */
import papaparse from "papaparse";
import type { CsvParseOptions, CsvStringifyOptions } from "../api.d.ts";
import type { DecodeText } from "./xml-format.ts";

type Row = string[];

function rowsOf(source: string, options: CsvParseOptions): Row[] {
  // A line break at the end closes the last row; it does not begin an empty one.
  const text = (source.charCodeAt(0) === 0xfeff ? source.slice(1) : source).replace(/(?:\r\n|\r|\n)$/, "");
  const { data, errors } = papaparse.parse<Row>(text, {
    delimiter: options.delimiter ?? "",
    skipEmptyLines: options.keepEmptyRows !== true,
  });
  // A text without any delimiter has one column: that is no error.
  const error = errors.find(({ code }) => code !== "UndetectableDelimiter");
  if (error !== undefined) throw new Error(`row ${(error.row ?? 0) + 1}: ${error.message}`);
  return data;
}

function checkNames(names: readonly string[]): void {
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Error(`two columns have the name ${JSON.stringify(twice)}: give the names as \`header\``);
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

function field(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (value instanceof Date) return value.toISOString();
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** The text of rows given as objects or arrays. */
export function stringify(value: unknown, options: CsvStringifyOptions = {}): string {
  if (!Array.isArray(value)) throw new Error("CSV is made of a list of rows");
  const first: unknown = value[0];
  const names =
    typeof options.header === "object"
      ? [...options.header]
      : Array.isArray(first) || first === undefined
        ? undefined
        : Object.keys(first as object);
  const rows = value.map((row: unknown) => {
    if (Array.isArray(row)) return row.map(field);
    if (typeof row !== "object" || row === null || names === undefined) throw new Error("every row must be an object, or every row a list");
    return names.map((name) => field((row as Record<string, unknown>)[name]));
  });
  if (names !== undefined && options.header !== false) rows.unshift(names);
  const newline = options.newline ?? "\r\n";
  const text = papaparse.unparse(rows, { delimiter: options.delimiter ?? ",", newline, escapeFormulae: options.escapeFormulas === true });
  return text === "" ? "" : text + newline;
}
