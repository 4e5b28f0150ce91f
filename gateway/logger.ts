/** The gateway's log: JSON lines, or lines for people when somebody is watching. */
import { pino, type Logger as PinoLogger } from "pino";
import pretty from "pino-pretty";
import type { GatewayConfig } from "./config/types.ts";
import type { Logger } from "./connector.ts";

/** A logger that can make children with fields of their own; structurally pino's. */
export interface RootLogger extends Logger {
  child(fields: object): RootLogger;
}

export interface LoggerOptions {
  readonly log: GatewayConfig["log"];
  /** Whether a person is watching standard output. */
  readonly terminal: boolean;
}

export function createLogger({ log, terminal }: LoggerOptions): RootLogger {
  const options = {
    level: log.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  if (log.format === "pretty" || (log.format === "auto" && terminal)) {
    const stream = pretty({ colorize: terminal, sync: true, singleLine: true, translateTime: "SYS:HH:MM:ss.l", ignore: "pid,hostname" });
    return pino(options, stream) as PinoLogger;
  }
  return pino(options, pino.destination({ dest: 1, sync: false })) as PinoLogger;
}

/** Says nothing; for tests and for programs that embed the gateway. */
export const silentLogger: RootLogger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
};
