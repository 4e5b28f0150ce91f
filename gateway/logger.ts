/** The gateway's log: JSON lines, or lines for people when somebody is watching. */
import { pino, type Logger as PinoLogger, type LoggerOptions as LoggerSettings } from "pino";
import pretty from "pino-pretty";
import type { GatewayConfig } from "./contract/config.ts";
import type { Logger } from "./contract/connector.ts";
import { gatewayLimits } from "./contract/limits.ts";

/** A logger that can make children with fields of their own; structurally pino's. */
export interface RootLogger extends Logger {
  child(fields: object): RootLogger;
}

export interface LoggerOptions {
  readonly log: GatewayConfig["log"];
  /** True if standard output is a terminal. */
  readonly terminal: boolean;
}

function bounded<T>(value: T): T | string {
  if (typeof value !== "string" || value.length <= gatewayLimits.logCharacters) return value;
  return `${value.slice(0, gatewayLimits.logCharacters)}… (${value.length} characters)`;
}

function boundedFields(fields: object): Record<string, unknown> {
  const all: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) all[name] = bounded(value);
  return all;
}

/** Characters that move a cursor, end a line or turn text around: C0, DEL, C1, separators and bidirectional controls. */
const unsafe = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;
/** An escape in JSON text. */
const escapes = /\\(?:u([0-9a-fA-F]{4})|(.))/g;

/**
 * A line of JSON whose texts show every such character as an escape once they are printed: nothing a sender or a peer wrote moves the
 * cursor of who reads the log, or looks like a line of its own.
 */
export function printableLine(line: string): string {
  return line
    .replace(escapes, (whole, hex: string | undefined, short: string | undefined) => {
      if (short !== undefined) return "bfnrt".includes(short) ? `\\\\${short}` : whole;
      const character = String.fromCharCode(Number.parseInt(hex ?? "", 16));
      return character < " " || character.search(unsafe) === 0 ? `\\\\u${hex}` : whole;
    })
    .replace(unsafe, (character) => `\\\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

export function createLogger({ log, terminal }: LoggerOptions): RootLogger {
  const options: LoggerSettings = {
    level: log.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }), log: boundedFields },
    hooks: {
      logMethod(values, method) {
        Reflect.apply(method, this, values.map(bounded));
      },
    },
  };
  if (log.format === "pretty" || (log.format === "auto" && terminal)) {
    const stream = pretty({
      colorize: terminal,
      sync: true,
      singleLine: true,
      translateTime: "SYS:HH:MM:ss.l",
      ignore: "pid,hostname",
      errorLikeObjectKeys: [],
    });
    return pino(options, { write: (line: string) => stream.write(printableLine(line)) }) as PinoLogger;
  }
  const destination = pino.destination({ dest: 1, sync: false, maxLength: gatewayLimits.logWaitingBytes });
  destination.on("error", () => undefined); // a log that can't be written, on a full disk or to a reader who has gone, stops no flow
  return pino(options, destination) as PinoLogger;
}

/** Says nothing; for tests and for programs that embed the gateway. */
export const silentLogger: RootLogger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
};
