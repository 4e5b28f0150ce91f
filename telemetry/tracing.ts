/** Gives messages their places in traces, while they come in and while they cause others. Costs a few microseconds, and keeps nothing. */
import type { Headers } from "#abi";
import type { TraceHeaders, Tracing } from "#gateway/contract";
import { childSpan, parseTraceparent, traceparent, traceState } from "./context.ts";

/** Fills with random bytes. */
export type Entropy = (bytes: Uint8Array) => void;

const poolBytes = 6_144;
const idBytes = 24;
/** Of the last 7 bytes of a trace id (W3C Trace Context, level 2: the random part). */
const randomBytesAt = 9;

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
    this.#fill();
    const digits = this.#pool.toString("hex", this.#at, this.#at + idBytes);
    this.#at += idBytes;
    return /^0{32}|0{16}$/.test(digits) ? this.next() : digits;
  }

  /**
   * The digits, if their trace is in the share: by the last bytes of its id, which are random, so that whoever samples the same share
   * decides alike. Those of a trace that is not are used up as well.
   */
  chosen(share: number): string | undefined {
    this.#fill();
    if (this.#pool.readUIntBE(this.#at + randomBytesAt, 6) / 2 ** 48 < share) return this.next();
    this.#at += idBytes;
    return undefined;
  }

  #fill(): void {
    if (this.#at + idBytes <= poolBytes) return;
    this.#entropy(this.#pool);
    this.#at = 0;
  }
}

/**
 * Parent-based: a trace that began elsewhere keeps its sender's decision; of those that begin here a share is exported. A message whose trace
 * is not gets no context, which would cost every message something; what it causes is told that nobody looks.
 */
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
    const digits = parent === undefined ? this.#ids.chosen(this.#sample) : this.#ids.next();
    if (digits === undefined) return headers["traceparent"] === undefined ? headers : withoutContext(headers);
    const traceId = parent?.traceId ?? digits.slice(0, 32);
    const own: Headers = { ...headers, traceparent: traceparent({ traceId, spanId: digits.slice(32), sampled: true }) };
    const state = parent === undefined ? undefined : traceState(headers, parent.spanId);
    if (state !== undefined) return { ...own, tracestate: state };
    if (headers["tracestate"] === undefined) return own;
    const { tracestate: _, ...others } = own;
    return others; // it belongs to no trace
  }

  caused(headers: Headers, cause: string): TraceHeaders {
    const own = parseTraceparent(headers["traceparent"]);
    if (own === undefined) {
      const digits = this.#ids.next();
      return { traceparent: traceparent({ traceId: digits.slice(0, 32), spanId: digits.slice(32), sampled: false }) };
    }
    const state = traceState(headers, own.sampled ? own.spanId : undefined);
    const spanId = own.sampled ? childSpan(own.spanId, cause) : own.spanId;
    const text = traceparent({ ...own, spanId });
    return state === undefined ? { traceparent: text } : { traceparent: text, tracestate: state };
  }

  logFields(headers: Headers): object {
    const own = parseTraceparent(headers["traceparent"]);
    return own === undefined ? {} : { trace_id: own.traceId, span_id: own.spanId };
  }
}

/** Of a message whose traceparent is malformed: it must not go on (3.2.4). */
function withoutContext(headers: Headers): Headers {
  const { traceparent: _, tracestate: __, ...others } = headers;
  return others;
}
