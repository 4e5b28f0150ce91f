/** The part `console`: lines of the log. */
import { kernel } from "../link.ts";
import { tag } from "./interface.ts";
import { debugLevel, errorLevel, infoLevel, warnLevel } from "../wire.ts";

const { show, write } = kernel;

/** The text of a call's arguments; a first one with %s, %d, %i, %f, %j, %o or %O takes those behind it in. */
function lineOf(values: readonly unknown[]): string {
  const first = values[0];
  let used = 0;
  let line = "";
  if (typeof first === "string") {
    used = 1;
    line = first.replace(/%[sdifjoOc%]/g, (mark) => {
      if (mark === "%%") return "%";
      if (used >= values.length) return mark;
      const value = values[used++];
      if (mark === "%c") return "";
      if (mark === "%d" || mark === "%f") return String(Number(value));
      return mark === "%i" ? String(Math.trunc(Number(value))) : show(value);
    });
  }
  for (let index = used; index < values.length; index++) line += index === 0 ? show(values[index]) : ` ${show(values[index])}`;
  return line;
}

/** Two blanks for each group that is open. */
let indent = "";
const counts = new Map<string, number>();
/** When each timer was started, by `performance.now()`. */
const timers = new Map<string, number>();
const { performance } = globalThis as unknown as { readonly performance: { now(): number } };

function print(level: number, text: string): void {
  write(level, indent === "" ? text : text.replace(/^/gm, indent), undefined);
}

const labelOf = (label: unknown): string => (label === undefined ? "default" : `${label as string}`);

function elapsed(label: string): string | undefined {
  const since = timers.get(label);
  return since === undefined ? undefined : `${label}: ${performance.now() - since} ms`;
}

/** Columns of a table: what the rows have, in the order it comes up; `wanted` chooses. */
function tableOf(rows: readonly (readonly [string, unknown])[], wanted: readonly string[] | undefined): string {
  const columns: string[] = [...(wanted ?? [])];
  let plain = false;
  for (const [, row] of rows) {
    if (typeof row !== "object" || row === null) plain = true;
    else if (wanted === undefined) for (const name of Object.keys(row)) if (!columns.includes(name)) columns.push(name);
  }
  const heads = ["(index)", ...columns, ...(plain ? ["Values"] : [])];
  const cells = rows.map(([index, row]) => {
    const isObject = typeof row === "object" && row !== null;
    const values = columns.map((name) => (isObject && Object.hasOwn(row, name) ? show((row as Record<string, unknown>)[name]) : ""));
    return [index, ...values, ...(plain ? [isObject ? "" : show(row)] : [])];
  });
  const widths = heads.map((head, column) => Math.max(head.length, ...cells.map((row) => row[column]!.length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("  ")
      .trimEnd();
  return [line(heads), ...cells.map(line)].join("\n");
}

/** The namespace object stands on an empty object of its own (Console Standard, §1). */
const console = Object.assign(Object.create({}) as object, {
  debug(...values: unknown[]): void {
    print(debugLevel, lineOf(values));
  },
  error(...values: unknown[]): void {
    print(errorLevel, lineOf(values));
  },
  info(...values: unknown[]): void {
    print(infoLevel, lineOf(values));
  },
  log(...values: unknown[]): void {
    print(infoLevel, lineOf(values));
  },
  trace(...values: unknown[]): void {
    print(debugLevel, `${lineOf(values)}\n${new Error("trace").stack ?? ""}`);
  },
  warn(...values: unknown[]): void {
    print(warnLevel, lineOf(values));
  },
  dir(value: unknown): void {
    print(infoLevel, show(value));
  },
  dirxml(...values: unknown[]): void {
    print(infoLevel, lineOf(values));
  },
  table(data: unknown, columns?: readonly string[]): void {
    if (typeof data !== "object" || data === null) return print(infoLevel, show(data));
    const rows = Array.isArray(data) ? data.map((row, index) => [String(index), row] as const) : Object.entries(data);
    print(infoLevel, tableOf(rows, columns));
  },
  assert(condition?: unknown, ...values: unknown[]): void {
    if (!condition) print(errorLevel, `assertion failed${values.length === 0 ? "" : `: ${lineOf(values)}`}`);
  },
  clear(): void {
    indent = "";
  },
  count(label?: unknown): void {
    const name = labelOf(label);
    const count = (counts.get(name) ?? 0) + 1;
    counts.set(name, count);
    print(infoLevel, `${name}: ${count}`);
  },
  countReset(label?: unknown): void {
    const name = labelOf(label);
    if (!counts.delete(name)) print(warnLevel, `there is no count for ${name}`);
  },
  group(...values: unknown[]): void {
    if (values.length > 0) print(infoLevel, lineOf(values));
    indent += "  ";
  },
  groupCollapsed(...values: unknown[]): void {
    if (values.length > 0) print(infoLevel, lineOf(values));
    indent += "  ";
  },
  groupEnd(): void {
    indent = indent.slice(2);
  },
  time(label?: unknown): void {
    const name = labelOf(label);
    if (timers.has(name)) print(warnLevel, `there is a timer ${name} already`);
    else timers.set(name, performance.now());
  },
  timeLog(label?: unknown, ...values: unknown[]): void {
    const name = labelOf(label);
    const text = elapsed(name);
    if (text === undefined) print(warnLevel, `there is no timer ${name}`);
    else print(infoLevel, values.length === 0 ? text : `${text} ${lineOf(values)}`);
  },
  timeEnd(label?: unknown): void {
    const name = labelOf(label);
    const text = elapsed(name);
    timers.delete(name);
    print(text === undefined ? warnLevel : infoLevel, text ?? `there is no timer ${name}`);
  },
});
tag(console, "console");

kernel.define("console", console);
