/**
 * Sleeping messages under a seed: when flows wait and fail, signals come early, late and twice, processes die, disks refuse, peers lose
 * answers and somebody sets the clock, all drawn from one generator. Whatever happens, `verify` must hold: each message ends once, with each
 * of its sends under one idempotency key; each signal is taken once, or is a dead letter; no timeout comes before its date.
 */
import { prng, type Prng } from "#base";
import type { Effect, Event } from "#abi";
import type { Outcome } from "../contract/message.ts";
import { type OutletDefinition, OutletError } from "../contract/outlet.ts";
import type { SignalOutcome } from "../contract/sleep.ts";
import { DeadLetters } from "../journal/dead-letters.ts";
import { MemoryJournal } from "../journal/memory.ts";
import type { ServedFlow } from "../served-flow.ts";
import { ManualClock } from "./manual-clock.ts";
import { broken, done, fail, type Script, send, text, utf8 } from "./scripted.ts";
import { beginProcess, simulatedFlow } from "./simulated-flow.ts";
import { memoryFs, type MoodyJournal, never, Process, settled } from "./simulated-process.ts";

interface Offer<Result> {
  readonly id: string;
  readonly key: string | undefined;
  /** By the simulation's monotonic clock. */
  notBeforeMs: number;
  /** In the hands of this process. */
  held: Process | undefined;
  outcome: Result | undefined;
}

export interface SleepReport {
  readonly crashes: number;
  readonly bySignal: number;
  readonly byTimeout: number;
  readonly unclaimed: number;
  readonly dead: number;
}

const yaml = `flows: { f: { image: f.mfi, key: "header:x-key", dedup: { window: 7d, count: 100000 }, concurrency: 4, queue: 12, retry: { attempts: 6, backoff: 50ms..500ms }, limits: { time: 5s }, sleep: { early: keep 40s }, to: { out: { peer: {}, retry: { attempts: 1000, backoff: 50ms..800ms }, timeout: 2s } } } }`;

const flowConfig = simulatedFlow(yaml);
/** Longest wait for a signal, in milliseconds. */
const longestWaitMs = 60_000;

/** Every third message waits for a signal that others may take as well. */
function waitKey(id: string): string {
  return Number(id.slice(1)) % 3 === 0 ? "shared" : id;
}

export class SimulatedSleepers {
  readonly #random: Prng;
  readonly #clock = new ManualClock(1_700_000_000_000);
  readonly #deadLetters = new DeadLetters("/dead", memoryFs(new Map()));
  readonly #store = new MemoryJournal(this.#deadLetters);
  readonly #messages: Offer<Outcome>[] = [];
  readonly #signals: Offer<SignalOutcome>[] = [];
  readonly #received: { readonly idempotencyKey: string; readonly body: string }[] = [];
  readonly #early: string[] = [];
  #process = new Process();
  #journal: MoodyJournal | undefined;
  #served: ServedFlow | undefined;
  #crashes = 0;
  #calm = false;

  constructor(seed: number, messages: number) {
    this.#random = prng(seed);
    for (let number = 0; number < messages; number += 1) {
      const key = this.#random.below(3) === 0 ? `k${this.#random.below(3)}` : undefined;
      this.#messages.push({ id: `m${number}`, key, notBeforeMs: this.#random.below(40_000), held: undefined, outcome: undefined });
      if (this.#random.below(5) === 0) continue; // nobody signals it
      const notBeforeMs = this.#random.below(60_000);
      const twice = this.#random.below(4) === 0 ? 2 : 1;
      for (let copy = 0; copy < twice; copy += 1)
        this.#signals.push({
          id: `s${number}`,
          key: `m${number}`,
          notBeforeMs: notBeforeMs + copy * 500,
          held: undefined,
          outcome: undefined,
        });
    }
    const startMs = this.#clock.monotonicMs();
    for (const offer of [...this.#messages, ...this.#signals]) offer.notBeforeMs += startMs;
  }

  async run(): Promise<SleepReport> {
    await this.#begin();
    for (let step = 0; step < 900; step += 1) await this.#step(true);
    this.#calm = true;
    this.#journal?.calm();
    for (let step = 0; step < 3000 && !this.#isOver; step += 1) await this.#step(false);
    return this.#verify();
  }

  get #isOver(): boolean {
    const { sleepers, pending, outbox, signals } = this.#store.stats();
    const offered = [...this.#messages, ...this.#signals].every(({ outcome }) => outcome !== undefined);
    return offered && sleepers + pending + outbox + signals === 0 && this.#served?.quiet === true;
  }

  async #step(wild: boolean): Promise<void> {
    if (wild && this.#random.below(120) === 0) await this.#crash();
    if (wild && this.#random.below(70) === 0) this.#clock.jump((this.#random.below(2) === 0 ? -1 : 1) * this.#random.below(8000));
    for (let offers = this.#random.below(4); offers > 0; offers -= 1) this.#offer();
    await settled();
    const { nextMs } = this.#clock;
    const jumpMs = this.#random.below(250);
    this.#clock.advance(nextMs === undefined || this.#random.below(2) === 0 ? jumpMs : Math.max(nextMs - this.#clock.monotonicMs(), 0));
    await settled();
  }

  #offer(): void {
    const due = [...this.#messages, ...this.#signals].filter(
      ({ outcome, held, notBeforeMs }) => outcome === undefined && held !== this.#process && notBeforeMs <= this.#clock.monotonicMs(),
    );
    const offer = due[this.#random.below(Math.max(due.length, 1))];
    const { delivery } = this.#served ?? {};
    if (offer === undefined || delivery === undefined) return;
    const process = this.#process;
    offer.held = process;
    const { id, key } = offer;
    const again = (retryAfterMs: number): void => {
      offer.held = undefined;
      offer.notBeforeMs = this.#clock.monotonicMs() + retryAfterMs;
    };
    if (id.startsWith("s")) {
      const signal = { flow: "f", name: "go", key: key ?? "", id, source: "test", headers: {}, contentType: "", body: utf8(id) };
      void delivery.sleepers.signal(signal).then((outcome) => {
        if (!process.alive) return;
        if (outcome.status === "refused") again(outcome.retryAfterMs);
        else offer.outcome = outcome;
      });
      return;
    }
    const headers: Record<string, string> = key === undefined ? {} : { "x-key": key };
    const message = { id, headers, contentType: "", body: utf8(id), replyWanted: false, keeper: "journal" } as const;
    void delivery.accept(message, { source: "test", place: "test" }).then((outcome) => {
      if (!process.alive) return;
      if (outcome.status === "refused") again(outcome.retryAfterMs);
      else offer.outcome = outcome;
    });
  }

  async #crash(): Promise<void> {
    this.#crashes += 1;
    this.#process.alive = false;
    this.#journal?.crash();
    await this.#begin();
  }

  async #begin(): Promise<void> {
    const begun = beginProcess({
      config: flowConfig,
      script: this.#script,
      peer: (process) => this.#makePeer(process),
      clock: this.#clock,
      random: this.#random,
      store: this.#store,
      letters: this.#deadLetters,
    });
    if (this.#calm) begun.journal.calm();
    this.#process = begun.process;
    this.#journal = begun.journal;
    this.#served = begun.served;
    void this.#served.start();
    await settled();
  }

  /**
   * Reserve, wait for the signal, sleep a while, bill. What is decided by chance is decided by the message's id and the time of an event: a
   * machine that is given its past again does the same again.
   */
  readonly #script: Script = (event, memory) => {
    if (event.kind === "cancel") return [fail("MF_CANCELLED")];
    if (event.kind === "deliver") {
      memory.set("id", event.id);
      memory.set("key", event.key);
    }
    if (event.kind === "resume") {
      memory.set("n", event.stateJson);
      return [];
    }
    const id = String(memory.get("id"));
    const key = memory.get("key") as string | undefined;
    const luck = prng(Math.floor(event.timeMs) ^ (Number(id.slice(1)) * 7919));
    const mood = this.#calm ? 9 : luck.below(12);
    if (mood === 0) return undefined; // hangs: its time limit ends it
    if (mood === 1) return broken("MF_CPU_LIMIT");
    if (mood === 2) return broken("MF_MONITOR_BUSY");
    if (mood === 3) return [send("out", `${id}/void`), fail("MF_FLOW_THREW")];
    return this.#going(event, memory, { id, key, luck });
  };

  #going(
    event: Event,
    memory: Map<string, unknown>,
    { id, key, luck }: { readonly id: string; readonly key: string | undefined; readonly luck: Prng },
  ): readonly Effect[] {
    if (event.kind === "deliver") {
      const dueMs = event.timeMs + luck.below(longestWaitMs);
      memory.set("due", dueMs);
      return [send("out", `${id}/reserve`), { kind: "wait", wait: 1, name: "go", key: waitKey(id), dueMs, questionJson: undefined }];
    }
    if (event.kind === "signal") {
      const dueMs = Number(memory.get("due"));
      if (event.id === undefined && event.timeMs < dueMs) this.#early.push(`${id}: its time was over at ${event.timeMs}, due was ${dueMs}`);
      memory.set("due", event.timeMs + 10_000);
      return [
        send("out", `${id}/${event.id === undefined ? "timeout" : text(event.body)}`),
        { kind: "timer", timer: 1, dueMs: event.timeMs + 10_000 },
      ];
    }
    if (event.timeMs < Number(memory.get("due"))) this.#early.push(`${id}: woke at ${event.timeMs}, due was ${memory.get("due")}`);
    const before = (JSON.parse((memory.get("n") as string | undefined) ?? "{}") as { n?: number }).n ?? 0;
    const state: Effect[] = key === undefined ? [] : [{ kind: "state", name: "n", valueJson: String(before + 1) }];
    return [send("out", `${id}/bill`), ...state, done()];
  }

  #makePeer(process: Process): OutletDefinition["create"] {
    return () => ({
      send: (message, { idempotencyKey }) =>
        process.guard(async () => {
          const mood = this.#calm ? 9 : this.#random.below(10);
          if (mood !== 0) this.#received.push({ idempotencyKey, body: text(message.body) });
          if (mood === 1) return never(); // took it, but the answer is lost
          if (mood === 0 || mood === 2) throw new OutletError("MF_PEER", "down", { retryable: true });
        }),
      health: () => ({ ready: true, detail: "" }),
      stop: async () => undefined,
    });
  }

  async #verify(): Promise<SleepReport> {
    const problems: string[] = [...this.#early];
    const check = (holds: boolean, what: string): void => void (holds || problems.push(what));
    check(this.#isOver, `everything ends: ${JSON.stringify(this.#store.stats())}`);
    const dead = new Set<string>();
    const unclaimed: string[] = [];
    for await (const { kind, messageId } of this.#deadLetters.list()) {
      if (kind === "signal") unclaimed.push(messageId);
      else check(dead.size < dead.add(messageId).size, `${messageId} is dead once`);
    }
    /** Idempotency keys by what arrived under them. */
    const arrived = new Map<string, Set<string>>();
    for (const { body, idempotencyKey } of this.#received) arrived.set(body, (arrived.get(body) ?? new Set()).add(idempotencyKey));
    for (const [body, keys] of arrived) check(keys.size === 1, `${body} arrived under ${keys.size} idempotency keys`);
    let bySignal = 0;
    let byTimeout = 0;
    for (const { id } of this.#messages) {
      const takes = this.#signals.filter((signal) => arrived.has(`${id}/${signal.id}`));
      const taken = new Set(takes.map((signal) => signal.id)).size;
      const timedOut = arrived.has(`${id}/timeout`);
      check(taken + (timedOut ? 1 : 0) <= 1, `${id} was ended once, by a signal or its timeout`);
      check(
        takes.every(({ key }) => key === waitKey(id)),
        `${id} was ended by a signal for it`,
      );
      check(!arrived.has(`${id}/void`), `${id}: what a failed attempt sent was sent`);
      check(
        dead.has(id) || (arrived.has(`${id}/reserve`) && taken + (timedOut ? 1 : 0) === 1 && arrived.has(`${id}/bill`)),
        `${id} ended, but not all of it arrived`,
      );
      bySignal += taken;
      byTimeout += timedOut ? 1 : 0;
    }
    let lost = 0;
    for (const id of new Set(this.#signals.map((signal) => signal.id))) {
      const takers = this.#messages.filter((message) => arrived.has(`${message.id}/${id}`)).length;
      const letters = unclaimed.filter((each) => each === id).length;
      check(takers + letters <= 1, `${id} was taken ${takers} times and is ${letters} dead letters`);
      if (takers + letters === 0) lost += 1;
    }
    check(lost <= dead.size, `${lost} signals are lost, and only ${dead.size} dead messages may have one with them`);
    await this.#checkState(check, dead);
    if (problems.length > 0) throw new Error(problems.slice(0, 5).join("\n"));
    return { crashes: this.#crashes, bySignal, byTimeout, unclaimed: unclaimed.length, dead: dead.size };
  }

  /** The state counts every message of its key that has ended exactly once. */
  async #checkState(check: (holds: boolean, what: string) => void, dead: ReadonlySet<string>): Promise<void> {
    for (const key of new Set(this.#messages.map((message) => message.key))) {
      if (key === undefined) continue;
      const { json } = await this.#store.readState("f", key);
      const counted = (JSON.parse(json ?? "{}") as { n?: number }).n ?? 0;
      const ended = this.#messages.filter((message) => message.key === key && !dead.has(message.id)).length;
      check(counted === ended, `the state of ${key} counts ${counted}, but ${ended} ended`);
    }
  }
}
