/** Signals that a run is given: when each is there, and which wait it ends. Pure; the same rules as in the gateway. */
import type { OpenWait } from "#gateway";

export interface GivenSignal {
  readonly id: string;
  readonly name: string;
  /** Undefined: it fits a wait with any key. */
  readonly key: string | undefined;
  /** When it is received, in milliseconds since 1970. */
  readonly atMs: number;
  readonly headersJson: string;
  readonly body: Uint8Array;
  /** Its place among events of the same time; in front of those without one unless given. */
  readonly order?: number | undefined;
}

/** A wait, and when it was opened first. */
export interface KnownWait extends OpenWait {
  readonly openedMs: number;
}

export class SignalBox {
  /** Not taken yet, the oldest first. */
  readonly #kept: GivenSignal[];
  readonly #earlyMs: number;

  /** `earlyMs`: how long one is kept that comes before its wait. */
  constructor(signals: readonly GivenSignal[], earlyMs: number) {
    this.#kept = [...signals].sort((a, b) => a.atMs - b.atMs);
    this.#earlyMs = earlyMs;
  }

  /** Signals that nothing has waited for. */
  get unclaimed(): readonly GivenSignal[] {
    return this.#kept;
  }

  /** The oldest that ends this wait, now or later: one in time, not refused or dead before the wait was opened. */
  for(wait: KnownWait): GivenSignal | undefined {
    return this.#kept.find((signal) => this.#fits(signal, wait));
  }

  /** Takes what has come by now for these waits: the oldest signal first, for the oldest wait it fits; one for each. */
  claim(waits: readonly KnownWait[], nowMs: number): { readonly wait: KnownWait; readonly signal: GivenSignal }[] {
    const open = [...waits].sort((a, b) => a.wait - b.wait);
    const claimed: { readonly wait: KnownWait; readonly signal: GivenSignal }[] = [];
    for (const signal of this.#kept.filter(({ atMs }) => atMs <= nowMs)) {
      const at = open.findIndex((wait) => this.#fits(signal, wait));
      const [wait] = at < 0 ? [] : open.splice(at, 1);
      if (wait === undefined) continue;
      this.take(signal);
      claimed.push({ wait, signal });
    }
    return claimed;
  }

  take(signal: GivenSignal): void {
    const at = this.#kept.indexOf(signal);
    if (at >= 0) this.#kept.splice(at, 1);
  }

  /** From the end of a wait on its timeout wins. */
  #fits({ name, key, atMs }: GivenSignal, wait: KnownWait): boolean {
    if (name !== wait.name || (key !== undefined && key !== wait.key)) return false;
    return (wait.dueMs === undefined || atMs < wait.dueMs) && wait.openedMs - atMs <= this.#earlyMs;
  }
}
