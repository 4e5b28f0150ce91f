/** Events: the frames that enter through the door. Part 0 of every event is its time, so that a clock needs nothing else. */
import { assert, err, ok, type Result } from "#base";
import { decodeFrame, encodeFrame, encodeRecordInto, oneRecord, type Part, type PartRecord } from "./frame.ts";
import { hardLimits } from "./limits.ts";

export const EventKind = { deliver: 1, resolve: 2, wake: 3, cancel: 4, signal: 5, resume: 6 } as const;

/** A message for a machine in its pristine state. Always a machine's first event, and only that. */
export interface DeliverEvent {
  readonly kind: "deliver";
  /** Milliseconds since 1970; `Date.now()` inside the step. */
  readonly timeMs: number;
  /** 32 bytes from which every random value of this machine is drawn. Never used twice. */
  readonly seed: Uint8Array;
  readonly id: string;
  /** Name of the source: `http`, `cron`, `file`, … */
  readonly source: string;
  /** 1 for the first attempt. */
  readonly attempt: number;
  /** The key that orders messages and owns `state`, when the flow has one. */
  readonly key: string | undefined;
  /** A JSON object: lower-case name → text, or a list of two texts and more. */
  readonly headersJson: string;
  /** A JSON object: the state kept under `key`, name → value; absent without state. */
  readonly stateJson: string | undefined;
  readonly body: Uint8Array;
}

/** The answer to a `call`: a result, or an error with a code. */
export interface ResolveEvent {
  readonly kind: "resolve";
  readonly timeMs: number;
  /** The call's number, as the machine gave it. */
  readonly call: number;
  /** `undefined` when the call was answered; otherwise why it was not. */
  readonly error: { readonly code: string; readonly message: string } | undefined;
  /** HTTP status, or 200 where the outlet has no such thing; 0 with an error. */
  readonly status: number;
  readonly headersJson: string;
  readonly body: Uint8Array;
  /** Where the body stands, for the answer to a `window`: a recording has this in place of the bytes. The machine never gets it. */
  readonly window?: StoredWindow | undefined;
}

/** A piece of a body that is kept apart. */
export interface StoredWindow {
  /** Of the whole body, 64 hexadecimal digits. */
  readonly sha256: string;
  readonly offset: number;
  /** Length of the piece. */
  readonly bytes: number;
}

/** A timer is due. */
export interface WakeEvent {
  readonly kind: "wake";
  readonly timeMs: number;
  readonly timer: number;
}

/** The message is given up: the caller left, or its time is over. The machine may log; what it sends is not carried out. */
export interface CancelEvent {
  readonly kind: "cancel";
  readonly timeMs: number;
  readonly reason: string;
}

/** The end of a wait: its signal, or its time is over. */
export interface SignalEvent {
  readonly kind: "signal";
  readonly timeMs: number;
  /** The wait's number, as the machine gave it. */
  readonly wait: number;
  /** Of the signal; absent when the wait's time is over, and then headers and body say nothing. */
  readonly id: string | undefined;
  readonly headersJson: string;
  readonly body: Uint8Array;
}

/** A sleeping machine is awake: its next transaction begins. The events that woke it follow. */
export interface ResumeEvent {
  readonly kind: "resume";
  readonly timeMs: number;
  /** 1 for the first attempt at this transaction. */
  readonly attempt: number;
  /** As of now; what the machine knew of the state before is void. */
  readonly stateJson: string | undefined;
}

export type Event = DeliverEvent | ResolveEvent | WakeEvent | CancelEvent | SignalEvent | ResumeEvent;

export function eventParts(event: Event): readonly Part[] {
  switch (event.kind) {
    case "deliver":
      assert(event.seed.length === hardLimits.seedBytes, "a seed is 32 bytes");
      return [event.timeMs, event.seed, event.id, event.source, event.attempt, event.key, event.headersJson, event.stateJson, event.body];
    case "resolve":
      return [event.timeMs, event.call, event.error?.code, event.error?.message, event.status, event.headersJson, event.body];
    case "wake":
      return [event.timeMs, event.timer];
    case "cancel":
      return [event.timeMs, event.reason];
    case "signal":
      return [event.timeMs, event.wait, event.id, event.headersJson, event.body];
    case "resume":
      return [event.timeMs, event.attempt, event.stateJson];
  }
}

/** Parts as a recording has them: a window is named and not repeated. */
export function recordedParts(event: Event): readonly Part[] {
  if (event.kind !== "resolve" || event.window === undefined) return eventParts(event);
  const { timeMs, call, error, status, headersJson, window } = event;
  return [timeMs, call, error?.code, error?.message, status, headersJson, noBytes, window.sha256, window.offset, window.bytes];
}

const noBytes = new Uint8Array(0);

export function encodeEvent(event: Event): Uint8Array {
  return encodeFrame([{ kind: EventKind[event.kind], parts: eventParts(event) }]);
}

/** Writes an event's frame into `target`, which may be shared memory. Its length, or −1 when it might not fit. */
export function encodeEventInto(target: Buffer, event: Event): number {
  return encodeRecordInto(target, EventKind[event.kind], eventParts(event));
}

/** Reads one event; total on hostile bytes. Bodies are views into `frame`. */
export function decodeEvent(frame: Uint8Array): Result<Event, string> {
  const decoded = decodeFrame(frame, oneRecord);
  if (!decoded.ok) return decoded;
  const record = decoded.value[0];
  return record === undefined ? err("event: none in the frame") : eventOf(record, record.kind);
}

const sha256 = /^[0-9a-f]{64}$/;

function windowOf(fields: PartRecord): StoredWindow {
  return { sha256: fields.text(7, 64), offset: fields.count(8, Number.MAX_SAFE_INTEGER), bytes: fields.count(9, hardLimits.windowBytes) };
}

/** The event in a record, whose kind says which. */
export function eventOf(record: PartRecord, kind: number): Result<Event, string> {
  switch (kind) {
    case EventKind.deliver: {
      const fields = record.expect(9);
      const event: DeliverEvent = {
        kind: "deliver",
        timeMs: fields.number(0),
        seed: fields.bytes(1),
        id: fields.text(2, hardLimits.nameBytes),
        source: fields.text(3, hardLimits.nameBytes),
        attempt: fields.count(4, 0xffff_ffff),
        key: fields.optionalText(5, hardLimits.keyBytes),
        headersJson: fields.text(6, hardLimits.headersBytes),
        stateJson: fields.optionalText(7, hardLimits.frameBytes),
        body: fields.bytes(8),
      };
      return fields.valid && event.seed.length === hardLimits.seedBytes ? ok(event) : err("deliver: misshapen");
    }
    case EventKind.resolve: {
      const isWindow = record.length === 10;
      const fields = record.expect(isWindow ? 10 : 7);
      const code = fields.optionalText(2, hardLimits.nameBytes);
      const message = fields.optionalText(3, hardLimits.errorTextBytes);
      const event: ResolveEvent = {
        kind: "resolve",
        timeMs: fields.number(0),
        call: fields.count(1, 0xffff_ffff),
        error: code === undefined ? undefined : { code, message: message ?? "" },
        status: fields.count(4, 999),
        headersJson: fields.text(5, hardLimits.headersBytes),
        body: fields.bytes(6),
        ...(isWindow ? { window: windowOf(fields) } : {}),
      };
      const isWhole = event.window === undefined || (sha256.test(event.window.sha256) && event.body.length === 0);
      return fields.valid && isWhole ? ok(event) : err("resolve: misshapen");
    }
    case EventKind.wake: {
      const fields = record.expect(2);
      const event: WakeEvent = { kind: "wake", timeMs: fields.number(0), timer: fields.count(1, 0xffff_ffff) };
      return fields.valid ? ok(event) : err("wake: misshapen");
    }
    case EventKind.cancel: {
      const fields = record.expect(2);
      const event: CancelEvent = { kind: "cancel", timeMs: fields.number(0), reason: fields.text(1, hardLimits.errorTextBytes) };
      return fields.valid ? ok(event) : err("cancel: misshapen");
    }
    case EventKind.signal: {
      const fields = record.expect(5);
      const event: SignalEvent = {
        kind: "signal",
        timeMs: fields.number(0),
        wait: fields.count(1, 0xffff_ffff),
        id: fields.optionalText(2, hardLimits.nameBytes),
        headersJson: fields.text(3, hardLimits.headersBytes),
        body: fields.bytes(4),
      };
      return fields.valid ? ok(event) : err("signal: misshapen");
    }
    case EventKind.resume: {
      const fields = record.expect(3);
      const event: ResumeEvent = {
        kind: "resume",
        timeMs: fields.number(0),
        attempt: fields.count(1, 0xffff_ffff),
        stateJson: fields.optionalText(2, hardLimits.frameBytes),
      };
      return fields.valid ? ok(event) : err("resume: misshapen");
    }
    default:
      return err(`event: unknown kind ${kind}`);
  }
}
