/** A step as it is submitted to the pool, and its answer. */
import type { MachineErrorCode } from "#abi";
import type { FairJob } from "../fair-queue.ts";
import type { EmbeddedMachine } from "./machine.ts";
import type { PoolWorker } from "./worker.ts";
import type { Status } from "./wire.ts";

export interface StepAnswer {
  /** `displaced`: its worker was lost through no fault of this machine. */
  readonly status: Status | "displaced";
  /** The effects' frame, the caller's own. */
  readonly effects: Uint8Array | undefined;
  readonly detail: string;
  /** The worker that keeps the waiting machine. */
  readonly kept: PoolWorker | undefined;
  /** Bytes it keeps of it. */
  readonly keptBytes: number;
  readonly cpuMs: number;
  /** Why it was lost. */
  readonly code?: MachineErrorCode;
  /** Its worker ended while it ran the step. */
  readonly endedWorker?: boolean;
  /** It was displaced to let others go first. */
  readonly stopped?: boolean;
}

export interface Job extends FairJob<PoolWorker> {
  readonly machine: EmbeddedMachine;
  /** `step`: the machine's newest event, where it waits. `start`: all its events so far; what the last one gives is answered. */
  readonly operation: number;
  readonly answer: (answer: StepAnswer) => void;
}

export type Line = Job["line"];

/** The answer to a step that no worker finished. */
export const lostAnswer = (code: MachineErrorCode, detail = ""): StepAnswer => ({
  status: "lost",
  effects: undefined,
  detail,
  kept: undefined,
  keptBytes: 0,
  cpuMs: 0,
  code,
});

/** For the step of a machine whose worker is gone: it is run again from its first event elsewhere. */
export const displaced: StepAnswer = { ...lostAnswer("MF_MACHINE_LOST"), status: "displaced" };

/** For the step that ran when its worker ended. */
export function endedAnswer(worker: PoolWorker): StepAnswer {
  const status = worker.ending === "MF_CPU_LIMIT" ? "interrupted" : "lost";
  return {
    ...lostAnswer(worker.ending ?? "MF_MACHINE_LOST", worker.failure),
    status,
    cpuMs: worker.watch.elapsedMs,
    endedWorker: true,
  };
}
