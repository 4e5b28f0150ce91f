/** Runs a message that somebody made up: `mayfly run` and flow tests. Every call is answered by a stub. */
import type { CallEffect, DeliverEvent, FlowLimits, Headers, LogEffect } from "#abi";
import { CodedError, table, toUtf8 } from "#base";
import {
  answered,
  type CallAnswer,
  type EffectRules,
  failedCall,
  failedWith,
  type Failure,
  fetchTimedOut,
  type FlowRules,
  gatewayLimits,
  type NewSend,
  outletTimedOut,
  peersFault,
  refusedCall,
  type SourcePlaces,
  type StateChange,
  stateRefusal,
} from "#gateway";
import type { LoadedImage } from "#monitors";
import { Drive, type MachineStarter, type TimedAnswer } from "./drive.ts";
import { replayLimits } from "./limits.ts";

/** A place in a flow's source. */
export interface Place {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly column: number;
}

/** Shows places of a flow's bundle in its sources. */
export interface Stacks extends SourcePlaces {
  /** The flow's own frames, innermost first. */
  frames(stack: string | undefined): readonly Place[];
}

export interface Stimulus {
  readonly id: string;
  readonly source: string;
  readonly attempt: number;
  readonly key: string | undefined;
  /** Names in lower case, content type included. */
  readonly headers: Headers;
  readonly body: Uint8Array;
  /** State under `key`. */
  readonly state: Readonly<Record<string, unknown>> | undefined;
  /** 32 bytes. */
  readonly seed: Uint8Array;
  /** Milliseconds since 1970 at which the message comes in. */
  readonly timeMs: number;
}

/** The result of a call, after `delayMs` of virtual time. */
export type StubAnswer =
  | {
      readonly status: number;
      readonly headers: Headers;
      readonly body: Uint8Array;
      readonly delayMs: number;
      readonly error?: undefined;
    }
  | { readonly error: { readonly code: string; readonly message: string }; readonly delayMs: number };

export type Stub = (call: CallEffect) => StubAnswer;

export interface Reply {
  readonly status: number;
  readonly contentType: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

export interface RunFailure {
  readonly code: string;
  readonly message: string;
  readonly stack: string | undefined;
  /** Where it failed; undefined when nothing is known of it. */
  readonly at: Place | undefined;
  readonly retry: boolean;
  /** HTTP status the flow asked for, 0 for none. */
  readonly status: number;
}

export interface RunResult {
  readonly status: "done" | "failed";
  readonly reply: Reply | undefined;
  /** In order; empty when the flow failed, since nothing of it leaves then. */
  readonly sends: readonly NewSend[];
  /** Sends that were not carried out because the flow failed. */
  readonly discardedSends: number;
  readonly calls: readonly CallEffect[];
  readonly logs: readonly LogEffect[];
  /** The state under the key after the run: unchanged when the flow failed. */
  readonly state: Readonly<Record<string, unknown>> | undefined;
  readonly failure: RunFailure | undefined;
  readonly timings: {
    /** Wall time from the start of the machine to its end. */
    readonly machineMs: number;
    /** CPU time of its steps. */
    readonly cpuMs: number;
    readonly steps: number;
    /** Virtual time the message took. */
    readonly virtualMs: number;
  };
}

export interface StimulusOptions {
  readonly limits: FlowLimits;
  readonly stimulus: Stimulus;
  readonly stub: Stub;
  /** The flow's rules in mayfly.yaml; without them every outlet exists and every host may be reached. */
  readonly rules?: FlowRules | undefined;
  /** Without one, stacks are those of the bundle. */
  readonly stacks?: Stacks;
}

/** The answer that the machine gets to a call, after the checks that the gateway would make. */
function answerTo(call: CallEffect, { rules, stub, stimulus }: StimulusOptions, { name, outlets }: EffectRules): TimedAnswer {
  const refused = refusedCall(call, { name, outlets, hosts: rules?.hosts }, stimulus.headers);
  if (refused !== undefined) return { answer: refused, delayMs: 0 };
  const given = stub(call);
  const { delayMs } = given;
  const timeoutMs = call.timeoutMs > 0 ? call.timeoutMs : (rules?.timeoutMs(call.target) ?? gatewayLimits.outletTimeoutMs);
  if (call.operation !== "state" && delayMs > timeoutMs) return { answer: timedOut(call, timeoutMs), delayMs: timeoutMs };
  if (given.error !== undefined) return { answer: failedCall(given.error.code, given.error.message, peersFault), delayMs };
  return { answer: answered({ status: given.status, contentType: "", headers: given.headers, body: given.body }), delayMs };
}

/** The journal refuses a commit whose state is too long. */
export function overState(key: string | undefined, state: unknown, changes: readonly StateChange[]): Failure | undefined {
  const values = new Map(Object.entries(state ?? {}).map(([name, value]) => [name, JSON.stringify(value)]));
  let bytes = 0;
  for (const [name, json] of values) bytes += name.length + json.length;
  const refusal = stateRefusal(key ?? "", { values, bytes }, changes);
  return refusal === undefined ? undefined : { origin: "gateway", ...refusal, status: 0, retry: false };
}

/** The state under the key after a flow that is done. */
function stateAfter(state: Stimulus["state"], changes: readonly StateChange[]): Stimulus["state"] {
  if (state === undefined && changes.length === 0) return undefined;
  const changed = table<unknown>(state);
  for (const { name, valueJson } of changes) {
    if (valueJson === undefined) delete changed[name];
    else changed[name] = JSON.parse(valueJson) as unknown;
  }
  return { ...changed };
}

function timedOut({ operation, target }: CallEffect, timeoutMs: number): CallAnswer {
  return operation === "fetch" ? fetchTimedOut(target, timeoutMs) : failedWith(outletTimedOut(target, timeoutMs), peersFault);
}

function failureIn({ code, message, stack, retry, status }: Failure, stacks: Stacks | undefined): RunFailure {
  const frame = stacks?.frames(stack)[0];
  return {
    code,
    message,
    stack: stack === undefined ? undefined : (stacks?.stack(stack) ?? stack),
    at: frame === undefined ? undefined : { file: frame.file, line: frame.line, column: frame.column },
    retry,
    status,
  };
}

function deliverOf({ id, source, attempt, key, headers, body, state, seed, timeMs }: Stimulus): DeliverEvent {
  const stateJson = state === undefined ? undefined : JSON.stringify(state);
  return { kind: "deliver", timeMs, seed, id, source, attempt, key, headersJson: JSON.stringify(headers), stateJson, body };
}

/** Runs the stimulus through a fresh machine. Never rejects for what the flow does. */
export async function driveMachine(monitor: MachineStarter, image: LoadedImage, options: StimulusOptions): Promise<RunResult> {
  const { stimulus, limits, stacks, rules: given } = options;
  if (stimulus.seed.length !== 32) throw new CodedError("MF_USAGE", "a seed is 32 bytes: 64 hexadecimal digits");
  const rules: EffectRules = {
    name: given?.name ?? image.name,
    limits,
    outlets: given?.outlets,
    retriesProgramErrors: given?.retriesProgramErrors === true,
    sleepMostMs: given?.sleepMostMs ?? replayLimits.sleepMostMs,
  };
  const logs: LogEffect[] = [];
  const drive = new Drive({
    deliver: deliverOf(stimulus),
    headers: stimulus.headers,
    limits,
    rules,
    answer: (call) => answerTo(call, options, rules),
    logged: (effect) => logs.push(stacks?.log(effect) ?? { ...effect }),
  });
  const started = performance.now();
  const { effects } = drive;
  const ended = await drive.run((event) => monitor.start(image, event, limits));
  const failure = ended ?? overState(stimulus.key, stimulus.state, effects.stateChanges);
  const machineMs = performance.now() - started;
  const failed = failure !== undefined;
  return {
    status: failed ? "failed" : "done",
    reply: !failed && effects.end?.kind === "done" ? effects.end.reply : undefined,
    sends: failed ? [] : effects.sends,
    discardedSends: failed ? effects.sends.length : 0,
    calls: drive.calls,
    logs,
    state: failed ? stimulus.state : stateAfter(stimulus.state, effects.stateChanges),
    failure: failed ? failureIn(failure, stacks) : undefined,
    timings: { machineMs, cpuMs: drive.cpuMs, steps: effects.steps, virtualMs: drive.virtualMs },
  };
}

/** State kept under another key, as a call asks for it. */
export function stateAnswer(state: unknown): StubAnswer {
  return { status: 200, headers: { "content-type": "application/json" }, body: toUtf8(JSON.stringify(state ?? {})), delayMs: 0 };
}
