/**
 * The port to whoever keeps or exports what happens to messages: history, telemetry. Delivery tells it facts after the event, with times.
 * Its methods return at once, and a failure inside them is the witness's own: delivery goes on.
 */
import type { DeliverEvent, Event, Headers, LogEffect, StepOutcome } from "#abi";
import type { Failure, Reply } from "./message.ts";
import type { Flow } from "./runner.ts";

export interface WitnessedMessage {
  readonly flow: string;
  readonly id: string;
  readonly source: string;
  readonly headers: Headers;
  readonly contentType: string;
  readonly body: Uint8Array;
  readonly key: string | undefined;
  readonly correlationId: string | undefined;
  /** Milliseconds since 1970. */
  readonly receivedMs: number;
}

export interface WitnessedCall {
  readonly call: number;
  readonly operation: "request" | "fetch" | "state";
  readonly target: string;
  readonly startedMs: number;
  readonly endedMs: number;
  /** Code of the failure the machine was told, undefined for an answer. */
  readonly code: string | undefined;
  /** Of the answer, 0 for a failure. */
  readonly status: number;
}

/** One attempt that has ended. Nothing in it is changed afterwards. All times are milliseconds since 1970. */
export interface WitnessedAttempt {
  readonly attempt: number;
  readonly flow: Flow;
  readonly startedMs: number;
  readonly endedMs: number;
  /** Undefined: no machine was started. */
  readonly deliver: DeliverEvent | undefined;
  /** In the order the machine got them. */
  readonly events: readonly Exclude<Event, DeliverEvent>[];
  /** Answers to `deliver` and `events`. */
  readonly steps: readonly StepOutcome[];
  readonly calls: readonly WitnessedCall[];
  /** As the record has them: in the flow's sources. */
  readonly logs: readonly LogEffect[];
  readonly failure: Failure | undefined;
  readonly reply: Reply | undefined;
  /** True: it was too long to be kept until its end. `steps` have no effects, `events` no bodies, and the last ones may be missing. */
  readonly leftOut?: true;
}

/** The end of a message. `dead` has a dead letter, `failed` has none. */
export interface WitnessedEnd {
  readonly status: "done" | "failed" | "dead";
  /** The one that ended it; undefined if none was made. */
  readonly last: WitnessedAttempt | undefined;
  readonly attempts: number;
  readonly endedMs: number;
  readonly failure: Failure | undefined;
  readonly letter: string | undefined;
}

/** One attempt to deliver a committed send. */
export interface WitnessedDelivery {
  readonly flow: string;
  readonly messageId: string;
  readonly outlet: string;
  readonly connector: string;
  readonly idempotencyKey: string;
  readonly headers: Headers;
  readonly attempt: number;
  readonly startedMs: number;
  readonly endedMs: number;
  readonly status: "sent" | "retry" | "waiting" | "dead";
  readonly failure: Failure | undefined;
  readonly letter: string | undefined;
}

export interface Witness {
  /** False: this one has no use for an attempt at the message, and events and steps are not collected for it. */
  wants(message: WitnessedMessage): boolean;
  /** An attempt after which the message is tried again. */
  attempted(message: WitnessedMessage, attempt: WitnessedAttempt): void;
  ended(message: WitnessedMessage, end: WitnessedEnd): void;
  delivered(delivery: WitnessedDelivery): void;
}
