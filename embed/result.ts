/** The result of a call, in the words of its caller. */
import { type DeliverEvent, encodeRecording, type FlowLimits, hardLimits, type LogEffect, type StepOutcome } from "#abi";
import { CodedError } from "#base";
import { overState, stateAfter } from "#gateway/attempt";
import type { Attempt, Ended, LaterEvent } from "./attempt.ts";
import { GuestContent, isDeep } from "./content.ts";
import type { LogLine, Reply, RunError, RunResult, Send } from "./embed.d.ts";
import { GuestError, type Places } from "./errors.ts";

/** Facts of a call that its attempt does not know. */
export interface Called {
  readonly imageSha256: string;
  readonly flow: string;
  readonly limits: FlowLimits;
  readonly deliver: DeliverEvent;
  /** Under the key, before the call. */
  readonly state: Readonly<Record<string, unknown>> | undefined;
  readonly places: Places & { log(effect: LogEffect): LogEffect };
}

class GuestReply extends GuestContent implements Reply {
  readonly status: number;

  constructor(reply: Pick<Reply, "status" | "contentType" | "headers" | "body">) {
    super(reply);
    this.status = reply.status;
  }
}

class GuestSend extends GuestContent implements Send {
  readonly outlet: string;
  readonly key: string | undefined;
  readonly dueMs: number | undefined;

  constructor(send: Pick<Send, "outlet" | "key" | "contentType" | "headers" | "body"> & { readonly dueMs?: number | undefined }) {
    super(send);
    this.outlet = send.outlet;
    this.key = send.key;
    this.dueMs = send.dueMs;
  }
}

/** Fields of a line; the text itself where it is no JSON, or too deep. */
function fieldsOf(json: string | undefined): unknown {
  if (json === undefined || isDeep(json)) return json;
  try {
    return JSON.parse(json) as unknown;
  } catch {
    return json;
  }
}

export function lineOf({ level, text, fieldsJson }: LogEffect): LogLine {
  return { level, text, fields: fieldsOf(fieldsJson) };
}

/** Bytes that a recording has at least. */
function leastBytes({ body }: DeliverEvent, events: readonly LaterEvent[], steps: readonly StepOutcome[]): number {
  let bytes = body.length;
  for (const event of events) if ("body" in event) bytes += event.body.length;
  for (const { effects } of steps) for (const effect of effects) if ("body" in effect) bytes += effect.body.length;
  return bytes;
}

export class CallResult implements RunResult {
  readonly status: "done" | "failed";
  readonly reply: Reply | undefined;
  readonly sends: readonly Send[];
  readonly logs: readonly LogLine[];
  readonly droppedLogs: number;
  readonly state: Readonly<Record<string, unknown>> | undefined;
  readonly error: RunError | undefined;
  readonly cpuMs: number;
  readonly steps: number;
  readonly #called: Called;
  readonly #events: readonly LaterEvent[];
  readonly #steps: readonly StepOutcome[];
  #recording: Uint8Array | undefined;

  constructor(called: Called, attempt: Attempt, ended: Ended) {
    const { deliver, state, places } = called;
    const { sends, stateChanges } = attempt.effects;
    const refusal = ended.kind === "done" ? overState(deliver.key, state, stateChanges) : undefined;
    const end: Ended = refusal === undefined ? ended : { kind: "failed", failure: refusal };
    this.#called = called;
    this.#events = attempt.events;
    this.#steps = attempt.steps;
    this.status = end.kind;
    this.reply = end.kind === "done" && end.reply !== undefined ? new GuestReply(end.reply) : undefined;
    this.sends = end.kind === "done" ? sends.map((send) => new GuestSend(send)) : [];
    this.logs = attempt.logs.map((effect) => lineOf(places.log(effect)));
    this.droppedLogs = attempt.droppedLogs;
    this.state = end.kind === "done" ? stateAfter(state, stateChanges) : state;
    this.error = end.kind === "failed" ? new GuestError(end.failure, places, attempt.cause) : undefined;
    this.cpuMs = attempt.cpuMs;
    this.steps = attempt.effects.steps;
  }

  get recording(): Uint8Array {
    if (this.#recording !== undefined) return this.#recording;
    const { imageSha256, flow, limits, deliver } = this.#called;
    if (leastBytes(deliver, this.#events, this.#steps) > hardLimits.recordingBytes / 2)
      throw new CodedError(
        "MF_EMBED_RECORDING",
        `the bodies of the call have more than ${hardLimits.recordingBytes / 2} bytes, too many for a recording: send less in one call`,
      );
    this.#recording = encodeRecording({
      imageSha256,
      flow,
      limits,
      deliver,
      events: this.#events,
      steps: this.#steps,
      redaction: undefined,
    });
    return this.#recording;
  }
}
