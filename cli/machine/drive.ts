/**
 * Runs one message through one machine, without a gateway: every call is answered by a stub, and time is virtual. A flow that sleeps
 * an hour is done at once, and the same message, seed and time always give the same result. Effects mean what they mean in the gateway,
 * with the same limits: its interpreter reads them.
 */
import type { CallEffect, DeliverEvent, Event, FlowLimits, Headers, LogEffect } from "#abi";
import { CodedError, table, toUtf8 } from "#base";
import {
  answered,
  type CallAnswer,
  type Cancel,
  type EffectHost,
  type EffectRules,
  Effects,
  failedCall,
  type Failure,
  fetchTimedOut,
  failedWith,
  type FlowRules,
  gatewayLimits,
  messageTooLong,
  type NewSend,
  outletTimedOut,
  peersFault,
  refusedCall,
  stateRefusal,
} from "#gateway";
import type { LoadedImage, Machine, Monitor } from "#monitors";
import type { Place, StackMapper } from "./stack.ts";

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

interface Pending {
  readonly dueMs: number;
  /** Breaks ties: first asked, first answered. */
  readonly order: number;
  readonly event: () => NextEvent;
}

type NextEvent = Exclude<Event, DeliverEvent>;

export interface DriveOptions {
  readonly limits: FlowLimits;
  readonly stimulus: Stimulus;
  readonly stub: Stub;
  /** The flow's rules in mayfly.yaml; without them every outlet exists and every host may be reached. */
  readonly rules?: FlowRules | undefined;
  /** Without one, stacks are those of the bundle. */
  readonly stacks?: StackMapper;
}

/** One run under way. */
class Drive implements EffectHost {
  readonly calls: CallEffect[] = [];
  readonly logs: LogEffect[] = [];
  readonly effects: Effects;
  cpuMs = 0;
  readonly #options: DriveOptions;
  readonly #rules: EffectRules;
  readonly #pending = new Set<Pending>();
  #nowMs: number;
  #order = 0;

  constructor(name: string, options: DriveOptions) {
    const { stimulus, limits, rules } = options;
    this.#options = options;
    this.#nowMs = stimulus.timeMs;
    this.#rules = {
      name: rules?.name ?? name,
      limits,
      outlets: rules?.outlets,
      retriesProgramErrors: rules?.retriesProgramErrors === true,
    };
    this.effects = new Effects(this.#rules, { ...stimulus, latin1Reply: stimulus.source === "http" }, this);
  }

  get virtualMs(): number {
    return this.#nowMs - this.#options.stimulus.timeMs;
  }

  /** Gives the failure, or undefined for a flow that is done. */
  async run(start: (event: DeliverEvent) => Machine): Promise<Failure | undefined> {
    const deliver = this.#deliver();
    const tooLong = messageTooLong(deliver, this.#rules.name);
    if (tooLong !== undefined) return tooLong;
    this.effects.began();
    const machine = start(deliver);
    try {
      let outcome = await machine.first;
      for (;;) {
        this.cpuMs += outcome.cpuMs;
        const end = this.effects.outcome(outcome) ?? this.#timeIsUp();
        if (end?.kind === "failed") return end.failure;
        if (end?.kind === "unstarted") return unstarted(end.code);
        if (end?.kind === "done") return this.#overState();
        const event = this.#next();
        this.effects.began();
        outcome = await machine.step(event);
      }
    } finally {
      machine.end();
    }
  }

  #deliver(): DeliverEvent {
    const { id, source, attempt, key, headers, body, state, seed, timeMs } = this.#options.stimulus;
    const stateJson = state === undefined ? undefined : JSON.stringify(state);
    return { kind: "deliver", timeMs, seed, id, source, attempt, key, headersJson: JSON.stringify(headers), stateJson, body };
  }

  log(effect: LogEffect): void {
    this.logs.push(this.#options.stacks?.log(effect) ?? { ...effect });
  }

  logDropped(): void {}

  /** The memory budget is the gateway's. */
  reserve(): undefined {
    return undefined;
  }

  call(call: CallEffect): Cancel {
    this.calls.push(call);
    const [answer, delayMs] = this.#answerTo(call);
    return this.#plan(delayMs, () => {
      const { blame, ...given } = answer;
      this.effects.answered(call.call, given.error === undefined ? undefined : { code: given.error.code, blame });
      return { kind: "resolve", timeMs: this.#nowMs, call: call.call, ...given };
    });
  }

  timer(timer: number, dueMs: number): Cancel {
    return this.#plan(dueMs - this.#nowMs, () => {
      this.effects.woke(timer);
      return { kind: "wake", timeMs: this.#nowMs, timer };
    });
  }

  /** The answer that the machine gets, and its delay in milliseconds. */
  #answerTo(call: CallEffect): readonly [CallAnswer, number] {
    const { rules, stub, stimulus } = this.#options;
    const { name, outlets } = this.#rules;
    const refused = refusedCall(call, { name, outlets, hosts: rules?.hosts }, stimulus.headers);
    if (refused !== undefined) return [refused, 0];
    const given = stub(call);
    const timeoutMs = call.timeoutMs > 0 ? call.timeoutMs : (rules?.timeoutMs(call.target) ?? gatewayLimits.outletTimeoutMs);
    if (call.operation !== "state" && given.delayMs > timeoutMs) return [timedOut(call, timeoutMs), timeoutMs];
    if (given.error !== undefined) return [failedCall(given.error.code, given.error.message, peersFault), given.delayMs];
    return [answered({ status: given.status, contentType: "", headers: given.headers, body: given.body }), given.delayMs];
  }

  #plan(delayMs: number, event: Pending["event"]): Cancel {
    const pending = { dueMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, event };
    this.#pending.add(pending);
    return () => this.#pending.delete(pending);
  }

  get #first(): Pending | undefined {
    let first: Pending | undefined;
    for (const entry of this.#pending)
      if (first === undefined || entry.dueMs < first.dueMs || (entry.dueMs === first.dueMs && entry.order < first.order)) first = entry;
    return first;
  }

  /** The attempt's end when the next event comes after it. */
  #timeIsUp(): ReturnType<Effects["outOfTime"]> | undefined {
    const { stimulus, limits } = this.#options;
    const dueMs = this.#first?.dueMs ?? 0;
    return dueMs - stimulus.timeMs > limits.timeMs ? this.effects.outOfTime() : undefined;
  }

  /** The event that is due first. There is one: a flow that waits for nothing has ended. */
  #next(): NextEvent {
    const first = this.#first as Pending;
    this.#pending.delete(first);
    this.#nowMs = Math.max(this.#nowMs, first.dueMs);
    return first.event();
  }

  /** The journal refuses a commit whose state is too long. */
  #overState(): Failure | undefined {
    const { key, state } = this.#options.stimulus;
    const values = new Map(Object.entries(state ?? {}).map(([name, value]) => [name, JSON.stringify(value)]));
    let bytes = 0;
    for (const [name, json] of values) bytes += name.length + json.length;
    const refusal = stateRefusal(key ?? "", { values, bytes }, this.effects.stateChanges);
    return refusal === undefined ? undefined : { origin: "gateway", ...refusal, status: 0, retry: false };
  }

  /** The state under the key after a flow that is done. */
  get state(): Readonly<Record<string, unknown>> | undefined {
    const { state } = this.#options.stimulus;
    const { stateChanges } = this.effects;
    if (state === undefined && stateChanges.length === 0) return undefined;
    const changed = table<unknown>(state);
    for (const { name, valueJson } of stateChanges) {
      if (valueJson === undefined) delete changed[name];
      else changed[name] = JSON.parse(valueJson) as unknown;
    }
    return { ...changed };
  }
}

function unstarted(code: string): Failure {
  return { origin: "gateway", code, message: "the monitor has no room for another machine, or is closing", status: 503, retry: true };
}

function timedOut({ operation, target }: CallEffect, timeoutMs: number): CallAnswer {
  return operation === "fetch" ? fetchTimedOut(target, timeoutMs) : failedWith(outletTimedOut(target, timeoutMs), peersFault);
}

function failureIn({ code, message, stack, retry, status }: Failure, stacks: StackMapper | undefined): RunFailure {
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

/** Runs the stimulus through a fresh machine. Never rejects for what the flow does. */
export async function driveMachine(monitor: Monitor, image: LoadedImage, options: DriveOptions): Promise<RunResult> {
  const { stimulus, limits, stacks } = options;
  if (stimulus.seed.length !== 32) throw new CodedError("MF_USAGE", "a seed is 32 bytes: 64 hexadecimal digits");
  const drive = new Drive(image.name, options);
  const started = performance.now();
  const failure = await drive.run((event) => monitor.start(image, event, limits));
  const machineMs = performance.now() - started;
  const { effects, calls, logs, cpuMs, virtualMs } = drive;
  const failed = failure !== undefined;
  return {
    status: failed ? "failed" : "done",
    reply: !failed && effects.end?.kind === "done" ? effects.end.reply : undefined,
    sends: failed ? [] : effects.sends,
    discardedSends: failed ? effects.sends.length : 0,
    calls,
    logs,
    state: failed ? stimulus.state : drive.state,
    failure: failed ? failureIn(failure, stacks) : undefined,
    timings: { machineMs, cpuMs, steps: effects.steps, virtualMs },
  };
}

/** State kept under another key, as a call asks for it. */
export function stateAnswer(state: unknown): StubAnswer {
  return { status: 200, headers: { "content-type": "application/json" }, body: toUtf8(JSON.stringify(state ?? {})), delayMs: 0 };
}
