/** Puts the web's globals where a flow and its packages look for them. */
import { native } from "../machine.ts";
import { clearTimer, setInterval, setTimeout } from "../timers.ts";

function define(name: string, value: unknown): void {
  Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
}

export function installGlobals(): void {
  define("setTimeout", setTimeout);
  define("setInterval", setInterval);
  define("clearTimeout", clearTimer);
  define("clearInterval", clearTimer);
  Object.defineProperty(Math, "random", { value: native.randomFloat, writable: true, configurable: true });
}
