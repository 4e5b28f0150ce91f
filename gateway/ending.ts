/**
 * The end of a gateway: within `drain`, whatever a connector, a peer or a disk does.
 *
 *   0 ────────── work under way ends ──────────▶ workMs ── connectors close ──▶ closedMs ── journal closes ──▶ endMs
 *
 * Steps of connectors are named while they are under way, so that the log can say what was waited for.
 */
import type { Clock } from "#base";
import { gatewayLimits } from "./contract/limits.ts";

/** Steps under way, by name. */
export class OpenSteps {
  readonly #steps = new Set<{ readonly name: string }>();

  async during<T>(name: string, work: () => Promise<T> | T): Promise<T> {
    const step = { name };
    this.#steps.add(step);
    try {
      return await work();
    } finally {
      this.#steps.delete(step);
    }
  }

  get names(): string[] {
    return [...this.#steps].map(({ name }) => name);
  }
}

/** True when `work` settled in time. Never rejects; what becomes of it later is ignored. */
export function settles(clock: Clock, limitMs: number, work: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    const cancel = clock.after(Math.max(limitMs, 0), () => resolve(false));
    const settled = (): void => {
      cancel();
      resolve(true);
    };
    work.then(settled, settled);
  });
}

/** The times by which the parts of an end must be over, by the monotonic clock. */
export class Ending {
  readonly workMs: number;
  readonly closedMs: number;
  readonly endMs: number;
  readonly #clock: Clock;

  constructor(clock: Clock, drainMs: number) {
    this.#clock = clock;
    const { least, most } = gatewayLimits.closingMs;
    const nowMs = clock.monotonicMs();
    this.workMs = nowMs + drainMs - Math.min(drainMs / 4, most);
    this.endMs = this.workMs + Math.min(Math.max(drainMs / 4, least), most);
    this.closedMs = this.workMs + (this.endMs - this.workMs) * 0.75;
  }

  /** True when `work` settled before `untilMs`. */
  by(untilMs: number, work: Promise<unknown>): Promise<boolean> {
    return settles(this.#clock, untilMs - this.#clock.monotonicMs(), work);
  }
}
