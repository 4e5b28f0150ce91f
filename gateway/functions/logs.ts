/** The last log lines of functions, in memory: for their authors, who don't see the gateway's log. */
import type { Clock } from "#base";
import { functionLimits } from "./limits.ts";
import type { FunctionLogger } from "./ports.ts";

export interface FunctionLogLine {
  /** Grows by one with each line of the function. */
  readonly line: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly level: string;
  readonly text: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

interface Kept {
  next: number;
  readonly lines: FunctionLogLine[];
}

const levels = ["debug", "info", "warn", "error"] as const;

/** Fields as they are shown: short texts, and JSON of everything else. */
function shortened(fields: object): Record<string, unknown> {
  const text = JSON.stringify(fields);
  return text.length <= functionLimits.logCharacters
    ? (JSON.parse(text) as Record<string, unknown>)
    : { cut: text.slice(0, functionLimits.logCharacters) };
}

export class FunctionLogs {
  readonly #clock: Clock;
  readonly #functions = new Map<string, Kept>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A logger that writes to `logger`, and keeps the last lines under `key`. */
  kept(key: string, logger: FunctionLogger): FunctionLogger {
    return this.#wrap(key, logger, {});
  }

  /** Lines after the one with this number, the oldest first. */
  read(key: string, after: number): readonly FunctionLogLine[] {
    return this.#functions.get(key)?.lines.filter(({ line }) => line > after) ?? [];
  }

  forget(key: string): void {
    this.#functions.delete(key);
  }

  #wrap(key: string, logger: FunctionLogger, bound: object): FunctionLogger {
    const methods = levels.map((level) => [
      level,
      (fields: object, text: string): void => {
        logger[level](fields, text);
        if (level !== "debug") this.#keep(key, level, text, { ...bound, ...fields });
      },
    ]);
    const child = (fields: object): FunctionLogger => this.#wrap(key, logger.child(fields), { ...bound, ...fields });
    return { ...(Object.fromEntries(methods) as unknown as FunctionLogger), child };
  }

  #keep(key: string, level: string, text: string, { flow: _flow, ...fields }: Record<string, unknown>): void {
    let kept = this.#functions.get(key);
    if (kept === undefined) kept = this.#begin(key);
    const { logCharacters, logLines } = functionLimits;
    kept.lines.push({ line: kept.next++, at: this.#clock.now(), level, text: text.slice(0, logCharacters), fields: shortened(fields) });
    if (kept.lines.length > logLines) kept.lines.shift();
  }

  #begin(key: string): Kept {
    const kept: Kept = { next: 1, lines: [] };
    this.#functions.set(key, kept);
    const [oldest] = this.#functions.keys();
    if (this.#functions.size > functionLimits.loggedFunctions && oldest !== undefined) this.#functions.delete(oldest);
    return kept;
  }
}
