/** The gateway's log, told to telemetry line by line besides being written. */
import type { Clock } from "#base";
import type { Logger } from "#gateway/contract";
import { telemetryLimits } from "./limits.ts";
import type { LogRecord } from "./records.ts";

export interface ParentLogger extends Logger {
  child(fields: object): ParentLogger;
}

const levels = ["debug", "info", "warn", "error"] as const;

/** Fields as JSON, with long texts cut; those that can't be JSON are left out. */
function fieldsJson(bound: object, fields: object): string {
  try {
    return JSON.stringify({ ...bound, ...fields }, (_name, value: unknown) =>
      typeof value === "string" ? value.slice(0, telemetryLimits.textCharacters) : typeof value === "bigint" ? String(value) : value,
    );
  } catch {
    return "{}";
  }
}

/** A logger that writes to `logger`, and gives `take` the lines of `least` and above. */
export function tellingLogger<Of extends ParentLogger>(
  logger: Of,
  {
    clock,
    least,
    take,
    bound = {},
  }: { readonly clock: Clock; readonly least: string; readonly take: (line: LogRecord) => void; readonly bound?: object },
): ParentLogger {
  const told = new Set<string>(least === "silent" ? [] : levels.slice(Math.max(levels.indexOf(least as "info"), 0)));
  const line =
    (level: (typeof levels)[number]) =>
    (fields: object, text: string): void => {
      logger[level](fields, text);
      if (!told.has(level)) return;
      take({ timeMs: clock.now(), level, text: text.slice(0, telemetryLimits.textCharacters), fields: fieldsJson(bound, fields) });
    };
  return {
    debug: line("debug"),
    info: line("info"),
    warn: line("warn"),
    error: line("error"),
    child: (fields) => tellingLogger(logger.child(fields), { clock, least, take, bound: { ...bound, ...fields } }),
  };
}
