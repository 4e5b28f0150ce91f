/** Monitors by the name mayfly.yaml gives them. */
import { CodedError } from "#base";
import { embeddedMonitor, type Monitor, type MonitorMemory, processMonitor, qemuMonitor } from "#monitors";

export const monitorNames = ["embedded", "process", "qemu"] as const;

export interface MonitorSettings {
  /** Undefined: the monitor's own choice. */
  readonly workers: number | undefined;
  readonly isolation: "flow" | "message";
  /** Absent: no bound. */
  readonly memory?: MonitorMemory;
  /** Takes a line now and then: what accelerates virtual machines, which of them ended. */
  readonly log?: (line: string) => void;
}

/** Throws or rejects with a CodedError where the monitor can't be used, or not in this way. */
export async function openMonitor(name: string, { workers, isolation, memory, log }: MonitorSettings): Promise<Monitor> {
  const options = { ...(workers === undefined ? {} : { workers }), ...(memory === undefined ? {} : { memory }) };
  switch (name) {
    case "embedded":
      if (isolation === "message")
        throw new CodedError(
          "MF_MONITOR_ISOLATION",
          "`isolation` does not apply to the embedded monitor, which runs no processes: use `monitor: process` or `monitor: qemu`, or remove `isolation`",
        );
      return embeddedMonitor({ ...options, log });
    case "process":
      return processMonitor({ ...options, reuse: isolation === "flow" });
    case "qemu":
      return qemuMonitor({
        ...options,
        ...(workers === undefined ? {} : { perFlow: workers }),
        ...(log === undefined ? {} : { log }),
        isolation,
      });
    default:
      throw new CodedError("MF_MONITOR_MISSING", `unknown monitor ${name}: use one of ${monitorNames.join(", ")}`);
  }
}
