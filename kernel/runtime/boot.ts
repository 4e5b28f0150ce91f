/**
 * The runtime of a machine: what the layer below calls, once for each event.
 *
 *   boot(native, manifest?)  at image build: installs the web globals, returns the functions below
 *   setFlow(exported)        at image build, after the flow's module ran: its default export
 *   startWarm() … checkWarm()  for a flow with `warm` (warming.ts)
 *   ── frozen ──
 *   step()                   an event came in: hands it to the flow, runs nothing of its promises
 *   (the layer below runs every pending job)
 *   settle()                 the step's jobs have run: emits `done` or `fail`, or holds what it needs to wait
 *   rejection(p, r, h)       the engine's promise-rejection tracker, at any time between
 *
 *        deliver          resolve, wake, signal
 *   ready ─────▶ running ⇄ waiting ─────▶ done / failed
 */
import { mendAsyncGenerators } from "./async-generators.ts";
import { abandonCalls, holdAnswer, onResolve, openCalls, reportOpenCalls } from "./calls.ts";
import { makeContext } from "./context.ts";
import { startCounting } from "./effects.ts";
import { FlowError, memorySentence, stackOfCaller } from "./errors.ts";
import { type Failure, isError, readFailure } from "./failure.ts";
import { FlowDefinition, isFlow } from "./definition.ts";
import { kernel, kernelName } from "./exports.ts";
import { reportDropped, resetLog } from "./log.ts";
import { resetSends } from "./outlets.ts";
import { native, setLimits, setNative, setUncaught } from "./machine.ts";
import { message } from "./message.ts";
import type { Native } from "./native.ts";
import { setBatch } from "./readers.ts";
import { emitDone } from "./reply.ts";
import { abortMessage } from "./signal.ts";
import { holdState, renewState } from "./state.ts";
import { abandonTimers, onWake, openTimers } from "./timers.ts";
import { installGlobals } from "./web/install.ts";
import { holdTimeOrigin } from "./web/performance.ts";
import { advanceWarm, checkWarm, dropWarm as dropRun, endWarm as endRun, startWarm as start } from "./warming.ts";
import { abandonWaits, holdSignal, onSignal, openWaits } from "./waits.ts";
import {
  cancelPart,
  cancelKind,
  deliverKind,
  failEffect,
  flawByte,
  resolveKind,
  resumeKind,
  resumePart,
  signalKind,
  wakeKind,
} from "./wire.ts";

export interface Manifest {
  /** The outlets the flow may use; absent leaves it to the gateway. */
  readonly outlets?: readonly string[];
  readonly limits?: { readonly sends?: number; readonly logBytes?: number };
}

/** Result of `settle()`. */
export const waiting = 0;
export const done = 1;
export const givenUp = 2;

export interface Runtime {
  step(): void;
  settle(): number;
  rejection(promise: unknown, reason: unknown, handled: boolean): void;
  setFlow(exported: unknown): void;
  /** False for a flow without `warm`. */
  startWarm(): boolean;
  advanceWarm(): boolean;
  endWarm(): void;
  dropWarm(): void;
  checkWarm(): void;
}

let flow: FlowDefinition | undefined;
let manifest: Manifest = {};
let context: object;

let completed = false;
let returned: unknown;
let failure: Failure | undefined;
interface Rejection {
  readonly reason: unknown;
  /** The stack of the rejection, when the reason has none of its own. */
  readonly stack: string | undefined;
}

/** Promises rejected while nobody looked. */
const unhandled = new Map<unknown, Rejection>();

function complete(value: unknown): void {
  completed = true;
  returned = value;
}

function failWith(error: unknown): void {
  failure ??= readFailure(error, "MF_FLOW_THREW");
}

function onDeliver(): void {
  const result = flow!.handler(message, context);
  if (typeof result === "object" && result !== null && typeof (result as Promise<unknown>).then === "function") {
    (result as Promise<unknown>).then(complete, failWith);
  } else complete(result);
}

function onCancel(): void {
  const reason = new FlowError("MF_CANCELLED", `the message was cancelled: ${native.text(cancelPart.reason) ?? ""}`);
  cancelled = reason;
  abortMessage(reason);
  abandonCalls(reason);
  abandonTimers(reason);
  abandonWaits(reason);
}

/** A sleeping machine is awake again: what was counted for its transaction starts anew. */
function onResume(): void {
  message.renewAttempt(native.number(resumePart.attempt));
  renewState(native.text(resumePart.state));
  resetSends();
  resetLog();
}

let cancelled: FlowError | undefined;

function step(): void {
  startCounting();
  try {
    switch (native.kind()) {
      case deliverKind:
        onDeliver();
        break;
      case resolveKind:
        onResolve();
        break;
      case wakeKind:
        onWake();
        break;
      case cancelKind:
        onCancel();
        break;
      case signalKind:
        onSignal();
        break;
      case resumeKind:
        onResume();
        break;
      default:
        throw new FlowError("MF_EVENT_UNKNOWN", `unknown event of kind ${native.kind()}: build the image again with this Mayfly`, false);
    }
  } catch (error) {
    failWith(error);
  }
}

const flaw = Uint8Array.of(flawByte);

function emitFailure(failed: Failure): number {
  const found = native.exhausted() ? withoutMemory(failed) : failed;
  reportDropped();
  native.emit(failEffect, found.code, found.message, found.stack, found.flaw ? flaw : found.retry, found.status);
  return givenUp;
}

function unhandledFailure(): Failure {
  for (const { reason, stack } of unhandled.values()) {
    const found = readFailure(reason, "MF_UNHANDLED_REJECTION");
    return {
      ...found,
      code: "MF_UNHANDLED_REJECTION",
      message: `unhandled promise rejection: ${found.message}`,
      stack: found.stack ?? stack,
    };
  }
  throw new Error("unreachable");
}

const stalled: Failure = {
  code: "MF_FLOW_STALLED",
  message:
    "the flow awaits a promise that nothing can settle: no request, no timer and no wait is open. Look for a promise that is never resolved",
  stack: undefined,
  retry: false,
  flaw: false,
  status: 0,
};

/** Before the machine sleeps: the event that is current goes, and what was not read of it would go too. */
function hold(): void {
  message.hold();
  holdState();
  holdAnswer();
  holdSignal();
  holdTimeOrigin();
}

/** When memory ran out, that is why the step failed, whatever was made of it: by its code nobody is blamed for another reason. */
function withoutMemory(found: Failure | undefined): Failure {
  return {
    code: "MF_MEMORY_LIMIT",
    message: memorySentence,
    stack: found?.stack,
    retry: true,
    flaw: false,
    status: 0,
  };
}

function settle(): number {
  // An allocation that failed may have been caught and taken for something else, a value among it.
  if (failure === undefined && native.exhausted()) failure = withoutMemory(undefined);
  // Giving up a message rejects what is open; that nobody waits for some of it is no fault of the flow.
  if (failure === undefined && unhandled.size > 0 && cancelled === undefined) failure = unhandledFailure();
  if (failure === undefined && completed) {
    try {
      reportOpenCalls();
      reportDropped();
      emitDone(returned);
      return done;
    } catch (error) {
      failWith(error);
    }
  }
  if (failure !== undefined) return emitFailure(failure);
  if (cancelled !== undefined) return emitFailure(readFailure(cancelled, "MF_CANCELLED"));
  if (openCalls === 0 && openTimers() === 0 && openWaits() === 0) return emitFailure(stalled);
  reportDropped();
  hold();
  return waiting;
}

function rejection(promise: unknown, reason: unknown, handled: boolean): void {
  if (handled) unhandled.delete(promise);
  else unhandled.set(promise, { reason, stack: isError(reason) ? undefined : stackOfCaller() });
}

/** Throws for a rejection that nobody handled at build: left for the first message to find, it would fail every one. */
function checkHandled(): void {
  if (unhandled.size === 0) return;
  const { code, message: sentence, stack } = unhandledFailure();
  throw Object.assign(new FlowError(code, sentence, false), { stack: stack ?? "" });
}

/** Throws for an error of a microtask as well, which nothing could catch. */
function endWarm(): void {
  endRun();
  checkHandled();
  if (failure === undefined) return;
  const { code, message: sentence, stack } = failure;
  throw Object.assign(new FlowError(code, sentence, false), { stack: stack ?? "" });
}

function startWarm(): boolean {
  const { options, handler } = flow!;
  if (options.warm === undefined) return false;
  start(options.warm, handler);
  return true;
}

/** Keeps out of the image what only `warm` holds. */
function dropWarm(): void {
  dropRun();
  const { options, handler } = flow!;
  if (options.warm !== undefined) flow = new FlowDefinition({ ...options, warm: undefined }, handler);
}

function setFlow(exported: unknown): void {
  if (!isFlow(exported)) {
    throw new FlowError(
      "MF_FLOW_INVALID",
      'the flow\'s module must `export default flow(async (msg, { to, log }) => { … })`, with `flow` imported from "mayfly"',
      false,
    );
  }
  checkHandled();
  flow = exported;
  if (exported.options.batch !== undefined) setBatch(exported.options.batch);
  const outlets = exported.options.outlets ?? manifest.outlets;
  if (exported.options.limits !== undefined) setLimits(exported.options.limits);
  if (manifest.limits !== undefined) setLimits(manifest.limits);
  context = makeContext(outlets);
  Reflect.deleteProperty(globalThis, kernelName);
}

export function boot(layerBelow: Native, given: Manifest = {}): Runtime {
  setNative(layerBelow);
  setUncaught(failWith);
  mendAsyncGenerators();
  installGlobals();
  manifest = given;
  Object.defineProperty(globalThis, kernelName, { value: kernel, configurable: true });
  return { step, settle, rejection, setFlow, startWarm, advanceWarm, endWarm, dropWarm, checkWarm };
}

(globalThis as { __mayfly?: typeof boot }).__mayfly = boot;
