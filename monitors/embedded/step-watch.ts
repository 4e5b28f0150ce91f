/** The step in a worker, watched from outside by looks at intervals: its duration, and its CPU time against its limit. */
import { embeddedLimits } from "./limits.ts";

export interface Look {
  /** The submission that runs, counted from 1; 0 for none. */
  readonly running: number;
  /** Events begun by the worker: a submission may hold several, each with the whole limit. */
  readonly begun: number;
  readonly limitMs: number;
  readonly cpuMs: () => number;
}

export class StepWatch {
  #running = 0;
  #looks = 0;
  #sinceMs = 0;
  #begun = -1;
  #begunCpuMs = 0;
  #interruptedMs: number | undefined;

  /** It has been running for a while. */
  get slow(): boolean {
    return this.#looks >= embeddedLimits.slowLooks;
  }

  /** Milliseconds since it was first seen. */
  get elapsedMs(): number {
    return this.#looks === 0 ? 0 : performance.now() - this.#sinceMs;
  }

  /** An answer came: another step runs. */
  reset(): void {
    this.#running = 0;
    this.#looks = 0;
    this.#begun = -1;
  }

  /** The action due: to interrupt the step, or to end its worker, which did not heed that. */
  look({ running, begun, limitMs, cpuMs }: Look): "interrupt" | "terminate" | undefined {
    if (running === 0 || running !== this.#running) {
      this.reset();
      this.#running = running;
      return undefined;
    }
    if (this.#looks++ === 0) this.#sinceMs = performance.now();
    if (begun !== this.#begun) {
      this.#begun = begun;
      this.#begunCpuMs = cpuMs();
      this.#interruptedMs = undefined;
      return undefined;
    }
    const usedMs = cpuMs() - this.#begunCpuMs;
    if (usedMs <= limitMs) return undefined;
    if (this.#interruptedMs === undefined) {
      this.#interruptedMs = usedMs;
      return "interrupt";
    }
    return usedMs > this.#interruptedMs + embeddedLimits.graceMs ? "terminate" : undefined;
  }
}
