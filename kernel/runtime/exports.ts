/**
 * The kernel object: how a flow's bundle, which is built apart, reaches the kernel that is already there. flow.ts offers the first
 * part of it to authors; the rest is for the parts that are linked on demand (link.ts).
 */
import { abandonCall, Answer, call, lastCall } from "./calls.ts";
import { flow } from "./definition.ts";
import { fail, FlowError } from "./errors.ts";
import { csv, xml } from "./formats.ts";
import { native } from "./machine.ts";
import { onResponse } from "./reply.ts";
import { json, text, timingSafeEqual } from "./values.ts";
import { crypto } from "./web/crypto.ts";
import { decodeText, viewBytes } from "./web/encoding.ts";
import { AbortController, AbortSignal } from "./web/events.ts";
import { define } from "./web/install.ts";

/** Key of the kernel object among the globals, from `boot()` to `setFlow()`. */
export const kernelName: symbol = Symbol.for("mayfly.kernel");

const utf8 = {
  encode: (value: string): Uint8Array => native.encodeUtf8(value),
  decode: (bytes: Uint8Array): string => native.decodeUtf8(bytes, false),
};

export const kernel = {
  flow, fail, FlowError, json, text, xml, csv, timingSafeEqual,
  get native() {
    return native;
  },
  define, utf8, decodeText, viewBytes, crypto, call, lastCall, abandonCall, Answer, AbortController, AbortSignal, onResponse,
};
export type Kernel = typeof kernel;
