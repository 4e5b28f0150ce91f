/** A monitor's report on a step: the machine's effects, and whether the machine continues. */
import type { Effect } from "./effects.ts";

/** Failures a monitor finds, not the flow. The sentences say what to do. */
export const machineErrors = {
  MF_CPU_LIMIT: "the flow exceeded its CPU limit in one step: look for an endless loop, or raise limits.cpu",
  MF_MEMORY_LIMIT: "the flow exceeded its memory limit: process less at a time, or raise limits.memory",
  MF_TIME_LIMIT: "the message exceeded its time limit: look for a slow outlet, or raise limits.time",
  MF_EFFECT_LIMIT: "the flow produced too many effects in one step: split the message before it arrives, or raise limits.sends",
  MF_MACHINE_TRAP: "the machine stopped on an illegal operation, a bug in the engine or the kernel: please report it with the message",
  MF_MACHINE_LIED: "the machine's effects are malformed, and none was carried out: the machine may be compromised",
  MF_MACHINE_EVICTED:
    "the machine lost its memory to others after it had read more of its message than is read again: the message begins anew; read it in batches, with flow({ batch: 500 })",
  MF_MACHINE_LOST: "the worker crashed repeatedly: look for a message that crashes its machine",
  MF_MACHINE_ENDED: "the machine has ended and takes no more events",
  MF_MONITOR_BUSY: "all machines are busy and the queue is full: try again later, or allow more workers",
  MF_MONITOR_CLOSED: "the monitor is closed: the gateway is shutting down",
} as const;

export type MachineErrorCode = keyof typeof machineErrors;

export interface StepFailure {
  readonly code: MachineErrorCode;
  readonly message: string;
  /** Where the step was cut off, as the machine says: frames as in a `fail` effect. */
  readonly stack?: string;
  /** Workers that ended while they ran the machine, by its fault as far as can be told. */
  readonly workersLost?: number;
}

/**
 * The outcome of one step.
 * - `waiting`: calls or timers are open; give the machine its next event.
 * - `done`, `failed`: the last effect says how; the machine is gone.
 * - `broken`: the monitor ended the machine; `failure` says why. Only its logs are worth keeping.
 */
export type StepOutcome =
  | {
      readonly status: "waiting" | "done" | "failed";
      readonly effects: readonly Effect[];
      readonly failure?: undefined;
      readonly cpuMs: number;
      /** Linear memory of the machine at the step's end, in pages of 64 KiB; undefined where the monitor does not count them. */
      readonly pages?: number | undefined;
    }
  | { readonly status: "broken"; readonly effects: readonly Effect[]; readonly failure: StepFailure; readonly cpuMs: number };
