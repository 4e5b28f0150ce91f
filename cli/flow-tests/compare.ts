/** Compares the result of a run with the expected one: every difference with its path and both values. */
import { isDeepStrictEqual } from "node:util";
import type { CallEffect } from "#abi";
import { equalBytes } from "#base";
import { bodyText, parseJson, spanText, textIn } from "../format.ts";
import { waitsText } from "../machine/life.ts";
import type { RunResult } from "#replay";
import type { AsleepSpec, ContentSpec, ExpectSpec } from "./case.ts";
import { bodyOf, delayOf } from "./given.ts";
import { cliLimits } from "../limits.ts";

export interface Difference {
  /** `sends[0].json.total`. */
  readonly path: string;
  /** As text for people; undefined: nothing is expected there, or nothing is there. */
  readonly expected: string | undefined;
  readonly actual: string | undefined;
}

function shown(value: unknown): string {
  const text = value === undefined ? "nothing" : (JSON.stringify(value) ?? String(value));
  return text.length > 400 ? `${text.slice(0, 400)}… (${text.length} characters)` : text;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function join(path: string, step: string | number): string {
  if (typeof step === "number") return `${path}[${step}]`;
  const name = /^[A-Za-z_$][\w$-]*$/.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`;
  return path === "" ? name.replace(/^\./, "") : `${path}${name}`;
}

/** Differences of two JSON values. With `loose`, objects may have members that are not expected. */
export function jsonDifferences(expected: unknown, actual: unknown, path: string, loose = false): Difference[] {
  if (isObject(expected) && isObject(actual)) {
    const found: Difference[] = [];
    for (const key of new Set([...Object.keys(expected), ...(loose ? [] : Object.keys(actual))])) {
      const at = join(path, key);
      if (!Object.hasOwn(expected, key)) found.push({ path: at, expected: undefined, actual: shown(actual[key]) });
      else if (!Object.hasOwn(actual, key)) found.push({ path: at, expected: shown(expected[key]), actual: undefined });
      else found.push(...jsonDifferences(expected[key], actual[key], at, loose));
    }
    return found;
  }
  if (Array.isArray(expected) && Array.isArray(actual)) {
    const found: Difference[] = [];
    for (let index = 0; index < Math.max(expected.length, actual.length); index++) {
      const at = join(path, index);
      if (index >= expected.length) found.push({ path: at, expected: undefined, actual: shown(actual[index]) });
      else if (index >= actual.length) found.push({ path: at, expected: shown(expected[index]), actual: undefined });
      else found.push(...jsonDifferences(expected[index], actual[index], at, loose));
    }
    return found;
  }
  return isDeepStrictEqual(expected, actual) ? [] : [{ path, expected: shown(expected), actual: shown(actual) }];
}

/** Of long texts the first line that differs. */
function textDifferences(expected: string, actual: string, path: string): Difference[] {
  if (expected === actual) return [];
  const [before, after] = [expected.split("\n"), actual.split("\n")];
  if (before.length === 1 && after.length === 1) return [{ path, expected: shown(expected), actual: shown(actual) }];
  const line = before.findIndex((text, index) => text !== after[index]);
  const at = line < 0 ? before.length : line;
  return [
    {
      path: `${path} line ${at + 1}`,
      expected: before[at] === undefined ? undefined : shown(before[at]),
      actual: after[at] === undefined ? undefined : shown(after[at]),
    },
  ];
}

/** A send, a request or a reply, as it is compared. */
interface Content {
  readonly contentType: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Uint8Array;
  readonly [field: string]: unknown;
}

function sendContent(send: RunResult["sends"][number]): Content {
  return {
    outlet: send.outlet,
    key: send.key ?? null,
    contentType: send.contentType,
    headers: send.headers,
    body: send.body,
    transaction: send.transaction,
    after: send.dueMs === undefined ? 0 : Math.max(0, send.dueMs - send.sentMs),
  };
}

function callContent(call: CallEffect): Content {
  const target = call.operation === "fetch" ? { fetch: call.target } : { outlet: call.target };
  return {
    ...target,
    method: call.method,
    contentType: call.contentType,
    headers: parseJson(call.headersJson) as Content["headers"],
    body: call.body,
  };
}

function brief(content: Content): string {
  const target = content["outlet"] ?? content["fetch"];
  return `${target === undefined ? "" : `${String(target)} `}${bodyText(content.body, content.contentType, 3).replace(/\n\s*/g, " ")}`.slice(
    0,
    300,
  );
}

async function contentDifferences(expected: ContentSpec, actual: Content, path: string, folder: string): Promise<Difference[]> {
  const found: Difference[] = [];
  for (const field of ["outlet", "fetch", "method", "key", "status", "contentType", "transaction"] as const) {
    const wanted = expected[field];
    if (wanted !== undefined && wanted !== actual[field])
      found.push({ path: join(path, field), expected: shown(wanted), actual: shown(actual[field]) });
  }
  if (expected.after !== undefined) found.push(...spanDifferences(expected.after, Number(actual["after"]), join(path, "after")));
  found.push(...jsonDifferences(lowerCased(expected.headers), actual.headers, join(path, "headers"), true));
  if (Object.hasOwn(expected, "json") || Object.hasOwn(expected, "jsonLike")) {
    const loose = !Object.hasOwn(expected, "json");
    const value = parsed(actual.body, actual.contentType);
    const at = join(path, loose ? "jsonLike" : "json");
    if (value === notJson)
      found.push({
        path: at,
        expected: shown(expected.json ?? expected.jsonLike),
        actual: `${bodyText(actual.body, actual.contentType, 3)} (not JSON)`,
      });
    else found.push(...jsonDifferences(loose ? expected.jsonLike : expected.json, value, at, loose));
  } else if (expected.text !== undefined || expected.base64 !== undefined || expected.file !== undefined) {
    const { bytes, contentType } = await bodyOf(expected, folder);
    const isSameText = expected.text !== undefined && textIn(actual.body, actual.contentType) === expected.text;
    if (!isSameText) found.push(...bytesDifferences({ body: bytes, contentType }, actual, path));
  }
  return found;
}

type Body = Pick<Content, "body" | "contentType">;

function bytesDifferences(expected: Body, actual: Body, path: string): Difference[] {
  if (equalBytes(expected.body, actual.body)) return [];
  if (/json/.test(expected.contentType)) {
    const [wanted, got] = [parsed(expected.body, expected.contentType), parsed(actual.body, actual.contentType)];
    if (wanted !== notJson && got !== notJson) return jsonDifferences(wanted, got, join(path, "json"));
  }
  const [before, after] = [textIn(expected.body, expected.contentType), textIn(actual.body, actual.contentType)];
  if (before !== undefined && after !== undefined && before !== after) return textDifferences(before, after, join(path, "text"));
  return [{ path: join(path, "bytes"), expected: `${expected.body.length} bytes`, actual: `${actual.body.length} other bytes` }];
}

const notJson = Symbol("not JSON");

function parsed(body: Uint8Array, contentType: string): unknown {
  try {
    return JSON.parse(textIn(body, contentType) ?? "") as unknown;
  } catch {
    return notJson;
  }
}

function lowerCased(headers: ContentSpec["headers"]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]));
}

async function listDifferences(
  expected: readonly ContentSpec[],
  actual: readonly Content[],
  path: string,
  folder: string,
): Promise<Difference[]> {
  const found: Difference[] = [];
  for (let index = 0; index < Math.max(expected.length, actual.length); index++) {
    const [wanted, got] = [expected[index], actual[index]];
    const at = join(path, index);
    if (wanted === undefined && got !== undefined) found.push({ path: at, expected: undefined, actual: brief(got) });
    else if (got === undefined) found.push({ path: at, expected: shown(wanted), actual: undefined });
    else if (wanted !== undefined) found.push(...(await contentDifferences(wanted, got, at, folder)));
  }
  return found;
}

function logDifferences(expected: NonNullable<ExpectSpec["logs"]>, { logs }: RunResult): Difference[] {
  let from = 0;
  for (const [index, wanted] of expected.entries()) {
    const at = logs.findIndex(({ level, text, fieldsJson }, position) => {
      if (position < from || (wanted.level !== undefined && wanted.level !== level) || (wanted.text !== undefined && wanted.text !== text))
        return false;
      return wanted.fields === undefined || jsonDifferences(wanted.fields, parseJson(fieldsJson ?? "{}"), "", true).length === 0;
    });
    if (at < 0) {
      const rest = logs
        .slice(from)
        .map(({ level, text, fieldsJson }) => `${level} ${text}${fieldsJson === undefined ? "" : ` ${fieldsJson}`}`);
      return [
        {
          path: `logs[${index}]`,
          expected: shown(wanted),
          actual: rest.length === 0 ? "no more logs" : `no match among: ${rest.slice(0, 5).join(" | ")}`,
        },
      ];
    }
    from = at + 1;
  }
  return [];
}

function spanDifferences(expected: string, actualMs: number, path: string): Difference[] {
  return delayOf(expected) === actualMs ? [] : [{ path, expected, actual: spanText(actualMs) }];
}

/** Compares the waits that are open at the end; of a wait only what the test names. */
function asleepDifferences(expected: AsleepSpec | undefined, { status, waits: actual, transactions }: RunResult): Difference[] {
  const sinceMs = transactions.at(-1)?.endedMs ?? 0;
  if (expected === undefined || actual === undefined) {
    if (expected === undefined && actual === undefined) return [];
    if (actual === undefined) return [{ path: "status", expected: "asleep", actual: status }];
    return [{ path: "status", expected: "done", actual: `asleep: waits for ${waitsText(actual, sinceMs)}` }];
  }
  const found: Difference[] = [];
  const { waits = [], timers = [] } = expected;
  const shownWaits = actual.waits.map(({ name, key, dueMs, questionJson }, index) => {
    const { timeout } = waits[index] ?? {};
    const forMs = dueMs === undefined ? null : dueMs - sinceMs;
    const isAsWanted = typeof timeout === "string" && delayOf(timeout) === forMs;
    const question = questionJson === undefined ? {} : (parseJson(questionJson) as object);
    return { name, key, timeout: isAsWanted ? timeout : forMs === null ? null : spanText(forMs), ...question };
  });
  if (expected.waits !== undefined) found.push(...jsonDifferences(waits, shownWaits, "asleep.waits", true));
  const shownTimers = actual.timers.map(({ dueMs }, index) => {
    const wanted = timers[index];
    return wanted !== undefined && delayOf(wanted) === dueMs - sinceMs ? wanted : spanText(dueMs - sinceMs);
  });
  if (expected.timers !== undefined) found.push(...jsonDifferences(timers, shownTimers, "asleep.timers"));
  return found;
}

async function continueDifferences(expected: ExpectSpec["continue"], { next }: RunResult, folder: string): Promise<Difference[]> {
  if (expected === undefined) return [];
  const actual = next === undefined ? undefined : { ...next };
  if (expected === null) return actual === undefined ? [] : [{ path: "continue", expected: undefined, actual: brief(actual) }];
  if (actual === undefined) return [{ path: "continue", expected: shown(expected), actual: undefined }];
  return await contentDifferences(expected, actual, "continue", folder);
}

function errorDifferences(expected: ExpectSpec["error"], { failure, status }: RunResult): Difference[] {
  if (expected === undefined)
    return failure === undefined ? [] : [{ path: "status", expected: "done", actual: `failed with ${failure.code}: ${failure.message}` }];
  if (failure === undefined) return [{ path: "status", expected: `failed with ${expected.code ?? "an error"}`, actual: status }];
  const found: Difference[] = [];
  for (const field of ["code", "retry", "status"] as const) {
    const wanted = expected[field];
    if (wanted !== undefined && wanted !== failure[field])
      found.push({
        path: `error.${field}`,
        expected: shown(wanted),
        actual: `${shown(failure[field])}${field === "code" ? ` (${failure.message})` : ""}`,
      });
  }
  if (expected.message !== undefined && !failure.message.includes(expected.message))
    found.push({ path: "error.message", expected: `a text with ${shown(expected.message)}`, actual: shown(failure.message) });
  return found;
}

/** Every difference between `result` and what was expected; none when the case passes. */
export async function compare(expected: ExpectSpec, result: RunResult, folder: string): Promise<Difference[]> {
  const found = errorDifferences(expected.error, result);
  if (expected.error === undefined && result.failure === undefined) found.push(...asleepDifferences(expected.asleep, result));
  found.push(...(await continueDifferences(expected.continue, result, folder)));
  if (expected.reply === null && result.reply !== undefined)
    found.push({ path: "reply", expected: undefined, actual: brief(result.reply as unknown as Content) });
  if (expected.reply !== undefined && expected.reply !== null && result.failure === undefined) {
    if (result.reply === undefined) found.push({ path: "reply", expected: shown(expected.reply), actual: undefined });
    else found.push(...(await contentDifferences(expected.reply, result.reply as unknown as Content, "reply", folder)));
  }
  if (expected.sends !== undefined && (result.failure === undefined || expected.error !== undefined))
    found.push(...(await listDifferences(expected.sends, result.sends.map(sendContent), "sends", folder)));
  if (expected.requests !== undefined)
    found.push(
      ...(await listDifferences(
        expected.requests,
        result.calls.filter(({ operation }) => operation !== "state").map(callContent),
        "requests",
        folder,
      )),
    );
  if (expected.logs !== undefined) found.push(...logDifferences(expected.logs, result));
  if (expected.state !== undefined) found.push(...jsonDifferences(expected.state, result.state ?? {}, "state"));
  return found.slice(0, cliLimits.testDifferences);
}
