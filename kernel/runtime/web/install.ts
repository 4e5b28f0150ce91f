/** Puts the web's globals where a flow and its packages look for them: those every machine has. The others are parts (parts.ts). */
import { native, uncaught } from "../machine.ts";
import { clearTimer, setInterval, setTimeout } from "../timers.ts";
import { performance } from "./performance.ts";

export function define(name: string, value: unknown): void {
  Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
}

type Queue = (task: () => void) => void;
const engineQueue = (globalThis as unknown as { queueMicrotask: Queue }).queueMicrotask;

/** The engine's own would take the machine down with an error nobody catches; here it fails the flow. */
function queueMicrotask(task: () => void): void {
  if (typeof task !== "function") throw new TypeError("queueMicrotask needs a function to call");
  engineQueue(() => {
    try {
      task();
    } catch (error) {
      uncaught(error);
    }
  });
}

interface CallSites {
  prepareStackTrace?: unknown;
}

/** A call site would hand out the functions on the stack, and so the kernel's. */
function hideFunctions(): void {
  const errors = Error as unknown as CallSites;
  const before = errors.prepareStackTrace;
  errors.prepareStackTrace = (_error: unknown, sites: readonly object[]): unknown => sites;
  const [site] = new Error("for its call sites").stack as unknown as readonly object[];
  errors.prepareStackTrace = before;
  if (typeof site === "object") Reflect.deleteProperty(Object.getPrototypeOf(site) as object, "getFunction");
}

export function installGlobals(): void {
  hideFunctions();
  const globals = { setTimeout, setInterval, clearTimeout: clearTimer, clearInterval: clearTimer, queueMicrotask, performance };
  for (const [name, value] of Object.entries(globals)) define(name, value);
  // The engine seeds its own generator once, when the context is made: every machine of an image would draw the same numbers.
  Object.defineProperty(native.randomFloat, "name", { value: "random", configurable: true });
  Object.defineProperty(Math, "random", { value: native.randomFloat, writable: true, configurable: true, enumerable: false });
}
