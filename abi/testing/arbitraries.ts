/** Events, effects and recordings as fast-check makes them up. */
import fc from "fast-check";
import { type Effect, type Event, hardLimits, machineErrors, type Recording } from "#abi";

/** Plain objects, as our decoders make them. */
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
const text = (most: number): fc.Arbitrary<string> => fc.string({ unit: "grapheme", maxLength: Math.min(most, 60) });
const name = text(hardLimits.nameBytes);
export const bytes: fc.Arbitrary<Uint8Array> = fc.uint8Array({ maxLength: 300 });
const time = fc.double({ noNaN: true, noDefaultInfinity: true });
const number = fc.nat(0xffff_ffff);
const json = fc.json();

export const events: fc.Arbitrary<Event> = fc.oneof(
  record({
    kind: fc.constant("deliver" as const),
    timeMs: time,
    seed: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    id: name,
    source: name,
    attempt: number,
    key: fc.option(name, { nil: undefined }),
    headersJson: json,
    stateJson: fc.option(json, { nil: undefined }),
    body: bytes,
  }),
  record({
    kind: fc.constant("resolve" as const),
    timeMs: time,
    call: number,
    error: fc.option(record({ code: name, message: text(100) }), { nil: undefined }),
    status: fc.nat(999),
    headersJson: json,
    body: bytes,
  }),
  record({ kind: fc.constant("wake" as const), timeMs: time, timer: number }),
  record({ kind: fc.constant("cancel" as const), timeMs: time, reason: text(100) }),
  record({
    kind: fc.constant("signal" as const),
    timeMs: time,
    wait: number,
    id: fc.option(name, { nil: undefined }),
    headersJson: json,
    body: bytes,
  }),
  record({ kind: fc.constant("resume" as const), timeMs: time, attempt: number, stateJson: fc.option(json, { nil: undefined }) }),
);

const passing: fc.Arbitrary<Effect> = fc.oneof(
  record({
    kind: fc.constant("log" as const),
    level: fc.constantFrom("debug", "info", "warn", "error"),
    text: text(100),
    fieldsJson: fc.option(json, { nil: undefined }),
  }),
  record({
    kind: fc.constant("send" as const),
    outlet: name,
    key: fc.option(name, { nil: undefined }),
    contentType: name,
    headersJson: json,
    body: bytes,
  }),
  record({
    kind: fc.constant("send" as const),
    outlet: name,
    key: fc.constant(undefined),
    contentType: name,
    headersJson: json,
    body: bytes,
    dueMs: time,
  }),
  record({
    kind: fc.constant("wait" as const),
    wait: number,
    name: fc.option(name, { nil: undefined }),
    key: name,
    dueMs: time,
    questionJson: fc.option(json, { nil: undefined }),
  }),
  record({
    kind: fc.constant("call" as const),
    call: number,
    operation: fc.constantFrom("request", "fetch", "state", "window"),
    target: name,
    method: name,
    contentType: name,
    headersJson: json,
    timeoutMs: fc.nat(2 ** 31 - 1),
    body: bytes,
  }),
  record({ kind: fc.constant("timer" as const), timer: number, dueMs: time }),
  record({ kind: fc.constant("state" as const), name, valueJson: fc.option(json, { nil: undefined }) }),
);
const last: fc.Arbitrary<Effect> = fc.oneof(
  record({
    kind: fc.constant("done" as const),
    reply: fc.option(record({ status: fc.nat(999), contentType: name, headersJson: json, body: bytes }), { nil: undefined }),
  }),
  record({ kind: fc.constant("continue" as const), contentType: name, headersJson: json, body: bytes }),
  record({ kind: fc.constant("continue" as const), contentType: name, headersJson: json, body: bytes, position: json }),
  record({
    kind: fc.constant("fail" as const),
    code: fc.stringMatching(/^[A-Z][A-Z_]{0,30}$/),
    message: text(100),
    stack: fc.option(text(100), { nil: undefined }),
    retry: fc.boolean(),
    status: fc.nat(999),
  }),
);
export const effectLists: fc.Arbitrary<Effect[]> = fc
  .tuple(fc.array(passing, { maxLength: 8 }), fc.option(last, { nil: undefined }))
  .map(([some, end]) => (end === undefined ? some : [...some, end]));

const redaction = record({
  headers: fc.array(name, { maxLength: 3 }),
  paths: fc.array(name, { maxLength: 3 }),
  bodies: fc.constantFrom("all" as const, "headers" as const, "none" as const),
});

const steps = record({
  status: fc.constantFrom("waiting" as const, "done" as const, "failed" as const, "broken" as const),
  effects: effectLists,
  failure: fc.option(
    fc
      .record(
        { code: fc.constantFrom(...Object.keys(machineErrors)), message: text(100), stack: text(100), workersLost: fc.nat(9) },
        {
          requiredKeys: ["code", "message"],
          noNullPrototype: true,
        },
      )
      .map((failure) => failure as NonNullable<Recording["steps"][number]["failure"]>),
    { nil: undefined },
  ),
  cpuMs: fc.double({ min: 0, max: 1e6, noNaN: true }),
  pages: fc.nat(4096),
});

const isDeliver = (event: Event): event is Recording["deliver"] => event.kind === "deliver";
const isLater = (event: Event): event is Recording["events"][number] => event.kind !== "deliver";

const windows = record({
  kind: fc.constant("resolve" as const),
  timeMs: time,
  call: number,
  error: fc.constant(undefined),
  status: fc.nat(999),
  headersJson: json,
  body: fc.constant(new Uint8Array(0)),
  window: record({ sha256: fc.stringMatching(/^[0-9a-f]{64}$/), offset: fc.maxSafeNat(), bytes: fc.nat(256 * 1024) }),
});

export const recordings: fc.Arbitrary<Recording> = record({
  imageSha256: fc.stringMatching(/^[0-9a-f]{64}$/),
  flow: name,
  limits: record({ memoryBytes: fc.nat(), cpuMs: time, timeMs: time, sends: fc.nat(), logBytes: fc.nat() }),
  deliver: events.filter(isDeliver),
  events: fc.array(fc.oneof(events.filter(isLater), windows), { maxLength: 4 }),
  steps: fc.array(steps, { maxLength: 5 }),
  redaction: fc.option(redaction, { nil: undefined }),
}).map((recording) => ({ ...recording, steps: recording.steps.slice(0, recording.events.length + 1) }));
