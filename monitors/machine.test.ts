/** The owner of a machine, over a host that a test plays: when which event is run, repeated, refused. */
import { deepEqual, equal, throws } from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { defaultFlowLimits, type Effect, encodeEffects, type Event, type FlowLimits, machineErrors, type StepOutcome } from "#abi";
import { machineLimits } from "./limits.ts";
import { type MachineHost, type NextEvent, noResult, OwnedMachine, type StepResult } from "./machine.ts";
import { deliver } from "./monitor.case.ts";

const effectsOf: Readonly<Record<string, Effect>> = {
  waits: { kind: "timer", timer: 1, dueMs: 1 },
  done: { kind: "done", reply: undefined },
  fails: { kind: "fail", code: "MF_FLOW_THREW", message: "no", stack: undefined, retry: true, status: 500 },
};

/** A result the machine gave. */
function gave(what: keyof typeof effectsOf): StepResult {
  return { status: "complete", detail: "", cpuMs: 1, effects: encodeEffects([effectsOf[what] as Effect]) };
}

const lost: StepResult = { ...noResult("lost"), endedWorker: true };
const displaced = noResult("displaced");
const wake = (timer: number): NextEvent => ({ kind: "wake", timeMs: 1, timer });
const cancel: NextEvent = { kind: "cancel", timeMs: 1, reason: "the caller left" };

interface Seat {
  kept: boolean;
}

/** Notes what it is asked; a test answers. */
class PretendedHost implements MachineHost<Seat> {
  waiting = 0;
  /** The events of each run: all, or the newest if the machine is kept. */
  readonly runs: string[] = [];
  readonly calls: string[] = [];
  /** Answers at once, if set. */
  atOnce: StepResult | undefined;

  run(machine: OwnedMachine<Seat>): void {
    const events = machine.seat.kept ? machine.events.slice(-1) : machine.events;
    this.runs.push(events.map(nameOf).join(" "));
    if (this.atOnce !== undefined) machine.answered(this.atOnce);
  }
  interrupt(): void {
    this.calls.push("interrupt");
  }
  release({ seat }: OwnedMachine<Seat>): void {
    if (seat.kept) this.calls.push("release");
    seat.kept = false;
  }
  ended(): void {
    this.calls.push("ended");
  }
}

function nameOf(event: Event): string {
  return event.kind === "wake" ? `wake${event.timer}` : event.kind;
}

function told({ status, failure }: StepOutcome): string {
  return failure?.code ?? status;
}

let host: PretendedHost;
let seat: Seat;
beforeEach(() => {
  host = new PretendedHost();
  seat = { kept: false };
});

function start(more: Partial<FlowLimits> = {}): OwnedMachine<Seat> {
  return new OwnedMachine(host, [deliver()], { seat, limits: { ...defaultFlowLimits, timeMs: 3_600_000, ...more } });
}

/** A machine that waits, kept by the host. */
async function waiting(more: Partial<FlowLimits> = {}): Promise<OwnedMachine<Seat>> {
  const machine = start(more);
  seat.kept = true;
  machine.answered(gave("waits"));
  equal(told(await machine.first), "waiting");
  return machine;
}

describe("a machine's steps", () => {
  test("run one at a time, in the order of their events, until it is done", async () => {
    const machine = start();
    const steps = [machine.step(wake(1)), machine.step(wake(2)), machine.step(wake(3))];
    deepEqual(host.runs, ["deliver"]);
    seat.kept = true;
    machine.answered(gave("waits"));
    deepEqual([host.runs, host.waiting], [["deliver", "wake1"], 0]);
    machine.answered(gave("waits"));
    machine.answered(gave("done"));
    deepEqual(await Promise.all([machine.first, ...steps].map(async (step) => told(await step))), [
      "waiting",
      "waiting",
      "done",
      "MF_MACHINE_ENDED",
    ]);
    deepEqual(host.runs, ["deliver", "wake1", "wake2"]);
    deepEqual([host.calls, host.waiting, machine.over, machine.events], [["release", "ended"], 0, true, []]);
  });

  test("are answered once", async () => {
    const machine = await waiting();
    throws(() => machine.answered(gave("waits")), /answered once/);
  });

  test("may be answered before `run` returns", async () => {
    host.atOnce = noResult("lost", "MF_MONITOR_CLOSED");
    const machine = start();
    equal(told(await machine.first), "MF_MONITOR_CLOSED");
    equal(told(await machine.step(wake(1))), "MF_MACHINE_ENDED");
    deepEqual([host.runs, host.calls], [["deliver"], ["ended"]]);
  });

  test("end it when the flow fails, when the effects are no effects, and when they are missing", async () => {
    for (const [result, status] of [
      [gave("fails"), "failed"],
      [{ ...gave("done"), effects: new Uint8Array([1, 2, 3]) }, "MF_MACHINE_LIED"],
      [{ ...gave("done"), effects: undefined }, "MF_MACHINE_LIED"],
      [noResult("interrupted"), "MF_CPU_LIMIT"],
    ] as const) {
      const machine = start();
      machine.answered(result);
      equal(told(await machine.first), status);
      equal(machine.over, true);
    }
  });

  test("use what the host has decoded", async () => {
    const machine = start();
    machine.answered({ ...gave("waits"), decoded: { ok: true, value: [effectsOf["done"] as Effect] } });
    equal(told(await machine.first), "done");
  });

  test("wait while one runs, up to a bound", async () => {
    const machine = start();
    const steps = Array.from({ length: machineLimits.queuedEvents + 1 }, () => machine.step(wake(1)));
    const beyond = await (steps.pop() as Promise<StepOutcome>);
    equal(told(beyond), "MF_MACHINE_ENDED");
    equal(beyond.failure?.message.includes("too many events"), true);
    machine.answered(gave("done"));
    const outcomes = await Promise.all(steps);
    deepEqual(new Set(outcomes.map(({ failure }) => failure?.message)), new Set([machineErrors.MF_MACHINE_ENDED]));
  });
});

describe("a machine's time", () => {
  test("is over for events that come too late, and what is kept is freed", async () => {
    const machine = await waiting({ timeMs: -1 });
    equal(host.waiting, 1);
    equal(told(await machine.step(wake(1))), "MF_TIME_LIMIT");
    deepEqual([host.runs, host.calls, host.waiting], [["deliver"], ["release", "ended"], 0]);
    for (const event of [cancel, wake(2)]) equal(told(await machine.step(event)), "MF_TIME_LIMIT");
  });

  test("does not keep it from being cancelled", async () => {
    const machine = await waiting({ timeMs: -1 });
    const step = machine.step(cancel);
    machine.answered(gave("fails"));
    deepEqual([told(await step), host.runs], ["failed", ["deliver", "cancel"]]);
  });
});

describe("a machine that is lost", () => {
  test("is run again from its first event, and what it said before is not said again", async () => {
    const machine = await waiting();
    const step = machine.step(wake(1));
    seat.kept = false;
    machine.answered(displaced);
    machine.answered(gave("waits"));
    equal((await step).effects.length, 1);
    deepEqual(host.runs, ["deliver", "wake1", "deliver wake1"]);
    equal(machine.over, false);
  });

  test("with its worker is given up the second time, and the workers are counted", async () => {
    const machine = start();
    machine.answered(lost);
    machine.answered(lost);
    const outcome = await machine.first;
    deepEqual([told(outcome), outcome.failure?.workersLost, host.runs.length], ["MF_MACHINE_LOST", 2, machineLimits.losses]);
  });

  test("with its worker in two steps is given up as well", async () => {
    const machine = start();
    machine.answered(lost);
    machine.answered(gave("waits"));
    const step = machine.step(wake(1));
    machine.answered(lost);
    deepEqual([told(await machine.first), told(await step)], ["waiting", "MF_MACHINE_LOST"]);
  });

  test("without its worker counts none", async () => {
    const machine = start();
    machine.answered(displaced);
    machine.answered(noResult("trapped"));
    const outcome = await machine.first;
    deepEqual([told(outcome), outcome.failure?.workersLost], ["MF_MACHINE_TRAP", undefined]);
  });

  test("with its worker at its limit is not run again", async () => {
    const machine = start();
    machine.answered({ ...noResult("interrupted"), endedWorker: true });
    deepEqual([told(await machine.first), host.runs.length], ["MF_CPU_LIMIT", 1]);
  });

  test("for a reason that the host knows, or without its worker, is not run again", async () => {
    for (const result of [{ ...lost, code: "MF_TIME_LIMIT" } as const, noResult("lost", "MF_MONITOR_BUSY"), noResult("lost")]) {
      const machine = start();
      machine.answered(result);
      equal(told(await machine.first), result.code ?? "MF_MACHINE_LOST");
    }
  });

  test("through no fault of its own is given up late, and each step counts for itself", async () => {
    const machine = start();
    for (let time = 1; time < machineLimits.displacements; time++) machine.answered(time % 2 === 0 ? displaced : noResult("missing"));
    machine.answered(gave("waits"));
    equal(told(await machine.first), "waiting");
    const step = machine.step(wake(1));
    for (let time = 1; time <= machineLimits.displacements; time++) machine.answered(displaced);
    deepEqual([told(await step), host.runs.length], ["MF_MACHINE_LOST", 2 * machineLimits.displacements]);
  });

  test("keeps that it was stopped for others until its step has a result", async () => {
    const machine = start();
    machine.stopped = true;
    machine.answered(displaced);
    equal(machine.stopped, true);
    machine.answered(gave("waits"));
    equal(machine.stopped, false);
  });
});

describe("a machine that is ended", () => {
  test("while it waits frees what is kept", async () => {
    const machine = await waiting();
    machine.end();
    machine.end();
    deepEqual([host.calls, host.waiting, machine.events], [["release", "ended"], 0, []]);
    equal(told(await machine.step(wake(1))), "MF_MACHINE_ENDED");
  });

  test("in a step is interrupted; the step and those behind it are told so, and what the step left is freed", async () => {
    for (const result of [gave("waits"), gave("done"), lost, displaced]) {
      host = new PretendedHost();
      const machine = start();
      const next = machine.step(wake(1));
      machine.end();
      machine.end();
      deepEqual([host.calls, machine.over], [["ended", "interrupt"], true]);
      seat.kept = true;
      machine.answered(result);
      deepEqual([told(await machine.first), told(await next)], ["MF_MACHINE_ENDED", "MF_MACHINE_ENDED"]);
      deepEqual([host.calls, host.runs, host.waiting], [["ended", "interrupt", "release"], ["deliver"], 0]);
    }
  });

  test("when it was done already stays done", async () => {
    const machine = start();
    machine.answered(gave("done"));
    machine.end();
    deepEqual([told(await machine.first), host.calls], ["done", ["ended"]]);
  });
});

describe("a machine that is evicted", () => {
  test("waits on, and its next event runs it again from the first", async () => {
    const machine = await waiting();
    machine.evict();
    deepEqual([host.calls, host.waiting], [["release"], 1]);
    const step = machine.step(wake(1));
    equal(host.waiting, 0);
    machine.answered(gave("done"));
    deepEqual([told(await step), host.runs], ["done", ["deliver", "deliver wake1"]]);
  });

  test("in a step stays where it is", async () => {
    const machine = await waiting();
    const step = machine.step(wake(1));
    machine.evict();
    deepEqual([host.calls, seat.kept], [[], true]);
    machine.answered(gave("done"));
    equal(told(await step), "done");
  });
});

describe("a machine that reads its message in pieces", () => {
  const piece = (bytes: number): NextEvent => ({
    kind: "resolve",
    timeMs: 1,
    call: 0,
    error: undefined,
    status: 200,
    headersJson: "{}",
    body: new Uint8Array(0),
    window: { sha256: "0".repeat(64), offset: 0, bytes },
  });
  const reads = async (machine: OwnedMachine<Seat>, bytes: number): Promise<string> => {
    const step = machine.step(piece(bytes));
    machine.answered(gave("waits"));
    return told(await step);
  };

  test("is given again what it has read, up to a bound", async () => {
    const machine = await waiting();
    equal(await reads(machine, machineLimits.readAgainBytes), "waiting");
    machine.evict();
    const step = machine.step(wake(1));
    deepEqual(host.runs.at(-1), "deliver resolve wake1");
    machine.answered(displaced);
    machine.answered(gave("done"));
    equal(told(await step), "done");
  });

  for (const [name, lose] of [
    ["its memory", (machine: OwnedMachine<Seat>): void => machine.evict()],
    ["its place", (machine: OwnedMachine<Seat>): void => machine.answered(displaced)],
  ] as const)
    test(`begins anew beyond it when it loses ${name}, and is stopped for nobody`, async () => {
      const machine = await waiting();
      for (let at = 0; at <= machineLimits.readAgainBytes; at += 2 ** 20) equal(await reads(machine, 2 ** 20), "waiting");
      equal(machine.stopped, true);
      if (name === "its memory") lose(machine);
      const step = machine.step(wake(1));
      if (name === "its place") lose(machine);
      equal(told(await step), "MF_MACHINE_EVICTED");
      equal(machine.over, true);
    });

  test("has its time anew with each piece", async () => {
    const machine = await waiting({ timeMs: 0 });
    for (let i = 0; i < 4; i++) equal(await reads(machine, 1), "waiting");
    equal(told(await machine.step(wake(1))), "MF_TIME_LIMIT");
  });
});
