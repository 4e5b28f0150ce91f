/** Errors with a code, and the codes and sentences of the engine's own errors. */
import { table } from "./table.ts";
import type { FailOptions } from "./api.d.ts";
import { native } from "./machine.ts";

/** An error with a stable code; `retry` and `status` tell the gateway what to do with the message. */
export class FlowError extends Error {
  readonly code: string;
  readonly retry: boolean;
  /** 0 for none. */
  readonly status: number;

  constructor(code: string, message: string, retry = true, status = 0, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.retry = retry;
    this.status = status;
  }
}
Object.defineProperty(FlowError.prototype, "name", { value: "FlowError", configurable: true, writable: true });

const fetchReasons = new WeakMap<object, FlowError>();

/** The error of a failed fetch: a TypeError (Fetch Standard, network error), caused by the reason, whose code it shares. */
export function fetchFailed(reason: FlowError): TypeError {
  const error = Object.assign(new TypeError("fetch failed", { cause: reason }), { code: reason.code });
  // Where the flow asked: its own stack is the kernel's.
  if (reason.stack !== undefined) error.stack = reason.stack;
  fetchReasons.set(error, reason);
  return error;
}

/** The reason of a failed fetch; any other error itself. */
export function reasonOf(error: object): object {
  return fetchReasons.get(error) ?? error;
}

/** Gives the message up with an error of the flow's own. */
export function fail(message: string, options?: FailOptions): never {
  const status = options?.status ?? 0;
  const code = options?.code ?? "MF_FLOW_FAILED";
  if (!isCode(code))
    throw new FlowError("MF_ARGUMENT", `fail: the code ${describe(code)} must be up to 64 letters, digits, ".", "_" or "-"`, false);
  if (status !== 0 && !isErrorStatus(status))
    throw new FlowError("MF_ARGUMENT", `fail: the status ${describe(status)} must be from 400 to 599`, false);
  throw new FlowError(code, message, options?.retry ?? true, status, options?.cause);
}

const codeShape = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/;

export function isCode(value: unknown): value is string {
  return typeof value === "string" && codeShape.test(value);
}

export function isErrorStatus(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 400 && value <= 599;
}

export const indescribable = "a value that can't be described";

/** A value as a few words for an error's sentence; never throws. */
export function describe(value: unknown): string {
  try {
    if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
    if (typeof value === "function") return "a function";
    if (typeof value === "object" && value !== null) return value instanceof Error ? String(value) : Object.prototype.toString.call(value);
    return typeof value === "bigint" ? `${value}n` : String(value);
  } catch {
    return indescribable;
  }
}

/** The longest beginning of `text` of at most `mostBytes` bytes of UTF-8, with a mark when it was cut. */
export function cutText(text: string, mostBytes: number): string {
  if (text.length * 3 <= mostBytes) return text;
  const bytes = native.encodeUtf8(text.length > mostBytes ? text.slice(0, mostBytes) : text);
  if (bytes.length <= mostBytes && text.length <= mostBytes) return text;
  const mark = `… [cut: ${text.length} characters]`;
  let end = mostBytes - 64;
  // Never inside a character: bytes 10xxxxxx continue one.
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--;
  return native.decodeUtf8(bytes.subarray(0, end), false) + mark;
}

/** Refuses a text that is longer than the door allows. */
export function checkLength(text: string, mostBytes: number, what: string): string {
  if (text.length * 3 > mostBytes && (text.length > mostBytes || native.encodeUtf8(text).length > mostBytes)) {
    throw new FlowError("MF_TOO_LONG", `${what} is longer than ${mostBytes} bytes`, false);
  }
  return text;
}

/** The code of an error that is the engine's own; undefined for any other. */
export function engineCode(name: unknown, message: unknown): string | undefined {
  if (name === "InternalError" && message === "out of memory") return "MF_MEMORY_LIMIT";
  if (
    (name === "RangeError" || name === "InternalError") &&
    typeof message === "string" &&
    (message.includes("call stack") || message === "stack overflow")
  )
    return "MF_STACK_OVERFLOW";
  if (name === "RangeError" && message === "too many effects") return "MF_EFFECT_LIMIT";
  if (name === "ReferenceError" && typeof message === "string" && missingGlobal(message) !== undefined)
    return missingGlobal(message) === "Intl" ? "MF_NO_INTL" : "MF_GLOBAL_MISSING";
  return undefined;
}

/** Globals of other places, and what to use here instead. */
const insteadOf: Readonly<Record<string, string>> = table({
  Intl: "it is linked into images whose flow names it: write Intl plainly, not as a text",
  Temporal: "use Date, or a package such as dayjs",
  require: "use import: a flow is bundled",
  module: "use export: a flow is bundled",
  __dirname: "a machine has no files",
  __filename: "a machine has no files",
  XMLHttpRequest: "use fetch, or an outlet with to.NAME.request()",
  WebSocket: "use an outlet: a machine has no network of its own",
  WebAssembly: "a machine runs JavaScript only",
  window: "a machine is no browser",
  document: "a machine is no browser",
  navigator: "a machine is no browser",
});

/** The global a ReferenceError is about, when it is one of those. */
function missingGlobal(message: string): string | undefined {
  const name = /^'?(\w+)'? is not defined$/.exec(message)?.[1];
  return name !== undefined && Object.hasOwn(insteadOf, name) ? name : undefined;
}

export const memorySentence = "the flow exceeded its memory limit: process less at a time, or raise limits.memory";

export function engineMessage(code: string | undefined, message: string): string {
  if (code === "MF_MEMORY_LIMIT") return memorySentence;
  if (code === "MF_STACK_OVERFLOW") return "stack overflow: look for endless recursion in the flow";
  if (code === "MF_EFFECT_LIMIT") return "the flow produced too many effects in one step: split the message before it arrives";
  return `${message}: ${insteadOf[missingGlobal(message)!]!}`;
}

/** True if the engine itself failed: such an error is unrelated to the message and is passed on unchanged. */
export function isEngineFailure(error: unknown): boolean {
  return error instanceof Error && engineCode(error.name, error.message) === "MF_MEMORY_LIMIT";
}

/** Lines of a stack that tell an author nothing; the image step names the kernel's script so. */
export const kernelFrames: RegExp = /^.*\(mayfly:kernel\b.*\n?/gm;

/** The stack without the kernel's frames; undefined when there are no others. */
export function stackOfCaller(): string | undefined {
  const { stack } = new Error("for its place");
  const own = typeof stack === "string" ? stack.replace(kernelFrames, "") : "";
  return own === "" ? undefined : own;
}

/** The innermost line of the stack that is not the kernel's. */
export function placeOfCaller(): string | undefined {
  return stackOfCaller()?.split("\n", 1)[0]!.trim();
}
