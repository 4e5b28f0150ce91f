/** A virtual machine watched from outside by looks at intervals: its step's CPU time against the limit, and that it computes only when asked. */
import { qemuLimits } from "./limits.ts";
import type { FlowVm } from "./worker.ts";

export interface WatchOptions {
  /** A step may take this many times as long as on the bare CPU, which limits.cpuMs is meant for. */
  readonly cpuFactor: number;
  readonly hangMs: number;
}

/** Interrupts the step that runs at its limit, and kills the virtual machine if that does not help, or if it sleeps. */
export function watchStep(own: FlowVm, { cpuFactor, hangMs }: WatchOptions): void {
  if (own.current === undefined) return;
  const cpuMs = own.vm.cpuMs() ?? performance.now(); // the wall clock where the system does not tell
  if (own.watchedLooks++ === 0) own.watchedCpuMs = cpuMs;
  if (own.watchedLooks === 1 || cpuMs !== own.progressCpuMs) {
    own.progressCpuMs = cpuMs;
    own.progressMs = performance.now();
  }
  const usedMs = cpuMs - own.watchedCpuMs;
  if (performance.now() - own.progressMs > hangMs) own.vm.kill("hung", "the guest does not answer");
  else if (usedMs <= own.current.machine.limits.cpuMs * cpuFactor) return;
  else if (own.interruptedAtMs === undefined) {
    own.interruptedAtMs = usedMs;
    own.vm.interrupt();
  } else if (usedMs > own.interruptedAtMs + qemuLimits.graceMs * cpuFactor) own.vm.kill("cpu", "");
}

/** Kills an idle virtual machine that computed since the last look: it was asked nothing. */
export function watchIdle(own: FlowVm): void {
  if (own.vm.state !== "idle" || own.current !== undefined) return;
  const cpuMs = own.vm.cpuMs();
  if (cpuMs === undefined) return;
  if (own.idleSinceMs === own.lastUsedMs && cpuMs - own.idleCpuMs > qemuLimits.idleCpuMs)
    own.vm.kill("lied", "the guest uses CPU time without a request");
  own.idleSinceMs = own.lastUsedMs;
  own.idleCpuMs = cpuMs;
}
