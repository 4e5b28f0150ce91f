/** Monitors by the name mayfly.yaml gives them. */
import { CodedError } from "#base";
import { embeddedMonitor, type Monitor, processMonitor, qemuMonitor } from "#monitors";

export const monitorNames = ["embedded", "process", "qemu"] as const;

/** `workers` undefined: the monitor's own choice. Throws or rejects with a CodedError where the monitor can't be used. */
export async function openMonitor(name: string, workers: number | undefined): Promise<Monitor> {
  const options = workers === undefined ? {} : { workers };
  switch (name) {
    case "embedded":
      return embeddedMonitor(options);
    case "process":
      return processMonitor(options);
    case "qemu":
      return await qemuMonitor(workers === undefined ? {} : { perFlow: workers });
    default:
      throw new CodedError("MF_MONITOR_MISSING", `there is no monitor ${name}: there are ${monitorNames.join(", ")}`);
  }
}
