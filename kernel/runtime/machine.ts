/**
 * The one machine this runtime is. A machine handles one message and is then put back to its image, so what belongs to the message
 * is kept in variables of the modules and in objects built at boot: a message costs no set-up.
 */
import { table } from "./table.ts";
import { defaultFlowLimits } from "../../abi/limits.ts";
import type { Native } from "./native.ts";

/** The machine's interface to the layer below. Set once by `boot()`. */
export let native: Native;

export function setNative(value: Native): void {
  native = value;
}

/** Most sends of the message. */
export let mostSends: number = defaultFlowLimits.sends;
/** Most characters of log text and fields of the message. */
export let mostLogCharacters: number = defaultFlowLimits.logBytes;

export interface RuntimeLimits {
  readonly sends?: number | string;
  readonly logBytes?: number | string;
}

const sizeUnits: Readonly<Record<string, number>> = table({ "": 1, B: 1, KB: 1000, MB: 1e6, KiB: 1024, MiB: 1024 ** 2 });

/** A size from `flow({ limits })`; undefined if it is malformed, which the image step reports. */
function size(value: number | string | undefined): number | undefined {
  if (typeof value !== "string") return value;
  const found = /^\s*(\d+(?:\.\d+)?)\s*([KM]i?B|B?)\s*$/.exec(value);
  return found === null ? undefined : Number(found[1]) * sizeUnits[found[2]!]!;
}

export function setLimits(limits: RuntimeLimits): void {
  mostSends = size(limits.sends) ?? mostSends;
  mostLogCharacters = size(limits.logBytes) ?? mostLogCharacters;
}

/** Handler of errors thrown where no flow can catch them: in a timer's function, a listener, a microtask. Set by boot.ts. */
export let uncaught: (error: unknown) => void;

export function setUncaught(value: (error: unknown) => void): void {
  uncaught = value;
}
