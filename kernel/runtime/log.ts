/** `log` and `console`. A log line leaves at once, also when the flow fails; all lines of a message together are bounded. */
import { hardLimits } from "../../abi/limits.ts";
import type { Log as PublicLog } from "./api.d.ts";
import { spendEffect, isTopLevel } from "./effects.ts";
import { cutText, describe } from "./errors.ts";
import { errorText, isError, tolerantJson } from "./failure.ts";
import { mostLogCharacters, native } from "./machine.ts";
import { debugLevel, errorLevel, infoLevel, logEffect, warnLevel } from "./wire.ts";

let written = 0;
let dropped = 0;

/** Each transaction may log as much as the first. */
export function resetLog(): void {
  written = 0;
}

/** Longest fields of one line, in characters. */
const mostFieldCharacters = 8 * 1024;

/** True if fields are an error or contain one: JSON shows none of its properties. */
function holdsError(fields: unknown): boolean {
  if (typeof fields !== "object" || fields === null) return false;
  if (fields instanceof Error) return true;
  for (const name in fields) if ((fields as Record<string, unknown>)[name] instanceof Error) return true;
  return false;
}

/** Fields as a JSON object, or undefined without fields. */
function fieldsJson(fields: unknown): string | undefined {
  if (fields === undefined || fields === null) return undefined;
  let json: string | undefined;
  try {
    json = holdsError(fields) ? undefined : JSON.stringify(fields);
    // A value that JSON shows as "{}" may be a map or an error further down, and deserves better.
    if (json?.includes("{}")) json = undefined;
  } catch {
    json = undefined;
  }
  json ??= tolerantJson(fields);
  if (json.length > mostFieldCharacters) return JSON.stringify({ cut: json.slice(0, mostFieldCharacters / 2), characters: json.length });
  return json.charCodeAt(0) === 0x7b ? json : `{"value":${json}}`;
}

/** Appends a log line. Never throws for what it is given. */
export function write(level: number, text: unknown, fields: unknown): void {
  // There is no log yet when the image is built; a package that warns there must not fail it.
  if (isTopLevel()) return;
  let line = typeof text === "string" ? text : show(text);
  const json = fieldsJson(fields);
  line = cutText(line, hardLimits.logTextBytes);
  const characters = line.length + (json === undefined ? 0 : json.length);
  if (written + characters > mostLogCharacters || !spendEffect()) {
    dropped++;
    return;
  }
  written += characters;
  native.emit(logEffect, level, line, json);
}

/** Says how many lines were dropped, once, before the machine sleeps or ends. */
export function reportDropped(): void {
  if (dropped === 0) return;
  native.emit(
    logEffect,
    warnLevel,
    `${dropped} log lines were dropped: the flow logged more than its limit of ${mostLogCharacters} bytes`,
    undefined,
  );
  dropped = 0;
}

/** A value as the text of a log line. */
export function show(value: unknown): string {
  if (typeof value === "string") return value;
  if (isError(value)) return errorText(value);
  return typeof value === "object" && value !== null ? tolerantJson(value) : describe(value);
}

class Log implements PublicLog {
  debug(text: string, fields?: unknown): void {
    write(debugLevel, text, fields);
  }

  info(text: string, fields?: unknown): void {
    write(infoLevel, text, fields);
  }

  warn(text: string, fields?: unknown): void {
    write(warnLevel, text, fields);
  }

  error(text: string, fields?: unknown): void {
    write(errorLevel, text, fields);
  }
}

export const log: Log = new Log();
