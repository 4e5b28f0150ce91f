/** The part `console`: lines of the log. */
import { kernel } from "../link.ts";
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

const console = {
  log(...values: unknown[]): void {
    write(infoLevel, lineOf(values), undefined);
  },
  info(...values: unknown[]): void {
    write(infoLevel, lineOf(values), undefined);
  },
  debug(...values: unknown[]): void {
    write(debugLevel, lineOf(values), undefined);
  },
  trace(...values: unknown[]): void {
    write(debugLevel, `${lineOf(values)}\n${new Error("trace").stack ?? ""}`, undefined);
  },
  warn(...values: unknown[]): void {
    write(warnLevel, lineOf(values), undefined);
  },
  error(...values: unknown[]): void {
    write(errorLevel, lineOf(values), undefined);
  },
  dir(value: unknown): void {
    write(infoLevel, show(value), undefined);
  },
  table(value: unknown): void {
    write(infoLevel, show(value), undefined);
  },
  assert(condition?: unknown, ...values: unknown[]): void {
    if (!condition) write(errorLevel, `assertion failed${values.length === 0 ? "" : `: ${lineOf(values)}`}`, undefined);
  },
};

kernel.define("console", console);
