/** From what a test says is given to a stimulus and stubs. */
import { resolve } from "node:path";
import { appendHeader, type CallEffect, type Headers, type HeadersDraft } from "#abi";
import { CodedError, fromHex, readDuration, toUtf8 } from "#base";
import { textBytes } from "#kernel";
import { charsetOf, contentTypeOf } from "../format.ts";
import { type Stimulus, type StimulusSignal, type Stub, type StubAnswer, stateAnswer } from "#replay";
import { byPrefix, readInputOf, unanswered } from "../machine/stubs.ts";
import type { AnswerSpec, BodySpec, GivenSpec, SignalSpec } from "./case.ts";

/** When nothing is said: tests must not depend on when they run, nor on chance. */
const defaultTime = Date.UTC(2026, 0, 1);

export interface Body {
  readonly bytes: Uint8Array;
  /** Content type implied by the form it was given in; "" if that implies no type. */
  readonly contentType: string;
}

/** The body a spec stands for, and its content type. `folder`: where `file` starts from. */
export async function bodyOf(spec: BodySpec | undefined, folder: string): Promise<Body> {
  if (spec === undefined) return { bytes: new Uint8Array(0), contentType: "" };
  if (Object.hasOwn(spec, "json")) return { bytes: toUtf8(JSON.stringify(spec.json)), contentType: spec.contentType ?? "application/json" };
  if (spec.text !== undefined) {
    const { contentType = "text/plain; charset=utf-8" } = spec;
    return { bytes: await encoded(spec.text, charsetOf(contentType)), contentType };
  }
  if (spec.base64 !== undefined)
    return { bytes: new Uint8Array(Buffer.from(spec.base64, "base64")), contentType: spec.contentType ?? "application/octet-stream" };
  if (spec.file !== undefined)
    return {
      bytes: await readInputOf(folder, resolve(folder, spec.file), "file"),
      contentType: spec.contentType ?? contentTypeOf(spec.file),
    };
  return { bytes: new Uint8Array(0), contentType: spec.contentType ?? "" };
}

async function encoded(text: string, charset: string | undefined): Promise<Uint8Array> {
  if (charset === undefined) return toUtf8(text);
  try {
    return await textBytes(text, charset);
  } catch (cause) {
    throw new CodedError("MF_TEST_INVALID", `text: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

export function headersOf(spec: BodySpec | undefined, contentType: string): Headers {
  const headers: HeadersDraft = {};
  for (const [name, value] of Object.entries(spec?.headers ?? {})) appendHeader(headers, name.toLowerCase(), value);
  if (contentType !== "") headers["content-type"] ??= contentType;
  return headers;
}

export function seedOf(hex: string | undefined): Uint8Array {
  const seed = new Uint8Array(32);
  const given = fromHex(hex ?? "");
  if (given === undefined || given.length > 32) throw new CodedError("MF_TEST_INVALID", `seed ${hex} is not up to 64 hexadecimal digits`);
  seed.set(given, 32 - given.length);
  return seed;
}

async function signalOf(spec: SignalSpec, folder: string): Promise<StimulusSignal> {
  const { name, key, after, id } = spec;
  const { bytes, contentType } = await bodyOf(spec, folder);
  return { id, name, key, headers: headersOf(spec, contentType), body: bytes, afterMs: delayOf(after) };
}

export async function stimulusOf({ message, state, time, seed, signals = [] }: GivenSpec, folder: string): Promise<Stimulus> {
  const body = await bodyOf(message, folder);
  const timeMs = time === undefined ? defaultTime : Date.parse(time);
  if (Number.isNaN(timeMs)) throw new CodedError("MF_TEST_INVALID", `time ${time} is not a date such as 2026-01-31T12:00:00Z`);
  return {
    id: message?.id ?? "message-1",
    source: message?.source ?? "test",
    attempt: message?.attempt ?? 1,
    key: message?.key,
    headers: headersOf(message, body.contentType),
    body: body.bytes,
    state,
    seed: seedOf(seed),
    timeMs,
    signals: await Promise.all(signals.map((signal) => signalOf(signal, folder))),
  };
}

/** Virtual milliseconds of an `after`. Throws MF_TEST_INVALID. */
export function delayOf(after: string | undefined): number {
  const delayMs = after === undefined ? 0 : readDuration(after);
  if (delayMs === undefined) throw new CodedError("MF_TEST_INVALID", `after: ${after} is not a duration such as 5s`);
  return delayMs;
}

async function answerOf(spec: AnswerSpec, folder: string): Promise<StubAnswer> {
  const delayMs = delayOf(spec.after);
  if (spec.error !== undefined) return { error: { code: spec.error.code, message: spec.error.message ?? "the test says so" }, delayMs };
  const { bytes, contentType } = await bodyOf(spec, folder);
  return { status: spec.status ?? 200, headers: headersOf(spec, contentType), body: bytes, delayMs };
}

type Turns = (call: CallEffect) => StubAnswer;

async function turnsOf(name: string, spec: AnswerSpec | readonly AnswerSpec[], folder: string): Promise<Turns> {
  if (!Array.isArray(spec)) {
    const answer = await answerOf(spec as AnswerSpec, folder);
    return () => answer;
  }
  const answers = await Promise.all((spec as readonly AnswerSpec[]).map((each) => answerOf(each, folder)));
  let next = 0;
  return (call) =>
    answers[next++] ?? unanswered(call, `the test defines ${answers.length} answers of ${name}, and this is request ${next}`);
}

async function allTurns(specs: GivenSpec["outlets"], folder: string): Promise<Map<string, Turns>> {
  const turns = new Map<string, Turns>();
  for (const [name, spec] of Object.entries(specs ?? {})) turns.set(name, await turnsOf(name, spec, folder));
  return turns;
}

export async function stubOf(given: GivenSpec, folder: string): Promise<Stub> {
  const outlets = await allTurns(given.outlets, folder);
  const fetches = await allTurns(given.fetch, folder);
  return (call) => {
    if (call.operation === "state") return stateAnswer(given.states?.[call.target]);
    if (call.operation === "fetch")
      return byPrefix(fetches, call.target)?.(call) ?? unanswered(call, "add an answer under `fetch:` of the case");
    return outlets.get(call.target)?.(call) ?? unanswered(call, "add an answer under `outlets:` of the case");
  };
}
