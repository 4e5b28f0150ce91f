/** The kernel object: how a flow's bundle, which is built apart, reaches the kernel that is already there. */
import { flow } from "./definition.ts";
import { fail, FlowError } from "./errors.ts";
import { csv, xml } from "./formats.ts";
import { native } from "./machine.ts";

/** Key of the kernel object among the globals, from `boot()` to `setFlow()`. */
export const kernelName: symbol = Symbol.for("mayfly.kernel");

export const json = {
  parse: (text: string): unknown => JSON.parse(text),
  stringify: (value: unknown): string => JSON.stringify(value),
};

export const text = {
  parse: (bytes: Uint8Array): string => native.decodeUtf8(bytes, false),
  stringify: (value: string): Uint8Array => native.encodeUtf8(value),
};

export function timingSafeEqual(a: Uint8Array, b: Uint8Array): boolean {
  return native.equal(a, b);
}

export const kernel = { flow, fail, FlowError, json, text, xml, csv, timingSafeEqual };
export type Kernel = typeof kernel;
