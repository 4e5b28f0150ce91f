/** Frames that cross the door: effects from a machine, events from whoever drives one. */
import { decodeEffects, decodeEvent, type Effect, encodeEffects, encodeEvent, type Event } from "#abi";
import { equalBytes, type Result, toUtf8 } from "#base";
import { faulty, type Target, type Verdict } from "../target.ts";

const effects: readonly Effect[] = [
  { kind: "log", level: "warn", text: "tried", fieldsJson: '{"a":1}' },
  { kind: "send", outlet: "erp", key: "k", contentType: "application/json", headersJson: '{"x-a":["1","2"]}', body: toUtf8("{}") },
  {
    kind: "call",
    call: 1,
    operation: "request",
    target: "erp",
    method: "POST",
    contentType: "",
    headersJson: "{}",
    timeoutMs: 5,
    body: toUtf8("x"),
  },
  { kind: "timer", timer: 1, dueMs: 1_767_225_600_000 },
  { kind: "state", name: "seen", valueJson: "3" },
  { kind: "wait", wait: 1, name: "payment", key: "4711", dueMs: 1_767_225_600_000, questionJson: '{"question":"Pay?","options":["yes"]}' },
  { kind: "wait", wait: 2, name: undefined, key: "", dueMs: -1, questionJson: undefined },
  { kind: "send", outlet: "erp", key: undefined, contentType: "", headersJson: "{}", body: toUtf8("x"), dueMs: 1_767_225_600_000 },
];
const ends: readonly Effect[] = [
  { kind: "done", reply: { status: 200, contentType: "text/plain", headersJson: '{"set-cookie":["a=b","c=d"]}', body: toUtf8("yes") } },
  { kind: "done", reply: undefined },
  { kind: "continue", contentType: "application/json", headersJson: "{}", body: toUtf8("{}") },
  { kind: "fail", code: "MF_X", message: "no", stack: "at a:1:2", retry: true, status: 503 },
];

/** Bytes that decode must encode to what decodes to the same. */
function roundTrip<T>(
  input: Uint8Array,
  decode: (bytes: Uint8Array) => Result<T, string>,
  encode: (value: T) => Uint8Array,
  signatureOf: (value: T) => string,
): Verdict {
  const decoded = decode(input);
  if (!decoded.ok) return { signature: `refused: ${decoded.error.replace(/\d+/g, "n").slice(0, 60)}` };
  const signature = signatureOf(decoded.value);
  const again = decode(encode(decoded.value));
  if (!again.ok) return faulty(signature, `what was decoded does not decode again: ${again.error}`);
  return equalBytes(encode(again.value), encode(decoded.value)) ? { signature } : faulty(signature, "a second round changes it");
}

export async function openEffects(): Promise<Target> {
  return {
    name: "effects",
    seeds: [encodeEffects([]), ...ends.map((end) => encodeEffects([...effects, end])), ...effects.map((each) => encodeEffects([each]))],
    words: ["__proto__", "constructor", ":x", "set-cookie", "\r\n", '{"a":"', "\ud800"],
    run: (input) =>
      roundTrip(
        input,
        decodeEffects,
        (value) => encodeEffects(value),
        (value) =>
          value
            .map(({ kind }) => kind)
            .join(" ")
            .slice(0, 80),
      ),
  };
}

const events: readonly Event[] = [
  {
    kind: "deliver",
    timeMs: 1,
    seed: new Uint8Array(32),
    id: "m",
    source: "http",
    attempt: 1,
    key: "k",
    headersJson: '{"content-type":"text/plain","x-b":["1","2"]}',
    stateJson: '{"seen":3}',
    body: toUtf8("x"),
  },
  { kind: "resolve", timeMs: 2, call: 1, error: undefined, status: 200, headersJson: "{}", body: toUtf8("yes") },
  { kind: "resolve", timeMs: 2, call: 1, error: { code: "MF_X", message: "no" }, status: 0, headersJson: "{}", body: new Uint8Array(0) },
  { kind: "wake", timeMs: 3, timer: 1 },
  { kind: "cancel", timeMs: 4, reason: "the caller left" },
  { kind: "resume", timeMs: 5, attempt: 2, stateJson: '{"seen":4}' },
  { kind: "signal", timeMs: 5, wait: 1, id: "s", headersJson: '{"content-type":"text/plain"}', body: toUtf8("paid") },
  { kind: "signal", timeMs: 6, wait: 2, id: undefined, headersJson: "{}", body: new Uint8Array(0) },
];

export async function openEvents(): Promise<Target> {
  return {
    name: "events",
    seeds: events.map(encodeEvent),
    words: ["__proto__", "\r\n"],
    run: (input) => roundTrip(input, decodeEvent, encodeEvent, ({ kind }) => kind),
  };
}
