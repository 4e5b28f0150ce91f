/** The port to a gateway's sleepers: for senders of signals, the admin endpoints, the approval page and the dashboard. */
import type { LogEffect } from "#abi";
import type { IncomingSignal, Question, SignalOutcome } from "./sleep.ts";

/** A sleeper in a list. Times are milliseconds since 1970. */
export interface ShownSleeper {
  /** The message's id. */
  readonly id: string;
  readonly flow: string;
  readonly key: string | null;
  /** Hash of the image it sleeps in. */
  readonly image: string;
  readonly receivedAt: number;
  readonly since: number;
  /** When it wakes if no signal comes before. */
  readonly until: number;
  readonly waits: readonly ShownWait[];
  /** Sleeps of the flow that are open: when each ends. */
  readonly sleeps: readonly number[];
  /** Transactions it has committed. */
  readonly transactions: number;
  /** `retrying`: its transaction failed, and is tried again. `stuck`: it can't be woken, as `problem` says. */
  readonly state: "asleep" | "awake" | "retrying" | "stuck";
  readonly problem: string | null;
}

export interface ShownWait {
  readonly wait: number;
  readonly name: string;
  readonly key: string;
  /** When it ends without a signal, null for never. */
  readonly until: number | null;
  readonly question: Question | null;
}

/** One sleeper in full: its life so far. */
export interface ShownSleeperDetail extends ShownSleeper {
  readonly source: string;
  readonly logs: readonly LogEffect[];
  /** An encoded recording (abi/recording.ts), secrets and all: redact it before it leaves the process. */
  readonly recording: Uint8Array;
}

export interface SleepDesk {
  /** Keeps a signal. Never rejects for what a sender does. */
  signal(signal: IncomingSignal): Promise<SignalOutcome>;
  /** In the order in which they fell asleep first; `after` is the `next` of the page before. */
  list(page: {
    readonly flow?: string | undefined;
    readonly after?: string | undefined;
    readonly most: number;
  }): Promise<{ readonly sleepers: readonly ShownSleeper[]; readonly next: string | undefined }>;
  /** Rejects with MF_SLEEPER_UNKNOWN, as do those below. */
  show(id: string, flow?: string): Promise<ShownSleeperDetail>;
  /** Wakes it now: the wait or sleep that ends first counts as over. Rejects with MF_SLEEPER_AWAKE. */
  wake(id: string, flow?: string): Promise<void>;
  /** Ends it as a dead letter with the code MF_CANCELLED_BY_OPERATOR; it can be retried from there. Rejects with MF_SLEEPER_AWAKE. */
  cancel(id: string, flow?: string): Promise<void>;
  /** Makes it begin again from its message, in the flow's newest image. Rejects with MF_SLEEPER_AWAKE. */
  migrate(id: string, flow?: string): Promise<void>;
  /** Sleepers by image hash, for whoever removes images. */
  byImage(): ReadonlyMap<string, number>;
}
