/** Reads what callers give: limits, messages, outlets. A wrong option is MF_EMBED_OPTION, whose sentence names it. */
import { type FlowLimits, hardLimits, type Headers, headerText, type HeadersDraft } from "#abi";
import { readDuration, readSize, toUtf8 } from "#base";
import { parseHeaders } from "#gateway/attempt";
import type { HeadersIn, Limits } from "./embed.d.ts";
import { optionError } from "./errors.ts";
import { embedLimits } from "./limits.ts";

/** Throws for anything that is not an object, and for a name that is not known: a limit with a typing error is no limit. */
export function checkNames(given: unknown, what: string, known: readonly string[]): void {
  if (typeof given !== "object" || given === null || Array.isArray(given)) throw optionError(`${what} must be an object`);
  for (const name of Object.keys(given))
    if (!known.includes(name)) throw optionError(`${what} has no ${JSON.stringify(name.slice(0, 64))}: there are ${known.join(", ")}`);
}

export function checkSignal(signal: unknown): asserts signal is AbortSignal | undefined {
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw optionError("signal must be an AbortSignal");
}

type Read = (value: unknown) => number | undefined;

const readers: { readonly [Name in keyof Limits]-?: { readonly to: keyof FlowLimits; readonly read: Read; readonly form: string } } = {
  memory: { to: "memoryBytes", read: readSize, form: 'a size such as "16MiB"' },
  cpu: { to: "cpuMs", read: readDuration, form: 'a duration such as "50ms"' },
  time: { to: "timeMs", read: readDuration, form: 'a duration such as "5s"' },
  sends: { to: "sends", read: (value) => (Number.isSafeInteger(value) ? (value as number) : undefined), form: "a whole number" },
  logBytes: { to: "logBytes", read: readSize, form: 'a size such as "64KiB"' },
};

/** The image's limits with those given in their place. */
export function limitsFrom(own: FlowLimits, given: Limits | undefined): FlowLimits {
  if (given === undefined) return own;
  checkNames(given, "limits", Object.keys(readers));
  const limits: { -readonly [Name in keyof FlowLimits]: number } = { ...own };
  for (const [name, { to, read, form }] of Object.entries(readers)) {
    const value = given[name as keyof Limits];
    if (value === undefined) continue;
    const found = read(value);
    const isCount = to === "sends" || to === "logBytes";
    if (found === undefined || found < (isCount ? 0 : 1)) throw optionError(`limits.${name} must be ${form}`);
    limits[to] = found;
  }
  if (limits.memoryBytes > hardLimits.memoryBytes)
    throw optionError(`limits.memory must be at most ${hardLimits.memoryBytes / 2 ** 20} MiB`);
  return limits;
}

export function workersFrom(workers: number | undefined): number | undefined {
  if (workers === undefined || (Number.isSafeInteger(workers) && workers >= 1 && workers <= embedLimits.workers)) return workers;
  throw optionError(`workers must be a whole number from 1 to ${embedLimits.workers}`);
}

/** Headers of a message or an answer. */
export function headersFrom(given: HeadersIn | undefined, what: string): Headers {
  if (given === undefined) return {};
  if (typeof given !== "object" || given === null) throw optionError(`${what} must be an object: name → text, or a list of texts`);
  const plain = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const read = parseHeaders(JSON.stringify(plain));
  if (typeof read === "string") throw optionError(`${what}: ${read}`);
  return read;
}

export interface BodyGiven {
  readonly body: Uint8Array;
  /** Of a body without one of its own. */
  readonly contentType: string;
}

function json(value: unknown, what: string): string {
  try {
    const text = JSON.stringify(value);
    if (text !== undefined) return text;
  } catch (cause) {
    throw optionError(`${what} can't be written as JSON: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
  throw optionError(`${what} can't be written as JSON`);
}

/** The bytes are copied: the caller may go on to use its own. */
export function bodyFrom(given: unknown, what: string): BodyGiven {
  if (given === undefined) return { body: new Uint8Array(0), contentType: "" };
  if (typeof given === "string") return { body: toUtf8(given), contentType: "text/plain; charset=utf-8" };
  if (given instanceof Uint8Array) return { body: Uint8Array.from(given), contentType: "application/octet-stream" };
  if (given instanceof ArrayBuffer) return { body: new Uint8Array(given.slice(0)), contentType: "application/octet-stream" };
  return { body: toUtf8(json(given, what)), contentType: "application/json" };
}

/** The headers with the content type among them. */
export function typed(headers: Headers, contentType: string): HeadersDraft {
  const own = headerText(headers["content-type"]);
  return own !== undefined || contentType === "" ? { ...headers } : { ...headers, "content-type": contentType };
}

export function keyFrom(key: string | undefined): string | undefined {
  if (key === undefined || (typeof key === "string" && toUtf8(key).length <= hardLimits.keyBytes)) return key;
  throw optionError(`key must be a text of at most ${hardLimits.keyBytes} bytes`);
}

export function idFrom(id: string | undefined): string | undefined {
  if (id === undefined || (typeof id === "string" && id !== "" && toUtf8(id).length <= hardLimits.nameBytes)) return id;
  throw optionError(`id must be a text of 1 to ${hardLimits.nameBytes} bytes`);
}

export function stateFrom(
  state: Readonly<Record<string, unknown>> | undefined,
  key: string | undefined,
): { readonly json: string | undefined; readonly values: Readonly<Record<string, unknown>> | undefined } {
  if (state === undefined) return { json: undefined, values: undefined };
  if (typeof state !== "object" || state === null || Array.isArray(state)) throw optionError("state must be an object");
  if (key === undefined) throw optionError("state needs a key: give the message one");
  const text = json(state, "state");
  return { json: text, values: JSON.parse(text) as Readonly<Record<string, unknown>> };
}
