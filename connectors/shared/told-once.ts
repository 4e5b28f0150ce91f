/** Troubles that are logged once, over all looks at a place. */
import type { ConnectorContext } from "#gateway/contract";
import { polledLimits } from "./limits.ts";

export class ToldOnce {
  readonly #context: Pick<ConnectorContext, "logger" | "clock">;
  readonly #told = new Set<string>();
  #sinceMs = Number.NEGATIVE_INFINITY;

  constructor(context: Pick<ConnectorContext, "logger" | "clock">) {
    this.#context = context;
  }

  /** Logs a trouble the first time. True if it was logged now. Once `toldNames` are known, others wait until the known are forgotten. */
  tell(what: string, code: string, text: string, fields: object = {}): boolean {
    if (this.#told.has(what)) return false;
    const nowMs = this.#context.clock.monotonicMs();
    if (this.#told.size >= polledLimits.toldNames) {
      if (nowMs - this.#sinceMs < polledLimits.toldMs) return false;
      this.#told.clear();
    }
    if (this.#told.size === 0) this.#sinceMs = nowMs;
    this.#told.add(what);
    this.#context.logger.error({ code, ...fields }, text);
    return true;
  }

  /** The trouble is over: it is logged again when it comes back. */
  forget(what: string): void {
    this.#told.delete(what);
  }
}
