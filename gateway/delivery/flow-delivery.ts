/**
 * One flow's messages, from their admission to the end of each. Each step has a file; this one says what comes after what.
 *
 *   admission ──▶ work-queue ──(its turn, a place)──▶ attempt ──▶ settlement ──verdict──▶ Outcome, outbox
 *                     ▲  ▲                                            │
 *      backlog ───────┘  └─────────── rest, then again ◀──────────────┘
 */
import type { Clock, Prng } from "#base";
import { backoffMs } from "../contract/backoff.ts";
import type { Logger } from "../contract/connector.ts";
import { gatewayLimits } from "../contract/limits.ts";
import { accountOf, type GatewayMemory } from "../contract/memory.ts";
import type { Failure, Headers, Outcome, Reply } from "../contract/message.ts";
import type { Flow, Runner } from "../contract/runner.ts";
import type { Sleeper } from "../contract/sleep.ts";
import type { Tracing } from "../contract/tracing.ts";
import type { Journal, Lease, NewSend, Sequence } from "../journal/journal.ts";
import { Admission, type Entrance, type Totals } from "./admission/admission.ts";
import { recovered, refusedWith } from "./admission/message.ts";
import { type AttemptPorts, type AttemptResult, MessageAttempt, type PerformCall } from "./attempt/attempt.ts";
import { Backlog } from "./backlog.ts";
import { chosenFlow, Sides } from "./canary.ts";
import { Deadlines } from "./deadlines.ts";
import { callersFault, failureOf, purgedCode } from "./failures.ts";
import { Handover } from "./handover.ts";
import type { Holds } from "./holds.ts";
import { FlowMetrics } from "./metrics.ts";
import { OpenMessages } from "./open-messages.ts";
import type { Outbox } from "./outbox/outbox.ts";
import type { Persistence } from "./persistence.ts";
import type { MessageIds, SeedPool } from "./seeds.ts";
import { AwakeMessages } from "./sleep/awake.ts";
import { FlowSleepers } from "./sleep/flow-sleepers.ts";
import type { QuestionLinks } from "./sleep/questions.ts";
import { Settlement, type Verdict } from "./settlement.ts";
import type { Shares } from "./shares.ts";
import { shownWork, type WaitingMessage } from "./waiting.ts";
import { heldBytesOf, Work } from "./work.ts";
import { WorkQueue } from "./work-queue.ts";
import type { WitnessedAttempt } from "../contract/witness.ts";
import type { Witnesses } from "./witnesses.ts";

export interface FlowDeliveryPorts {
  readonly runner: Runner;
  readonly journal: Journal;
  readonly persistence: Persistence;
  readonly clock: Clock;
  readonly random: Prng;
  readonly seeds: SeedPool;
  readonly ids: MessageIds;
  readonly totals: Totals;
  readonly memory: GatewayMemory;
  readonly logger: Logger;
  readonly tracing: Tracing;
  readonly perform: PerformCall;
  readonly readWindow: AttemptPorts["readWindow"];
  /** A message with these headers is not in hand any more: its stored body may be free. */
  readonly mayFreeBody: (headers: Headers) => void;
  /** The flow in the image that a machine sleeps in. Rejects with a CodedError when that image is missing or can't run. */
  readonly loadAsleep: (sha256: string, flow: Flow) => Promise<Flow>;
  readonly questions: QuestionLinks;
  readonly witnesses: Witnesses;
  /** Absent: everything is this process's own. */
  readonly shares?: Shares | undefined;
  /** The flow's, by the names of their outlets. As of now: a reload replaces them. */
  readonly outboxes: () => ReadonlyMap<string, { readonly outbox: Outbox }>;
  /** The queue is nearly full, or has room again. */
  readonly pressure: (high: boolean) => void;
}

export class FlowDelivery implements Entrance {
  readonly metrics = new FlowMetrics();
  /** Of a new image beside the current one. */
  readonly sides = new Sides();
  readonly sleepers: FlowSleepers;
  readonly awake: AwakeMessages;
  /** Of messages whose partition moves to another node. */
  readonly handover: Handover;
  readonly #ports: FlowDeliveryPorts;
  readonly #attempts: AttemptPorts;
  readonly #admission: Admission;
  readonly #queue: WorkQueue;
  readonly #backlog: Backlog;
  readonly #settlement: Settlement;
  readonly #deadlines: Deadlines;
  #flow: Flow;
  readonly #open: OpenMessages;
  /** Messages given back to the journal. */
  leftToJournal = 0;
  #pressed = false;
  #shut = false;
  #stopping = false;
  #closed = false;

  constructor(flow: Flow, ports: FlowDeliveryPorts) {
    const { metrics } = this;
    this.#flow = flow;
    this.#ports = ports;
    this.#open = new OpenMessages(ports.totals, ports.memory);
    this.#deadlines = new Deadlines(ports.clock);
    const finished: AttemptPorts["finished"] = (attempt, result) => this.#finished(attempt, result);
    this.sleepers = new FlowSleepers({
      ...ports,
      metrics,
      flow: () => this.#flow,
      room: (waking) =>
        this.#shut || this.#queue.paused ? 0 : this.awake.room(Math.min(this.#flow.config.concurrency, this.#flow.config.queue), waking),
      expectedBytes: () => this.awake.expectedBytes,
      enter: (lease, wakeMs) => this.awake.enter(lease, wakeMs),
    });
    this.#attempts = { ...ports, metrics, deadlines: this.#deadlines, signals: this.sleepers, finished };
    this.#admission = new Admission(this, { ...ports, metrics, outboxFull: () => this.#outboxFull });
    this.#settlement = new Settlement({ ...ports, metrics, flow: () => this.#flow });
    this.#queue = new WorkQueue(
      () => this.#flow.config.concurrency,
      (work) => this.#begin(work),
    );
    this.handover = new Handover({
      ...ports,
      open: this.#open,
      queue: this.#queue,
      sleepers: this.sleepers,
      refuse: (code, id) => this.#admission.refuse(code, id),
      end: (work, outcome) => this.#end(work, outcome),
    });
    this.awake = new AwakeMessages({
      ...ports,
      metrics,
      flow: () => this.#flow,
      attempts: this.#attempts,
      settlement: this.#settlement,
      queue: this.#queue,
      open: this.#open,
      sleepers: this.sleepers,
      enter: (work, lease) => this.enter(work, lease),
      carryOut: (work, settled, told) => this.#carryOut(work, settled, told),
      giveBack: (work) => this.#giveBack(work),
    });
    this.#backlog = new Backlog({
      ...ports,
      flow: flow.name,
      messages: ports.memory.messages,
      room: () => this.#flow.config.queue - this.pending,
      idle: () => this.pending === 0,
      enter: (lease) => this.#enterRecovered(this.#recovered(lease), lease),
    });
  }

  get flow(): Flow {
    return this.#flow;
  }

  /** Hashes of the images that messages meet. */
  get images(): readonly string[] {
    const { image, canary } = this.#flow;
    return canary === undefined ? [image.sha256] : [image.sha256, canary.flow.image.sha256];
  }

  get size(): number {
    return this.#open.size;
  }

  get pending(): number {
    return this.#open.size + this.#admission.pending;
  }

  get running(): number {
    return this.#queue.running;
  }

  get queued(): number {
    return this.#queue.length;
  }

  get hasBacklog(): boolean {
    return this.#backlog.waiting;
  }

  get stopping(): boolean {
    return this.#stopping;
  }

  get shut(): boolean {
    return this.#shut;
  }

  /** The queue is nearly full: sources rest. */
  get pressed(): boolean {
    return this.#pressed;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Keys behind a dead letter: none of their messages is begun. */
  get holds(): Holds {
    return this.#queue.holds;
  }

  /** From now on messages meet this image and configuration; attempts under way go on in the old one. */
  replace(flow: Flow): void {
    this.#flow = flow;
    this.#admission.reread();
    this.#queue.pump();
  }

  /** `shut`: nothing is taken. `idle`: nothing is begun either; whoever waits for a reply is told to come again. */
  halt({ shut, idle }: { readonly shut: boolean; readonly idle: boolean }): void {
    this.#shut = shut;
    this.#queue.paused = idle;
    this.sleepers.pump();
    if (!idle) return this.#queue.pump();
    for (const work of this.#open.all()) if (work.incoming.replyWanted && work.waits) this.#sendAway(work, "MF_FLOW_PAUSED");
  }

  /** Messages in hand, the oldest first. */
  waiting(): readonly WaitingMessage[] {
    return this.#open.all().flatMap((work) => shownWork(work, (key) => this.isHeld(key)) ?? []);
  }

  /** Makes every message that waits a dead letter; also those that the journal still has, as they are taken up. Gives their number. */
  async purge(): Promise<number> {
    let purged = 0;
    for (;;) {
      const waiting = this.#open.all().filter((work) => work.waits && !work.isRetriedLetter);
      await Promise.all(waiting.map((work) => this.#bury(work)));
      purged += waiting.length;
      if (!this.#backlog.waiting || this.#stopping) return purged;
      await this.#backlog.take();
      if (!this.#open.all().some((work) => work.waits && !work.isRetriedLetter)) return purged;
    }
  }

  async #bury(work: Work): Promise<void> {
    if (work.state === "resting") {
      work.wakeUp?.();
      work.wakeUp = undefined;
      work.to("queued");
    }
    work.to("settling");
    const failure = failureOf(purgedCode, "an operator removed the message from the flow's queue (`mayfly queue purge`)", true, 503);
    await this.#carryOut(work, this.#settlement.bury(work, failure, this.#settlement.record(work, failure, undefined)), undefined);
  }

  /** Ends a message that has not begun: its caller is told to come again. */
  #sendAway(work: Work, code: string): void {
    if (work.lease !== undefined) this.#ports.journal.release(work.lease);
    this.#end(work, this.#admission.refuse(code, work.message.id));
  }

  /** Takes up what the journal still has of this flow; called before its sources start, so that older messages of a key stay first. */
  async resume(): Promise<void> {
    await this.awake.holdKeys();
    await this.#backlog.take();
    this.sleepers.start();
  }

  get accept(): Admission["accept"] {
    return this.#admission.accept;
  }

  get acceptForwarded(): Admission["acceptForwarded"] {
    return this.#admission.acceptForwarded;
  }

  /** The journal has a partition more: what it has of this flow is taken up, and nothing new overtakes it. */
  async gain(): Promise<void> {
    this.#backlog.more();
    await this.resume();
  }

  isHeld(key: string | undefined): boolean {
    return this.#queue.holds.holds(key);
  }

  holderOf(sequence: Sequence): Work | undefined {
    return this.#open.holderOf(sequence);
  }

  leave(lease: Lease): void {
    this.#ports.journal.release(lease);
    this.#backlog.more();
  }

  full(): void {
    if (this.#pressed) return;
    this.#pressed = true;
    this.#ports.pressure(true);
  }

  /**
   * Takes over a message that is in the journal already, such as a dead letter that is retried, and tells how it ends. Without room it
   * waits there, and nobody is told.
   */
  takeOver(lease: Lease, tell?: (outcome: Outcome) => void): void {
    const { memory } = this.#ports;
    const heldBytes = heldBytesOf(lease.message.body, lease.sleeper);
    const hasRoom = !this.#stopping && this.pending < this.#flow.config.queue && accountOf(memory, heldBytes).tryTake(heldBytes);
    if (hasRoom) {
      const work = this.#recovered(lease);
      work.tell = tell;
      this.enter(work, lease);
    } else {
      this.leave(lease);
      this.#backlog.later();
    }
  }

  /** Runs a dead letter that holds its key, before all that is held. Its lease is not durable: the letter stays until it has ended. */
  takeOverLetter(lease: Lease, tell: (outcome: Outcome) => void): void {
    if (this.#stopping || this.#open.retriedLetters().length >= gatewayLimits.heldRetries) {
      this.#ports.journal.release(lease);
      return tell(refusedWith(this.#stopping ? "MF_STOPPING" : "MF_FLOW_BUSY", lease.message.id));
    }
    const work = this.#recovered(lease);
    work.tell = tell;
    work.isRetriedLetter = true;
    this.#enterRecovered(work, lease);
  }

  /** From now on nothing of the key is begun. Callers who wait for a reply are told to come again. */
  hold(letter: string, key: string | undefined): void {
    this.#queue.hold(letter, key);
    for (const work of this.#open.all()) {
      if (!work.incoming.replyWanted || !this.isHeld(work.message.key)) continue;
      if (work.state !== "queued" && work.state !== "behind") continue;
      this.#sendAway(work, "MF_FLOW_HELD");
    }
  }

  /** The letter is gone: what it held goes on. */
  unhold(letter: string): void {
    const key = this.#queue.holds.keyOf(letter);
    if (!this.#queue.holds.delete(letter)) return;
    const isRetried = this.#open.retriedLetters().some(({ message }) => message.key === key); // its end gives the turn to the next
    if (key !== undefined && !isRetried) this.#nextOf(key);
    this.#queue.pump();
  }

  /** Takes no more, and gives back at once what has not begun and is safe with its keeper; the rest goes on to its end. */
  beginDrain(): void {
    this.#stopping = true;
    this.sleepers.stop();
    this.#backlog.stop();
    for (const work of this.#open.all()) if (this.#mayGiveBack(work)) this.#giveBack(work);
  }

  /** Ends what is still open: given back, or buried when nobody would have it after this process. */
  async endDrain(): Promise<void> {
    this.#closed = true;
    this.#queue.close();
    this.#deadlines.close();
    if (!this.#ports.journal.durable) await this.awake.buryAll();
    const lost: Work[] = [];
    for (const work of this.#open.all()) {
      if (this.#ports.journal.durable || work.lease?.durable !== true || work.state === "settling") this.#giveBack(work);
      else lost.push(work);
    }
    const text = "the gateway stopped before the message was finished, and its journal is in memory";
    for (const work of lost) {
      const record = this.#settlement.record(work, failureOf("MF_STOPPED", text, true, 503), undefined);
      this.#giveUp(work);
      const letter = work.lease === undefined ? undefined : await this.#settlement.buryLost(work, work.lease, record);
      this.#tellEnd(work, undefined, record.failure, letter);
    }
  }

  /** While draining: what has a waiting caller, or has begun, is finished; the rest is safe with its keeper. */
  #mayGiveBack(work: Work): boolean {
    return this.#stopping && work.waits && !work.incoming.replyWanted && (this.#ports.journal.durable || work.lease?.durable !== true);
  }

  /** A message that the journal has had for a while. */
  #recovered(lease: Lease): Work {
    const { clock } = this.#ports;
    const ageMs = Math.max(clock.now() - lease.message.receivedMs, 0);
    return new Work(recovered(lease), lease.message, undefined, clock.monotonicMs() - ageMs, lease.sleeper);
  }

  /** In whatever memory there is: it is in the journal, and only its end makes room. */
  #enterRecovered(work: Work, lease: Lease): void {
    accountOf(this.#ports.memory, work.heldBytes).force(work.heldBytes);
    this.enter(work, lease);
  }

  enter(work: Work, lease: Lease | undefined): void {
    this.#open.add(work, lease);
    if (!work.isRetriedLetter && this.#open.size >= this.#flow.config.queue * gatewayLimits.pauseAt) this.full();
    if (this.#queue.takesTurn(work)) this.#ready(work);
  }

  /** Its turn has come, unless it is to rest first. */
  #ready(work: Work): void {
    const { lease, incoming } = work;
    const leftMs = lease === undefined ? 0 : lease.dueMs - this.#ports.clock.monotonicMs();
    const waitMs = Math.min(leftMs, this.#flow.config.retry.backoff.most);
    if (waitMs > 0) return this.#rest(work, waitMs);
    work.to("queued");
    const { caller } = incoming;
    if (caller !== undefined) {
      if (caller.left) return this.#callerLeft(work);
      const left = (): void => this.#callerLeft(work); // V8 makes a function that is assigned to a property at once in the old generation
      caller.onLeave = left;
    }
    this.#queue.push(work);
  }

  #rest(work: Work, waitMs: number): void {
    this.#open.releaseReply(work);
    work.to("resting");
    work.wakeUp = this.#ports.clock.after(waitMs, () => this.#wake(work));
  }

  #wake(work: Work): void {
    work.wakeUp = undefined;
    work.to("queued");
    this.#queue.push(work);
  }

  /** A peer is back: messages that rest because it was away go on at once. */
  peerIsBack(): void {
    for (const work of this.#open.all()) {
      if (work.state !== "resting" || work.unreached === 0) continue;
      work.wakeUp?.();
      this.#wake(work);
    }
  }

  #begin(work: Work): void {
    const { clock } = this.#ports;
    const { expiresMs, receivedMs, key, flow } = work.message;
    const sleeper = work.lease?.sleeper;
    if (sleeper !== undefined) return void this.awake.begin(work, sleeper);
    if (expiresMs !== undefined && work.attempt === 1 && clock.monotonicMs() - work.receivedMs > expiresMs - receivedMs) {
      this.metrics.expired += 1;
      this.#queue.running -= 1;
      work.to("settling");
      const failure = failureOf("MF_EXPIRED", `the message expired: it was not started within flows.${flow}.expires`, false, 504);
      void this.#carryOut(work, this.#settlement.bury(work, failure, this.#settlement.record(work, failure, undefined)), undefined);
      return;
    }
    const attempt = new MessageAttempt(this.#attempts, chosenFlow(this.#flow, work.message), work);
    work.running = attempt;
    if (key === undefined) attempt.start(undefined);
    else void this.#startWithState(attempt, flow, key);
  }

  async #startWithState(attempt: MessageAttempt, flow: string, key: string): Promise<void> {
    const { journal, persistence } = this.#ports;
    const state = await persistence.keepTrying(() => journal.readState(flow, key));
    if (attempt.over) return;
    if (state === undefined) attempt.closed();
    else attempt.start(state);
  }

  #finished(attempt: MessageAttempt, result: AttemptResult): void {
    const { work } = attempt;
    if (result.kind === "done" || result.kind === "failed")
      this.sides.ended(this.#flow, attempt.flow, attempt.elapsedMs, result.kind === "failed" ? result.failure.code : undefined);
    work.running = undefined;
    this.#queue.running -= 1;
    if (work.state !== "running") {
      attempt.releaseSends(); // given back while it ran: its result is late
      attempt.returnSignals();
    } else {
      work.to("settling");
      this.#settle(attempt, result);
    }
    this.#queue.pump();
  }

  #settle(attempt: MessageAttempt, result: AttemptResult): void {
    const { work, effects } = attempt;
    const failure = "failure" in result ? result.failure : undefined;
    const reply = result.kind === "done" ? result.reply : undefined;
    const told = attempt.notes?.witnessed(attempt, this.#ports.clock.now(), failure, reply);
    switch (result.kind) {
      case "done": {
        const changes = effects.sends.length + effects.stateChanges.length + attempt.consumed.length;
        const hasNothingToKeep = work.lease === undefined && changes === 0 && result.next === undefined;
        if (hasNothingToKeep) return this.#done(work, result.reply, attempt.elapsedMs, told);
        return void this.#carryOut(work, this.#settlement.commit(attempt, result), told);
      }
      case "asleep":
        return void this.#carryOut(work, this.#settlement.commit(attempt, result), told);
      case "failed":
        return void this.#carryOut(work, this.#settlement.fail(work, result.failure, attempt), told);
      case "unstarted":
        attempt.returnSignals();
        return result.closing ? this.#giveBack(work) : this.#unstarted(work, result.code);
      case "cancelled":
        return this.#drop(work, result.failure, told);
    }
  }

  /** `told`: the attempt that ended, for witnesses; undefined without an attempt or a witness. */
  async #carryOut(work: Work, settled: Promise<Verdict>, told: WitnessedAttempt | undefined): Promise<void> {
    const verdict = await settled;
    if (work.state !== "settling") return; // given back meanwhile
    const { id } = work.message;
    switch (verdict.kind) {
      case "done":
        this.#pumpOutboxes(verdict.sends);
        this.#done(work, verdict.reply, verdict.runMs, told);
        if (!verdict.continues) return;
        this.#backlog.more();
        return void this.#backlog.take();
      case "restarted":
        this.#end(work, { status: "done", id, reply: undefined });
        this.#backlog.more();
        return void this.#backlog.take();
      case "asleep":
        this.#pumpOutboxes(verdict.sends);
        return this.#asleep(work, verdict.sleeper);
      case "again":
        this.#open.releaseReply(work);
        work.to("queued");
        return this.#queue.push(work);
      case "rest":
        if (verdict.attempt !== undefined) {
          if (told !== undefined) this.#ports.witnesses.attempted(work.message, told);
          work.attempt += 1;
          work.lease = verdict.attempt.lease;
          work.attempts = verdict.attempt.attempts;
        }
        return this.#stopping && this.#ports.journal.durable ? this.#giveBack(work) : this.#rest(work, verdict.waitMs);
      case "dead":
        if (verdict.letter !== undefined && this.#flow.config.onDead === "hold" && verdict.failure.code !== purgedCode)
          this.#holdBehind(verdict.letter, work);
        this.#end(work, { status: "dead", id, failure: verdict.failure, kept: verdict.letter !== undefined });
        return this.#tellEnd(work, told, verdict.failure, verdict.letter);
      case "left":
        return this.#giveBack(work);
      case "late":
        return this.#end(work, refusedWith("MF_GATEWAY_BUSY", id));
    }
  }

  #pumpOutboxes(sends: readonly NewSend[]): void {
    const outboxes = this.#ports.outboxes();
    if (sends.length === 1) outboxes.get(sends[0]?.outlet ?? "")?.outbox.pump();
    else for (const name of new Set(sends.map(({ outlet }) => outlet))) outboxes.get(name)?.outbox.pump();
  }

  get #outboxFull(): boolean {
    for (const { outbox } of this.#ports.outboxes().values()) if (outbox.full) return true;
    return false;
  }

  #done(work: Work, reply: Reply | undefined, runMs: number, told: WitnessedAttempt | undefined): void {
    this.metrics.done += 1;
    this.metrics.durations.add(this.#ports.clock.monotonicMs() - work.receivedMs);
    this.#ports.logger.debug({ message: work.message.id, attempt: work.attempt, runMs: Math.round(runMs) }, "done");
    this.#end(work, { status: "done", id: work.message.id, reply });
    this.#tellEnd(work, told);
  }

  /** The journal has the message with its machine: its source may forget it. */
  #asleep(work: Work, sleeper: Sleeper): void {
    const { message } = work;
    this.metrics.slept += 1;
    this.awake.fallsAsleep(work);
    this.#ports.logger.debug({ message: message.id, until: new Date(sleeper.dueMs).toISOString() }, "asleep");
    this.#end(work, { status: "done", id: message.id, reply: undefined }, true);
    this.sleepers.slept(sleeper);
  }

  /** Tells witnesses how a message ended: without `failure` it is done, with a letter dead, otherwise its caller was told. */
  #tellEnd(work: Work, last: WitnessedAttempt | undefined, failure?: Failure, letter?: string): void {
    const { witnesses, clock } = this.#ports;
    if (!witnesses.any) return;
    const status = failure === undefined ? "done" : letter === undefined ? "failed" : "dead";
    witnesses.ended(work.message, { status, last, attempts: work.attempt, endedMs: clock.now(), failure, letter });
  }

  #holdBehind(letter: string, { message }: Work): void {
    this.hold(letter, message.key);
    const held = message.key === undefined ? "the flow" : "messages of its key";
    this.#ports.logger.error(
      { message: message.id, deadLetter: letter, key: message.key },
      `the dead letter holds back ${held} until it is retried or dropped (onDead: hold)`,
    );
  }

  #unstarted(work: Work, code: string): void {
    if (work.incoming.replyWanted) {
      if (work.lease !== undefined) this.#ports.journal.release(work.lease);
      return this.#end(work, this.#admission.refuse(code, work.message.id));
    }
    this.metrics.refuse(code);
    this.#rest(work, backoffMs(1, gatewayLimits.backoffMs, this.#ports.random));
  }

  /** Nobody waits any more: the message is given up, unless a duplicate of it waits for the same outcome. */
  #callerLeft(work: Work): void {
    if (work.followers !== undefined) return;
    const failure = callersFault("MF_CALLER_LEFT", "the caller left before the reply", 499);
    if (work.running !== undefined) work.running.cancel(failure, "the caller left");
    else if (work.state === "queued" || work.state === "behind") {
      work.to("settling");
      this.#drop(work, failure, undefined);
    }
  }

  #drop(work: Work, failure: Failure, told: WitnessedAttempt | undefined): void {
    this.metrics.cancelled += 1;
    if (work.lease !== undefined) void this.#settlement.drop(work.lease);
    this.#end(work, { status: "dead", id: work.message.id, failure, kept: false });
    this.#tellEnd(work, told, failure);
  }

  /** Leaves the message to its keeper: the journal has it for the next start, or the source gives it again. */
  #giveBack(work: Work): void {
    if (work.state === "ended") return;
    if (work.lease !== undefined) {
      this.#ports.journal.release(work.lease);
      if (work.lease.durable && work.lease.sleeper === undefined) {
        this.#backlog.more();
        this.leftToJournal += 1;
      }
    }
    this.#giveUp(work);
  }

  /** Ends a message without a result; its machine, if any, is told to go. */
  #giveUp(work: Work): void {
    const { running } = work;
    this.#end(work, refusedWith("MF_STOPPING", work.message.id));
    running?.cancel(failureOf("MF_STOPPING", "the gateway is stopping", true), "the gateway is stopping");
  }

  /** `sleepsOn`: the message is asleep, not over. */
  #end(work: Work, outcome: Outcome, sleepsOn = false): void {
    work.to("ended");
    work.wakeUp?.();
    work.wakeUp = undefined;
    this.#open.remove(work);
    this.#ports.mayFreeBody(work.message.headers);
    const { caller } = work.incoming;
    if (caller !== undefined) caller.onLeave = undefined;
    work.settle(outcome);
    this.awake.ended(work, outcome, sleepsOn);
    if (work.message.key !== undefined) this.#nextOf(work.message.key);
    const hasRoom = this.#open.size <= this.#flow.config.queue * gatewayLimits.resumeAt;
    if (hasRoom && (this.#pressed || this.#backlog.waiting)) this.#relieve();
  }

  #nextOf(key: string): void {
    if (this.handover.isLeaving) return this.handover.leaveLane(key);
    for (let next = this.#queue.next(key); next !== undefined; next = this.#queue.next(key)) {
      if (!this.#mayGiveBack(next)) return this.#ready(next);
      this.#giveBack(next);
    }
  }

  #relieve(): void {
    this.#pressed = false;
    if (this.#stopping) return;
    this.#ports.pressure(false);
    if (this.#backlog.waiting) void this.#backlog.take();
  }
}
