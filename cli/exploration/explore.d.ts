/** Types of `import … from "mayfly/explore"`: what may happen to a flow, and the rules that must hold whatever happens. Run by `mayfly explore`. */

/** A body: at most one of json, text, bytes and file. */
export interface BodyInput {
  readonly json?: unknown;
  readonly text?: string;
  readonly bytes?: Uint8Array;
  /** Relative to the file of the exploration. */
  readonly file?: string;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
}

/** A message that comes once, at any time. */
export interface MessageInput extends BodyInput {
  /** Name of its flow, where there are several; the first unless given. */
  readonly flow?: string;
  readonly id?: string;
  readonly key?: string;
  readonly source?: string;
  /** State under its key at the beginning. */
  readonly state?: Readonly<Record<string, unknown>>;
  /** It may come once more, as another message; false unless given. */
  readonly repeats?: boolean;
}

/** A signal that comes once, at any time: before its wait, in it, or when its time is over. */
export interface SignalInput extends BodyInput {
  readonly flow?: string;
  readonly name: string;
  /** Absent: it fits a wait with any key. */
  readonly key?: string;
  /** It may come once more, as another signal: its sender gives it no id. True unless given. */
  readonly repeats?: boolean;
}

/** One way in which a request may be answered. */
export interface AnswerInput extends BodyInput {
  readonly status?: number;
  readonly error?: { readonly code: string; readonly message?: string };
}

export interface Content {
  readonly contentType: string;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly bytes: Uint8Array;
  text(): string;
  json(): any;
}

/** A send or a request, as its peer gets it. */
export interface Deed extends Content {
  readonly kind: "send" | "request";
  readonly flow: string;
  readonly messageId: string;
  /** Name of the outlet, or the URL of a fetch. */
  readonly outlet: string;
  readonly key: string | undefined;
  readonly method: string;
  readonly idempotencyKey: string;
  /** Number of the transaction, from 1. */
  readonly transaction: number;
  /** Milliseconds since the beginning. */
  readonly atMs: number;
}

export interface Deeds extends ReadonlyArray<Deed> {
  /** Those to one outlet, or to URLs that begin so. */
  to(outlet: string): readonly Deed[];
}

export interface Message extends Content {
  readonly flow: string;
  readonly id: string;
  readonly key: string | undefined;
  /** `resting`: its transaction runs again. `dead`: it has failed for good. */
  readonly status: "awake" | "asleep" | "resting" | "done" | "dead";
  readonly error: { readonly code: string; readonly message: string } | undefined;
  /** Of one that sleeps. */
  readonly waits: readonly { readonly name: string; readonly key: string }[];
}

/** All that has happened so far. */
export interface World {
  /** Committed sends, as a peer takes them that honours idempotency keys: each key once. */
  readonly sends: Deeds;
  /** Requests and fetches, in the same way. */
  readonly requests: Deeds;
  /** Requests as they were made, repeated ones as well. */
  readonly attempts: Deeds;
  readonly messages: readonly Message[];
  /** Signals that are kept and have ended no wait yet. */
  readonly signals: readonly { readonly flow: string; readonly name: string; readonly key: string | undefined }[];
  /** State under a key. */
  state(flow: string, key: string): Readonly<Record<string, any>>;
  /** Nothing can come any more. */
  readonly ended: boolean;
  /** Milliseconds since the beginning. */
  readonly nowMs: number;
}

/** False, a sentence or a throw breaks the rule. Asked after every event: let a rule about the end hold while `ended` is false. */
export type Invariant = (world: World) => boolean | string | void;

export type Coming = (MessageInput & { readonly name?: undefined }) | SignalInput;

export interface Exploration {
  /** The flow's file, relative to this one; NAME.ts beside NAME.explore.ts unless given. */
  readonly flow?: string;
  /** Several flows: files by name. */
  readonly flows?: Readonly<Record<string, string>>;
  readonly messages: readonly MessageInput[];
  readonly signals?: readonly SignalInput[];
  /**
   * By outlet, each way in which a request may be answered; `{}` with 200 unless given. That no answer comes in time is always tried as well,
   * `bounds.errors` times in a schedule.
   */
  readonly answers?: Readonly<
    Record<string, AnswerInput | readonly AnswerInput[] | ((request: Content) => AnswerInput | readonly AnswerInput[])>
  >;
  /** The same by the beginning of the URL. */
  readonly fetch?: Exploration["answers"];
  /** By outlet, or by `flow.outlet`: what a committed send becomes that goes to one of the flows. */
  readonly routes?: Readonly<
    Record<string, (send: Content & { readonly key: string | undefined }) => Coming | readonly Coming[] | undefined>
  >;
  readonly invariants?: Readonly<Record<string, Invariant>>;
  /** Of one schedule; 1 of each, 2 attempts and 60 events after the last message or signal unless given. */
  readonly bounds?: {
    readonly crashes?: number;
    readonly errors?: number;
    readonly duplicates?: number;
    /** Machines that are woken later than they could. */
    readonly delays?: number;
    readonly attempts?: number;
    /** Messages that one may continue as. */
    readonly turns?: number;
    readonly events?: number;
  };
}

/** Gives it back, checked by its type: the default export of a NAME.explore.ts. */
export function explore(exploration: Exploration): Exploration;
