/**
 * The module "mayfly" inside a machine. The flow's bundle is built apart from the kernel's and must not contain a second
 * copy of it, so this module takes everything from the kernel object that `boot()` left under `Symbol.for("mayfly.kernel")`, and which
 * `setFlow()` takes away again. Bundle a flow with `mayfly` resolved to this file; only types are imported from the rest.
 *
 * Unused imports drop out of the bundle: `take("xml")` stays exactly when the flow uses `xml`, and parts.ts sees that.
 */
import type { Kernel } from "./exports.ts";

function take<Name extends keyof Kernel>(name: Name): Kernel[Name] {
  return (globalThis as unknown as Record<symbol, Kernel>)[Symbol.for("mayfly.kernel")]![name];
}

export const flow: Kernel["flow"] = /* @__PURE__ */ take("flow");
export const fail: Kernel["fail"] = /* @__PURE__ */ take("fail");
export const FlowError: Kernel["FlowError"] = /* @__PURE__ */ take("FlowError");
export const json: Kernel["json"] = /* @__PURE__ */ take("json");
export const text: Kernel["text"] = /* @__PURE__ */ take("text");
export const xml: Kernel["xml"] = /* @__PURE__ */ take("xml");
export const csv: Kernel["csv"] = /* @__PURE__ */ take("csv");
export const zone: Kernel["zone"] = /* @__PURE__ */ take("zone");
export const timingSafeEqual: Kernel["timingSafeEqual"] = /* @__PURE__ */ take("timingSafeEqual");
