/** The part `process`: what packages ask of Node's process wherever they run. There is no environment, and no process. */
import { kernel } from "../link.ts";

type Task = (...values: unknown[]) => void;
const { queueMicrotask, performance } = globalThis as unknown as {
  queueMicrotask(task: () => void): void;
  performance: { now(): number };
};

/** Nobody signals a machine: listeners are accepted and never called. */
function unheard(this: unknown): unknown {
  return this;
}

/** Time is the event's: seconds and nanoseconds since the message was delivered. */
function hrtime(since?: readonly [number, number]): [number, number] {
  const nowMs = performance.now();
  const seconds = Math.floor(nowMs / 1000) - (since?.[0] ?? 0);
  const nanoseconds = (nowMs % 1000) * 1e6 - (since?.[1] ?? 0);
  return nanoseconds < 0 ? [seconds - 1, nanoseconds + 1e9] : [seconds, nanoseconds];
}

export const process = {
  title: "mayfly",
  browser: true,
  env: {} as Record<string, string | undefined>,
  argv: [] as string[],
  execArgv: [] as string[],
  version: "",
  versions: {} as Record<string, string>,
  platform: "mayfly",
  arch: "wasm32",
  nextTick(task: Task, ...values: unknown[]): void {
    if (typeof task !== "function") throw new TypeError("process.nextTick needs a function to call");
    queueMicrotask(() => task(...values));
  },
  cwd: (): string => "/",
  hrtime: Object.assign(hrtime, { bigint: (): bigint => BigInt(Math.round(performance.now() * 1e6)) }),
  uptime: (): number => performance.now() / 1000,
  emitWarning(warning: unknown): void {
    kernel.write(2, kernel.show(warning), undefined);
  },
  on: unheard,
  once: unheard,
  off: unheard,
  addListener: unheard,
  removeListener: unheard,
  removeAllListeners: unheard,
  listeners: (): unknown[] => [],
  listenerCount: (): number => 0,
};

export default process;

kernel.define("process", process);
