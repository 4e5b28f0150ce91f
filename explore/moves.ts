/**
 * The moves of a world: which events can come next, and the world after each.
 *
 *   m1     message 1 comes              s2     signal 2 comes             m1+ s2+   once more, as another
 *   r1.2.0 the message or signal that send 0 of job 1's transaction 2 became
 *   y1.2.0 a person takes option 0 of wait 2 of job 1
 *   a1.3=0 call 3 of job 1 has its answer 0; `!` for no answer
 *   w1     job 1 goes on: with its signals, what is due, or its next attempt
 *   t      time passes until something is due
 *   x      the gateway crashes: transactions that run are lost, commits are not
 */
import { type CallEffect, type Event, machineErrors } from "#abi";
import { toUtf8 } from "#base";
import { type Failure, failedCall, peersFault, refusedCall } from "#gateway";
import { type KnownWait, SignalBox } from "#replay";
import type { Choice, MessageStimulus, Served, Stimulus } from "./matter.ts";
import type { Scenario } from "./scenario.ts";
import { DeedLogs, requestOf, sendOf } from "./deeds.ts";
import { deliverOf, signalEvent } from "./events.ts";
import { staleWrite } from "./stale.ts";
import type { Offer, Reading, Step, Steps } from "./steps.ts";
import { Names } from "./names.ts";
import {
  deadlineOf,
  describeJob,
  describeOutside,
  describeState,
  describeStates,
  describeStimulus,
  type Draft,
  dueOf,
  endsOf,
  type Job,
  type Kept,
  type Left,
  noState,
  type Pending,
  type StateEntry,
  stateJson,
  stateKey,
  waitsOf,
  type World,
} from "./world.ts";

export interface Move {
  readonly token: string;
  readonly disturbs: keyof Left | undefined;
  readonly world: World;
  readonly kind: "come" | "repeat" | "answer" | "go" | "time" | "crash";
  readonly pending: Pending | undefined;
  readonly job: Job | undefined;
  readonly offer: Offer | undefined;
}

const nothing: never[] = [];
const nobody = {};
const noAnswer: Choice = {
  answer: failedCall("MF_OUTLET_TIMEOUT", "no answer came in time", peersFault),
  label: "no answer (MF_OUTLET_TIMEOUT)",
  isDisturbance: true,
};

const outOfTime: Failure = { origin: "gateway", code: "MF_TIME_LIMIT", message: machineErrors.MF_TIME_LIMIT, status: 504, retry: true };

export class Moves {
  readonly scenario: Scenario;
  readonly #steps: Steps;
  readonly #flows: ReadonlyMap<string, Served>;
  readonly #names = new Names();
  readonly #deeds = new DeedLogs();
  readonly #contents = new WeakMap<Stimulus, number>();

  constructor(scenario: Scenario, steps: Steps) {
    this.scenario = scenario;
    this.#steps = steps;
    this.#flows = new Map(scenario.flows.map((flow) => [flow.name, flow]));
  }

  start(): World {
    const { stimuli, bounds, startMs } = this.scenario;
    const counts = { message: 0, signal: 0 };
    const pending = stimuli.map((stimulus) => ({
      token: `${stimulus.kind === "message" ? "m" : "s"}${++counts[stimulus.kind]}`,
      stimulus,
      content: this.#contentOf(stimulus),
    }));
    const states = new Map<string, StateEntry>();
    for (const stimulus of stimuli) {
      if (stimulus.kind !== "message" || stimulus.key === undefined || stimulus.state === undefined) continue;
      const values = Object.entries(stimulus.state).map(([name, value]) => [name, { json: JSON.stringify(value), writer: 0 }] as const);
      states.set(stateKey(stimulus.flow, stimulus.key), this.#entry(1, new Map(values)));
    }
    const { crashes, errors, duplicates, delays } = bounds;
    return {
      nowMs: startMs,
      jobs: [],
      pending,
      outside: 0,
      stored: 0,
      repeatable: [],
      kept: [],
      states,
      log: this.#deeds.first,
      left: { crashes, errors, duplicates, delays },
      token: "",
      parent: undefined,
      depth: 0,
      quiet: 0,
      disturbances: 0,
      broken: undefined,
    };
  }

  #entry(version: number, values: StateEntry["values"]): StateEntry {
    return { version, values, name: this.#names.of(describeState({ version, values })) };
  }

  #contentOf(stimulus: Stimulus): number {
    let content = this.#contents.get(stimulus);
    if (content === undefined) this.#contents.set(stimulus, (content = this.#names.of(describeStimulus(stimulus))));
    return content;
  }

  of(world: World): Move[] {
    const { left, jobs } = world;
    const moves: Move[] = [];
    const add = (
      kind: Move["kind"],
      token: string,
      disturbs: keyof Left | undefined,
      { pending, job, offer }: { readonly pending?: Pending; readonly job?: Job; readonly offer?: Offer },
    ): void => {
      if (disturbs === undefined || left[disturbs] > 0) moves.push({ token, disturbs, world, kind, pending, job, offer });
    };
    for (const pending of world.pending) if (this.#mayCome(world, pending)) add("come", pending.token, undefined, { pending });
    if (left.duplicates > 0)
      for (const pending of world.repeatable)
        if (this.#mayCome(world, pending)) add("repeat", `${pending.token}+`, "duplicates", { pending });
    let isBusy = false;
    let isAwake = false;
    for (const job of jobs) {
      if (job.status === "awake") {
        isAwake = true;
        for (const offer of this.#offers(world, job)) {
          isBusy = true;
          add("answer", offer.token, offer.isDisturbance ? "errors" : undefined, { job, offer });
        }
      }
      if (!this.#mayGoOn(world, job)) continue;
      isBusy = true;
      add("go", `w${job.number}`, undefined, { job });
    }
    const nextMs = this.#nextDueMs(world);
    if (nextMs !== undefined && this.#mayPass(world, nextMs)) add("time", "t", isBusy ? "delays" : undefined, nobody);
    if (isAwake) add("crash", "x", "crashes", nobody);
    return moves;
  }

  /** The world after a move. */
  after({ world, token, kind, pending, job, offer, disturbs }: Move): World {
    const draft: Draft = { ...world, token, parent: world, depth: world.depth + 1, broken: undefined };
    draft.quiet = kind === "answer" || kind === "go" || kind === "time" ? world.quiet + 1 : 0;
    if (disturbs !== undefined) {
      draft.left = { ...world.left, [disturbs]: world.left[disturbs] - 1 };
      draft.disturbances += 1;
    }
    if (kind === "time") draft.nowMs = this.#nextDueMs(world) ?? world.nowMs;
    else if (kind === "crash") this.#crash(draft);
    else if (kind === "come" && pending !== undefined) this.#come(draft, pending);
    else if (kind === "repeat" && pending !== undefined) this.#repeat(draft, pending);
    else if (kind === "go" && job !== undefined) this.#goOn(draft, job);
    else if (job !== undefined && offer !== undefined) this.#answer(draft, job, offer);
    if (draft.pending !== world.pending || draft.repeatable !== world.repeatable || draft.kept !== world.kept)
      draft.outside = this.#names.of(describeOutside(draft));
    if (draft.states !== world.states) draft.stored = this.#names.of(describeStates(draft.states));
    return draft;
  }

  /** Messages of one key begin one after another; a machine that sleeps is in nobody's way. */
  #mayCome({ jobs, nowMs }: World, { stimulus, notBeforeMs = nowMs }: Pending): boolean {
    if (notBeforeMs > nowMs) return false;
    if (stimulus.kind === "signal" || stimulus.key === undefined) return true;
    const { flow, key } = stimulus;
    return !jobs.some(
      (job) =>
        (job.status === "awake" || job.status === "resting") && job.transaction === 1 && job.flow.name === flow && job.message.key === key,
    );
  }

  #come(draft: Draft, each: Pending): void {
    draft.pending = draft.pending.filter((other) => other !== each && (each.group === undefined || other.group !== each.group));
    if (each.stimulus.mayRepeat) draft.repeatable = [...draft.repeatable, each];
    this.#enter(draft, each, each.token);
  }

  #repeat(draft: Draft, each: Pending): void {
    draft.repeatable = draft.repeatable.filter((other) => other !== each);
    this.#enter(draft, each, `${each.token}+`);
  }

  #enter(draft: Draft, { stimulus, content }: Pending, id: string): void {
    if (stimulus.kind === "signal") {
      const { flow, name, key, headers, body } = stimulus;
      const headersJson = JSON.stringify(headers);
      const kept: Kept = { id, name, key, flow, stimulus, content, atMs: draft.nowMs, headersJson, body };
      if (this.#isKept(draft, kept)) draft.kept = [...draft.kept, kept];
    } else this.#begin(draft, stimulus, this.scenario.bounds.turns);
  }

  /** Refused where nobody waits for it and the flow keeps none that come early. */
  #isKept({ jobs }: World, { flow, name, key }: Kept): boolean {
    if ((this.#flows.get(flow)?.earlyMs ?? 0) > 0) return true;
    return jobs.some(
      (job) => job.flow.name === flow && waitsOf(job).some((wait) => wait.name === name && (key === undefined || key === wait.key)),
    );
  }

  #begin(draft: Draft, message: MessageStimulus, turns: number): void {
    const flow = this.#flows.get(message.flow);
    if (flow === undefined) throw new Error(`no flow is named ${message.flow}`);
    const job: Job = {
      number: draft.jobs.length + 1,
      flow,
      message,
      content: this.#contentOf(message),
      status: "resting",
      at: undefined,
      base: undefined,
      transaction: 1,
      attempt: 1,
      given: noState,
      lastSeen: undefined,
      taken: [],
      failure: undefined,
      turns,
      name: 0,
    };
    draft.jobs = [...draft.jobs, job];
    this.#goOn(draft, job);
  }

  /** Answers to the open calls of a job: those of outlets stay as they are, those of the state are as of now. */
  #offers(world: World, job: Job): readonly Offer[] {
    const step = job.at;
    if (step === undefined || step.reading.openCalls.length === 0) return nothing;
    if (step.offers !== undefined) return step.offers;
    const offers: Offer[] = [];
    const { openCalls } = step.reading;
    for (const call of openCalls) {
      const offer = (name: string, { answer, isDisturbance }: Choice): void =>
        void offers.push({ token: `a${job.number}.${call.call}=${name}`, call, name, answer, isDisturbance });
      const choices = this.choicesOf(world, job, call);
      for (const [index, choice] of choices.entries()) offer(String(index), choice);
      if (call.operation !== "state" && choices.length > 0 && !choices.some(({ label }) => label === "refused")) offer("!", noAnswer);
    }
    if (openCalls.every(({ operation }) => operation !== "state")) step.offers = offers;
    return offers;
  }

  /** Answers that a call may have: one where the gateway answers it by itself. */
  choicesOf({ states }: World, { flow, message }: Job, call: CallEffect): readonly Choice[] {
    if (call.operation === "state") {
      const json = stateJson(states.get(stateKey(flow.name, call.target)) ?? noState) ?? "{}";
      const headersJson = '{"content-type":"application/json"}';
      return [
        { answer: { error: undefined, status: 200, headersJson, body: Buffer.from(json) }, label: "its state", isDisturbance: false },
      ];
    }
    const { name, outlets } = flow.effects;
    const refused = refusedCall(call, { name, outlets, hosts: flow.rules?.hosts }, message.headers);
    if (refused !== undefined) return [{ answer: refused, label: "refused", isDisturbance: false }];
    return this.scenario.choices(flow, call);
  }

  #answer(draft: Draft, job: Job, { call: { call, operation }, name, answer }: Offer): void {
    const { blame: _, ...given } = answer;
    const content = operation === "state" ? Buffer.from(given.body).toString("utf8") : name;
    const key = `a${call}=${content}@${draft.nowMs}`;
    this.#step(draft, job, key, () => [{ kind: "resolve", timeMs: draft.nowMs, call, ...given }]);
  }

  /** Its signals, or what is due: what it would go on with. */
  #mayGoOn(world: World, job: Job): boolean {
    if (job.status === "resting") return true;
    if (job.status !== "asleep" && job.status !== "awake") return false;
    return (endsOf(job)[0]?.dueMs ?? Number.POSITIVE_INFINITY) <= world.nowMs || this.#claims(world, job).length > 0;
  }

  /** A signal is for the machine that has waited longest. */
  #claims({ jobs, kept, nowMs }: World, job: Job): { readonly wait: KnownWait; readonly signal: Kept }[] {
    if (kept.length === 0) return nothing;
    const waits = waitsOf(job);
    if (waits.length === 0) return nothing;
    const older = jobs.filter(({ number, flow, status }) => number < job.number && flow === job.flow && status === "asleep");
    const free = kept.filter(
      (signal) =>
        signal.flow === job.flow.name &&
        !older.some((other) => new SignalBox([signal], job.flow.earlyMs).claim(waitsOf(other), nowMs).length > 0),
    );
    return new SignalBox(free, job.flow.earlyMs).claim(waits, nowMs) as { wait: KnownWait; signal: Kept }[];
  }

  #goOn(draft: Draft, job: Job): void {
    if (job.status === "awake") return this.#goOnAwake(draft, job);
    const { message, content, base, attempt } = job;
    const state = this.#stateOf(draft, job);
    const json = state === undefined ? undefined : stateJson(state);
    const { nowMs } = draft;
    if (base === undefined) {
      const begun = { ...job, status: "awake" as const, given: state ?? noState, taken: [] };
      const key = `d${job.number}.${attempt}=${content}@${nowMs}:${json ?? ""}`;
      this.#step(draft, begun, key, () => [deliverOf(message, { nowMs, attempt, stateJson: json, number: job.number })], true);
      return;
    }
    const claims = this.#claims(draft, job);
    const taken = claims.map(({ signal }) => signal);
    draft.kept = draft.kept.filter((signal) => !taken.includes(signal));
    const open = new Set(claims.map(({ wait }) => wait.wait));
    const due = dueOf({ ...job, at: base }, nowMs).filter((each) => each.kind === "wake" || !open.has(each.number));
    const key = `r${attempt}@${nowMs}:${json ?? ""}:${claims.map(({ wait, signal }) => `${wait.wait}.${signal.id}=${signal.content}`).join()}:${due.map(({ number }) => number).join()}`;
    const events = (): Event[] => [
      { kind: "resume", timeMs: nowMs, attempt, stateJson: json },
      ...claims.map(({ wait, signal }) => signalEvent(nowMs, wait.wait, signal)),
      ...due.map(({ kind, number }) =>
        kind === "wake" ? ({ kind, timeMs: nowMs, timer: number } as const) : signalEvent(nowMs, number, undefined),
      ),
    ];
    const begun = { ...job, status: "awake" as const, at: base, given: state ?? noState, taken };
    this.#step(draft, begun, key, events, true);
  }

  #goOnAwake(draft: Draft, job: Job): void {
    const { nowMs } = draft;
    const [claim] = this.#claims(draft, job);
    if (claim !== undefined) {
      draft.kept = draft.kept.filter((signal) => signal !== claim.signal);
      const key = `s${claim.wait.wait}.${claim.signal.id}=${claim.signal.content}@${nowMs}`;
      this.#step(draft, { ...job, taken: [...job.taken, claim.signal] }, key, () => [signalEvent(nowMs, claim.wait.wait, claim.signal)]);
      return;
    }
    const [due] = dueOf(job, nowMs);
    if (due === undefined) return;
    if (nowMs > deadlineOf(job)) return this.#fail(draft, job, outOfTime);
    const key = `${due.kind}${due.number}@${nowMs}`;
    this.#step(draft, job, key, () => [
      due.kind === "wake" ? { kind: "wake", timeMs: nowMs, timer: due.number } : signalEvent(nowMs, due.number, undefined),
    ]);
  }

  /** One step, and all that follows from it at once. */
  #step(draft: Draft, job: Job, key: string, events: () => readonly Event[], begins = false): void {
    const step = this.#steps.give(job, begins ? job.base : job.at, { key, begins, events });
    const { reading } = step;
    const moved: Job = { ...job, at: step };
    step.requests ??= reading.made.filter(({ operation }) => operation !== "state").map((call) => requestOf(moved, call, draft.nowMs));
    for (const deed of step.requests) this.#deeds.add(draft, deed);
    const { end } = reading;
    if (end === undefined) this.#set(draft, moved);
    else if (end.kind === "failed") this.#fail(draft, moved, end.failure);
    else if (end.kind === "unstarted")
      this.#fail(draft, moved, { origin: "gateway", code: end.code, message: "", status: 503, retry: false });
    else this.#commit(draft, moved, step, reading);
  }

  #set(draft: Draft, job: Job): void {
    job.name = this.#names.of(describeJob(job));
    draft.jobs = draft.jobs.map((other) => (other.number === job.number ? job : other));
  }

  #fail(draft: Draft, job: Job, { code, message, retry }: Failure): void {
    const again = retry && job.attempt < this.scenario.bounds.attempts;
    this.#return(draft, job);
    const failure = { code, message };
    this.#set(draft, {
      ...job,
      status: again ? "resting" : "dead",
      attempt: again ? job.attempt + 1 : job.attempt,
      at: job.base,
      given: noState,
      taken: [],
      failure,
    });
  }

  /** Signals of a transaction that is not committed are for others again. */
  #return(draft: Draft, { taken }: Job): void {
    if (taken.length > 0) draft.kept = [...draft.kept, ...taken].sort((a, b) => a.atMs - b.atMs);
  }

  #commit(draft: Draft, job: Job, step: Step, { end, sends, changes }: Reading): void {
    const state = this.#stateOf(draft, job);
    if (changes.length > 0 && state !== undefined && state.version !== job.given.version) {
      this.#return(draft, job);
      return this.#set(draft, { ...job, status: "resting", at: job.base, given: noState, taken: [] });
    }
    let seen = job.given;
    if (changes.length > 0 && state !== undefined && job.message.key !== undefined) {
      const stale = staleWrite(this.#steps, job, step, state, changes);
      if (stale !== undefined) draft.broken = { rule: "no lost update", why: stale };
      const values = new Map(state.values);
      for (const { name, valueJson } of changes) {
        if (valueJson === undefined || values.get(name)?.json === undefined) values.delete(name); // a new one is the last
        values.set(name, { json: valueJson, writer: job.number });
      }
      seen = this.#entry(state.version + 1, values);
      draft.states = new Map(draft.states).set(stateKey(job.flow.name, job.message.key), seen);
    }
    step.sends ??= sends.map((send, index) => sendOf(job, send, index, draft.nowMs));
    for (const [index, deed] of step.sends.entries()) {
      this.#deeds.add(draft, deed);
      for (const [at, stimulus] of this.scenario.routes(deed).entries()) {
        const token = `r${job.number}.${job.transaction}.${index}${at === 0 ? "" : `.${at}`}`;
        const pending = { token, stimulus, content: this.#contentOf(stimulus), notBeforeMs: deed.dueMs };
        draft.pending = [...draft.pending, pending];
      }
    }
    const isAsleep = end?.kind === "asleep";
    if (isAsleep) draft.pending = [...draft.pending, ...this.#decisions(job, step)];
    const after: Job = { ...job, given: noState, taken: [], attempt: 1, failure: undefined };
    this.#set(
      draft,
      isAsleep
        ? { ...after, status: "asleep", at: step, base: step, lastSeen: seen, transaction: job.transaction + 1 }
        : { ...after, status: "done", at: step, base: step, lastSeen: undefined },
    );
    const next = end?.kind === "done" ? end.next : undefined;
    if (next === undefined || job.turns <= 0) return;
    const { contentType, headers, body } = next;
    const typed = contentType === "" ? headers : { ...headers, "content-type": contentType };
    this.#begin(draft, { ...job.message, id: `${job.message.id}'`, headers: typed, body, state: undefined }, job.turns - 1);
  }

  /** The options of questions that are asked now: a person takes one of them, if any. */
  #decisions({ flow, number, base }: Job, { reading }: Step): Pending[] {
    if (this.scenario.stimuli.some((each) => each.kind === "signal" && each.flow === flow.name && each.name === "approval")) return [];
    const before = new Set(base?.reading.waits.map(({ wait }) => wait));
    return reading.waits.flatMap(({ wait, name, key, questionJson }) => {
      if (questionJson === undefined || before.has(wait)) return [];
      const { options = [] } = JSON.parse(questionJson) as { readonly options?: readonly string[] };
      return options.map((option, index): Pending => {
        const body = toUtf8(JSON.stringify({ option }));
        const headers = { "content-type": "application/json" };
        const stimulus = { kind: "signal", flow: flow.name, name, key, headers, body, mayRepeat: false } as const;
        return { token: `y${number}.${wait}.${index}`, stimulus, content: this.#contentOf(stimulus), group: `y${number}.${wait}` };
      });
    });
  }

  #crash(draft: Draft): void {
    for (const job of draft.jobs) {
      if (job.status !== "awake") continue;
      this.#return(draft, job);
      this.#set(draft, { ...job, status: "resting", at: job.base, given: noState, taken: [] });
    }
  }

  #stateOf({ states }: World, { flow, message: { key } }: Job): StateEntry | undefined {
    return key === undefined ? undefined : (states.get(stateKey(flow.name, key)) ?? noState);
  }

  /** No transaction is awake beyond its limit, but for one that nothing else can end: it goes on to fail there. */
  #mayPass({ jobs }: World, untilMs: number): boolean {
    return jobs.every((job) => {
      if (job.status !== "awake" || job.at === undefined) return true;
      const deadlineMs = deadlineOf(job);
      const { openCalls, ends } = job.at.reading;
      return untilMs <= deadlineMs || (openCalls.length === 0 && (ends[0]?.dueMs ?? 0) > deadlineMs);
    });
  }

  #nextDueMs({ jobs, pending, nowMs }: World): number | undefined {
    let next: number | undefined;
    for (const { notBeforeMs } of pending)
      if (notBeforeMs !== undefined && notBeforeMs > nowMs && (next === undefined || notBeforeMs < next)) next = notBeforeMs;
    for (const job of jobs)
      for (const { dueMs } of endsOf(job)) {
        if (dueMs <= nowMs) continue;
        if (next === undefined || dueMs < next) next = dueMs;
        break; // the first end comes first
      }
    return next;
  }
}
