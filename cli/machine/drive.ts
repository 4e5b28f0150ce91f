/**
 * Runs one message through one machine, without a gateway: every call is answered by a stub, and time is virtual. A flow that sleeps
 * an hour is done at once, and the same message, seed and time always give the same result.
 */
import {
  type CallEffect,
  type DeliverEvent,
  type Effect,
  type Event,
  type FlowLimits,
  type Headers,
  type LogEffect,
  machineErrors,
  type SendEffect,
  type StepOutcome,
} from "#abi";
import { CodedError, table, toUtf8 } from "#base";
import type { FlowRules } from "#gateway";
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
  /** What is kept under `key`. */
  readonly state: Readonly<Record<string, unknown>> | undefined;
  /** 32 bytes. */
  readonly seed: Uint8Array;
  /** Milliseconds since 1970 at which the message comes in. */
  readonly timeMs: number;
}

/** What a call comes to, after `delayMs` of virtual time. */
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
  readonly sends: readonly SendEffect[];
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

/** Steps one message may take here, as in the gateway. */
const mostSteps = 100_000;

interface Pending {
  readonly dueMs: number;
  /** Breaks ties: first asked, first answered. */
  readonly order: number;
  readonly timer: number | undefined;
  readonly event: (timeMs: number) => Exclude<Event, DeliverEvent>;
}

function headersOf(json: string): Headers {
  try {
    const parsed = JSON.parse(json === "" ? "{}" : json) as unknown;
    return typeof parsed === "object" && parsed !== null ? (parsed as Headers) : {};
  } catch {
    return {};
  }
}

export interface DriveOptions {
  readonly limits: FlowLimits;
  readonly stimulus: Stimulus;
  readonly stub: Stub;
  /** What mayfly.yaml says of the flow; without it any outlet is there and any host may be reached. */
  readonly rules?: FlowRules | undefined;
  /** Without one, stacks are those of the bundle. */
  readonly stacks?: StackMapper;
}

function placeOf(frame: Place | undefined): Place | undefined {
  return frame === undefined ? undefined : { file: frame.file, line: frame.line, column: frame.column };
}

/** One run under way. */
class Drive {
  readonly #stimulus: Stimulus;
  readonly #stub: Stub;
  readonly #limits: FlowLimits;
  readonly #stacks: StackMapper | undefined;
  readonly #rules: FlowRules | undefined;
  readonly #pending: Pending[] = [];
  readonly sends: SendEffect[] = [];
  readonly calls: CallEffect[] = [];
  readonly logs: LogEffect[] = [];
  readonly #state: Record<string, unknown>;
  #stateChanged = false;
  #nowMs: number;
  #order = 0;
  #sendCount = 0;
  reply: Reply | undefined;
  failure: RunFailure | undefined;
  cpuMs = 0;
  steps = 0;

  constructor({ stimulus, stub, limits, rules, stacks }: DriveOptions) {
    this.#stimulus = stimulus;
    this.#stub = stub;
    this.#limits = limits;
    this.#rules = rules;
    this.#stacks = stacks;
    this.#nowMs = stimulus.timeMs;
    this.#state = table(stimulus.state);
  }

  get virtualMs(): number {
    return this.#nowMs - this.#stimulus.timeMs;
  }

  get state(): Readonly<Record<string, unknown>> | undefined {
    if (this.failure !== undefined) return this.#stimulus.state;
    return this.#stateChanged || this.#stimulus.state !== undefined ? { ...this.#state } : undefined;
  }

  deliver(): DeliverEvent {
    const { id, source, attempt, key, headers, body, state, seed, timeMs } = this.#stimulus;
    const stateJson = state === undefined ? undefined : JSON.stringify(state);
    return { kind: "deliver", timeMs, seed, id, source, attempt, key, headersJson: JSON.stringify(headers), stateJson, body };
  }

  async run(machine: Machine): Promise<void> {
    let outcome = await machine.first;
    for (;;) {
      this.#take(outcome);
      if (this.failure !== undefined || outcome.status === "done" || outcome.status === "failed") return;
      const next = this.#next();
      if (next === undefined) return;
      outcome = await machine.step(next);
    }
  }

  #fail(code: string, message: string, retry = false, stack?: string, status = 0): void {
    this.failure ??= {
      code,
      message,
      stack: stack === undefined ? undefined : (this.#stacks?.stack(stack) ?? stack),
      at: placeOf(this.#stacks?.frames(stack)[0]),
      retry,
      status,
    };
  }

  #take(outcome: StepOutcome): void {
    this.steps += 1;
    this.cpuMs += outcome.cpuMs;
    for (const effect of outcome.effects) this.#effect(effect);
    if (outcome.status === "broken") this.#fail(outcome.failure.code, outcome.failure.message, true, outcome.failure.stack);
  }

  #effect(effect: Effect): void {
    switch (effect.kind) {
      case "log":
        this.logs.push(this.#stacks?.log(effect) ?? { ...effect });
        return;
      case "send":
        this.#send(effect);
        return;
      case "call":
        this.#call(effect);
        return;
      case "timer":
        this.#timer(effect.timer, effect.dueMs);
        return;
      case "state":
        this.#change(effect.name, effect.valueJson);
        return;
      case "done":
        if (effect.reply !== undefined)
          this.reply = { ...effect.reply, headers: headersOf(effect.reply.headersJson), body: effect.reply.body.slice() };
        return;
      case "fail":
        this.#fail(effect.code, effect.message, effect.retry, effect.stack, effect.status);
    }
  }

  #send(effect: SendEffect): void {
    this.#sendCount += 1;
    const unknown = this.#unknownOutlet(effect.outlet);
    if (unknown !== undefined) this.#fail("MF_OUTLET_UNKNOWN", unknown);
    else if (this.#sendCount > this.#limits.sends)
      this.#fail(
        "MF_EFFECT_LIMIT",
        `the flow sent more than ${this.#limits.sends} messages: split the message before it arrives, or raise limits.sends`,
      );
    else this.sends.push({ ...effect, body: effect.body.slice() });
  }

  /** The sentence for an outlet that mayfly.yaml does not give the flow. */
  #unknownOutlet(name: string): string | undefined {
    const rules = this.#rules;
    if (rules === undefined || rules.outlets.includes(name)) return undefined;
    return `mayfly.yaml gives the flow ${rules.name} no outlet ${JSON.stringify(name)}: add it under flows.${rules.name}.to`;
  }

  /** The gateway's own answer to a call that it would not carry out. */
  #refusal({ operation, target }: CallEffect): StubAnswer | undefined {
    const rules = this.#rules;
    const unknown = operation === "request" ? this.#unknownOutlet(target) : undefined;
    if (unknown !== undefined) return { error: { code: "MF_OUTLET_UNKNOWN", message: unknown }, delayMs: 0 };
    if (rules === undefined || operation !== "fetch" || rules.mayFetch(target)) return undefined;
    const message = `the flow may not reach ${target.slice(0, 200)}: add its host to flows.${rules.name}.hosts in mayfly.yaml if it should`;
    return { error: { code: "MF_HOST_NOT_DECLARED", message }, delayMs: 0 };
  }

  #call(effect: CallEffect): void {
    const call = { ...effect, body: effect.body.slice() };
    this.calls.push(call);
    let answer = this.#refusal(call) ?? this.#stub(call);
    if (call.timeoutMs > 0 && answer.delayMs > call.timeoutMs) {
      const message = `no answer from ${call.target} within ${call.timeoutMs} ms`;
      answer = { error: { code: call.operation === "fetch" ? "MF_FETCH_TIMEOUT" : "MF_OUTLET_TIMEOUT", message }, delayMs: call.timeoutMs };
    }
    const given = answer;
    this.#plan(given.delayMs, undefined, (timeMs) =>
      given.error === undefined
        ? {
            kind: "resolve",
            timeMs,
            call: call.call,
            error: undefined,
            status: given.status,
            headersJson: JSON.stringify(given.headers),
            body: given.body,
          }
        : { kind: "resolve", timeMs, call: call.call, error: given.error, status: 0, headersJson: "{}", body: new Uint8Array(0) },
    );
  }

  #timer(timer: number, dueMs: number): void {
    const known = this.#pending.findIndex((entry) => entry.timer === timer);
    if (known >= 0) this.#pending.splice(known, 1);
    if (dueMs >= 0) this.#plan(dueMs - this.#nowMs, timer, (timeMs) => ({ kind: "wake", timeMs, timer }));
  }

  #plan(delayMs: number, timer: number | undefined, event: Pending["event"]): void {
    this.#pending.push({ dueMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, timer, event });
  }

  #change(name: string, valueJson: string | undefined): void {
    if (this.#stimulus.key === undefined) {
      this.#fail(
        "MF_STATE_NO_KEY",
        "the message has no key, so there is nowhere to keep state: give it one (`key:` in mayfly.yaml, --key here)",
      );
      return;
    }
    this.#stateChanged = true;
    if (valueJson === undefined) delete this.#state[name];
    else this.#state[name] = JSON.parse(valueJson) as unknown;
  }

  /** The event that is due first; undefined when nothing is open. */
  #next(): Exclude<Event, DeliverEvent> | undefined {
    if (this.steps >= mostSteps) {
      this.#fail("MF_STEP_LIMIT", `the flow took more than ${mostSteps} steps: look for a timer or a call in an endless loop`);
      return undefined;
    }
    let first: Pending | undefined;
    for (const entry of this.#pending) {
      if (first === undefined || entry.dueMs < first.dueMs || (entry.dueMs === first.dueMs && entry.order < first.order)) first = entry;
    }
    if (first === undefined) {
      this.#fail("MF_FLOW_STALLED", "the flow awaits a promise that nothing can settle: look for a promise that is never resolved", true);
      return undefined;
    }
    if (first.dueMs - this.#stimulus.timeMs > this.#limits.timeMs) {
      this.#fail("MF_TIME_LIMIT", machineErrors.MF_TIME_LIMIT, true, undefined, 504);
      return undefined;
    }
    this.#pending.splice(this.#pending.indexOf(first), 1);
    this.#nowMs = Math.max(this.#nowMs, first.dueMs);
    return first.event(this.#nowMs);
  }
}

/** Runs the stimulus through a fresh machine. Never rejects for what the flow does. */
export async function driveMachine(monitor: Monitor, image: LoadedImage, options: DriveOptions): Promise<RunResult> {
  const { stimulus, limits } = options;
  if (stimulus.seed.length !== 32) throw new CodedError("MF_USAGE", "a seed is 32 bytes: 64 hexadecimal digits");
  const drive = new Drive(options);
  const started = performance.now();
  const machine = monitor.start(image, drive.deliver(), limits);
  try {
    await drive.run(machine);
  } finally {
    machine.end();
  }
  const machineMs = performance.now() - started;
  const failed = drive.failure !== undefined;
  return {
    status: failed ? "failed" : "done",
    reply: failed ? undefined : drive.reply,
    sends: failed ? [] : drive.sends,
    discardedSends: failed ? drive.sends.length : 0,
    calls: drive.calls,
    logs: drive.logs,
    state: drive.state,
    failure: drive.failure,
    timings: { machineMs, cpuMs: drive.cpuMs, steps: drive.steps, virtualMs: drive.virtualMs },
  };
}

/** State kept under another key, as a call asks for it. */
export function stateAnswer(state: unknown): StubAnswer {
  return { status: 200, headers: { "content-type": "application/json" }, body: toUtf8(JSON.stringify(state ?? {})), delayMs: 0 };
}
