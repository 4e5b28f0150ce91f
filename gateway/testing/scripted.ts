/** A runner for tests: a flow is a function from events to effects, run in process. The door is the same, the machine is not. */
import type { DeliverEvent, Effect, Event, FlowLimits, StepOutcome } from "#abi";
import type { ImageHandle, Life, Runner, RunnerStats, RunningMachine, Share } from "../contract/runner.ts";

/** Called for every event of one machine; `undefined` never answers (a flow that hangs). */
export type Script = (event: Event, memory: Map<string, unknown>) => readonly Effect[] | StepOutcome | undefined;

export function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}

export function utf8(value: string): Uint8Array {
  return new Uint8Array(Buffer.from(value));
}

export function done(body?: string, status = 200, contentType = "text/plain"): Effect {
  return { kind: "done", reply: body === undefined ? undefined : { status, contentType, headersJson: "{}", body: utf8(body) } };
}

export function send(outlet: string, body: string, key?: string): Effect {
  return { kind: "send", outlet, key, contentType: "text/plain", headersJson: "{}", body: utf8(body) };
}

export function fail(code: string, message = "no", retry = true, status = 0): Effect {
  return { kind: "fail", code, message, stack: undefined, retry, status };
}

export function log(line: string): Effect {
  return { kind: "log", level: "info", text: line, fieldsJson: undefined };
}

export function request(
  call: number,
  target: string,
  body = "",
  operation: "request" | "fetch" | "state" = "request",
  timeoutMs = 0,
): Effect {
  return { kind: "call", call, operation, target, method: "", contentType: "text/plain", headersJson: "{}", timeoutMs, body: utf8(body) };
}

function outcomeOf(result: readonly Effect[] | StepOutcome): StepOutcome {
  if ("status" in result) return result;
  const last = result.at(-1)?.kind;
  return { status: last === "done" || last === "continue" ? "done" : last === "fail" ? "failed" : "waiting", effects: result, cpuMs: 0 };
}

export function broken(code: "MF_CPU_LIMIT" | "MF_MONITOR_BUSY" | "MF_MACHINE_TRAP" | "MF_MONITOR_CLOSED"): StepOutcome {
  return { status: "broken", effects: [], failure: { code, message: `broken: ${code}` }, cpuMs: 0 };
}

export class ScriptedRunner implements Runner {
  readonly scripts = new Map<string, Script>();
  /** Every deliver event, in order. */
  readonly delivered: DeliverEvent[] = [];
  readonly limits: (FlowLimits | undefined)[] = [];
  readonly shares: (Share | undefined)[] = [];
  running = 0;
  mostRunning = 0;
  ended = 0;

  constructor(scripts: Readonly<Record<string, Script>>) {
    for (const [name, script] of Object.entries(scripts)) this.scripts.set(name, script);
  }

  start(image: ImageHandle, event: DeliverEvent, limits?: FlowLimits, share?: Share): RunningMachine {
    this.delivered.push(event);
    return this.resume(image, { events: [event] }, limits, share);
  }

  resume(image: ImageHandle, { events }: Life, limits?: FlowLimits, share?: Share): RunningMachine {
    const script = this.scripts.get(image.name);
    if (script === undefined) throw new Error(`no script ${image.name}`);
    this.limits.push(limits);
    this.shares.push(share);
    const memory = new Map<string, unknown>();
    let over = false;
    this.running += 1;
    this.mostRunning = Math.max(this.mostRunning, this.running);
    const endings: ((outcome: StepOutcome) => void)[] = [];
    const end = (): void => {
      if (over) return;
      over = true;
      this.running -= 1;
    };
    const ended: StepOutcome = { status: "broken", effects: [], failure: { code: "MF_MACHINE_ENDED", message: "ended" }, cpuMs: 0 };
    const run = async (next: Event): Promise<StepOutcome> => {
      await Promise.resolve();
      if (over) return ended;
      const result = script(next, memory);
      if (result === undefined) return new Promise((resolve) => endings.push(resolve));
      const outcome = outcomeOf(result);
      if (outcome.status !== "waiting") end();
      return outcome;
    };
    const given: Event[] = [];
    const give = (next: Event): Promise<StepOutcome> => {
      given.push(next);
      return run(next);
    };
    for (const past of events.slice(0, -1)) {
      given.push(past);
      script(past, memory); // what came of it is known
    }
    return {
      events: given,
      first: give(events.at(-1) as Event),
      step: give,
      save: () => Promise.resolve(undefined),
      end: () => {
        this.ended += 1;
        end();
        for (const ending of endings) ending(ended);
      },
    };
  }

  stats(): RunnerStats {
    return { queued: 0, running: this.running, waiting: 0, workers: 1, replaced: 0, waitingBytes: 0 };
  }
}
