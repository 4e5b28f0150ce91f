/** The part `nodeassert`: Node's assert. Its messages name what differs, without a picture of the difference. */
import { deepEqual } from "./equal.ts";
import { inspect } from "./inspect.ts";

type Expected = RegExp | (new (...values: never[]) => unknown) | ((error: unknown) => boolean) | object;
interface Difference {
  readonly message?: string | Error | undefined;
  readonly actual?: unknown;
  readonly expected?: unknown;
  readonly operator?: string;
}

export class AssertionError extends Error {
  readonly code = "ERR_ASSERTION";
  readonly actual: unknown;
  readonly expected: unknown;
  readonly operator: string | undefined;
  readonly generatedMessage: boolean;

  constructor({ message, actual, expected, operator }: Difference = {}) {
    super(typeof message === "string" ? message : `${inspect(actual)} ${operator} ${inspect(expected)}`);
    this.name = "AssertionError";
    this.actual = actual;
    this.expected = expected;
    this.operator = operator;
    this.generatedMessage = message === undefined;
  }
}

function failWith(difference: Difference): never {
  if (difference.message instanceof Error) throw difference.message;
  throw new AssertionError(difference);
}

type Compare = (actual: unknown, expected: unknown, message?: string | Error) => void;

function comparison(operator: string, holds: (a: unknown, b: unknown) => boolean, sentence: string): Compare {
  return (actual, expected, message) => {
    if (holds(actual, expected)) return;
    const text = `${sentence}\n\n${inspect(actual)} should ${operator} ${inspect(expected)}`;
    failWith({ message: message ?? text, actual, expected, operator });
  };
}

// biome-ignore lint/suspicious/noDoubleEquals: what assert.equal means
const looseEqual = (a: unknown, b: unknown): boolean => a == b || (a !== a && b !== b);
const not = (holds: (a: unknown, b: unknown) => boolean) => (a: unknown, b: unknown) => !holds(a, b);
const deepLoose = (a: unknown, b: unknown): boolean => deepEqual(a, b, true);
const deepStrict = (a: unknown, b: unknown): boolean => deepEqual(a, b);

function ok(value?: unknown, message?: string | Error): asserts value {
  if (!value) failWith({ message: message ?? "The expression evaluated to a falsy value", actual: value, expected: true, operator: "==" });
}

/** Does an error match what was expected of it? */
function matches(error: unknown, expected: Expected): boolean {
  if (expected instanceof RegExp) return expected.test(String(error));
  if (typeof expected === "object")
    return (
      Object.entries(expected).every(([name, wanted]) => {
        const found = (error as Record<string, unknown> | undefined)?.[name];
        return wanted instanceof RegExp && typeof found === "string" ? wanted.test(found) : deepEqual(found, wanted);
      }) &&
      (!(expected instanceof Error) || (error as Error).message === expected.message)
    );
  if (expected.prototype !== undefined && error instanceof (expected as new () => unknown)) return true;
  if (Object.prototype.isPrototypeOf.call(Error, expected)) return false;
  return (expected as (error: unknown) => boolean).call({}, error) === true;
}

function check(thrown: { readonly error: unknown } | undefined, operator: string, expected?: Expected | string, message?: string): void {
  const text = typeof expected === "string" ? expected : message;
  if (thrown === undefined)
    failWith({ message: text ?? `Missing expected ${operator === "rejects" ? "rejection" : "exception"}.`, operator });
  if (expected === undefined || typeof expected === "string" || matches(thrown.error, expected)) return;
  failWith({
    message: text ?? `The error is expected to match ${inspect(expected)}, but is ${String(thrown.error)}`,
    actual: thrown.error,
    expected,
    operator,
  });
}

function caught(action: () => unknown): { readonly error: unknown } | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    return { error };
  }
}

async function rejected(action: Promise<unknown> | (() => Promise<unknown>)): Promise<{ readonly error: unknown } | undefined> {
  try {
    await (typeof action === "function" ? action() : action);
    return undefined;
  } catch (error) {
    return { error };
  }
}

function unwanted(thrown: { readonly error: unknown } | undefined, message?: unknown): void {
  if (thrown === undefined) return;
  const text = typeof message === "string" ? `: ${message}` : ".";
  failWith({
    message: `Got unwanted exception${text}\nActual message: "${(thrown.error as Error | undefined)?.message}"`,
    actual: thrown.error,
  });
}

const common = {
  AssertionError,
  ok,
  fail: (message?: string | Error): never => failWith({ message: message ?? "Failed", operator: "fail" }),
  ifError(value: unknown): void {
    if (value !== null && value !== undefined)
      failWith({ message: `ifError got unwanted exception: ${(value as Error).message ?? inspect(value)}`, actual: value });
  },
  match: comparison("match", (text, pattern) => typeof text === "string" && (pattern as RegExp).test(text), "The input did not match:"),
  doesNotMatch: comparison(
    "not match",
    (text, pattern) => typeof text === "string" && !(pattern as RegExp).test(text),
    "The input matched:",
  ),
  throws: (action: () => unknown, expected?: Expected | string, message?: string): void =>
    check(caught(action), "throws", expected, message),
  doesNotThrow: (action: () => unknown, message?: unknown): void => unwanted(caught(action), message),
  rejects: async (action: Promise<unknown> | (() => Promise<unknown>), expected?: Expected | string, message?: string): Promise<void> =>
    check(await rejected(action), "rejects", expected, message),
  doesNotReject: async (action: Promise<unknown> | (() => Promise<unknown>), message?: unknown): Promise<void> =>
    unwanted(await rejected(action), message),
  strictEqual: comparison("strictEqual", Object.is, "Expected values to be strictly equal:"),
  notStrictEqual: comparison("notStrictEqual", not(Object.is), 'Expected "actual" to be strictly unequal to "expected":'),
  deepStrictEqual: comparison("deepStrictEqual", deepStrict, "Expected values to be strictly deep-equal:"),
  notDeepStrictEqual: comparison("notDeepStrictEqual", not(deepStrict), 'Expected "actual" not to be strictly deep-equal to "expected":'),
};

const strict = Object.assign((value?: unknown, message?: string | Error): void => ok(value, message), common, {
  equal: common.strictEqual,
  notEqual: common.notStrictEqual,
  deepEqual: common.deepStrictEqual,
  notDeepEqual: common.notDeepStrictEqual,
});
const loose = Object.assign((value?: unknown, message?: string | Error): void => ok(value, message), common, {
  equal: comparison("equal", looseEqual, "Expected values to be loosely equal:"),
  notEqual: comparison("notEqual", not(looseEqual), 'Expected "actual" to be loosely unequal to "expected":'),
  deepEqual: comparison("deepEqual", deepLoose, "Expected values to be loosely deep-equal:"),
  notDeepEqual: comparison("notDeepEqual", not(deepLoose), 'Expected "actual" not to be loosely deep-equal to "expected":'),
  strict,
});
Object.assign(strict, { strict });

export default loose;
