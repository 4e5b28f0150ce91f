/**
 * One flow's messages: admission, the queue, order per key, concurrency, attempts, commit, and the end of each.
 *
 *   accept ──bounds──▶ queue ──(a free place)──▶ Run ──done──▶ commit ──▶ Outcome, outbox
 *              │         ▲  ▲                     │
 *           refused      │  └── next of its key   └──failed──▶ rest, then queue again; or dead letter
 *                        └────────────────────────────┘
 */
import { assert, type Clock, type Prng } from "#base";
import { ByteWindow } from "../contract/byte-window.ts";
import type { Logger } from "../contract/connector.ts";
import type { Accepted, Journal, Lease, NewMessage, NewSend, Sequence } from "../journal/journal.ts";
import { gatewayLimits } from "../contract/limits.ts";
import type { Failure, Incoming, Outcome, Reply } from "../contract/message.ts";
import { type GatewayMemory, memoryBusy } from "../contract/memory.ts";
import type { Flow, Runner } from "../contract/runner.ts";
import { type Expressions, expressionsOf, newMessage, type Origin, recovered, refusedWith } from "./admission.ts";
import { backoffMs } from "../contract/backoff.ts";
import { Deadlines } from "./deadlines.ts";
import { Deque } from "./deque.ts";
import { Holds } from "./holds.ts";
import { type Texts, textsOf } from "./keys.ts";
import { FlowMetrics } from "./metrics.ts";
import type { Persistence } from "./persistence.ts";
import { type PerformCall, Run, type RunHost, type RunResult } from "./run.ts";
import type { MessageIds, SeedPool } from "./seeds.ts";
import { Settlement, type SettlementHost } from "./settlement.ts";
import { callersFault, failureOf, heldBytesOf, Work } from "./work.ts";

/** What all flows share: how much is pending over all of them. */
export interface Totals {
  pending: number;
}

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
  readonly perform: PerformCall;
  /** Sends for these outlets were committed. */
  readonly committed: (sends: readonly NewSend[]) => void;
  /** True while an outlet of this flow has no room for more sends. */
  readonly outboxFull: () => boolean;
  /** The queue is nearly full, or has room again. */
  readonly pressure: (high: boolean) => void;
}

export class FlowDelivery implements RunHost, SettlementHost {
  readonly runner: Runner;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly seeds: SeedPool;
  readonly logger: Logger;
  readonly perform: PerformCall;
  readonly metrics = new FlowMetrics();
  readonly journal: Journal;
  readonly persistence: Persistence;
  readonly random: Prng;
  readonly memory: GatewayMemory;
  readonly #ports: FlowDeliveryPorts;
  readonly #settlement: Settlement;
  #flow: Flow;
  #expressions: Expressions;
  readonly #queue = new Deque<Work>();
  /** Messages with a key that wait behind an older one of that key; a key is in here while any of its messages is pending. */
  readonly #lanes = new Map<string, Deque<Work>>();
  readonly #open = new Set<Work>();
  /** Keys behind a dead letter: none of their messages is begun. */
  readonly holds = new Holds();
  /** Works whose dedup id is claimed, by sequence, for duplicates that come meanwhile. */
  readonly #claimed = new Map<Sequence, Work>();
  /** Messages given back to the journal. */
  leftToJournal = 0;
  #running = 0;
  /** Being accepted by the journal: counted as pending already. */
  #entering = 0;
  /** Messages whose bodies are being read for their keys, or that came behind one, and the last of them. */
  #reading = 0;
  #lastRead: Promise<unknown> = Promise.resolve();
  #pressed = false;
  #claiming = false;
  /** The journal may have messages that are not in here; new ones must not overtake them. */
  #backlog = true;
  readonly #backlogWindow: ByteWindow;
  #backlogTimer: (() => void) | undefined;
  #stopping = false;
  #closed = false;

  constructor(flow: Flow, ports: FlowDeliveryPorts) {
    this.#flow = flow;
    this.#expressions = expressionsOf(flow);
    this.#ports = ports;
    this.journal = ports.journal;
    this.persistence = ports.persistence;
    this.random = ports.random;
    this.memory = ports.memory;
    this.#backlogWindow = new ByteWindow(ports.memory.messages);
    this.#settlement = new Settlement(this);
    this.runner = ports.runner;
    this.clock = ports.clock;
    this.seeds = ports.seeds;
    this.logger = ports.logger;
    this.perform = ports.perform;
    this.deadlines = new Deadlines(ports.clock);
  }

  get flow(): Flow {
    return this.#flow;
  }

  get pending(): number {
    return this.#open.size + this.#entering + this.#reading;
  }

  get stopping(): boolean {
    return this.#stopping;
  }

  committed(sends: readonly NewSend[]): void {
    this.#ports.committed(sends);
  }

  get running(): number {
    return this.#running;
  }

  get queued(): number {
    return this.#queue.length;
  }

  /** From now on messages meet this image and configuration; what runs goes on in the old one. */
  replace(flow: Flow): void {
    this.#flow = flow;
    this.#expressions = expressionsOf(flow);
    this.#pump();
  }

  /** Takes up what the journal still has of this flow; called before its sources start, so that older messages of a key stay first. */
  resume(): Promise<void> {
    return this.#takeBacklog();
  }

  readonly accept = (incoming: Incoming, origin: Origin): Promise<Outcome> => {
    if (incoming.setAside !== undefined) return this.#setAside(incoming, origin, incoming.setAside);
    const refused = this.#refusal(incoming);
    if (refused !== undefined) return Promise.resolve(refused);
    this.metrics.received += 1;
    const { key, dedup } = this.#expressions;
    const texts = textsOf([key, dedup], incoming);
    if (texts instanceof Promise || this.#reading > 0) return this.#acceptInTurn(incoming, origin, texts);
    return this.#admit(incoming, this.#messageOf(incoming, origin, texts));
  };

  /** Its body is long, or one before it is still being read, which it must not overtake. */
  async #acceptInTurn(incoming: Incoming, origin: Origin, texts: Texts | Promise<Texts>): Promise<Outcome> {
    this.#reading += 1;
    this.#ports.totals.pending += 1;
    const turn = this.#lastRead.then(() => texts);
    this.#lastRead = turn.catch(() => undefined); // those behind it are read all the same
    let read: Texts;
    try {
      read = await turn;
    } catch (error) {
      this.#giveMemory(incoming);
      throw error;
    } finally {
      this.#reading -= 1;
      this.#ports.totals.pending -= 1;
    }
    if (!this.#closed && !(this.#stopping && this.journal.durable)) return this.#admit(incoming, this.#messageOf(incoming, origin, read));
    this.#giveMemory(incoming);
    return this.#refused("MF_STOPPING", incoming.id);
  }

  #messageOf(incoming: Incoming, origin: Origin, texts: Texts): NewMessage {
    const admission = { flow: this.#flow, expressions: this.#expressions, ids: this.#ports.ids, texts };
    return newMessage(admission, incoming, origin, this.clock.now());
  }

  #admit(incoming: Incoming, message: NewMessage): Promise<Outcome> {
    if (incoming.replyWanted && this.holds.holds(message.key)) {
      this.#giveMemory(incoming);
      return Promise.resolve(this.#refused("MF_FLOW_HELD", message.id)); // a caller can't wait until somebody looks at the letter
    }
    if (incoming.keeper === "journal") return this.#acceptDurably(incoming, message);
    if (message.dedup === undefined) return new Promise((resolve) => this.#enter(this.#work(incoming, message, resolve)));
    const adopted = this.journal.adopt(message);
    if (adopted.status !== "leased") {
      this.#giveMemory(incoming);
      return this.#duplicate(adopted, incoming, message);
    }
    return new Promise((resolve) => this.#enterLeased(this.#work(incoming, message, resolve), adopted.lease));
  }

  /**
   * Takes over a message that is in the journal already, such as a dead letter that is retried, and tells how it ends. Without room it
   * waits there, and nobody is told.
   */
  takeOver(lease: Lease, tell?: (outcome: Outcome) => void): void {
    if (this.#stopping || this.pending >= this.#flow.config.queue || !this.memory.messages.tryTake(heldBytesOf(lease.message.body))) {
      this.journal.release(lease);
      this.#backlog = true;
      this.#backlogLater();
    } else {
      const work = this.#recovered(lease);
      work.tell = tell;
      this.#enterLeased(work, lease);
    }
  }

  /** Runs a dead letter that holds its key, before all that is held. Its lease is not durable: the letter stays until it has ended. */
  takeOverLetter(lease: Lease, tell: (outcome: Outcome) => void): void {
    let retries = 0;
    for (const { isRetriedLetter } of this.#open) if (isRetriedLetter) retries += 1;
    if (this.#stopping || retries >= gatewayLimits.heldRetries) {
      this.journal.release(lease);
      return tell(refusedWith(this.#stopping ? "MF_STOPPING" : "MF_FLOW_BUSY", lease.message.id));
    }
    const work = this.#recovered(lease);
    work.tell = tell;
    work.isRetriedLetter = true;
    this.memory.messages.force(work.heldBytes);
    this.#enterLeased(work, lease);
  }

  /** From now on nothing of the key is begun. Callers who wait for a reply are told to come again. */
  hold(letter: string, key: string | undefined): void {
    this.holds.add(letter, key);
    if (key !== undefined && !this.#lanes.has(key)) this.#lanes.set(key, new Deque());
    for (const work of [...this.#open]) {
      if (!work.incoming.replyWanted || !this.holds.holds(work.message.key)) continue;
      if (work.state !== "queued" && work.state !== "behind") continue;
      if (work.lease !== undefined) this.journal.release(work.lease);
      this.end(work, this.#refused("MF_FLOW_HELD", work.message.id));
    }
  }

  buried(letter: string, { message }: Work): void {
    if (this.#flow.config.onDead !== "hold") return;
    this.hold(letter, message.key);
    const held = message.key === undefined ? "the flow" : "messages of its key";
    this.logger.error(
      { message: message.id, deadLetter: letter, key: message.key },
      `the dead letter holds back ${held} until it is retried or dropped (onDead: hold)`,
    );
  }

  /** The letter is gone: what it held goes on. */
  unhold(letter: string): void {
    const key = this.holds.keyOf(letter);
    if (!this.holds.delete(letter)) return;
    if (key !== undefined && !this.#isRetried(key)) this.#nextOfKey(key);
    this.#pump();
  }

  /** A letter of the key is being run again: its end gives the turn to the next. */
  #isRetried(key: string): boolean {
    for (const { isRetriedLetter, message } of this.#open) if (isRetriedLetter && message.key === key) return true;
    return false;
  }

  /** Takes no more, and gives back at once what has not begun and is safe with its keeper; the rest goes on to its end. */
  beginDrain(): void {
    this.#stopping = true;
    this.#backlogTimer?.();
    for (const work of [...this.#open]) if (this.#givesBack(work)) this.giveBack(work);
  }

  /** Ends what is still open: given back, or buried when nobody would have it after this process. */
  async endDrain(): Promise<void> {
    this.#closed = true;
    this.deadlines.close();
    const lost: Work[] = [];
    for (const work of [...this.#open]) {
      if (this.journal.durable || work.lease?.durable !== true || work.state === "settling") this.giveBack(work);
      else lost.push(work);
    }
    for (const work of lost) {
      const { lease } = work;
      const record = this.#settlement.record(
        work,
        failureOf("MF_STOPPED", "the gateway stopped before the message was finished, and its journal is in memory", true, 503),
        undefined,
      );
      this.#giveUp(work);
      if (lease === undefined) continue;
      await this.journal
        .bury(this.#settlement.withHistory(lease, work), record)
        .catch((error: unknown) =>
          this.logger.error({ message: work.message.id }, `lost: ${error instanceof Error ? error.message : String(error)}`),
        );
    }
  }

  /** While draining: what has a waiting caller, or has begun, is finished; the rest is safe with its keeper. */
  #givesBack(work: Work): boolean {
    const waits = work.state === "queued" || work.state === "resting" || work.state === "behind";
    return this.#stopping && waits && !work.incoming.replyWanted && (this.journal.durable || work.lease?.durable !== true);
  }

  /** Why a message is not taken now; undefined: memory for it has been taken. */
  #refusal({ body }: Incoming): Outcome | undefined {
    const { persistence } = this;
    const { totals } = this.#ports;
    let code: string | undefined;
    if (this.#closed || (this.#stopping && this.journal.durable)) code = "MF_STOPPING";
    else if (this.#backlog || this.pending >= this.#flow.config.queue) code = "MF_FLOW_BUSY";
    else if (totals.pending >= gatewayLimits.pendingTotal) code = "MF_GATEWAY_BUSY";
    else if (persistence.troubled !== undefined || this.journal.trouble !== undefined) code = "MF_JOURNAL_UNAVAILABLE";
    else if (this.#ports.outboxFull() || this.#journalFull) code = "MF_OUTBOX_FULL";
    else if (!this.memory.messages.tryTake(heldBytesOf(body))) code = memoryBusy;
    if (code === undefined) return undefined;
    return this.#refused(code, undefined);
  }

  #refused(code: string, id: string | undefined): Outcome {
    this.metrics.refuse(code);
    if (code === "MF_FLOW_BUSY") this.#press();
    return refusedWith(code, id);
  }

  /** A journal in memory holds as many sends as it may: flows that send nothing are not held up. */
  get #journalFull(): boolean {
    const { takenBytes, mostBytes } = this.memory.journal;
    return takenBytes >= mostBytes && this.#flow.outlets.length > 0;
  }

  #giveMemory({ body }: Incoming): void {
    this.memory.messages.give(heldBytesOf(body));
  }

  /** A dead letter without a run. Its id may be one that is done: it is not looked at. */
  async #setAside(incoming: Incoming, origin: Origin, failure: Failure): Promise<Outcome> {
    if (this.#closed) return refusedWith("MF_STOPPING", incoming.id);
    const nowMs = this.clock.now();
    this.memory.messages.force(heldBytesOf(incoming.body));
    try {
      const texts = await textsOf([this.#expressions.key, undefined], incoming);
      const message = { ...this.#messageOf(incoming, origin, texts), dedup: undefined };
      const adopted = this.journal.adopt(message);
      assert(adopted.status === "leased", "a message without dedup is always leased");
      const record = { attempt: 1, startedMs: nowMs, endedMs: nowMs, imageSha256: "", failure, logs: [] };
      const letter = await this.persistence.keepTrying(() => this.journal.bury(adopted.lease, record));
      if (letter === undefined) {
        this.journal.release(adopted.lease);
        return refusedWith("MF_STOPPING", message.id);
      }
      this.metrics.dead += 1;
      this.metrics.fail(failure.code);
      return { status: "dead", id: message.id, failure, kept: true };
    } finally {
      this.#giveMemory(incoming);
    }
  }

  async #acceptDurably(incoming: Incoming, message: NewMessage): Promise<Outcome> {
    this.#entering += 1;
    this.#ports.totals.pending += 1;
    let accepted: Accepted;
    try {
      accepted = await this.journal.accept(message);
    } catch (error) {
      this.persistence.failed(error);
      this.#giveMemory(incoming);
      return this.#refused("MF_JOURNAL_UNAVAILABLE", message.id);
    } finally {
      this.#entering -= 1;
      this.#ports.totals.pending -= 1;
    }
    if (accepted.status !== "leased") {
      this.#giveMemory(incoming);
      return this.#duplicate(accepted, incoming, message);
    }
    const { lease } = accepted;
    // Stopping has begun meanwhile: older messages of its key may have been given back already, and it must not overtake them.
    if (this.#stopping && this.journal.durable && !incoming.replyWanted) {
      this.journal.release(lease);
      this.#backlog = true;
      this.#giveMemory(incoming);
      return { status: "accepted", id: message.id };
    }
    if (incoming.replyWanted) return new Promise((resolve) => this.#enterLeased(this.#work(incoming, message, resolve), lease));
    this.#enterLeased(this.#work(incoming, message, undefined), lease);
    return { status: "accepted", id: message.id };
  }

  #duplicate(accepted: Exclude<Accepted, { status: "leased" }>, incoming: Incoming, { id, source }: NewMessage): Promise<Outcome> {
    if (accepted.status === "mismatch") {
      this.metrics.refuse("MF_ID_REUSED");
      const failure = callersFault("MF_ID_REUSED", "the id was used before, for a request with different content: use a new id", 422);
      return Promise.resolve({ status: "dead", id: incoming.id ?? "", failure, kept: false });
    }
    this.metrics.duplicates += 1;
    this.logger.info({ message: id, source, first: accepted.status === "running" ? "running" : "done" }, "a duplicate is not run again");
    if (accepted.status === "duplicate") return Promise.resolve({ status: "duplicate", id: accepted.id, reply: accepted.reply });
    const first = this.#claimed.get(accepted.sequence);
    if (first === undefined) return Promise.resolve(this.#refused("MF_FLOW_BUSY", incoming.id)); // it is just ending: the next try finds out how
    if (!incoming.replyWanted && first.lease?.durable === true)
      return Promise.resolve({ status: "duplicate", id: first.message.id, reply: undefined });
    return new Promise((resolve) => (first.followers ??= []).push(resolve));
  }

  #work(incoming: Incoming, message: NewMessage, tell: ((outcome: Outcome) => void) | undefined): Work {
    return new Work(incoming, message, tell, this.clock.monotonicMs());
  }

  /** A message that the journal has had for a while. */
  #recovered(lease: Lease): Work {
    const ageMs = Math.max(this.clock.now() - lease.message.receivedMs, 0);
    return new Work(recovered(lease), lease.message, undefined, this.clock.monotonicMs() - ageMs);
  }

  #enterLeased(work: Work, lease: Lease): void {
    work.lease = lease;
    work.attempt = lease.attempt;
    work.attempts = lease.attempts;
    if (work.message.dedup !== undefined) this.#claimed.set(lease.sequence, work);
    this.#enter(work);
  }

  #enter(work: Work): void {
    const { totals } = this.#ports;
    this.#open.add(work);
    totals.pending += 1;
    if (work.isRetriedLetter) return this.#ready(work);
    if (this.#open.size >= this.#flow.config.queue * gatewayLimits.pauseAt) this.#press();
    const { key } = work.message;
    if (key !== undefined) {
      const lane = this.#lanes.get(key);
      if (lane !== undefined) {
        work.state = "behind";
        lane.push(work);
        return;
      }
      this.#lanes.set(key, new Deque());
    }
    this.#ready(work);
  }

  /** Its turn has come, unless it is to rest first. */
  #ready(work: Work): void {
    const waitMs =
      work.lease === undefined ? 0 : Math.min(work.lease.dueMs - this.clock.monotonicMs(), this.#flow.config.retry.backoff.most);
    if (waitMs > 0) return this.rest(work, waitMs);
    work.state = "queued";
    const caller = work.incoming.caller;
    if (caller !== undefined) {
      if (caller.left) return this.#callerLeft(work);
      caller.onLeave = () => this.#callerLeft(work);
    }
    this.#enqueue(work);
  }

  /** A letter that is retried waits for no place: what is held behind it may have taken them all. */
  #enqueue(work: Work): void {
    if (work.isRetriedLetter && !this.#closed) return this.#begin(work);
    this.#queue.push(work);
    this.#pump();
  }

  rest(work: Work, waitMs: number): void {
    this.#giveReply(work);
    work.state = "resting";
    work.wakeUp = this.clock.after(waitMs, () => {
      this.#wake(work);
    });
  }

  #wake(work: Work): void {
    work.wakeUp = undefined;
    work.state = "queued";
    this.#enqueue(work);
  }

  /** A peer is back: messages that rest because it was away go on at once. */
  peerIsBack(): void {
    for (const work of this.#open) {
      if (work.state !== "resting" || work.unreached === 0) continue;
      work.wakeUp?.();
      this.#wake(work);
    }
  }

  #pump(): void {
    while (!this.#closed && !this.holds.all && this.#running < this.#flow.config.concurrency) {
      const work = this.#queue.shift();
      if (work === undefined) return;
      if (work.state === "queued") this.#begin(work);
    }
  }

  #begin(work: Work): void {
    work.state = "running";
    this.#running += 1;
    const { expiresMs, receivedMs, key, flow } = work.message;
    if (expiresMs !== undefined && work.attempt === 1 && this.clock.monotonicMs() - work.receivedMs > expiresMs - receivedMs) {
      this.metrics.expired += 1;
      this.#running -= 1;
      work.state = "settling";
      void this.#settlement.bury(
        work,
        failureOf("MF_EXPIRED", `the message expired: it was not started within flows.${flow}.expires`, false, 504),
        undefined,
      );
      return;
    }
    const run = new Run(this, this.#flow, work);
    work.run = run;
    const caller = work.incoming.caller;
    if (caller !== undefined) caller.onLeave = () => this.#callerLeft(work);
    if (key === undefined) run.start(undefined);
    else void this.#startWithState(run, flow, key);
  }

  async #startWithState(run: Run, flow: string, key: string): Promise<void> {
    const state = await this.persistence.keepTrying(() => this.journal.readState(flow, key));
    if (run.over) return;
    if (state === undefined) this.finished(run, { kind: "unstarted", closing: true, code: "MF_STOPPING" });
    else run.start(state);
  }

  finished(run: Run, result: RunResult): void {
    const { work } = run;
    run.over = true;
    work.run = undefined;
    this.#running -= 1;
    if (work.state !== "running") {
      run.releaseSends();
      return this.#pump(); // given back while it ran: its result is late
    }
    work.state = "settling";
    switch (result.kind) {
      case "done":
        this.#done(run, result.reply);
        break;
      case "failed":
        void this.#settlement.failed(work, result.failure, run);
        break;
      case "unstarted":
        this.#unstarted(work, result);
        break;
      case "cancelled":
        this.#cancelled(work, result.failure);
        break;
    }
    this.#pump();
  }

  #done(run: Run, reply: Reply | undefined): void {
    const { work } = run;
    if (work.lease === undefined && run.sends.length === 0 && run.stateChanges.length === 0) return this.completed(work, reply, run); // nothing to keep: the caller has it all
    void this.#settlement.commit(run, reply);
  }

  completed(work: Work, reply: Reply | undefined, run: Run): void {
    this.metrics.done += 1;
    this.metrics.durations.add(this.clock.monotonicMs() - work.receivedMs);
    this.logger.debug({ message: work.message.id, attempt: work.attempt, runMs: Math.round(run.elapsedMs) }, "done");
    this.end(work, { status: "done", id: work.message.id, reply });
  }

  #giveReply(work: Work): void {
    if (work.replyBytes > 0) this.memory.replies.give(work.replyBytes);
    work.replyBytes = 0;
  }

  conflicted(work: Work, run: Run): void {
    this.#giveReply(work);
    this.metrics.conflicts += 1;
    work.conflicts += 1;
    if (work.conflicts > gatewayLimits.conflictsInARow) {
      work.conflicts = 0;
      void this.#settlement.failed(
        work,
        failureOf(
          "MF_STATE_CONFLICT",
          `the state under this key changed during every attempt: set the flow's key, so that its messages run one after another`,
          true,
          503,
        ),
        run,
      );
      return;
    }
    work.state = "queued";
    this.#enqueue(work);
  }

  #unstarted(work: Work, { closing, code }: RunResult & { kind: "unstarted" }): void {
    if (closing) return this.giveBack(work);
    if (work.incoming.replyWanted) {
      if (work.lease !== undefined) this.journal.release(work.lease);
      return this.end(work, this.#refused(code, work.message.id));
    }
    this.metrics.refuse(code);
    this.rest(work, backoffMs(1, gatewayLimits.backoffMs, this.random));
  }

  /** Nobody waits any more: the message is given up, unless a duplicate of it waits for the same outcome. */
  #callerLeft(work: Work): void {
    if (work.followers !== undefined) return;
    const failure = callersFault("MF_CALLER_LEFT", "the caller left before the reply", 499);
    if (work.run !== undefined) work.run.stop({ kind: "cancelled", failure }, "the caller left");
    else if (work.state === "queued" || work.state === "behind") this.#cancelled(work, failure);
  }

  #cancelled(work: Work, failure: Failure): void {
    this.metrics.cancelled += 1;
    work.state = "settling";
    if (work.lease !== undefined) void this.#settlement.drop(work.lease);
    this.end(work, { status: "dead", id: work.message.id, failure, kept: false });
  }

  /** Leaves the message to its keeper: the journal has it for the next start, or the source gives it again. */
  giveBack(work: Work): void {
    if (work.state === "ended") return;
    if (work.lease !== undefined) {
      this.journal.release(work.lease);
      if (work.lease.durable) {
        this.#backlog = true;
        this.leftToJournal += 1;
      }
    }
    this.#giveUp(work);
  }

  /** Ends a message without a result; its machine, if any, is told to go. */
  #giveUp(work: Work): void {
    const { run } = work;
    this.end(work, refusedWith("MF_STOPPING", work.message.id));
    run?.stop({ kind: "cancelled", failure: failureOf("MF_STOPPING", "the gateway is stopping", true) }, "the gateway is stopping");
  }

  end(work: Work, outcome: Outcome): void {
    work.state = "ended";
    work.wakeUp?.();
    work.wakeUp = undefined;
    const { totals } = this.#ports;
    this.#open.delete(work);
    totals.pending -= 1;
    this.memory.messages.give(work.heldBytes);
    this.#giveReply(work);
    if (work.lease !== undefined && work.message.dedup !== undefined) this.#claimed.delete(work.lease.sequence);
    const caller = work.incoming.caller;
    if (caller !== undefined) caller.onLeave = undefined;
    work.settle(outcome);
    if (work.message.key !== undefined) this.#nextOfKey(work.message.key);
    if ((this.#pressed || this.#backlog) && this.#open.size <= this.#flow.config.queue * gatewayLimits.resumeAt) this.#release();
  }

  #nextOfKey(key: string): void {
    if (this.holds.holdsKey(key)) return;
    const lane = this.#lanes.get(key);
    for (let next = lane?.shift(); next !== undefined; next = lane?.shift()) {
      if (next.state !== "behind") continue;
      if (this.#givesBack(next)) this.giveBack(next);
      else return this.#ready(next);
    }
    this.#lanes.delete(key);
  }

  #press(): void {
    if (this.#pressed) return;
    this.#pressed = true;
    this.#ports.pressure(true);
  }

  #release(): void {
    this.#pressed = false;
    if (this.#stopping) return;
    this.#ports.pressure(false);
    if (this.#backlog) void this.#takeBacklog();
  }

  #enterOfBacklog(lease: Lease): void {
    const work = this.#recovered(lease);
    this.memory.messages.force(work.heldBytes);
    this.#backlogWindow.saw(work.heldBytes);
    this.#enterLeased(work, lease);
  }

  /** The journal's messages are taken up once there is memory for them, also when nothing of this flow ends until then. */
  #backlogLater(): void {
    if (this.#stopping || this.#backlogTimer !== undefined) return;
    this.#backlogTimer = this.clock.after(gatewayLimits.retryAfterMs, () => {
      this.#backlogTimer = undefined;
      if (this.#backlog) void this.#takeBacklog();
    });
  }

  async #takeBacklog(): Promise<void> {
    if (this.#claiming || this.#stopping) return;
    this.#claiming = true;
    try {
      for (;;) {
        const room = this.#flow.config.queue - this.pending;
        if (room <= 0) break;
        const most = this.#backlogWindow.fits(room);
        if (most === 0) {
          this.#backlogLater();
          break;
        }
        const leases = (await this.persistence.keepTrying(() => this.journal.lease(this.#flow.name, most))) ?? [];
        for (const lease of leases) this.#enterOfBacklog(lease);
        if (leases.length < most) {
          this.#backlog = false;
          break;
        }
      }
    } finally {
      this.#claiming = false;
    }
  }
}
