/** Gives messages their places in traces, while they come in and while they cause others. Costs a few microseconds, and keeps nothing. */
import type { Headers } from "#abi";
import type { TraceHeaders, Tracing } from "#gateway/contract";
import { childSpan, parseTraceparent, traceparent, traceState } from "./context.ts";

/** Fills with random bytes. */
export type Entropy = (bytes: Uint8Array) => void;

const poolBytes = 6_144;
const idBytes = 24;

/** Ids of a trace and its first span, from bytes drawn many at once. */
class Ids {
  readonly #entropy: Entropy;
  readonly #pool = Buffer.alloc(poolBytes);
  #at = poolBytes;

  constructor(entropy: Entropy) {
    this.#entropy = entropy;
  }

  /** 48 hexadecimal digits: 32 of a trace, 16 of a span; neither part is zero. */
  next(): string {
    if (this.#at + idBytes > poolBytes) {
      this.#entropy(this.#pool);
      this.#at = 0;
    }
    const digits = this.#pool.toString("hex", this.#at, this.#at + idBytes);
    this.#at += idBytes;
    return /^0{32}|0{16}$/.test(digits) ? this.next() : digits;
  }
}

/** Parent-based: a trace that began elsewhere keeps its sender's decision; of those that begin here a share is exported. */
export class TraceContexts implements Tracing {
  readonly #ids: Ids;
  readonly #sample: number;

  constructor(sample: number, entropy: Entropy) {
    this.#sample = sample;
    this.#ids = new Ids(entropy);
  }

  received(headers: Headers): Headers {
    const parent = parseTraceparent(headers["traceparent"]);
    if (parent?.sampled === false) return headers; // passed on as it came: nobody looks at it
    const digits = this.#ids.next();
    const traceId = parent?.traceId ?? digits.slice(0, 32);
    const sampled = parent?.sampled ?? this.#chosen(traceId);
    const own: Headers = { ...headers, traceparent: traceparent({ traceId, spanId: digits.slice(32), sampled }) };
    const state = parent === undefined ? undefined : traceState(headers, parent.spanId);
    if (state !== undefined) return { ...own, tracestate: state };
    if (headers["tracestate"] === undefined) return own;
    const { tracestate: _, ...others } = own;
    return others;
  }

  caused(headers: Headers, cause: string): TraceHeaders {
    const own = parseTraceparent(headers["traceparent"]);
    if (own === undefined) return {};
    const state = traceState(headers, own.sampled ? own.spanId : undefined);
    const spanId = own.sampled ? childSpan(own.spanId, cause) : own.spanId;
    const text = traceparent({ ...own, spanId });
    return state === undefined ? { traceparent: text } : { traceparent: text, tracestate: state };
  }

  logFields(headers: Headers): object {
    const own = parseTraceparent(headers["traceparent"]);
    return own === undefined ? {} : { trace_id: own.traceId, span_id: own.spanId };
  }

  /** By the last 7 bytes of the trace's id, which are random: whoever samples the same share of the same trace decides alike. */
  #chosen(traceId: string): boolean {
    return Number.parseInt(traceId.slice(18), 16) / 2 ** 56 < this.#sample;
  }
}
