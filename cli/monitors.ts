/** Monitors by the name mayfly.yaml gives them. */
import { CodedError } from "#base";
import { embeddedMonitor, type Monitor, processMonitor } from "#monitors";

export const monitorNames = ["embedded", "process"] as const;

/** `workers` undefined: the monitor's own choice. Throws a CodedError where the monitor can't be used. */
export function openMonitor(name: string, workers: number | undefined): Monitor {
  const options = workers === undefined ? {} : { workers };
  if (name === "embedded") return embeddedMonitor(options);
  if (name === "process") return processMonitor(options);
  throw new CodedError("MF_MONITOR_MISSING", `there is no monitor ${name} to serve with: there are ${monitorNames.join(" and ")}`);
}
