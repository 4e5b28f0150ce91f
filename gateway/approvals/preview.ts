/**
 * A preview: what a sleeping machine would do if a signal came now, or if the time of its wait were over. A fork of the machine runs on until
 * it makes a call, waits again or ends; then it is discarded. Nothing it does is carried out, and the sleeper is not touched.
 *
 * The fork's effects have the meaning that they have for the gateway (delivery/attempt/effects.ts). Its time is virtual: short timers are due
 * at once. Reads of other keys' state are answered.
 */
import type { CallEffect, Event, LogEffect, StepOutcome } from "#abi";
import { type Clock, CodedError, fromUtf8, isCoded, toUtf8 } from "#base";
import type { Failure } from "../contract/message.ts";
import type { Runner, RunningMachine, Flow } from "../contract/runner.ts";
import { type Question, questionOf, type Sleeper } from "../contract/sleep.ts";
import { type AttemptEnd, type Cancel, type EffectHost, Effects } from "../delivery/attempt/effects.ts";
import { deliverHeadersJson } from "../delivery/attempt/headers.ts";
import { failureOf } from "../delivery/failures.ts";
import { pastOf, savedMemory } from "../delivery/sleep/sleeper.ts";
import { Redactor } from "../history/redact.ts";
import type { NewMessage, StateSnapshot } from "../journal/journal.ts";
import { approvalLimits } from "./limits.ts";

/** A body for people: text where it is UTF-8. `bytes`: its length; `cut`: only its beginning is here. */
export interface ShownBytes {
  readonly text?: string;
  readonly base64?: string;
  readonly bytes: number;
  readonly cut?: true;
}

export interface PreviewedSend {
  readonly outlet: string;
  readonly key: string | null;
  readonly contentType: string;
  /** Without those that history hides. */
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: ShownBytes;
  /** Not before this time, milliseconds since 1970; null for at once. */
  readonly due: number | null;
}

export interface PreviewedCall {
  readonly operation: CallEffect["operation"];
  /** An outlet, or an URL. */
  readonly target: string;
  readonly method: string;
  readonly body: ShownBytes;
}

export interface PreviewedWait {
  readonly name: string;
  readonly key: string;
  readonly until: number | null;
  readonly question: Question | null;
}

/** Where the preview ends. `unknown`: it could not be made, or not to its end. */
export type PreviewEnd =
  | { readonly kind: "done"; readonly continues: ShownBytes | null }
  | { readonly kind: "asks"; readonly calls: readonly PreviewedCall[] }
  | { readonly kind: "asleep"; readonly waits: readonly PreviewedWait[]; readonly sleeps: readonly number[] }
  | ({ readonly kind: "failed" } & Pick<Failure, "origin" | "status" | "code" | "message" | "retry">)
  | { readonly kind: "unknown"; readonly code: string; readonly message: string };

export interface Preview {
  readonly sends: readonly PreviewedSend[];
  /** `value`, as JSON, is absent where the name is deleted. */
  readonly state: readonly { readonly name: string; readonly value?: ShownBytes }[];
  readonly logs: readonly LogEffect[];
  readonly end: PreviewEnd;
  /** Sends, changes and log lines beyond those shown. */
  readonly more: number;
}

/** The sleeper that is forked. `flow`: in the image it sleeps in. */
export interface Forked {
  readonly flow: Flow;
  readonly message: NewMessage;
  readonly sleeper: Sleeper;
  readonly state: StateSnapshot | undefined;
}

/** The supposed end of a wait: a signal, or none when its time is over. */
export interface Assumed {
  readonly wait: number;
  readonly signal: { readonly contentType: string; readonly body: Uint8Array } | undefined;
}

export interface PreviewPorts {
  readonly runner: Runner;
  readonly clock: Clock;
  readonly readState: (flow: string, key: string) => Promise<StateSnapshot>;
}

const previewLimit = "MF_PREVIEW_LIMIT";

export class Previews {
  readonly #ports: PreviewPorts;
  #running = 0;

  constructor(ports: PreviewPorts) {
    this.#ports = ports;
  }

  /** Never rejects: what goes wrong is the preview's end. */
  async preview(find: () => Promise<Forked>, assumed: Assumed): Promise<Preview> {
    if (this.#running >= approvalLimits.previewsAtOnce)
      return nothing("MF_PREVIEW_BUSY", `${approvalLimits.previewsAtOnce} previews are being made already: look again in a moment`);
    this.#running += 1;
    try {
      return await new Fork(this.#ports, await find()).run(assumed);
    } catch (error) {
      const { code, message } = isCoded(error) ? error : { code: "MF_MACHINE_LOST", message: `the monitor failed: ${String(error)}` };
      return nothing(code, message);
    } finally {
      this.#running -= 1;
    }
  }
}

function nothing(code: string, message: string): Preview {
  return { sends: [], state: [], logs: [], end: { kind: "unknown", code, message }, more: 0 };
}

class Fork implements EffectHost {
  readonly #ports: PreviewPorts;
  readonly #forked: Forked;
  readonly #effects: Effects;
  readonly #redactor: Redactor;
  readonly #logs: LogEffect[] = [];
  readonly #calls = new Map<number, CallEffect>();
  readonly #timers = new Map<number, number>();
  #logged = 0;
  #bytes = 0;
  #timeMs = 0;

  constructor(ports: PreviewPorts, forked: Forked) {
    const { flow, message } = forked;
    this.#ports = ports;
    this.#forked = forked;
    this.#effects = new Effects(flow, { key: message.key, headers: message.headers, latin1Reply: false, callerWaits: false }, this);
    this.#redactor = new Redactor({ ...flow.config.history, bodies: "all" });
  }

  async run(assumed: Assumed): Promise<Preview> {
    const { runner, clock } = this.#ports;
    const { flow, sleeper, state } = this.#forked;
    const wait = sleeper.waits.find((each) => each.wait === assumed.wait);
    if (wait === undefined) throw new CodedError("MF_WAIT_UNKNOWN", "the machine does not wait for this any more");
    const past = pastOf(sleeper);
    const nowMs = Math.max(clock.now(), sleeper.sinceMs);
    this.#timeMs = assumed.signal === undefined ? Math.max(nowMs, wait.dueMs ?? nowMs) : nowMs;
    const resumed: Event = { kind: "resume", timeMs: this.#timeMs, attempt: 1, stateJson: state?.json };
    let stop: Cancel = () => undefined;
    const late = new Promise<"late">((resolve) => (stop = clock.after(approvalLimits.previewMs, () => resolve("late"))));
    const machine = runner.resume(
      flow.image,
      { events: [past.deliver, ...past.events, resumed], memory: savedMemory(sleeper, past) },
      flow.limits,
      flow.share,
    );
    const end = async (): Promise<PreviewEnd> => {
      this.#effects.began(this.#timeMs);
      this.#effects.resume(sleeper);
      this.#effects.signalled(wait.wait);
      this.#effects.began(this.#timeMs);
      const given = machine.step(this.#event(assumed));
      this.#effects.outcome(await machine.first);
      return await this.#runOn(machine, given);
    };
    try {
      const ended = await Promise.race([end(), late]);
      return this.#shown(ended === "late" ? tooLong(`it took longer than ${approvalLimits.previewMs} ms`) : ended);
    } finally {
      stop();
      machine.end();
    }
  }

  #event({ wait, signal }: Assumed): Event & { readonly kind: "signal" } {
    const timeMs = this.#timeMs;
    if (signal === undefined) return { kind: "signal", timeMs, wait, id: undefined, headersJson: "{}", body: new Uint8Array(0) };
    const headersJson = deliverHeadersJson({ headers: {}, contentType: signal.contentType, correlationId: undefined });
    return { kind: "signal", timeMs, wait, id: "preview", headersJson, body: signal.body };
  }

  async #runOn(machine: RunningMachine, given: Promise<StepOutcome>): Promise<PreviewEnd> {
    let outcome: StepOutcome | undefined = await given;
    while (outcome !== undefined) {
      this.#effects.outcome(outcome);
      const { end, steps } = this.#effects;
      if (end !== undefined) return this.#ended(end);
      if (steps > approvalLimits.previewSteps) return tooLong(`it took more than ${approvalLimits.previewSteps} steps`);
      outcome = await this.#next(machine);
    }
    return { kind: "asks", calls: [...this.#calls.values()].slice(0, approvalLimits.shownItems).map((call) => this.#call(call)) };
  }

  /** The outcome of the next event that needs nobody else; undefined: the machine waits for an answer. */
  async #next(machine: RunningMachine): Promise<StepOutcome | undefined> {
    const [call] = this.#calls.values();
    if (call !== undefined) {
      if (call.operation !== "state") return undefined;
      const { json } = await this.#ports.readState(this.#forked.flow.name, call.target);
      this.#calls.delete(call.call);
      this.#effects.answered(call.call);
      const body = json === undefined ? new Uint8Array(0) : toUtf8(json);
      const headersJson = '{"content-type":"application/json"}';
      return this.#give(machine, {
        kind: "resolve",
        timeMs: this.#timeMs,
        call: call.call,
        error: undefined,
        status: 200,
        headersJson,
        body,
      });
    }
    const [first] = [...this.#timers].sort(([, a], [, b]) => a - b);
    if (first === undefined) return undefined;
    const [timer, dueMs] = first;
    this.#timeMs = Math.max(this.#timeMs, dueMs);
    this.#effects.woke(timer);
    return this.#give(machine, { kind: "wake", timeMs: this.#timeMs, timer });
  }

  #give(machine: RunningMachine, event: Parameters<RunningMachine["step"]>[0]): Promise<StepOutcome> {
    this.#effects.began(event.timeMs);
    return machine.step(event);
  }

  #ended(end: AttemptEnd): PreviewEnd {
    switch (end.kind) {
      case "done":
        return { kind: "done", continues: end.next === undefined ? null : this.#body(end.next.body) };
      case "asleep":
        return {
          kind: "asleep",
          waits: end.waits.map(({ name, key, dueMs, questionJson }) => ({
            name,
            key,
            until: dueMs ?? null,
            question: questionOf(questionJson),
          })),
          sleeps: end.timers.map(({ dueMs }) => dueMs),
        };
      case "failed": {
        const { origin, status, code, message, retry } = end.failure;
        return code === previewLimit ? { kind: "unknown", code, message } : { kind: "failed", origin, status, code, message, retry };
      }
      case "unstarted":
        return { kind: "unknown", code: end.code, message: "the machine could not be started now: look again in a moment" };
    }
  }

  /** Without what it sent, when the machine fails. */
  #shown(end: PreviewEnd): Preview {
    const { sends, stateChanges } = this.#effects;
    const most = approvalLimits.shownItems;
    const isVoid = end.kind === "failed" || end.kind === "unknown";
    const shownSends = isVoid ? [] : sends;
    const changes = isVoid ? [] : stateChanges;
    return {
      sends: shownSends.slice(0, most).map(({ outlet, key, contentType, headers, body, dueMs }) => ({
        outlet,
        key: key ?? null,
        contentType,
        headers: JSON.parse(this.#redactor.headers(JSON.stringify(headers))) as Readonly<Record<string, unknown>>,
        body: this.#body(body),
        due: dueMs ?? null,
      })),
      state: changes.slice(0, most).map(({ name, valueJson }) => {
        if (valueJson === undefined) return { name };
        return { name, value: shownBytes(toUtf8(this.#redactor.fields(valueJson))) };
      }),
      logs: this.#logs,
      end,
      more: Math.max(0, shownSends.length - most) + Math.max(0, changes.length - most) + this.#logged - this.#logs.length,
    };
  }

  #call({ operation, target, method, body }: CallEffect): PreviewedCall {
    return { operation, target: operation === "fetch" ? target.replace(/[?#].*$/s, "") : target, method, body: this.#body(body) };
  }

  #body(whole: Uint8Array): ShownBytes {
    return shownBytes(this.#redactor.body(whole));
  }

  log(effect: LogEffect): void {
    this.#logged += 1;
    if (this.#logs.length >= approvalLimits.shownItems) return;
    const placed = this.#forked.flow.places?.log(effect) ?? effect;
    const { fieldsJson } = placed;
    this.#logs.push(fieldsJson === undefined ? placed : { ...placed, fieldsJson: this.#redactor.fields(fieldsJson) });
  }

  logDropped(): void {
    this.#logged += 1;
  }

  reserve(_use: "send" | "call" | "reply", bytes: number): AttemptEnd | undefined {
    this.#bytes += bytes;
    if (this.#bytes <= approvalLimits.previewBytes) return undefined;
    const text = `the machine sends more than the ${approvalLimits.previewBytes} bytes that a preview holds`;
    return { kind: "failed", failure: failureOf(previewLimit, text, false) };
  }

  call(effect: CallEffect): Cancel {
    this.#calls.set(effect.call, effect);
    return () => undefined;
  }

  timer(timer: number, dueMs: number): Cancel {
    this.#timers.set(timer, dueMs);
    return () => this.#timers.delete(timer);
  }

  wait(): Cancel {
    return () => undefined;
  }
}

function tooLong(what: string): PreviewEnd {
  return { kind: "unknown", code: previewLimit, message: `the preview was ended: ${what}` };
}

export function shownBytes(whole: Uint8Array): ShownBytes {
  const isCut = whole.length > approvalLimits.shownBytes;
  const text = fromUtf8(whole);
  if (Buffer.compare(toUtf8(text), whole) === 0)
    return isCut ? { text: text.slice(0, approvalLimits.shownBytes), bytes: whole.length, cut: true } : { text, bytes: whole.length };
  const base64 = Buffer.from(whole.subarray(0, approvalLimits.shownBytes)).toString("base64");
  return isCut ? { base64, bytes: whole.length, cut: true } : { base64, bytes: whole.length };
}
