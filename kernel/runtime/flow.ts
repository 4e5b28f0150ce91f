/**
 * What `import … from "mayfly"` is inside a machine. The flow's bundle is built apart from the kernel's and must not hold a second
 * copy of it, so this module takes everything from the kernel object that `boot()` left under `Symbol.for("mayfly.kernel")`, and which
 * `setFlow()` takes away again. Bundle a flow with `mayfly` resolved to this file; only types are imported from the rest.
 */
import type { Kernel } from "./exports.ts";

const kernel = (globalThis as unknown as Record<symbol, Kernel | undefined>)[Symbol.for("mayfly.kernel")]!;

export const flow: Kernel["flow"] = kernel.flow;
export const fail: Kernel["fail"] = kernel.fail;
export const FlowError: Kernel["FlowError"] = kernel.FlowError;
export const json: Kernel["json"] = kernel.json;
export const text: Kernel["text"] = kernel.text;
export const xml: Kernel["xml"] = kernel.xml;
export const csv: Kernel["csv"] = kernel.csv;
export const timingSafeEqual: Kernel["timingSafeEqual"] = kernel.timingSafeEqual;
