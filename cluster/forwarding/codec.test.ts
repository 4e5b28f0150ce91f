import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { concatBytes, prng } from "#base";
import { seed } from "../../base/testing/seed.ts";
import { Assemblies } from "./assembly.ts";
import { decodeFrame, encodeFrame, type Frame, type PartFrame, partsOf } from "./frame.ts";
import * as messages from "./messages.ts";

const bytes = fc.uint8Array({ maxLength: 300 });
const life = fc.string({ minLength: 1, maxLength: 20, unit: "grapheme-ascii" });
const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined });
const unicode = fc.string({ unit: "grapheme", maxLength: 20 });
const headers = fc.dictionary(fc.stringMatching(/^[a-z-]{1,8}$/), fc.oneof(unicode, fc.array(unicode, { minLength: 2, maxLength: 3 })), {
  noNullPrototype: true,
});
const whole = fc.nat(2 ** 31);
const failure = fc.record({
  origin: fc.constantFrom("caller", "flow", "peer", "gateway"),
  code: unicode,
  message: unicode,
  status: fc.integer({ min: 0, max: 599 }),
  retry: fc.boolean(),
});

const delivery = fc.record({
  partition: fc.nat(4096),
  flow: unicode,
  origin: fc.record({ source: unicode, place: unicode }),
  message: fc.record({
    replyWanted: fc.boolean(),
    latin1Reply: fc.boolean(),
    sameRequest: fc.boolean(),
    redelivered: fc.boolean(),
    keeper: fc.constantFrom("source", "journal"),
    id: maybe(unicode),
    idScope: maybe(unicode),
    headers,
    contentType: unicode,
    body: bytes,
    key: maybe(unicode),
    correlationId: maybe(unicode),
    parent: maybe(fc.record({ flow: unicode, id: unicode, how: fc.constantFrom("send", "resubmit", "retry", "continue") })),
    setAside: maybe(failure),
  }),
}) as fc.Arbitrary<messages.Delivery>;

const reply = maybe(fc.record({ status: fc.integer({ min: 100, max: 599 }), contentType: unicode, headers, body: bytes }));
const outcome = fc.oneof(
  fc.record({ status: fc.constant("accepted"), id: unicode }),
  fc.record({ status: fc.constant("accepted"), id: unicode, waiting: fc.constant(true) }),
  fc.record({ status: fc.constantFrom("done", "duplicate"), id: unicode, reply }),
  fc.record({ status: fc.constant("dead"), id: unicode, failure, kept: fc.boolean() }),
  fc.record({ status: fc.constant("refused"), id: maybe(unicode), code: unicode, message: unicode, retryAfterMs: whole }),
) as fc.Arbitrary<Parameters<typeof messages.encodeOutcome>[0]>;

const signal = fc.record({
  partition: fc.nat(4096),
  signal: fc.record({
    flow: unicode,
    name: unicode,
    key: unicode,
    id: maybe(unicode),
    idScope: maybe(unicode),
    source: unicode,
    headers,
    contentType: unicode,
    body: bytes,
  }),
}) as fc.Arbitrary<messages.SignalDelivery>;

const signalOutcome = fc.oneof(
  fc.record({ status: fc.constant("kept"), id: unicode, waiting: fc.boolean() }),
  fc.record({ status: fc.constant("duplicate"), id: unicode }),
  fc.record({ status: fc.constant("refused"), code: unicode, message: unicode, final: fc.boolean(), retryAfterMs: whole }),
) as fc.Arbitrary<Parameters<typeof messages.encodeSignalOutcome>[0]>;

/** JSON leaves out what is undefined; bodies are compared as plain arrays, whatever class they have. */
const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_, each: unknown) => (each instanceof Uint8Array ? Array.from(each) : isBuffer(each) ? each.data : each)),
  );

/** As a Buffer gives itself to JSON. */
function isBuffer(value: unknown): value is { readonly data: number[] } {
  return typeof value === "object" && value !== null && (value as { readonly type?: unknown }).type === "Buffer";
}

test("messages, signals and outcomes come back as they were", () => {
  fc.assert(
    fc.property(delivery, (each) =>
      deepEqual(plain(messages.decodeDelivery(messages.encodeDelivery(each, 7))), plain({ ...each, round: 7 })),
    ),
  );
  fc.assert(fc.property(outcome, (each) => deepEqual(plain(messages.decodeOutcome(messages.encodeOutcome(each))), plain(each))));
  fc.assert(fc.property(signal, (each) => deepEqual(plain(messages.decodeSignal(messages.encodeSignal(each))), plain(each))));
  fc.assert(
    fc.property(signalOutcome, (each) => deepEqual(plain(messages.decodeSignalOutcome(messages.encodeSignalOutcome(each))), plain(each))),
  );
});

const part: fc.Arbitrary<PartFrame> = fc
  .record({
    kind: fc.constantFrom("ask" as const, "answer" as const),
    life,
    call: whole,
    verb: fc.nat(255),
    index: fc.nat(3),
    count: fc.integer({ min: 4, max: 9 }),
    content: bytes,
  })
  .map((each) => ({ ...each, totalBytes: 10_000 }));
const calls = fc.record({ kind: fc.constantFrom("probe" as const, "unknown" as const), life, calls: fc.array(whole, { maxLength: 20 }) });
const frame: fc.Arbitrary<Frame> = fc.oneof(part, calls);

test("frames come back as they were", () => {
  fc.assert(fc.property(frame, (each) => deepEqual(plain(decodeFrame(encodeFrame(each))), plain(each))));
});

test("bytes that are damaged, cut or of anything else are refused or read, and never throw", () => {
  const decoders = [
    decodeFrame,
    messages.decodeDelivery,
    messages.decodeOutcome,
    messages.decodeSignal,
    messages.decodeSignalOutcome,
  ] as const;
  const encoded = fc.oneof(
    frame.map(encodeFrame),
    delivery.map((each) => messages.encodeDelivery(each, 7)),
    outcome.map(messages.encodeOutcome),
    signal.map(messages.encodeSignal),
    signalOutcome.map(messages.encodeSignalOutcome),
    bytes,
  );
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 });
  fc.assert(
    fc.property(encoded, changes, maybe(fc.nat()), (whole, changed, cut) => {
      const input = new Uint8Array(whole).subarray(0, cut === undefined ? whole.length : cut % (whole.length + 1));
      for (const [at, value] of changed) if (input.length > 0) input[at % input.length] = value;
      for (const decode of decoders) decode(input);
    }),
    { numRuns: 2_000 },
  );
});

test("a frame of another version, and one that is longer than it says, are refused", () => {
  const sound = encodeFrame({ kind: "probe", life: "a", calls: [1, 2] });
  ok(decodeFrame(sound) !== undefined);
  const newer = new Uint8Array(sound);
  newer[3] = 2;
  equal(decodeFrame(newer), undefined);
  equal(decodeFrame(concatBytes([sound, new Uint8Array(1)])), undefined);
});

test("parts are put together again, whatever their length; what misfits is dropped whole, and nothing stays reserved", () => {
  const random = prng(seed);
  for (let round = 0; round < 300; round++) {
    const content = new Uint8Array(random.below(2_000)).map(() => random.below(256));
    const head = { kind: "ask", life: "a", call: 1, verb: 1 } as const;
    const parts = [...partsOf(head, content, 1 + random.below(300))].map((each) => decodeFrame(each) as PartFrame);
    const assemblies = new Assemblies(10_000);
    const missing = round % 3 === 0 && parts.length > 1 ? random.below(parts.length) : -1;
    const results = parts.filter((_, index) => index !== missing).map((each) => assemblies.take("a 1", each, 0));
    const last = results.at(-1);
    if (missing === -1) deepEqual(last?.status === "whole" ? [...last.content] : last?.status, [...content]);
    else ok(last?.status !== "whole");
    assemblies.sweep(1);
    equal(assemblies.bytes, 0);
    equal(assemblies.size, 0);
  }
});

test("what does not fit into the room for parts is refused at its first part", () => {
  const assemblies = new Assemblies(100);
  const frameOf = (index: number, totalBytes: number): PartFrame => {
    return { kind: "ask", life: "a", call: 1, verb: 1, index, count: 2, totalBytes, content: new Uint8Array(totalBytes / 2) };
  };
  equal(assemblies.take("a", frameOf(0, 80), 0).status, "more");
  equal(assemblies.take("b", frameOf(0, 40), 0).status, "full");
  equal(assemblies.take("b", frameOf(1, 40), 0).status, "misfit");
  equal(assemblies.take("a", frameOf(1, 80), 0).status, "whole");
  equal(assemblies.take("b", frameOf(0, 40), 0).status, "more");
});
