/**
 * A recording: everything one attempt received and did. A machine is a pure function of its image and its events, so a recording is
 * enough to run the attempt again, bit for bit, on any monitor.
 *
 * Its wire form is a frame (frame.ts) whose magic is "MFR" and `recordingVersion`. Records, in this order:
 *
 *   1           head       ABI version │ image's SHA-256, hexadecimal │ flow │ its limits: memory, CPU, time, sends, log
 *   2           redaction  names of headers, JSON │ JSON pointers, JSON │ bodies; the record is absent where nothing was left out
 *   0x10 + kind event      parts as in events.ts; `deliver` first; a `resolve` with a window of a stored body names it in three parts more
 *   0x20        step       status │ CPU ms │ pages │ code, message, stack of its failure │ workers lost; its effects follow it
 *   0x30 + kind effect     parts as in effects.ts
 *
 * A later version reads every earlier one: golden files in testing/ keep that true.
 */
import { assert, err, ok, type Result } from "#base";
import { type Effect, EffectKind, effectOf, effectParts, isLast } from "./effects.ts";
import { type DeliverEvent, type Event, EventKind, eventOf, eventParts, recordedParts } from "./events.ts";
import { decodeFrame, type FrameForm, frameHeaderBytes, type Part, type PartRecord, writeFrameHeader, writeRecord } from "./frame.ts";
import { abiVersion, type FlowLimits, hardLimits, recordingVersion } from "./limits.ts";
import { type MachineErrorCode, machineErrors, type StepFailure } from "./outcome.ts";

/** The answer of the machine to one event. */
export interface RecordedStep {
  readonly status: "waiting" | "done" | "failed" | "broken";
  /** In order; empty where `effects` are not recorded. */
  readonly effects: readonly Effect[];
  /** Of a step that the monitor ended. */
  readonly failure: StepFailure | undefined;
  /** CPU time of the step, in milliseconds. */
  readonly cpuMs: number;
  /** Linear memory of the machine at its end, in pages of 64 KiB; 0 where the monitor does not count them. */
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

/** A recorded step, or the outcome of one as the monitor gave it. */
export type RecordableStep = Omit<RecordedStep, "pages" | "failure"> &
  Partial<Pick<RecordedStep, "failure">> & {
    readonly pages?: number | undefined;
  };

/** A recording to be written: its steps may be a monitor's outcomes as they are. */
export interface Recordable extends Omit<Recording, "steps"> {
  readonly steps: readonly RecordableStep[];
}

const headKind = 1;
const redactionKind = 2;
const eventKinds = 0x10;
const stepKind = 0x20;
const effectKinds = 0x30;

const form: FrameForm = {
  magic: (0x52_46_4d | (recordingVersion << 24)) >>> 0, // "MFR", version
  mostBytes: hardLimits.recordingBytes,
  mostRecords: hardLimits.recordingRecords,
};

const statuses: readonly RecordedStep["status"][] = ["waiting", "done", "failed", "broken"];
const bodyRules: readonly Redaction["bodies"][] = ["all", "headers", "none"];

function headParts({ imageSha256, flow, limits }: Recordable): readonly Part[] {
  const { memoryBytes, cpuMs, timeMs, sends, logBytes } = limits;
  return [abiVersion, imageSha256, flow, memoryBytes, cpuMs, timeMs, sends, logBytes];
}

function redactionParts({ headers, paths, bodies }: Redaction): readonly Part[] {
  return [JSON.stringify(headers), JSON.stringify(paths), bodies];
}

function stepParts({ status, cpuMs, pages, failure }: RecordableStep): readonly Part[] {
  return [statuses.indexOf(status), cpuMs, pages ?? 0, failure?.code, failure?.message, failure?.stack, failure?.workersLost];
}

/** Room that is tried first for a recording on its own, in bytes. */
const firstRoomBytes = 16 * 1024;

export function encodeRecording(recording: Recordable): Uint8Array {
  for (let roomBytes = firstRoomBytes; ; roomBytes *= 2) {
    const target = Buffer.from(new ArrayBuffer(roomBytes));
    const end = encodeRecordingInto(target, 0, recording);
    if (end >= 0) return new Uint8Array(target.subarray(0, end));
  }
}

/** Writes a recording at an offset, each text and body once. The offset behind it, or −1 when it might not fit. */
export function encodeRecordingInto(target: Buffer, start: number, recording: Recordable): number {
  let at = start + frameHeaderBytes;
  if (at > target.length) return -1;
  at = writeRecord(target, at, headKind, headParts(recording));
  if (at >= 0 && recording.redaction !== undefined) at = writeRecord(target, at, redactionKind, redactionParts(recording.redaction));
  if (at >= 0) at = writeRecord(target, at, eventKinds + EventKind.deliver, eventParts(recording.deliver));
  for (const event of recording.events) {
    if (at < 0) return -1;
    at = writeRecord(target, at, eventKinds + EventKind[event.kind], recordedParts(event));
  }
  for (const step of recording.steps) {
    if (at < 0) return -1;
    at = writeRecord(target, at, stepKind, stepParts(step));
    for (const effect of step.effects) {
      if (at < 0) return -1;
      at = writeRecord(target, at, effectKinds + EffectKind[effect.kind], effectParts(effect));
    }
  }
  if (at < 0) return -1;
  assert(at - start <= hardLimits.recordingBytes, "a recording is longer than the ABI allows");
  writeFrameHeader(target, start, at, form.magic);
  return at;
}

function textsOf(json: string): readonly string[] | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return Array.isArray(value) && value.every((each) => typeof each === "string") ? value : undefined;
  } catch {
    return undefined;
  }
}

function redactionOf(record: PartRecord): Redaction | undefined {
  const fields = record.expect(3);
  const headers = textsOf(fields.text(0, hardLimits.headersBytes));
  const paths = textsOf(fields.text(1, hardLimits.headersBytes));
  const bodies = bodyRules.find((rule) => rule === fields.text(2, hardLimits.nameBytes));
  return fields.valid && headers !== undefined && paths !== undefined && bodies !== undefined ? { headers, paths, bodies } : undefined;
}

type Draft = { -readonly [Name in keyof RecordedStep]: RecordedStep[Name] } & { effects: Effect[] };

function stepOf(record: PartRecord): Draft | undefined {
  const fields = record.expect(7);
  const status = statuses[fields.count(0, statuses.length - 1)] ?? "broken";
  const code = fields.optionalText(3, hardLimits.nameBytes);
  const message = fields.optionalText(4, hardLimits.errorTextBytes);
  const stack = fields.optionalText(5, hardLimits.errorTextBytes);
  const workersLost = fields.absent(6) ? undefined : fields.count(6, 0xffff_ffff);
  const step = { status, effects: [], failure: undefined, cpuMs: fields.number(1), pages: fields.count(2, 0xffff_ffff) };
  if (!fields.valid || (code !== undefined && !Object.hasOwn(machineErrors, code))) return undefined;
  if (code === undefined) return step;
  const failure: StepFailure = {
    code: code as MachineErrorCode,
    message: message ?? "",
    ...(stack === undefined ? {} : { stack }),
    ...(workersLost === undefined ? {} : { workersLost }),
  };
  return { ...step, failure };
}

/** Puts a recording together from its records; `problem` is the first thing wrong with it. */
class Assembly {
  problem: string | undefined;
  redaction: Redaction | undefined;
  deliver: DeliverEvent | undefined;
  readonly events: Exclude<Event, DeliverEvent>[] = [];
  readonly steps: Draft[] = [];

  take(record: PartRecord): void {
    const { kind } = record;
    if (kind >= effectKinds) this.#effect(record, kind - effectKinds);
    else if (kind === stepKind) this.#step(record);
    else if (kind > eventKinds && kind < stepKind) this.#event(record, kind - eventKinds);
    else if (kind === redactionKind && this.deliver === undefined) {
      this.redaction = redactionOf(record);
      if (this.redaction === undefined) this.problem = "redaction: misshapen";
    } else this.problem = `unknown or misplaced record of kind ${kind}`;
  }

  #event(record: PartRecord, kind: number): void {
    const event = eventOf(record, kind);
    if (!event.ok) this.problem = event.error;
    else if ((event.value.kind === "deliver") !== (this.deliver === undefined)) this.problem = "deliver is not the first event";
    else if (this.steps.length > 0) this.problem = "an event follows a step";
    else if (event.value.kind === "deliver") this.deliver = event.value;
    else this.events.push(event.value);
  }

  #step(record: PartRecord): void {
    const step = stepOf(record);
    if (step === undefined) this.problem = "step: misshapen";
    else if (this.steps.length > this.events.length) this.problem = "more steps than events";
    else this.steps.push(step);
  }

  #effect(record: PartRecord, kind: number): void {
    const step = this.steps.at(-1);
    const before = step?.effects.at(-1);
    const effect = effectOf(record, kind);
    if (step === undefined || effect === undefined) this.problem = `effect: misshapen, without a step, or of unknown kind ${kind}`;
    else if (before !== undefined && isLast(before)) this.problem = `effect: ${before.kind} is not the last`;
    else step.effects.push(effect);
  }
}

/** Version in the magic of what may be a recording; undefined without that magic. */
function versionIn(bytes: Uint8Array): number | undefined {
  return bytes[0] === 0x4d && bytes[1] === 0x46 && bytes[2] === 0x52 ? bytes[3] : undefined;
}

/** Reads a recording; never throws. Bodies are views into `bytes`. */
export function decodeRecording(bytes: Uint8Array): Result<Recording, string> {
  const version = versionIn(bytes);
  if (version === undefined) return err("recording: wrong magic");
  if (version !== recordingVersion) return err(`recording: version ${version} is unknown to this Mayfly, which reads ${recordingVersion}`);
  const decoded = decodeFrame(bytes, form);
  if (!decoded.ok) return decoded;
  const records = decoded.value;
  const first = records[0];
  if (first?.kind !== headKind) return err("recording: no head");
  const fields = first.expect(8);
  const abi = fields.count(0, 255);
  const imageSha256 = fields.text(1, hardLimits.nameBytes);
  const flow = fields.text(2, hardLimits.nameBytes);
  const limits: FlowLimits = {
    memoryBytes: fields.number(3),
    cpuMs: fields.number(4),
    timeMs: fields.number(5),
    sends: fields.number(6),
    logBytes: fields.number(7),
  };
  if (!fields.valid) return err("recording: misshapen head");
  if (abi !== abiVersion) return err(`recording: made for version ${abi} of the ABI, this Mayfly has ${abiVersion}`);
  const assembly = new Assembly();
  for (let index = 1; index < records.length; index++) {
    assembly.take(records[index] as PartRecord);
    if (assembly.problem !== undefined) return err(`recording: ${assembly.problem}`);
  }
  const { deliver, events, steps, redaction } = assembly;
  if (deliver === undefined) return err("recording: no deliver event");
  return ok({ imageSha256, flow, limits, deliver, events, steps, redaction });
}
