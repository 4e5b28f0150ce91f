import { deepEqual, equal, match, notEqual } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Headers } from "#abi";
import { childSpan, parentOf, parseTraceparent, traceparent, traceState } from "./context.ts";
import { telemetryLimits } from "./limits.ts";
import { TraceContexts } from "./tracing.ts";

const trace = "0af7651916cd43dd8448eb211c80319c";
const span = "b7ad6b7169203331";
const own = /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/;

/** Bytes that count up: ids differ, and a run is the same each time. */
function counting(): (bytes: Uint8Array) => void {
  let next = 1;
  return (bytes) => void bytes.forEach((_byte, index) => (bytes[index] = (next++ * 31) & 255));
}

test("traceparent: what the specification's examples are, and what is refused", () => {
  deepEqual(parseTraceparent(`00-${trace}-${span}-01`), { traceId: trace, spanId: span, sampled: true });
  deepEqual(parseTraceparent(`00-${trace}-${span}-00`), { traceId: trace, spanId: span, sampled: false });
  deepEqual(parseTraceparent(`cc-${trace}-${span}-03-what.the.future`), { traceId: trace, spanId: span, sampled: true });
  for (const bad of [
    "",
    "00-1-2-01",
    `00-${trace}-${span}`,
    `00-${trace}-${span}-01-more`,
    `ff-${trace}-${span}-01`,
    `00-${"0".repeat(32)}-${span}-01`,
    `00-${trace}-${"0".repeat(16)}-01`,
    `00-${trace.toUpperCase()}-${span}-01`,
    ` 00-${trace}-${span}-01`,
    undefined,
    [`00-${trace}-${span}-01`, `00-${trace}-${span}-01`],
  ])
    equal(parseTraceparent(bad), undefined, String(bad));
});

test("any header never throws, and what comes out is a context", () => {
  const header = fc.oneof(fc.string(), fc.array(fc.string(), { minLength: 2 }), fc.constant(`00-${trace}-${span}-01`));
  fc.assert(
    fc.property(header, header, fc.double({ min: 0, max: 1, noNaN: true }), (traceparentText, tracestate, sample) => {
      const contexts = new TraceContexts(sample, counting());
      const received = contexts.received({ traceparent: traceparentText, tracestate, other: "stays" });
      equal(received["other"], "stays");
      if (received["traceparent"] !== undefined) match(String(received["traceparent"]), own);
      const caused = contexts.caused(received, "send 0");
      match(String(caused["traceparent"]), own);
      for (const state of [received["tracestate"], caused["tracestate"]])
        equal(state === undefined || (typeof state === "string" && state.length <= telemetryLimits.traceStateCharacters), true);
    }),
  );
});

test("a message that comes with a context gets a span of its own in it, and remembers its parent; members of others stay", () => {
  const contexts = new TraceContexts(0, counting()); // the sender has decided: the share is for traces that begin here
  const received = contexts.received({ traceparent: `00-${trace}-${span}-01`, tracestate: "congo=t61rcWkgMzE,mayfly=1111111111111111" });
  const context = parseTraceparent(received["traceparent"]);
  equal(context?.traceId, trace);
  notEqual(context?.spanId, span);
  equal(context?.sampled, true);
  equal(received["tracestate"], `mayfly=${span},congo=t61rcWkgMzE`);
  equal(parentOf(received), span);
});

test("a sender that did not sample is followed, and its context passed on untouched", () => {
  const contexts = new TraceContexts(1, counting());
  const headers: Headers = { traceparent: `00-${trace}-${span}-00`, tracestate: "congo=1" };
  equal(contexts.received(headers), headers);
  deepEqual(contexts.caused(headers, "send 0"), headers);
});

test("a trace that begins here has no parent, and drops a tracestate that belongs to nothing", () => {
  const received = new TraceContexts(1, counting()).received({ traceparent: "nonsense", tracestate: "mayfly=1111111111111111" });
  match(String(received["traceparent"]), /-01$/);
  equal(received["tracestate"], undefined);
});

test("a message that is not sampled gets no context, what it causes is told so, and a malformed context goes no further", () => {
  const contexts = new TraceContexts(0, counting());
  const headers: Headers = { other: "stays" };
  equal(contexts.received(headers), headers);
  match(String(contexts.caused(headers, "send 0")["traceparent"]), /-00$/);
  deepEqual(contexts.received({ traceparent: "nonsense", tracestate: "a=1", other: "stays" }), headers);
});

test("about the share that is asked for is sampled, all of it or nothing at the ends", () => {
  const sampled = (sample: number): number => {
    let state = 1;
    const contexts = new TraceContexts(
      sample,
      (bytes) =>
        void bytes.forEach((_byte, index) => {
          state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
          bytes[index] = state >>> 24;
        }),
    );
    let count = 0;
    for (let n = 0; n < 5_000; n++) if (parseTraceparent(contexts.received({})["traceparent"])?.sampled === true) count += 1;
    return count;
  };
  equal(sampled(0), 0);
  equal(sampled(1), 5_000);
  const tenth = sampled(0.1);
  equal(tenth > 400 && tenth < 600, true, String(tenth));
});

test("what a message causes has a span of its own below the message's, the same each time it is asked", () => {
  const contexts = new TraceContexts(1, counting());
  const message = contexts.received({});
  const caused = contexts.caused(message, "send 0");
  deepEqual(contexts.caused(message, "send 0"), caused);
  notEqual(contexts.caused(message, "send 1")["traceparent"], caused["traceparent"]);
  equal(parentOf(caused), parseTraceparent(message["traceparent"])?.spanId);
  equal(parseTraceparent(caused["traceparent"])?.spanId, childSpan(parentOf(caused) ?? "", "send 0"));
});

test("a list that is too long loses its last members, one that is malformed all of them", () => {
  const many = Array.from({ length: 40 }, (_, index) => `v${index}=1`).join(",");
  equal(traceState({ tracestate: many }, span), `mayfly=${span}`);
  const long = Array.from({ length: 10 }, (_, index) => `v${index}=${"x".repeat(100)}`).join(",");
  equal((traceState({ tracestate: long }, span) ?? "").length <= telemetryLimits.traceStateCharacters, true);
  equal(traceState({ tracestate: "Capital=1" }, undefined), undefined);
  equal(traceparent({ traceId: trace, spanId: span, sampled: true }), `00-${trace}-${span}-01`);
});
