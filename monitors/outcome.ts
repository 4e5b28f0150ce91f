/** Conversion of a monitor's answer into the outcome of a step, or the sentence why the step has no outcome. Pure. */
import { type decodeEffects, type FlowLimits, machineErrors, type MachineErrorCode, type StepOutcome } from "#abi";

/** How the running of a step ended, in the words of all monitors; each knows some of them. */
export type StepEnd =
  | "complete"
  | "interrupted"
  | "escaped"
  | "no-memory"
  | "trapped"
  /** The machine wrote where it may not, or its frames are malformed. */
  | "compromised"
  | "hung"
  /** From here on: nothing ran it, or the worker is gone. */
  | "lost"
  | "displaced"
  | "missing";

export interface StepEnded {
  readonly status: StepEnd;
  readonly detail: string;
  readonly cpuMs: number;
  /** Linear memory at its end, in pages of 64 KiB; undefined where the monitor does not count them. */
  readonly memoryPages?: number | undefined;
  /** Why nothing ran it, when that is known. */
  readonly code?: MachineErrorCode | undefined;
}

/** The failure as well names the workers that ended while they ran the machine. */
export function blamed(outcome: StepOutcome, workersLost: number): StepOutcome {
  if (workersLost === 0 || outcome.status !== "broken") return outcome;
  return { ...outcome, failure: { ...outcome.failure, workersLost } };
}

export function broken(code: MachineErrorCode, detail = "", effects: StepOutcome["effects"] = [], cpuMs = 0): StepOutcome {
  const message = detail === "" ? machineErrors[code] : `${machineErrors[code]} (${detail})`;
  return { status: "broken", effects, failure: { code, message }, cpuMs };
}

function codeOf({ status, code }: StepEnded): MachineErrorCode {
  switch (status) {
    case "interrupted":
      return "MF_CPU_LIMIT";
    case "escaped":
    case "no-memory":
      return "MF_MEMORY_LIMIT";
    case "trapped":
      return "MF_MACHINE_TRAP";
    case "complete":
    case "compromised":
      return "MF_MACHINE_LIED";
    case "hung":
      return "MF_TIME_LIMIT";
    case "lost":
    case "displaced":
    case "missing":
      return code ?? "MF_MACHINE_LOST";
  }
}

function detailOf({ status, detail }: StepEnded, limits: FlowLimits): string {
  if (status === "interrupted") return `${limits.cpuMs} ms`;
  return status === "escaped" || status === "no-memory" ? `${limits.memoryBytes / 1024 ** 2} MiB` : detail;
}

/** Of a machine that is broken only the logs are worth keeping. `decoded` undefined: there were no effects. */
export function outcomeOf(ended: StepEnded, decoded: ReturnType<typeof decodeEffects> | undefined, limits: FlowLimits): StepOutcome {
  const { status, cpuMs, memoryPages: pages } = ended;
  const effects = decoded?.ok === true ? decoded.value : [];
  if (status === "complete" && decoded?.ok === true) {
    const last = effects.at(-1)?.kind;
    return { status: last === "done" || last === "continue" ? "done" : last === "fail" ? "failed" : "waiting", effects, cpuMs, pages };
  }
  const detail = status !== "complete" ? detailOf(ended, limits) : decoded?.ok === false ? decoded.error : "no effects";
  const logs = effects.filter(({ kind }) => kind === "log");
  const outcome = broken(codeOf(ended), detail, logs, cpuMs);
  const last = effects.at(-1);
  if (outcome.status !== "broken" || (status !== "interrupted" && status !== "escaped")) return outcome;
  return last?.kind !== "fail" || last.stack === undefined ? outcome : { ...outcome, failure: { ...outcome.failure, stack: last.stack } };
}
