/**
 * Unexpected errors, from callbacks, events and promises. They end here: logged with their stack, counted, and shown by /ready for
 * a minute. None ends the process: a sender who found one would otherwise have found a way to stop every flow.
 */
import type { Clock } from "#base";
import type { ReportUnexpected } from "./contract/unexpected.ts";
import type { Logger } from "./contract/connector.ts";
import { gatewayLimits } from "./contract/limits.ts";

export class UnexpectedErrors {
  readonly #clock: Clock;
  readonly #logger: Logger;
  #total = 0;
  #last: { readonly where: string; readonly atMs: number } | undefined;

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  get total(): number {
    return this.#total;
  }

  /** An entry for /ready while the newest error is younger than limits.unexpectedShownMs. */
  get problem(): { readonly unexpected: string; readonly errors: number } | undefined {
    const last = this.#last;
    if (last === undefined || this.#clock.monotonicMs() - last.atMs > gatewayLimits.unexpectedShownMs) return undefined;
    return { unexpected: `unexpected error in ${last.where}: see the log`, errors: this.#total };
  }

  readonly report: ReportUnexpected = (error, where) => {
    this.#total += 1;
    try {
      this.#last = { where, atMs: this.#clock.monotonicMs() };
      const { message, stack } = error instanceof Error ? error : new Error(String(error));
      this.#logger.error(
        { code: "MF_UNEXPECTED", where, stack },
        `unexpected error, the gateway keeps running: ${message}; please report it with its stack`,
      );
    } catch {
      // A logger or clock that throws as well leaves only the count.
    }
  };
}
