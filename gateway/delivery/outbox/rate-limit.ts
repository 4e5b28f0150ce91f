/** The rate of one outlet (`rate:`). */
import type { Clock } from "#base";

/** Permission to make so many attempts: a bucket that holds a second's worth. */
export class RateLimit {
  readonly #perSecond: number;
  readonly #clock: Clock;
  #tokens: number;
  #lastMs: number;

  constructor(perSecond: number, clock: Clock) {
    this.#perSecond = perSecond;
    this.#clock = clock;
    this.#tokens = Math.max(perSecond, 1);
    this.#lastMs = clock.monotonicMs();
  }

  /** Milliseconds until one is free; 0 if it was taken. */
  take(): number {
    const nowMs = this.#clock.monotonicMs();
    this.#tokens = Math.min(Math.max(this.#perSecond, 1), this.#tokens + ((nowMs - this.#lastMs) * this.#perSecond) / 1000);
    this.#lastMs = nowMs;
    if (this.#tokens < 1) return Math.max(Math.ceil(((1 - this.#tokens) * 1000) / this.#perSecond), 1);
    this.#tokens -= 1;
    return 0;
  }

  putBack(): void {
    this.#tokens += 1;
  }
}
