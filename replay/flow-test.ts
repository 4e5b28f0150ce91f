/**
 * A recording as a flow test: the message, the answers it got, and what came of it. What a test can't hold is left out: CPU, and how late
 * timers were.
 */
import { stringify } from "yaml";
import type { CallEffect, Headers, LogEffect, Recording, ResolveEvent } from "#abi";
import { toHex } from "#base";
import type { NewSend, Reply } from "#gateway";
import { bodyValue, jsonValue } from "./differences.ts";
import type { DrivenSend } from "./drive.ts";
import { hasFrames, valueWithoutFrames } from "./frames.ts";
import { replayLimits } from "./limits.ts";
import type { Outcome } from "./outcome.ts";
import { headersOf, RecordedAnswers, stateOf } from "./recorded.ts";

export interface FlowTestOptions {
  /** Path of the flow's source, relative to the test. */
  readonly flow: string;
  /** Name of the case. */
  readonly name: string;
  /** Outcome of the record in virtual time, where timers are on time. */
  readonly outcome: Outcome;
  /** Sentences for the head of the file. */
  readonly remarks: readonly string[];
}

type Spec = Record<string, unknown>;

/** Content types that the forms of a body imply in a flow test. */
const implied = { json: "application/json", text: "text/plain; charset=utf-8", base64: "application/octet-stream" } as const;

/** The body in the form that reads best and gives the same bytes. */
function bodyForm(body: Uint8Array): { readonly form: keyof typeof implied; readonly value: unknown } | undefined {
  if (body.length === 0) return undefined;
  const found = bodyValue(body);
  if (found.kind === "bytes") return { form: "base64", value: Buffer.from(body).toString("base64") };
  const text = Buffer.from(body).toString("utf8");
  if (found.kind === "json" && JSON.stringify(found.value) === text) return { form: "json", value: found.value };
  return { form: "text", value: text };
}

/** `json`, `text` or `base64`, and `contentType` where the form implies another. */
function bodySpec(body: Uint8Array, contentType: string): Spec {
  const found = bodyForm(body);
  if (found === undefined) return contentType === "" ? {} : { contentType };
  return { [found.form]: found.value, ...(contentType === implied[found.form] ? {} : { contentType }) };
}

/** As `bodySpec`, for what is expected: JSON counts by its value, however it was written. */
function expectedBody(body: Uint8Array, contentType: string): Spec {
  const found = bodyValue(body);
  if (body.length > 0 && found.kind === "json") return { json: found.value, contentType };
  return { ...bodySpec(body, contentType), contentType };
}

function text(value: Headers[string] | undefined): string {
  return typeof value === "string" ? value : "";
}

/** Without those that say what is said elsewhere. */
function plainHeaders(headers: Headers, hidden: readonly string[] = []): Spec {
  const shown = Object.entries(headers).filter(
    ([name]) => name !== "content-type" && !name.startsWith("mayfly-value-") && !hidden.includes(name),
  );
  return shown.length === 0 ? {} : { headers: Object.fromEntries(shown) };
}

function messageSpec(recording: Recording): Spec {
  const { id, source, attempt, key, body } = recording.deliver;
  const headers = headersOf(recording);
  return {
    ...bodySpec(body, text(headers["content-type"])),
    ...plainHeaders(headers),
    id,
    source,
    ...(attempt === 1 ? {} : { attempt }),
    ...(key === undefined ? {} : { key }),
  };
}

function parsedHeaders(json: string): Headers {
  const headers = jsonValue(json);
  return typeof headers === "object" && headers !== null ? (headers as Headers) : {};
}

/** Where a fetch ended: said only where it was redirected. */
const urlHeader = "mayfly-fetch-url";

function answerSpec(call: CallEffect, event: ResolveEvent | undefined, delayMs: number): Spec {
  const after = delayMs > 0 ? { after: `${delayMs}ms` } : {};
  if (event === undefined) return { status: 200, after: "24h" };
  if (event.error !== undefined) return { error: { code: event.error.code, message: event.error.message }, ...after };
  const headers = parsedHeaders(event.headersJson);
  const hidden = text(headers[urlHeader]) === call.target ? [urlHeader] : [];
  return {
    ...(event.status === 200 ? {} : { status: event.status }),
    ...bodySpec(event.body, text(headers["content-type"])),
    ...plainHeaders(headers, hidden),
    ...after,
  };
}

/** Answers by outlet and by URL, in the order they were asked for; one by itself is no list. */
function answerSpecs(recording: Recording): Spec {
  const specs: Record<"outlets" | "fetch", Record<string, Spec[]>> = { outlets: {}, fetch: {} };
  const states: Spec = {};
  for (const { call, askedMs, answer } of new RecordedAnswers(recording).all) {
    if (call.operation === "state") {
      if (answer !== undefined) states[call.target] ??= jsonValue(Buffer.from(answer.event.body).toString("utf8")) ?? {};
      continue;
    }
    const place = specs[call.operation === "fetch" ? "fetch" : "outlets"];
    (place[call.target] ??= []).push(answerSpec(call, answer?.event, answer === undefined ? 0 : answer.event.timeMs - askedMs));
  }
  const shown = (of: Record<string, Spec[]>): Spec =>
    Object.fromEntries(Object.entries(of).map(([name, answers]) => [name, answers.length === 1 ? answers[0] : answers]));
  return {
    ...(Object.keys(states).length === 0 ? {} : { states }),
    ...(Object.keys(specs.outlets).length === 0 ? {} : { outlets: shown(specs.outlets) }),
    ...(Object.keys(specs.fetch).length === 0 ? {} : { fetch: shown(specs.fetch) }),
  };
}

function replySpec({ status, contentType, headers, body }: Reply): Spec {
  return { status, ...expectedBody(body, contentType), ...plainHeaders(headers) };
}

function sendSpec(send: NewSend | DrivenSend): Spec {
  const { outlet, key, contentType, headers, body, dueMs } = send;
  const delay = dueMs === undefined || !("sentMs" in send) ? {} : { after: `${Math.max(0, dueMs - send.sentMs)}ms` };
  return { outlet, key: key ?? null, ...delay, ...expectedBody(body, contentType), ...plainHeaders(headers) };
}

function requestSpec({ operation, target, method, contentType, headersJson, body }: CallEffect): Spec {
  return {
    [operation === "fetch" ? "fetch" : "outlet"]: target,
    ...(method === "" ? {} : { method }),
    ...expectedBody(body, contentType),
    ...plainHeaders(parsedHeaders(headersJson)),
  };
}

/** Frames of a stack change with every line of the source. */
function isSteady({ text: line, fieldsJson }: LogEffect): boolean {
  let steady = !hasFrames(line);
  if (fieldsJson !== undefined) valueWithoutFrames(fieldsJson, () => (steady = false));
  return steady;
}

function logSpecs(logs: readonly LogEffect[]): Spec[] {
  return logs
    .filter(isSteady)
    .slice(0, replayLimits.testLogs)
    .map(({ level, text: line, fieldsJson }) => {
      const fields = fieldsJson === undefined ? undefined : jsonValue(fieldsJson);
      const isObject = typeof fields === "object" && fields !== null && !Array.isArray(fields);
      return { level, text: line, ...(isObject && Object.keys(fields).length > 0 ? { fields } : {}) };
    });
}

function stateSpec(recording: Recording, { state }: Outcome): Spec {
  const before = stateOf(recording);
  if (before === undefined && state.size === 0) return {};
  const after: Spec = { ...before };
  for (const [name, json] of state) {
    if (json === undefined) delete after[name];
    else after[name] = jsonValue(json) ?? null;
  }
  return { state: after };
}

/** Signals in the time of the test, which is exact. */
function signalSpecs(recording: Recording): Spec {
  const { signals } = new RecordedAnswers(recording);
  if (signals.length === 0) return {};
  return {
    signals: signals.map(({ id, name, key, atMs, headersJson, body }) => {
      const headers = parsedHeaders(headersJson);
      const afterMs = atMs - recording.deliver.timeMs;
      return {
        name,
        ...(key === undefined ? {} : { key }),
        id,
        ...(afterMs > 0 ? { after: `${afterMs}ms` } : {}),
        ...bodySpec(body, text(headers["content-type"])),
        ...plainHeaders(headers),
      };
    }),
  };
}

function asleepSpec({ asleep, sleeps }: Outcome): Spec {
  const last = asleep ? sleeps.at(-1) : undefined;
  if (last === undefined) return {};
  const waits = last.waits.map(({ name, key, forMs }) => ({ name, key, timeout: forMs === undefined ? null : `${forMs}ms` }));
  return { asleep: { waits, timers: last.timersMs.map((ms) => `${ms}ms`) } };
}

function expectSpec(recording: Recording, outcome: Outcome): Spec {
  const { failure, reply, sends, calls, logs, next } = outcome;
  const requests = calls.filter(({ operation }) => operation !== "state").map(requestSpec);
  const shared = { ...(requests.length === 0 ? {} : { requests }), ...(logs.length === 0 ? {} : { logs: logSpecs(logs) }) };
  if (failure !== undefined) {
    const { code, message, retry, status } = failure;
    return {
      error: { code, message: message.split("\n")[0] ?? "", retry, ...(status === 0 ? {} : { status }) },
      sends: sends.map(sendSpec),
      ...shared,
    };
  }
  return {
    reply: reply === undefined ? null : replySpec(reply),
    ...asleepSpec(outcome),
    ...(next === undefined ? {} : { continue: { ...expectedBody(next.body, next.contentType), ...plainHeaders(next.headers) } }),
    ...(sends.length === 0 ? {} : { sends: sends.map(sendSpec) }),
    ...shared,
    ...stateSpec(recording, outcome),
  };
}

/** The text of a *.flow-test.yaml. */
export function flowTest(recording: Recording, { flow, name, outcome, remarks }: FlowTestOptions): string {
  const { timeMs, seed } = recording.deliver;
  const state = stateOf(recording);
  const given = {
    name,
    time: new Date(timeMs).toISOString(),
    seed: toHex(seed),
    message: messageSpec(recording),
    ...(state === undefined ? {} : { state }),
    ...answerSpecs(recording),
    ...signalSpecs(recording),
    expect: expectSpec(recording, outcome),
  };
  const head = remarks.map((remark) => `# ${remark}\n`).join("");
  return `${head}${stringify({ flow, cases: [given] }, { lineWidth: 120, aliasDuplicateObjects: false })}`;
}
