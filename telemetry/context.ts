/**
 * W3C Trace Context (level 1): what `traceparent` and `tracestate` say, and what a message passes on.
 *
 *   traceparent   00-TRACE-SPAN-FLAGS; the span is the sender's, and of a message that was taken in the message's own
 *   tracestate    mayfly=SPAN,…; the span that caused the one in traceparent: a message in the journal knows its parent after a restart
 */
import type { Headers } from "#abi";
import { telemetryLimits } from "./limits.ts";

export interface TraceContext {
  /** 32 hexadecimal digits, not all zero. */
  readonly traceId: string;
  /** 16 hexadecimal digits, not all zero. */
  readonly spanId: string;
  readonly sampled: boolean;
}

/** Section 3.2.2. A version above 00 is read as 00, with whatever follows. */
const pattern = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const zeros = /^0+$/;

export function parseTraceparent(text: unknown): TraceContext | undefined {
  if (typeof text !== "string" || text.length > telemetryLimits.traceStateCharacters) return undefined;
  const [, version = "ff", traceId = "", spanId = "", flags = "", more] = pattern.exec(text) ?? [];
  if (version === "ff" || zeros.test(traceId) || zeros.test(spanId) || (version === "00" && more !== undefined)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export function traceparent({ traceId, spanId, sampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`;
}

/** Without a regular expression for what Mayfly writes: asked for every message, of which most are not sampled. */
export function isSampled(text: unknown): boolean {
  if (typeof text === "string" && text.length === 55 && text.charCodeAt(54) === 48) return false;
  return parseTraceparent(text)?.sampled === true;
}

/** Section 3.3.1.3: keys and values of members; a list with any other is discarded as a whole. */
const member = /^[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;
const ours = /^mayfly=/;
const ourMember = /^mayfly=([0-9a-f]{16})$/;

function members(headers: Headers): string[] {
  const given = headers["tracestate"];
  if (given === undefined) return [];
  const all = (typeof given === "string" ? [given] : given).join(",").split(",");
  const listed = all.map((each) => each.trim()).filter((each) => each !== "");
  return listed.length <= telemetryLimits.traceStateMembers && listed.every((each) => member.test(each)) ? listed : [];
}

/** The span that caused the one `traceparent` names; undefined without one, or if no Mayfly wrote it. */
export function parentOf(headers: Headers): string | undefined {
  for (const each of members(headers)) {
    const [, parent] = ourMember.exec(each) ?? [];
    if (parent !== undefined && !zeros.test(parent)) return parent;
  }
  return undefined;
}

/** The list with our member first and those of others behind it, as many as fit; undefined for an empty one. */
export function traceState(headers: Headers, parent: string | undefined): string | undefined {
  const list = [...(parent === undefined ? [] : [`mayfly=${parent}`]), ...members(headers).filter((each) => !ours.test(each))];
  let text = "";
  for (const each of list.slice(0, telemetryLimits.traceStateMembers)) {
    if (text.length + each.length + 1 > telemetryLimits.traceStateCharacters) break;
    text += text === "" ? each : `,${each}`;
  }
  return text === "" ? undefined : text;
}

/**
 * The id of a span below another: the same for the same cause, so that whoever makes a call and whoever tells of it need not meet. Two
 * multiplicative hashes side by side, as in cyrb53; ids need to differ within one trace, and hide nothing.
 */
export function childSpan(spanId: string, cause: string): string {
  const text = spanId + cause;
  let high = 0xdeadbeef;
  let low = 0x41c6ce57;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    high = Math.imul(high ^ unit, 2_654_435_761);
    low = Math.imul(low ^ unit, 1_597_334_677);
  }
  high = Math.imul(high ^ (high >>> 16), 2_246_822_507) ^ Math.imul(low ^ (low >>> 13), 3_266_489_909);
  low = Math.imul(low ^ (low >>> 16), 2_246_822_507) ^ Math.imul(high ^ (high >>> 13), 3_266_489_909);
  const id = (high >>> 0).toString(16).padStart(8, "0") + (low >>> 0).toString(16).padStart(8, "0");
  return id === "0000000000000000" ? "0000000000000001" : id;
}
