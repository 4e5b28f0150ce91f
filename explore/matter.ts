/** The input of an exploration, as data: flows, messages and signals they may get, answers to their calls, routes between them. */
import type { FlowLimits, Headers } from "#abi";
import type { CallAnswer, EffectRules, FlowRules } from "#gateway";
import type { InlineImage } from "#monitors";

export interface Served {
  readonly name: string;
  readonly image: InlineImage;
  readonly limits: FlowLimits;
  readonly effects: EffectRules;
  /** Of mayfly.yaml; without it every outlet exists and every host may be reached. */
  readonly rules: FlowRules | undefined;
  /** Somebody waits for the reply of each message: its machines can't sleep. */
  readonly callerWaits: boolean;
  /** How long a signal is kept that comes before its wait, in milliseconds. */
  readonly earlyMs: number;
}

interface Content {
  readonly flow: string;
  /** Names in lower case, content type included. */
  readonly headers: Headers;
  readonly body: Uint8Array;
  /** It may come once more, as if it were another. */
  readonly mayRepeat: boolean;
}

export interface MessageStimulus extends Content {
  readonly kind: "message";
  readonly id: string;
  readonly key: string | undefined;
  readonly source: string;
  readonly state: Readonly<Record<string, unknown>> | undefined;
}

export interface SignalStimulus extends Content {
  readonly kind: "signal";
  readonly name: string;
  /** Undefined: it fits a wait with any key. */
  readonly key: string | undefined;
}

export type Stimulus = MessageStimulus | SignalStimulus;

/** One way in which a call may end. */
export interface Choice {
  readonly answer: CallAnswer;
  readonly label: string;
  /** It is among the errors that are bounded. */
  readonly isDisturbance: boolean;
}

/** A send or a request, as its peer gets it. */
export interface Deed {
  readonly kind: "send" | "request";
  readonly flow: string;
  readonly messageId: string;
  readonly target: string;
  readonly key: string | undefined;
  readonly contentType: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
  /** The same over attempts: a peer that honours it takes the first alone. */
  readonly idempotencyKey: string;
  readonly atMs: number;
  /** From 1. */
  readonly transaction: number;
  readonly dueMs: number | undefined;
  readonly method: string;
}
