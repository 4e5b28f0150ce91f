/**
 * Errors as the world is told of them: the `fail` effect, text and JSON for the log. An error is the flow's own object: any property of
 * it may be missing, throw, or lead to errors without end, so each is read by itself and all together are bounded.
 */
import { hardLimits } from "../../abi/limits.ts";
import {
  cutText,
  describe,
  engineCode,
  engineMessage,
  FlowError,
  indescribable,
  isCode,
  isErrorStatus,
  kernelFrames,
  reasonOf,
} from "./errors.ts";

/** Contents of a `fail` effect. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  /** Frames of the error, then of each error that caused it, below a line that names it. */
  readonly stack: string | undefined;
  readonly retry: boolean;
  /** An error of the program itself: the same message would meet it again. */
  readonly flaw: boolean;
  readonly status: number;
}

/** Classes of errors that say that the program is wrong. */
const flaws: readonly unknown[] = ["TypeError", "ReferenceError", "SyntaxError", "RangeError"];

/** Most errors that are shown beside the first: causes, and parts of an AggregateError. */
const mostErrors = 8;
/** Longest message and stack of one that is shown beside others, in characters. */
const mostPartCharacters = 2048;
/** Most objects and values of one log line's fields. */
const mostValues = 10_000;
const mostDepth = 8;

/** A property, or undefined where reading it throws. */
function property(object: object, name: string): unknown {
  try {
    return (object as Record<string, unknown>)[name];
  } catch {
    return undefined;
  }
}

/** True for errors; a proxy may throw when it is asked. */
export function isError(value: unknown): value is Error {
  try {
    return value instanceof Error;
  } catch {
    return false;
  }
}

/** The parts of an AggregateError, the first ones of many, and how many there are. */
function partsOf(error: object): { readonly parts: readonly unknown[]; readonly count: number } {
  try {
    const errors = property(error, "errors");
    if (!Array.isArray(errors)) return { parts: [], count: 0 };
    const parts: unknown[] = [];
    for (let index = 0; index < errors.length && index < mostErrors; index++) parts.push(property(errors, String(index)));
    return { parts, count: errors.length };
  } catch {
    return { parts: [], count: 0 };
  }
}

function messageOf(error: object): string {
  const message = property(error, "message");
  return typeof message === "string" && message !== "" ? message : describe(error);
}

/** The stack without the kernel's frames; undefined without a stack. */
function ownStack(error: object): string | undefined {
  const stack = property(error, "stack");
  return typeof stack === "string" ? stack.replace(kernelFrames, "") : undefined;
}

/** Whole lines of the text, up to so many characters. */
function firstLines(text: string, mostCharacters: number): string {
  return text.length <= mostCharacters ? text : text.slice(0, text.lastIndexOf("\n", mostCharacters) + 1);
}

const cut = (text: string): string => (text.length <= mostPartCharacters ? text : `${text.slice(0, mostPartCharacters)}…`);

/** `TypeError: x is not a function`, by its code where it has one. */
function titleOf(error: object): string {
  const code = property(error, "code");
  const name = property(error, "name");
  const kind = isCode(code) ? code : typeof name === "string" && name !== "" ? name : "Error";
  return `${kind}: ${cut(messageOf(error))}`;
}

/** Errors and other values behind an error, each with how it is related, in the order they are shown. */
function behind(error: object): (readonly [relation: string, value: unknown])[] {
  const found: (readonly [string, unknown])[] = [];
  const cause = property(error, "cause");
  if (cause !== undefined && cause !== null) found.push(["caused by", cause]);
  const { parts, count } = partsOf(error);
  for (const [index, part] of parts.entries()) found.push([`error ${index + 1} of ${count}`, part]);
  return found;
}

/** Appends what is behind the error, its causes first; `seen`: errors that are in the text already. */
function appendBehind(text: string, error: object, seen: object[]): string {
  let whole = text;
  for (const [relation, value] of behind(error)) {
    if (seen.length > mostErrors) return whole;
    const line = whole === "" || whole.endsWith("\n") ? "" : "\n";
    if (typeof value !== "object" || value === null) whole += `${line}${relation} ${cut(describe(value))}\n`;
    else if (seen.includes(value)) whole += `${line}${relation} an error above: ${titleOf(value)}\n`;
    else {
      seen.push(value);
      whole += `${line}${relation} ${isError(value) ? titleOf(value) : cut(tolerantJson(value))}\n`;
      if (isError(value)) whole = appendBehind(whole + firstLines(ownStack(value) ?? "", mostPartCharacters), value, seen);
    }
  }
  return whole;
}

/** Frames of the error and of all behind it; undefined without frames. */
function wholeStack(error: object): string | undefined {
  const whole = appendBehind(firstLines(ownStack(error) ?? "", hardLimits.errorTextBytes / 2), error, [error]);
  return whole === "" ? undefined : cutText(whole, hardLimits.errorTextBytes);
}

/** An error as lines of text, with its stack and what caused it. */
export function errorText(error: Error): string {
  const stack = wholeStack(error);
  return stack === undefined ? titleOf(error) : `${titleOf(error)}\n${stack.trimEnd()}`;
}

/** True for an error that wraps one with a code, such as a peer's: that one is the reason. */
function hasReason(error: object): boolean {
  const cause = property(error, "cause");
  return typeof cause === "object" && cause !== null && isCode(property(cause, "code"));
}

/** Reads an error of any kind. `fallback` is the code of one that has none. Never throws, whatever was thrown. */
export function readFailure(error: unknown, fallback: string): Failure {
  const unreadable = {
    code: fallback,
    message: "the flow threw a value that can't be read",
    stack: undefined,
    retry: true,
    flaw: false,
    status: 0,
  };
  try {
    if (typeof error !== "object" || error === null) {
      return { ...unreadable, message: `the flow threw ${describe(error)} instead of an Error` };
    }
    const told = reasonOf(error);
    const name = property(told, "name");
    const code = property(error, "code");
    const status = property(error, "status");
    const engine = engineCode(name, property(told, "message"));
    const text = messageOf(told);
    if (text === indescribable) return unreadable;
    const titled = typeof name === "string" && name !== "Error" && name !== "FlowError" && engine === undefined ? `${name}: ${text}` : text;
    const retry = property(error, "retry");
    const flaw = typeof retry !== "boolean" && engine === undefined && !isCode(code) && flaws.includes(name) && !hasReason(error);
    return {
      code: engine ?? (isCode(code) ? code : fallback),
      message: cutText(engine === undefined ? titled : engineMessage(engine, text), hardLimits.errorTextBytes),
      stack: wholeStack(told),
      retry:
        retry !== false &&
        !flaw &&
        engine !== "MF_STACK_OVERFLOW" &&
        engine !== "MF_EFFECT_LIMIT" &&
        engine !== "MF_NO_INTL" &&
        engine !== "MF_GLOBAL_MISSING",
      flaw,
      status: error instanceof FlowError && isErrorStatus(status) ? status : 0,
    };
  } catch {
    return unreadable;
  }
}

/** A value as JSON can hold it: what JSON has no form for is described, a cycle is named, and what throws is left out. */
class Plain {
  readonly #open: unknown[] = [];
  #values = 0;
  #errors = 0;

  of(item: unknown, depth = 0): unknown {
    if (typeof item === "bigint" || typeof item === "function" || typeof item === "symbol") return describe(item);
    if (typeof item !== "object" || item === null) return item;
    if (this.#open.includes(item)) return "[cycle]";
    if (depth > mostDepth || ++this.#values > mostValues) return describe(item);
    this.#open.push(item);
    const plain = this.#object(item, depth + 1);
    this.#open.pop();
    return plain;
  }

  #object(item: object, depth: number): unknown {
    if (isError(item)) return this.#error(item, depth);
    if (item instanceof Map) return this.#members(Object.fromEntries(item), depth);
    if (item instanceof Set) return this.#items([...item], depth);
    const own = property(item, "toJSON");
    if (typeof own === "function") return own.call(item, "");
    if (ArrayBuffer.isView(item)) return describe(item);
    return Array.isArray(item) ? this.#items(item, depth) : this.#members(item, depth);
  }

  #items(items: readonly unknown[], depth: number): unknown[] {
    const plain: unknown[] = [];
    for (let index = 0; index < items.length && this.#values <= mostValues; index++) plain.push(this.#member(items, String(index), depth));
    return plain;
  }

  #members(item: object, depth: number): object {
    const plain: Record<string, unknown> = {};
    for (const name of Object.keys(item)) {
      if (++this.#values > mostValues) break;
      plain[name] = this.#member(item, name, depth);
    }
    return plain;
  }

  #member(item: object, name: string, depth: number): unknown {
    try {
      return this.of((item as Record<string, unknown>)[name], depth);
    } catch (error) {
      return `unreadable: ${describe(error)}`;
    }
  }

  #error(error: Error, depth: number): object | string {
    if (++this.#errors > mostErrors) return titleOf(error);
    const name = property(error, "name");
    const { code, message } = readFailure(error, "");
    const { parts } = partsOf(error);
    const stack = ownStack(error);
    return {
      name: typeof name === "string" ? name : undefined,
      code: code === "" ? undefined : code,
      message: cut(message),
      // The first error's stack matters most, and fields are bounded together.
      stack: stack === undefined ? undefined : firstLines(stack, this.#errors === 1 ? mostPartCharacters : mostPartCharacters / 4),
      cause: this.#member(error, "cause", depth),
      errors: parts.length === 0 ? undefined : this.#items(parts, depth),
    };
  }
}

/** JSON of anything; never throws. */
export function tolerantJson(value: unknown): string {
  try {
    return JSON.stringify(new Plain().of(value)) ?? "null";
  } catch (error) {
    return JSON.stringify({ unserialisable: describe(error) });
  }
}
