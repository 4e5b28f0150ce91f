/**
 * The port to whoever gives messages their places in traces (W3C Trace Context, traceparent and tracestate): telemetry. Without one, a
 * message's trace headers go on with what it causes as they came.
 */
import type { Headers } from "./message.ts";

/** `traceparent` and `tracestate`, where there are any. */
export type TraceHeaders = Headers;

export interface Tracing {
  /** The headers of a message that comes in. Its `traceparent` names the message's own span from now on. */
  received(headers: Headers): Headers;
  /** Trace headers for something the message with these headers causes. The same headers and `cause` give the same span. */
  caused(headers: Headers, cause: string): TraceHeaders;
  /** Fields of a log line about the message with these headers: `trace_id` and `span_id`. */
  logFields(headers: Headers): object;
}

const none: Headers = Object.freeze({});

function passed({ traceparent, tracestate }: Headers): TraceHeaders {
  if (traceparent === undefined) return none;
  return tracestate === undefined ? { traceparent } : { traceparent, tracestate };
}

/** Without telemetry. */
export const untraced: Tracing = {
  received: (headers) => headers,
  caused: passed,
  logFields: () => none,
};

/** Headers of a send, a request or a fetch with their place in the trace. A flow that sets its own `traceparent` is left alone. */
export function withTrace(tracing: Tracing, own: Headers, message: Headers, cause: string): Headers {
  const set = own["traceparent"];
  if (set !== undefined && set !== message["traceparent"]) return own; // one that passes on all headers of its message has set nothing
  const trace = tracing.caused(message, cause);
  return trace["traceparent"] === undefined ? own : { ...own, ...trace };
}

/** Causes, as both sides of the port name them. `attemptMs`: when the attempt started. */
export const causes = {
  call: (attemptMs: number, call: number): string => `call ${attemptMs} ${call}`,
  send: (index: number): string => `send ${index}`,
} as const;
