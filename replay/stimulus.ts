/** Runs a message that somebody made up: `mayfly run` and flow tests. Every call is answered by a stub. */
import type { CallEffect, DeliverEvent, FlowLimits, Headers, LogEffect } from "#abi";
import { CodedError, toUtf8 } from "#base";
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
  type NextMessage,
  outletTimedOut,
  peersFault,
  refusedCall,
  type SourcePlaces,
  type Waits,
} from "#gateway";
import type { Place } from "#image";
import type { LoadedImage } from "#monitors";
import { Drive, type DrivenSend, type MachineStarter, type TimedAnswer, type Transaction } from "./drive.ts";
import { replayLimits } from "./limits.ts";
import type { GivenSignal } from "./signals.ts";

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
  readonly signals?: readonly StimulusSignal[] | undefined;
  /** Somebody waits for the reply: the flow can't sleep. */
  readonly callerWaits?: boolean | undefined;
}

/** A signal for the flow's waits. */
export interface StimulusSignal {
  /** `signal-1`, `signal-2` … by its place unless given. */
  readonly id?: string | undefined;
  readonly name: string;
  /** Undefined: it fits a wait with any key. */
  readonly key: string | undefined;
  /** Names in lower case, content type included. */
  readonly headers: Headers;
  readonly body: Uint8Array;
  /** Virtual milliseconds after the message at which it comes in. */
  readonly afterMs: number;
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
  /** `asleep`: no signal is left, nothing is due, and the flow still waits. */
  readonly status: "done" | "failed" | "asleep";
  readonly reply: Reply | undefined;
  /** In order. Those of a transaction that failed are not among them: nothing of it leaves. */
  readonly sends: readonly DrivenSend[];
  /** Sends that were not carried out because the flow failed. */
  readonly discardedSends: number;
  /** One for a flow that never sleeps. */
  readonly transactions: readonly Transaction[];
  /** Waits and timers of a flow that is asleep at the end. */
  readonly waits: Waits | undefined;
  /** The message that the flow continues as. */
  readonly next: NextMessage | undefined;
  /** Signals that nothing waited for. */
  readonly unclaimed: readonly GivenSignal[];
  readonly calls: readonly CallEffect[];
  readonly logs: readonly LogEffect[];
  /** The state under the key after the run, without the changes of a transaction that failed. */
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

/** In the order they were given: of two that come at one time the first is older. */
function signalsOf({ timeMs, signals = [] }: Stimulus): readonly GivenSignal[] {
  return signals.map(({ id, name, key, headers, body, afterMs }, index) => ({
    id: id ?? `signal-${index + 1}`,
    name,
    key,
    headersJson: JSON.stringify(headers),
    body,
    atMs: timeMs + afterMs,
  }));
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
    signals: signalsOf(stimulus),
    callerWaits: stimulus.callerWaits,
    batches: true,
    earlyMs: given?.earlySignalMs,
    logged: (effect) => logs.push(stacks?.log(effect) ?? { ...effect }),
  });
  const started = performance.now();
  const end = await drive.run((event) => monitor.start(image, event, limits));
  const machineMs = performance.now() - started;
  const { sends, discardedSends, transactions, unclaimed, calls, state, cpuMs, steps, virtualMs } = drive;
  return {
    status: end.kind,
    reply: end.kind === "done" ? end.reply : undefined,
    sends,
    discardedSends,
    transactions,
    waits: end.kind === "asleep" ? end : undefined,
    next: end.kind === "done" ? end.next : undefined,
    unclaimed,
    calls,
    logs,
    state,
    failure: end.kind === "failed" ? failureIn(end.failure, stacks) : undefined,
    timings: { machineMs, cpuMs, steps, virtualMs },
  };
}

/** State kept under another key, as a call asks for it. */
export function stateAnswer(state: unknown): StubAnswer {
  return { status: 200, headers: { "content-type": "application/json" }, body: toUtf8(JSON.stringify(state ?? {})), delayMs: 0 };
}
