/** A flow test as data: what is given to a machine, and what must come of it. */

export interface BodySpec {
  readonly json?: unknown;
  readonly text?: string;
  readonly base64?: string;
  /** Relative to the test's file. */
  readonly file?: string;
  readonly contentType?: string;
  /** A list where the sender repeats the header. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
}

export interface MessageSpec extends BodySpec {
  readonly key?: string;
  readonly id?: string;
  readonly source?: string;
  readonly attempt?: number;
}

export interface AnswerSpec extends BodySpec {
  readonly status?: number;
  /** Virtual time it takes, such as `5s`. */
  readonly after?: string;
  readonly error?: { readonly code: string; readonly message?: string };
}

export interface SignalSpec extends BodySpec {
  readonly name: string;
  /** Absent: it fits a wait with any key. */
  readonly key?: string;
  readonly id?: string;
  /** Virtual time after the message, such as `1h`. */
  readonly after?: string;
}

export interface GivenSpec {
  readonly signals?: readonly SignalSpec[];
  readonly message?: MessageSpec;
  readonly state?: Readonly<Record<string, unknown>>;
  readonly states?: Readonly<Record<string, unknown>>;
  readonly outlets?: Readonly<Record<string, AnswerSpec | readonly AnswerSpec[]>>;
  readonly fetch?: Readonly<Record<string, AnswerSpec | readonly AnswerSpec[]>>;
  readonly time?: string;
  readonly seed?: string;
}

export interface ContentSpec extends BodySpec {
  readonly jsonLike?: unknown;
  readonly status?: number;
  readonly outlet?: string;
  readonly fetch?: string;
  readonly method?: string;
  readonly key?: string | null;
  /** Delay of a send, such as `1h`. */
  readonly after?: string;
  /** Number of the transaction it was committed with, from 1. */
  readonly transaction?: number;
}

export interface WaitSpec {
  readonly name: string;
  readonly key?: string;
  /** Time from the beginning of the sleep; null: the wait has no end of its own. */
  readonly timeout?: string | null;
  readonly question?: string;
  readonly options?: readonly string[];
}

export interface AsleepSpec {
  readonly waits?: readonly WaitSpec[];
  /** Times from the beginning of the sleep. */
  readonly timers?: readonly string[];
}

export interface ExpectSpec {
  readonly reply?: ContentSpec | null;
  readonly sends?: readonly ContentSpec[];
  readonly requests?: readonly ContentSpec[];
  readonly logs?: readonly { readonly level?: string; readonly text?: string; readonly fields?: Readonly<Record<string, unknown>> }[];
  readonly error?: { readonly code?: string; readonly message?: string; readonly retry?: boolean; readonly status?: number };
  readonly state?: Readonly<Record<string, unknown>>;
  /** Waits that are open at the end. */
  readonly asleep?: AsleepSpec;
  /** The message it continues as; null: none. */
  readonly continue?: ContentSpec | null;
}

export interface CaseSpec extends GivenSpec {
  readonly name: string;
  readonly expect: ExpectSpec;
  /** Where it stands in its file, from 1. */
  readonly line: number;
}

export interface TestFile {
  readonly path: string;
  /** Absolute. */
  readonly flow: string;
  readonly cases: readonly CaseSpec[];
}
