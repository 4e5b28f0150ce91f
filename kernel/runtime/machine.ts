/**
 * The one machine this runtime is. A machine handles one message and is then put back to its image, so what belongs to the message
 * is kept in variables of the modules and in objects built at boot: a message costs no set-up.
 */
import { defaultFlowLimits } from "../../abi/limits.ts";
import type { Native } from "./native.ts";

/** What the machine asks of the layer below. Set once by `boot()`. */
export let native: Native;

export function setNative(value: Native): void {
  native = value;
}

/** Most sends of the message. */
export let mostSends: number = defaultFlowLimits.sends;
/** Most characters of log text and fields of the message. */
export let mostLogCharacters: number = defaultFlowLimits.logBytes;

export interface RuntimeLimits {
  readonly sends?: number;
  readonly logBytes?: number;
}

export function setLimits(limits: RuntimeLimits): void {
  if (limits.sends !== undefined) mostSends = limits.sends;
  if (limits.logBytes !== undefined) mostLogCharacters = limits.logBytes;
}

/** What becomes of an error thrown where no flow can catch it: in a timer's function, a listener, a microtask. Set by boot.ts. */
export let uncaught: (error: unknown) => void;

export function setUncaught(value: (error: unknown) => void): void {
  uncaught = value;
}
