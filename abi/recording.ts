/**
 * A recording: everything one attempt received and did. A machine is a pure function of its image and its events, so a recording is
 * enough to run the attempt again, bit for bit, on any monitor.
 */
import type { Effect } from "./effects.ts";
import type { DeliverEvent, Event } from "./events.ts";
import type { FlowLimits } from "./limits.ts";
import type { StepFailure } from "./outcome.ts";

/** The answer of the machine to one event. */
export interface RecordedStep {
  readonly status: "waiting" | "done" | "failed" | "broken";
  /** In order; empty where `effects` are not recorded. */
  readonly effects: readonly Effect[];
  /** Of a step that the monitor ended. */
  readonly failure: StepFailure | undefined;
  /** CPU time of the step, in milliseconds. */
  readonly cpuMs: number;
  /** Pages of 64 KiB that the machine had changed at its end, against its image; 0 where the monitor does not count them. */
  readonly pages: number;
}

/** Part of a recording that was left out or replaced before it was written. */
export interface Redaction {
  /** Of the message and of what was sent, by lower-case name. */
  readonly headers: readonly string[];
  /** JSON pointers into JSON bodies. */
  readonly paths: readonly string[];
  /** `headers`: no body was recorded; `none`: neither bodies nor headers. */
  readonly bodies: "all" | "headers" | "none";
}

export interface Recording {
  /** Hash of the image that ran, 64 hexadecimal digits. */
  readonly imageSha256: string;
  readonly flow: string;
  readonly limits: FlowLimits;
  readonly deliver: DeliverEvent;
  /** Later events, in the order the machine got them. */
  readonly events: readonly Exclude<Event, DeliverEvent>[];
  /** One for each event that was answered, `deliver` first. */
  readonly steps: readonly RecordedStep[];
  /** Undefined: it is whole, and runs again bit for bit. */
  readonly redaction: Redaction | undefined;
}
