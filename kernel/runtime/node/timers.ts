/** The part `immediate`: setImmediate, and Node's modules of timers. A timer of no time goes off in a step of its own. */
import { kernel } from "../link.ts";

type Callback = (...values: unknown[]) => void;
interface Timers {
  setTimeout(callback: Callback, delayMs?: number, ...values: unknown[]): number;
  setInterval(callback: Callback, delayMs?: number, ...values: unknown[]): number;
  clearTimeout(timer?: unknown): void;
  clearInterval(timer?: unknown): void;
}
const { setTimeout, setInterval, clearTimeout, clearInterval } = globalThis as unknown as Timers;

function setImmediate(callback: Callback, ...values: unknown[]): number {
  return setTimeout(callback, 0, ...values);
}

const after = <T>(delayMs?: number, value?: T): Promise<T | undefined> =>
  new Promise((resolve) => setTimeout(resolve as Callback, delayMs, value));

const promises = {
  setTimeout: after,
  setImmediate: <T>(value?: T): Promise<T | undefined> => after(0, value),
  async *setInterval<T>(delayMs?: number, value?: T): AsyncGenerator<T | undefined> {
    for (;;) yield await after(delayMs, value);
  },
  scheduler: { wait: (delayMs?: number): Promise<void> => after(delayMs), yield: (): Promise<void> => after(0) },
};

export default { setTimeout, setInterval, setImmediate, clearTimeout, clearInterval, clearImmediate: clearTimeout, promises };

kernel.define("setImmediate", setImmediate);
kernel.define("clearImmediate", clearTimeout);
