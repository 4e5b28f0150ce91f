import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type CallEffect,
  decodeEffects,
  decodeEvent,
  decodeFrame,
  type DeliverEvent,
  type Effect,
  EffectKind,
  encodeEffects,
  encodeEvent,
  encodeEventInto,
  encodeFrame,
  hardLimits,
  lastEffectKind,
} from "#abi";
import { fromUtf8 } from "#base";
import { bytes, effectLists, events } from "./testing/arbitraries.ts";

test("events come out as they went in", () => {
  fc.assert(fc.property(events, (event) => deepEqual(decodeEvent(encodeEvent(event)), { ok: true, value: event })));
});

test("an event written into memory is the same frame as one on its own, or is refused when it might not fit", () => {
  fc.assert(
    fc.property(events, fc.nat(2000), (event, room) => {
      const frame = encodeEvent(event);
      const target = Buffer.alloc(room);
      const length = encodeEventInto(target, event);
      if (length < 0) ok(frame.length * 3 >= room);
      else deepEqual(new Uint8Array(target.subarray(0, length)), frame);
    }),
  );
});

test("a failure says whether it is the program's own", () => {
  const fail = { kind: "fail", code: "C", message: "m", stack: undefined, retry: false, status: 0 } as const;
  for (const effect of [fail, { ...fail, flaw: true as const }, { ...fail, retry: true }])
    deepEqual(decodeEffects(encodeEffects([effect])), { ok: true, value: [effect] });
});

test("effects come out as they went in, and the last one's kind is found without decoding", () => {
  fc.assert(
    fc.property(effectLists, (effects) => {
      const frame = encodeEffects(effects);
      deepEqual(decodeEffects(frame), { ok: true, value: effects });
      const decoded = decodeFrame(frame);
      equal(lastEffectKind(frame), decoded.ok ? (decoded.value.at(-1)?.kind ?? 0) : undefined);
    }),
  );
});

test("a short text is what its bytes say, whatever was read before it", () => {
  for (let second = 0; second < 256; second++) {
    const texts = Array.from({ length: 256 }, (_, first) => Uint8Array.of(first, second));
    const decoded = decodeEffects(encodeFrame(texts.map((part) => ({ kind: 1, parts: [1, part, undefined] }))));
    ok(decoded.ok);
    deepEqual(
      decoded.value.map((effect) => effect.kind === "log" && effect.text),
      texts.map((part) => fromUtf8(part)),
    );
  }
});

test("every decoder is total on hostile bytes: changed, cut, padded and random frames are refused or read, never thrown at", () => {
  const mutations = fc.tuple(effectLists, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }), fc.nat(), bytes);
  fc.assert(
    fc.property(mutations, ([effects, changes, cut, tail]) => {
      const frame = encodeEffects(effects);
      for (const [at, value] of changes) frame[at % frame.length] = value;
      for (const hostile of [frame, frame.subarray(0, cut % (frame.length + 1)), Buffer.concat([frame, tail]), tail]) {
        const decoded = decodeEffects(hostile);
        if (decoded.ok) ok(Array.isArray(decoded.value));
        else equal(typeof decoded.error, "string");
        decodeEvent(hostile);
        lastEffectKind(hostile);
      }
    }),
    { numRuns: 2000 },
  );
});

test("an effect after done or fail is refused, and so are unknown kinds", () => {
  const done: Effect = { kind: "done", reply: undefined };
  const log: Effect = { kind: "log", level: "info", text: "", fieldsJson: undefined };
  equal(decodeEffects(encodeEffects([done, log])).ok, false);
  equal(decodeEffects(encodeFrame([{ kind: 99, parts: [] }])).ok, false);
  equal(decodeEvent(encodeFrame([])).ok, false);
  equal(
    decodeEvent(
      encodeFrame([
        { kind: 3, parts: [1, 2] },
        { kind: 3, parts: [1, 2] },
      ]),
    ).ok,
    false,
  );
});

test("a level or an operation that is not in the list is refused", () => {
  const frame = (kind: number, parts: readonly (string | number | Uint8Array | undefined)[]): Uint8Array => encodeFrame([{ kind, parts }]);
  const call = (operation: number): Uint8Array => frame(EffectKind.call, [1, operation, "t", "", "", "{}", 0, new Uint8Array(0)]);
  equal(decodeEffects(call(3)).ok, true);
  equal(decodeEffects(call(4)).ok, false);
  equal(decodeEffects(frame(EffectKind.log, [3, "", undefined])).ok, true);
  equal(decodeEffects(frame(EffectKind.log, [4, "", undefined])).ok, false);
});

const plainCall: CallEffect = {
  kind: "call",
  call: 1,
  operation: "request",
  target: "erp",
  method: "GET",
  contentType: "",
  headersJson: "{}",
  timeoutMs: 0,
  body: new Uint8Array(0),
};

const plainDeliver: DeliverEvent = {
  kind: "deliver",
  timeMs: 0,
  seed: new Uint8Array(32),
  id: "1",
  source: "http",
  attempt: 1,
  key: undefined,
  headersJson: "{}",
  stateJson: undefined,
  body: new Uint8Array(0),
};

test("bounds hold: names, headers, numbers and times beyond them are refused", () => {
  const log = (text: string): Effect => ({ kind: "log", level: "info", text, fieldsJson: undefined });
  equal(decodeEffects(encodeEffects([log("x".repeat(hardLimits.logTextBytes))])).ok, true);
  equal(decodeEffects(encodeEffects([log("x".repeat(hardLimits.logTextBytes + 1))])).ok, false);
  equal(decodeEffects(encodeEffects([{ kind: "timer", timer: 1, dueMs: Number.POSITIVE_INFINITY }])).ok, false);
  equal(decodeEffects(encodeEffects([{ kind: "timer", timer: -1, dueMs: 0 }])).ok, false);
  const call = (changes: Partial<CallEffect>): boolean => decodeEffects(encodeEffects([{ ...plainCall, ...changes }])).ok;
  const delivered = (attempt: number): boolean => decodeEvent(encodeEvent({ ...plainDeliver, attempt })).ok;
  equal(call({ call: 2 ** 32 - 1, timeoutMs: 2 ** 31 - 1 }) && delivered(2 ** 32 - 1), true);
  equal(call({ call: 2 ** 32 }) || call({ timeoutMs: 2 ** 31 }) || delivered(2 ** 32), false);
  equal(
    decodeEffects(
      encodeEffects([
        { kind: "send", outlet: "x".repeat(257), key: undefined, contentType: "", headersJson: "{}", body: new Uint8Array(0) },
      ]),
    ).ok,
    false,
  );
});

test("the code of a failure fits for a log line and a header, whatever the machine says", () => {
  const decoded = (code: string): string | undefined => {
    const effect: Effect = { kind: "fail", code, message: "", stack: undefined, retry: false, status: 0 };
    const effects = decodeEffects(encodeEffects([effect]));
    const [first] = effects.ok ? effects.value : [];
    return first?.kind === "fail" ? first.code : undefined;
  };
  deepEqual(
    ["", " ", "\n", "OUT_OF_STOCK", "a\r\nforged: line", "zu gro\u00df", "\u202egnp", "\u0000", "_", "tab\t2028\u2028"].map(decoded),
    [
      ...["MF_FLOW_FAILED", "MF_FLOW_FAILED", "MF_FLOW_FAILED", "OUT_OF_STOCK", "a_forged:_line", "zu_gro\u00df", "_gnp"],
      ...["MF_FLOW_FAILED", "MF_FLOW_FAILED", "tab_2028"],
    ],
  );
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 60 }), (code) => {
      const found = decoded(code);
      ok(found === undefined || /^[^\p{C}\p{Z}]+$/u.test(found), JSON.stringify(found));
    }),
    { numRuns: 50 },
  );
});
