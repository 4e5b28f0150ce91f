/** Types of `import … from "mayfly/test"`: tests of a flow in TypeScript, run by `mayfly test` in real machines. */

/** A body: at most one of json, text, bytes and file. */
export interface BodyInput {
  readonly json?: unknown;
  readonly text?: string;
  readonly bytes?: Uint8Array;
  /** Relative to the test's file. */
  readonly file?: string;
  /** Default: by what the body is, or the file's ending. */
  readonly contentType?: string;
  /** A list where the sender repeats the header. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
}

export interface MessageInput extends BodyInput {
  readonly key?: string;
  readonly id?: string;
  readonly source?: string;
  readonly attempt?: number;
}

export interface AnswerInput extends BodyInput {
  readonly status?: number;
  /** Virtual time the answer takes, such as "5s". */
  readonly after?: string;
  /** There is no answer: the request is rejected so. */
  readonly error?: { readonly code: string; readonly message?: string };
}

/** One answer for every request, answers in turn, or a function of the request. */
export type AnswersInput = AnswerInput | readonly AnswerInput[] | ((request: Request) => AnswerInput);

export interface SignalInput extends BodyInput {
  readonly name: string;
  /** Absent: it fits a wait with any key. */
  readonly key?: string;
  readonly id?: string;
  /** Virtual time after the message at which it comes in, such as "1h"; at once unless given. */
  readonly after?: string;
}

export interface RunInput {
  readonly message?: MessageInput;
  /** For the flow's durable waits. Of two that come at one time the first is older. */
  readonly signals?: readonly SignalInput[];
  /** State under the message's key. */
  readonly state?: Readonly<Record<string, unknown>>;
  /** State under other keys. */
  readonly states?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly outlets?: Readonly<Record<string, AnswersInput>>;
  /** By the beginning of the URL. */
  readonly fetch?: Readonly<Record<string, AnswersInput>>;
  /** Default: 2026-01-01T00:00:00Z. */
  readonly time?: string;
  /** Hexadecimal. Default: zero, so that a test is the same each time. */
  readonly seed?: string;
}

export interface Content {
  readonly contentType: string;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly bytes: Uint8Array;
  text(): string;
  json<T = any>(): T;
}

export interface Reply extends Content {
  readonly status: number;
}

export interface Send extends Content {
  readonly outlet: string;
  readonly key: string | undefined;
  /** Number of the transaction it was committed with, from 1. */
  readonly transaction: number;
  /** Milliseconds by which it is delayed. */
  readonly afterMs: number;
}

export interface Wait {
  readonly name: string;
  readonly key: string;
  /** Undefined: it has no end of its own. */
  readonly until: Date | undefined;
  /** Of an approval. */
  readonly question: string | undefined;
  readonly options: readonly string[] | undefined;
}

export interface Request extends Content {
  readonly operation: "request" | "fetch";
  /** The outlet's name, or the URL. */
  readonly target: string;
  readonly method: string;
}

export interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly text: string;
  readonly fields: Readonly<Record<string, any>> | undefined;
}

export interface FlowFailure {
  readonly code: string;
  readonly message: string;
  readonly retry: boolean;
  /** HTTP status the flow asked for, 0 for none. */
  readonly status: number;
  /** Places in the flow's source, innermost first. */
  readonly stack: readonly string[];
}

export interface RunOutcome {
  /** "asleep": no signal is left, nothing is due, and the flow still waits. */
  readonly status: "done" | "failed" | "asleep";
  readonly reply: Reply | undefined;
  /** In order; none of a transaction that failed, since nothing of it leaves. */
  readonly sends: readonly Send[];
  /** Waits and timers of a flow that is asleep at the end. */
  readonly asleep: { readonly waits: readonly Wait[]; readonly timers: readonly Date[] } | undefined;
  /** 1, and 1 for each time it woke. */
  readonly transactions: number;
  /** The message it continues as. */
  readonly continues: Content | undefined;
  readonly requests: readonly Request[];
  readonly logs: readonly LogLine[];
  readonly error: FlowFailure | undefined;
  /** State under the message's key after the run. */
  readonly state: Readonly<Record<string, unknown>> | undefined;
}

export interface TestContext {
  /** Runs one message through a fresh machine of the flow beside the test, or of `flow`, a path relative to the test. */
  run(input?: RunInput, flow?: string): Promise<RunOutcome>;
}

/** Registers a test. What it throws fails it; use node:assert or any other assertions. */
export function test(name: string, body: (context: TestContext) => void | Promise<void>): void;
