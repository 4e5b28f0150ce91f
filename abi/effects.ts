/** Effects: the frames that leave through the door. They come from a machine and are hostile until decoded. */
import { err, ok, type Result } from "#base";
import { decodeFrame, encodeFrame, type Part, type PartRecord } from "./frame.ts";
import { hardLimits } from "./limits.ts";

export const EffectKind = { log: 1, send: 2, call: 3, timer: 4, state: 5, done: 6, fail: 7, wait: 8, continue: 9 } as const;

export type LogLevel = "debug" | "info" | "warn" | "error";

/** A line for the log. Carried out at once, also when the flow fails later. */
export interface LogEffect {
  readonly kind: "log";
  readonly level: LogLevel;
  readonly text: string;
  /** A JSON object, or absent. Not checked to be JSON: whoever parses it must expect anything. */
  readonly fieldsJson: string | undefined;
}

/** A message for an outlet: carried out only if the flow completes. */
export interface SendEffect {
  readonly kind: "send";
  readonly outlet: string;
  /** Orders messages of one outlet, when given. */
  readonly key: string | undefined;
  readonly contentType: string;
  /** A JSON object: name → text, or a list of texts. */
  readonly headersJson: string;
  readonly body: Uint8Array;
  /** Not before this time, in milliseconds since 1970; absent for at once. */
  readonly dueMs?: number | undefined;
}

/** A request whose answer the flow awaits. Carried out at once; a retry of the message repeats it. */
export interface CallEffect {
  readonly kind: "call";
  /** The machine's number for it; the answer names it again. */
  readonly call: number;
  /**
   * `request`: to the outlet `target`. `fetch`: to the URL `target`. `state`: read the state kept under the key `target`.
   * `window`: read a piece of the message's stored body, from the offset in bytes that `target` says.
   */
  readonly operation: "request" | "fetch" | "state" | "window";
  readonly target: string;
  /** HTTP method, or empty for the outlet's own. */
  readonly method: string;
  readonly contentType: string;
  readonly headersJson: string;
  /** Give up after so many milliseconds; 0 leaves it to the outlet. */
  readonly timeoutMs: number;
  readonly body: Uint8Array;
}

/** Wake me at `dueMs`; a negative time takes the timer back. */
export interface TimerEffect {
  readonly kind: "timer";
  readonly timer: number;
  /** Milliseconds since 1970. */
  readonly dueMs: number;
}

/** Change the state kept under the message's key: `valueJson` absent deletes the name. Carried out only if the flow completes. */
export interface StateEffect {
  readonly kind: "state";
  readonly name: string;
  readonly valueJson: string | undefined;
}

/**
 * Wait durably, for a signal with this name and key or until `dueMs`. A machine that waits for nothing but waits and timers is put to
 * sleep: what it sent and stored so far is committed.
 */
export interface WaitEffect {
  readonly kind: "wait";
  /** The machine's number for it; the event that ends it names it again. */
  readonly wait: number;
  /** Absent takes the wait back. */
  readonly name: string | undefined;
  readonly key: string;
  /** Milliseconds since 1970, negative for a wait without an end of its own. */
  readonly dueMs: number;
  /** A `Question` as JSON, where a person answers; absent otherwise. Not checked to be JSON. */
  readonly questionJson: string | undefined;
}

/** The flow is complete, and this message takes its place, in a fresh machine of the flow's newest image. Always the last effect. */
export interface ContinueEffect {
  readonly kind: "continue";
  readonly contentType: string;
  readonly headersJson: string;
  readonly body: Uint8Array;
  /**
   * A batch is complete: the message is its own with its headers and body, and is read on from this position, which means something to the
   * machine alone. The other fields say nothing.
   */
  readonly position?: string | undefined;
}

/** The flow is complete. Always the last effect. */
export interface DoneEffect {
  readonly kind: "done";
  /** Absent when the flow gives no reply. */
  readonly reply:
    | { readonly status: number; readonly contentType: string; readonly headersJson: string; readonly body: Uint8Array }
    | undefined;
}

/** The flow gave up. Always the last effect; the message's sends and state changes are void. */
export interface FailEffect {
  readonly kind: "fail";
  /** `MF_…`, or the `code` the flow gave; never empty, and without white space and control characters once it was decoded. */
  readonly code: string;
  readonly message: string;
  readonly stack: string | undefined;
  /** False when another attempt can't help. */
  readonly retry: boolean;
  /** True for an error of the program itself, such as a TypeError: then `retry` is false unless somebody asks for more. */
  readonly flaw?: true;
  /** HTTP status the flow asks its caller to be told, 0 for none. */
  readonly status: number;
}

export type Effect =
  | LogEffect
  | SendEffect
  | CallEffect
  | TimerEffect
  | StateEffect
  | WaitEffect
  | DoneEffect
  | ContinueEffect
  | FailEffect;

/** Effects that end a machine: each is its last. */
export function isLast({ kind }: Effect): boolean {
  return isLastKind(EffectKind[kind]);
}

/** The same for a kind's number. */
export function isLastKind(kind: number): boolean {
  return kind === EffectKind.done || kind === EffectKind.fail || kind === EffectKind.continue;
}

/** In place of the flag `retry`: an error of the program itself. */
export const flawByte = 2;

/** A code goes into log lines, metrics and headers: what would break those is replaced. */
function tidyCode(code: string): string {
  const tidy = code.trim().replace(/[\p{C}\p{Z}]+/gu, "_");
  return /[^_]/.test(tidy) ? tidy : "MF_FLOW_FAILED";
}

const levels: readonly LogLevel[] = ["debug", "info", "warn", "error"];
const operations: readonly CallEffect["operation"][] = ["request", "fetch", "state", "window"];

export function effectParts(effect: Effect): readonly Part[] {
  switch (effect.kind) {
    case "log":
      return [levels.indexOf(effect.level), effect.text, effect.fieldsJson];
    case "send":
      return effect.dueMs === undefined
        ? [effect.outlet, effect.key, effect.contentType, effect.headersJson, effect.body]
        : [effect.outlet, effect.key, effect.contentType, effect.headersJson, effect.body, effect.dueMs];
    case "call":
      return [
        effect.call,
        operations.indexOf(effect.operation),
        effect.target,
        effect.method,
        effect.contentType,
        effect.headersJson,
        effect.timeoutMs,
        effect.body,
      ];
    case "timer":
      return [effect.timer, effect.dueMs];
    case "state":
      return [effect.name, effect.valueJson];
    case "wait":
      return [effect.wait, effect.name, effect.key, effect.dueMs, effect.questionJson];
    case "continue":
      return effect.position === undefined
        ? [effect.contentType, effect.headersJson, effect.body]
        : [effect.contentType, effect.headersJson, effect.body, effect.position];
    case "done":
      return effect.reply === undefined
        ? [undefined, undefined, undefined, undefined]
        : [effect.reply.status, effect.reply.contentType, effect.reply.headersJson, effect.reply.body];
    case "fail":
      return [effect.code, effect.message, effect.stack, effect.flaw === true ? Uint8Array.of(flawByte) : effect.retry, effect.status];
  }
}

/** Writes effects as a machine does; for tests and other monitors. */
export function encodeEffects(effects: readonly Effect[]): Uint8Array {
  return encodeFrame(effects.map((effect) => ({ kind: EffectKind[effect.kind], parts: effectParts(effect) })));
}

function decodeCall(record: PartRecord): CallEffect | undefined {
  const fields = record.expect(8);
  const effect: CallEffect = {
    kind: "call",
    call: fields.count(0, 0xffff_ffff),
    operation: operations[fields.count(1, operations.length - 1)] ?? "request",
    target: fields.text(2, hardLimits.headersBytes),
    method: fields.text(3, hardLimits.nameBytes),
    contentType: fields.text(4, hardLimits.nameBytes),
    headersJson: fields.text(5, hardLimits.headersBytes),
    timeoutMs: fields.count(6, 2 ** 31 - 1),
    body: fields.bytes(7),
  };
  return fields.valid ? effect : undefined;
}

function decodeDone(record: PartRecord): DoneEffect | undefined {
  const fields = record.expect(4);
  if (fields.valid && fields.absent(0) && fields.absent(1) && fields.absent(2) && fields.absent(3))
    return { kind: "done", reply: undefined };
  const reply = {
    status: fields.count(0, 999),
    contentType: fields.text(1, hardLimits.nameBytes),
    headersJson: fields.text(2, hardLimits.headersBytes),
    body: fields.bytes(3),
  };
  return fields.valid ? { kind: "done", reply } : undefined;
}

/** The effect in a record, whose kind says which; undefined when it is misshapen. */
export function effectOf(record: PartRecord, kind: number): Effect | undefined {
  switch (kind) {
    case EffectKind.log: {
      const fields = record.expect(3);
      const level = levels[fields.count(0, levels.length - 1)] ?? "info";
      const effect: LogEffect = {
        kind: "log",
        level,
        text: fields.text(1, hardLimits.logTextBytes),
        fieldsJson: fields.optionalText(2, hardLimits.frameBytes),
      };
      return fields.valid ? effect : undefined;
    }
    case EffectKind.send: {
      const isTimed = record.length === 6;
      const fields = record.expect(isTimed ? 6 : 5);
      const effect: SendEffect = {
        kind: "send",
        outlet: fields.text(0, hardLimits.nameBytes),
        key: fields.optionalText(1, hardLimits.keyBytes),
        contentType: fields.text(2, hardLimits.nameBytes),
        headersJson: fields.text(3, hardLimits.headersBytes),
        body: fields.bytes(4),
        ...(isTimed ? { dueMs: fields.number(5) } : {}),
      };
      return fields.valid ? effect : undefined;
    }
    case EffectKind.call:
      return decodeCall(record);
    case EffectKind.timer: {
      const fields = record.expect(2);
      const effect: TimerEffect = { kind: "timer", timer: fields.count(0, 0xffff_ffff), dueMs: fields.number(1) };
      return fields.valid ? effect : undefined;
    }
    case EffectKind.state: {
      const fields = record.expect(2);
      const effect: StateEffect = {
        kind: "state",
        name: fields.text(0, hardLimits.nameBytes),
        valueJson: fields.optionalText(1, hardLimits.frameBytes),
      };
      return fields.valid ? effect : undefined;
    }
    case EffectKind.wait: {
      const fields = record.expect(5);
      const effect: WaitEffect = {
        kind: "wait",
        wait: fields.count(0, 0xffff_ffff),
        name: fields.optionalText(1, hardLimits.nameBytes),
        key: fields.text(2, hardLimits.keyBytes),
        dueMs: fields.number(3),
        questionJson: fields.optionalText(4, hardLimits.questionBytes),
      };
      return fields.valid ? effect : undefined;
    }
    case EffectKind.continue: {
      const isBatch = record.length === 4;
      const fields = record.expect(isBatch ? 4 : 3);
      const effect: ContinueEffect = {
        kind: "continue",
        contentType: fields.text(0, hardLimits.nameBytes),
        headersJson: fields.text(1, hardLimits.headersBytes),
        body: fields.bytes(2),
        ...(isBatch ? { position: fields.text(3, hardLimits.positionBytes) } : {}),
      };
      return fields.valid ? effect : undefined;
    }
    case EffectKind.done:
      return decodeDone(record);
    case EffectKind.fail: {
      const fields = record.expect(5);
      const effect: FailEffect = {
        kind: "fail",
        code: tidyCode(fields.text(0, hardLimits.nameBytes)),
        message: fields.text(1, hardLimits.errorTextBytes),
        stack: fields.optionalText(2, hardLimits.errorTextBytes),
        retry: fields.flag(3),
        ...(fields.byte(3) === flawByte ? { flaw: true } : {}),
        status: fields.count(4, 999),
      };
      return fields.valid ? effect : undefined;
    }
    default:
      return undefined;
  }
}

/**
 * Reads the effects of a step. Never throws; returns an error if the bytes are malformed. `done`, `continue` and `fail` may only come last.
 * Bodies are views into `frame`: copy what must outlive it.
 */
export function decodeEffects(frame: Uint8Array): Result<Effect[], string> {
  const decoded = decodeFrame(frame);
  if (!decoded.ok) return decoded;
  const effects: Effect[] = [];
  for (const [index, record] of decoded.value.entries()) {
    const effect = effectOf(record, record.kind);
    if (effect === undefined) return err(`effect ${index}: misshapen or of unknown kind ${record.kind}`);
    if (isLast(effect) && index !== decoded.value.length - 1) return err(`effect ${index}: ${effect.kind} is not the last`);
    effects.push(effect);
  }
  return ok(effects);
}
