/**
 * Sleeping machines and the signals they wait for. A machine that waits for nothing but durable waits and timers is put to sleep: what
 * it sent and changed is committed together with the sleep, and its next transaction begins with a `resume` event.
 */
import type { Headers } from "#abi";

/** A durable wait that is open. */
export interface OpenWait {
  /** The machine's number for it. */
  readonly wait: number;
  readonly name: string;
  readonly key: string;
  /** Milliseconds since 1970; undefined: it has no end of its own. */
  readonly dueMs: number | undefined;
  /** A `Question` as JSON where a person answers. */
  readonly questionJson: string | undefined;
}

export interface OpenTimer {
  /** The machine's number for it. */
  readonly timer: number;
  /** Milliseconds since 1970. */
  readonly dueMs: number;
}

/** Waits and timers of a sleeping machine. */
export interface Waits {
  readonly waits: readonly OpenWait[];
  readonly timers: readonly OpenTimer[];
}

/** A question to a person, by `approve`. */
export interface Question {
  readonly question: string;
  readonly options: readonly string[];
  /** An outlet that is sent the question with a link. */
  readonly to?: string;
}

/** A question from a machine, which may be compromised; null when it is missing or malformed. */
export function questionOf(json: string | undefined): Question | null {
  if (json === undefined) return null;
  try {
    const asked = JSON.parse(json) as Partial<Record<keyof Question, unknown>> | null;
    const { question, options, to } = asked ?? {};
    if (typeof question !== "string" || !Array.isArray(options) || options.length === 0) return null;
    if (!options.every((option): option is string => typeof option === "string" && option !== "")) return null;
    return { question, options, ...(typeof to === "string" ? { to } : {}) };
  } catch {
    return null;
  }
}

/** A sleeping machine, as the journal keeps it beside its message. */
export interface Sleeper extends Waits {
  /** The image it sleeps in, 64 hexadecimal digits. */
  readonly imageSha256: string;
  /** When this sleep began, milliseconds since 1970. */
  readonly sinceMs: number;
  /** Time at which it is woken if nothing comes before: the earliest end of its waits and timers, and of the longest sleep allowed. */
  readonly dueMs: number;
  /** Transactions it has committed, this one included. */
  readonly transactions: number;
  /** All its events so far and, where they were kept, its steps: an encoded recording (abi/recording.ts), enough to run it to this point. */
  readonly recording: Uint8Array;
  /** Its dirty pages, where running it again would cost more; the monitor's own form. */
  readonly pages?: Uint8Array | undefined;
}

/** When what a machine waits for ends by itself; `latestMs` where nothing does. */
export function earliestDueMs({ waits, timers }: Waits, latestMs: number): number {
  let dueMs = Number.POSITIVE_INFINITY;
  for (const each of waits) if (each.dueMs !== undefined && each.dueMs < dueMs) dueMs = each.dueMs;
  for (const each of timers) if (each.dueMs < dueMs) dueMs = each.dueMs;
  return dueMs === Number.POSITIVE_INFINITY ? latestMs : dueMs;
}

/** A signal on its way in: a message addressed to a sleeping machine by flow, name and key. */
export interface IncomingSignal {
  readonly flow: string;
  readonly name: string;
  readonly key: string;
  /** The sender's own id: what duplicates are recognised by. Absent: the gateway makes one. */
  readonly id?: string | undefined;
  /** Source and route the id belongs to: ids of two are never duplicates of each other. */
  readonly idScope?: string | undefined;
  /** Connector name, `cli`, `api` or `approval`. */
  readonly source: string;
  readonly headers: Headers;
  readonly contentType: string;
  readonly body: Uint8Array;
}

/**
 * The outcome of a signal. A sender may be acknowledged only after it.
 * - `kept`: it is safe. `waiting`: a machine waits for it; otherwise it is kept for its wait as long as `sleep.early` says.
 * - `duplicate`: it was kept before.
 * - `refused`: nothing was kept; give it again, unless `final`.
 */
export type SignalOutcome =
  | { readonly status: "kept"; readonly id: string; readonly waiting: boolean }
  | { readonly status: "duplicate"; readonly id: string }
  | { readonly status: "refused"; readonly code: string; readonly message: string; readonly final: boolean; readonly retryAfterMs: number };
