/**
 * A source's messages in hand: received from the broker and not settled yet.
 *
 *     broker ──offer──▶ waiting ──accept──▶ in the gateway ──Outcome──▶ reply ──▶ settle (ack)
 *                          ▲                       │                      │
 *                          └──────── refused ──────┘                      └── refused by the peer: dropped, logged, counted
 *
 * A refused message is kept here and offered again, not given back to the broker. This keeps it in front of the messages that came after
 * it, with every broker (MQTT has no nack; JetStream and Redis change the order). Pausing works the same way: nothing is handed on, and
 * the broker stops sending once `limit` messages are in hand. Waiting messages are given back when the source stops, and forgotten when
 * its connection is lost: the broker then redelivers them.
 *
 * A message that ends the connection is not retried forever. If the connection ends twice while its reply is sent, it is acknowledged
 * without a reply. If the connection ends twice while this message alone is acknowledged, it is set aside: it becomes a dead letter, does
 * not reach the flow, and is not acknowledged again. If several were being acknowledged when the connection ended, each is acknowledged
 * alone when it is redelivered.
 *
 * Waiting messages count in the memory budget. They arrive unasked, so their bytes are taken even if the budget is short; `room` limits how
 * many more may come.
 */
import { createHash } from "node:crypto";
import { headerText } from "#abi";
import { type Accept, ByteWindow, type ConnectorContext, type Failure, type Incoming, type Outcome } from "#gateway/contract";
import { messageOf } from "./explain.ts";
import { brokerLimits, suspectLimits } from "./limits.ts";
import { LossGuard, within } from "./link.ts";

export type Settled = Exclude<Outcome, { readonly status: "refused" }>;

export interface Delivery {
  readonly incoming: Incoming;
  /** Sends the reply; absent if none is wanted. If it fails the message is acknowledged without a reply. */
  reply?(outcome: Settled): Promise<void> | void;
  /** Acknowledges. If it fails the broker redelivers the message. */
  settle(outcome: Settled): Promise<void> | void;
  /** Resolves when the broker has read everything written so far. Absent if `settle` resolves no earlier than that. */
  proof?(): Promise<unknown>;
  /** Returns the message to the broker, for the next consumer. */
  giveBack(): Promise<void> | void;
  /** Called if the message is never settled over this connection: messages behind it must not wait for it. */
  leave?(): void;
}

interface Entry {
  readonly delivery: Delivery;
  readonly sequence: number;
  readonly generation: number;
  readonly bytes: number;
}

/** The state of a message when its connection ends. */
type Step = "reply" | "settle";

export interface IntakeOptions {
  readonly context: ConnectorContext;
  readonly accept: Accept;
  /** Most messages in hand; pushing brokers are told this number as their prefetch. */
  readonly limit: number;
  /** The broker keeps nothing: messages that wait when the source stops are handed over, not given back. */
  readonly handOverAtStop?: boolean;
}

export class Intake {
  readonly #options: IntakeOptions;
  #waiting: Entry[] = [];
  #sequence = 0;
  #generation = 0;
  #handed = 0;
  #paused = false;
  #stopping = false;
  #cancelCooling: (() => void) | undefined;
  #clearing = false;
  #drained: (() => void)[] = [];
  #roomWaiters: (() => void)[] = [];
  readonly #window: ByteWindow;
  readonly #lost = new LossGuard();
  /** Steps in progress, by message; and the steps during which a connection ended, with a count. */
  readonly #underWay = new Map<Entry, Step>();
  readonly #suspects = new Map<string, number>();
  /** Messages whose acknowledgement was written, and may not have been read by the broker. */
  #unproven: { readonly name: string; readonly atMs: number }[] = [];
  /** Acknowledgement of a suspect, alone; the others wait for it. */
  #alone: Promise<void> | undefined;
  readonly #settling = new Set<Promise<void>>();
  /** Messages that became dead letters. */
  readonly #aside = new Set<string>();

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#window = new ByteWindow(options.context.memory.requests);
  }

  /** Most messages in hand. */
  get limit(): number {
    return this.#options.limit;
  }

  /** Messages that may be fetched now: none while paused, cooling after a refusal, stopping, or without memory. */
  get room(): number {
    return this.#open ? this.#window.fits(this.#free) : 0;
  }

  /** More bytes have come than there is memory for: further messages must be given back. */
  get overfull(): boolean {
    return this.inHand > 0 && this.#options.context.memory.requests.roomBytes <= 0;
  }

  /** Bytes that may come. */
  get roomBytes(): number {
    return Math.max(0, this.#options.context.memory.requests.roomBytes);
  }

  get #free(): number {
    return Math.max(0, this.#options.limit - this.inHand);
  }

  /** For sources that fetch: waits for room and returns it. 0: the source stops, or the connection is lost. */
  async untilRoom(): Promise<number> {
    const generation = this.#generation;
    while (this.room === 0 && !this.#stopping && generation === this.#generation) {
      await new Promise<void>((resolve) => {
        this.#roomWaiters.push(resolve);
        // Others release memory without telling this intake.
        if (this.#open && this.#free > 0) this.#options.context.clock.after(brokerLimits.memoryLookMs, resolve);
      });
    }
    return generation === this.#generation ? this.room : 0;
  }

  get inHand(): number {
    return this.#waiting.length + this.#handed;
  }

  get stopping(): boolean {
    return this.#stopping;
  }

  offer(delivery: Delivery): void {
    const { headers, body } = delivery.incoming;
    let bytes = body.length;
    for (const name in headers) bytes += name.length + (headerText(headers[name]) ?? "").length;
    const entry = { delivery, sequence: this.#sequence++, generation: this.#generation, bytes };
    this.#window.saw(bytes);
    if (this.#isDeadly(entry, "settle")) return void this.#setAside(entry);
    if (this.#stopping && this.#options.handOverAtStop !== true) return void this.#giveBack(entry);
    this.#waiting.push(entry);
    this.#options.context.memory.requests.force(bytes);
    this.#pump();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#pump();
    this.#wake();
  }

  /** Accepts nothing new from now on: the first half of `drain`, for sources that must end their reading in between. */
  shut(): void {
    this.#stopping = true;
    this.#wake();
  }

  /** The connection is lost: nothing received over it can be settled any more. */
  forget(): void {
    this.#generation += 1;
    this.#clearing = false;
    this.#suspectAll();
    this.#lost.lost();
    this.#takeWaiting();
    this.#wake();
  }

  /**
   * For brokers that take places back from a reader: waiting messages are forgotten, those that the gateway has are settled, for `limitMs` at
   * most; outcomes after that come too late. The broker redelivers what was not settled, to whoever reads the place then.
   */
  async clear(limitMs: number): Promise<void> {
    const generation = this.#generation;
    this.#clearing = true;
    this.#takeWaiting();
    await within(this.#options.context, limitMs, this.#idle()).catch(() => undefined);
    if (generation !== this.#generation) return; // lost meanwhile: what waits now is of another connection
    this.#takeWaiting(); // refused meanwhile
    this.#generation += 1;
    this.#clearing = false;
    this.#wake();
  }

  /** Gives back waiting messages; resolves when all messages that were handed over are settled. */
  async drain(): Promise<void> {
    this.#stopping = true;
    this.#cancelCooling?.();
    this.#cancelCooling = undefined;
    this.#wake();
    if (this.#options.handOverAtStop === true) this.#pump();
    else await Promise.all(this.#takeWaiting().map((entry) => this.#giveBack(entry)));
    await this.#idle();
  }

  /** Resolves when the gateway has none of the messages. */
  async #idle(): Promise<void> {
    if (this.#handed > 0) await new Promise<void>((resolve) => this.#drained.push(resolve));
  }

  #takeWaiting(): Entry[] {
    const entries = this.#waiting.splice(0);
    for (const { bytes } of entries) this.#options.context.memory.requests.give(bytes);
    return entries;
  }

  get #open(): boolean {
    return !this.#paused && !this.#stopping && !this.#clearing && this.#cancelCooling === undefined;
  }

  #wake(): void {
    for (const wake of this.#roomWaiters.splice(0)) wake();
  }

  #pump(): void {
    const last = this.#stopping && this.#options.handOverAtStop === true;
    while ((last || this.#open) && this.#handed < this.#options.limit) {
      const entry = this.#waiting.shift();
      if (entry === undefined) return;
      this.#options.context.memory.requests.give(entry.bytes); // the flow's queue takes them
      this.#handed += 1;
      void this.#hand(entry);
    }
  }

  async #hand(entry: Entry): Promise<void> {
    const { context, accept } = this.#options;
    const outcome = await accept(entry.delivery.incoming);
    try {
      if (entry.generation !== this.#generation) context.metrics.count("stale");
      else if (outcome.status === "refused") await this.#keep(entry, outcome.retryAfterMs);
      else await this.#settle(entry, outcome);
    } catch (error) {
      context.metrics.count("unsettled");
      context.logger.warn({ id: outcome.id, error: String(error) }, "a message could not be acknowledged; the broker will redeliver it");
    }
    this.#release();
  }

  /** The gateway is done with a message: its place is free. */
  #release(): void {
    this.#handed -= 1;
    this.#pump();
    if (this.#handed === 0) for (const drained of this.#drained.splice(0)) drained();
    if (this.room > 0) this.#wake();
  }

  async #settle(entry: Entry, outcome: Settled): Promise<void> {
    const { context } = this.#options;
    const { reply } = entry.delivery;
    if (reply !== undefined) {
      try {
        if (this.#isDeadly(entry, "reply")) throw new Error("the connection broke each time it was sent");
        await this.#step(entry, "reply", () => reply.call(entry.delivery, outcome));
      } catch (error) {
        if (entry.generation !== this.#generation) return context.metrics.count("stale");
        context.metrics.count("reply_dropped");
        context.logger.warn(
          { id: outcome.id, code: "MF_REPLY_DROPPED" },
          `the reply can't be sent and is dropped; the message is acknowledged: ${messageOf(error)}`,
        );
      }
    }
    if (entry.generation !== this.#generation) return context.metrics.count("stale");
    await this.#acknowledge(entry, outcome);
  }

  async #acknowledge(entry: Entry, outcome: Settled): Promise<void> {
    const { delivery } = entry;
    const name = this.#suspects.size > 0 || delivery.proof !== undefined ? this.#nameOf(entry, "settle") : "";
    while (this.#alone !== undefined) await this.#alone;
    if (entry.generation !== this.#generation) return this.#options.context.metrics.count("stale");
    if (this.#suspects.has(name)) return await this.#acknowledgeAlone(entry, name, outcome);
    const settling = this.#step(entry, "settle", () => delivery.settle(outcome));
    this.#settling.add(settling);
    await settling.finally(() => this.#settling.delete(settling));
    if (delivery.proof === undefined) return;
    this.#unproven.push({ name, atMs: this.#options.context.clock.monotonicMs() });
    if (this.#unproven.length > suspectLimits.unproven) this.#unproven.shift();
  }

  /** Acknowledges nothing else meanwhile: if the connection ends, this message is the cause. */
  async #acknowledgeAlone(entry: Entry, name: string, outcome: Settled): Promise<void> {
    let free = (): void => undefined;
    this.#alone = new Promise((resolve) => {
      free = () => {
        this.#alone = undefined;
        resolve();
      };
    });
    try {
      await Promise.allSettled(this.#settling);
      const proof = this.#lost.during((async () => entry.delivery.proof?.())());
      await within(this.#options.context, brokerLimits.settleMs, proof);
      this.#unproven = [];
      await this.#step(entry, "settle", async () => {
        await entry.delivery.settle(outcome);
        await entry.delivery.proof?.();
      });
      this.#suspects.delete(name);
    } finally {
      free();
    }
  }

  /** Has a timeout: a silent peer must not hold the message's place. */
  async #step(entry: Entry, step: Step, work: () => Promise<void> | void): Promise<void> {
    this.#underWay.set(entry, step);
    try {
      await within(this.#options.context, brokerLimits.settleMs, this.#lost.during((async () => work())()));
    } finally {
      this.#underWay.delete(entry);
    }
  }

  /** Makes a dead letter of it, once. The broker keeps the message, and redelivers it over every new connection. */
  async #setAside(entry: Entry): Promise<void> {
    const { context, accept } = this.#options;
    const { delivery } = entry;
    const { incoming } = delivery;
    delivery.leave?.();
    const name = this.#nameOf(entry, "settle");
    if (this.#aside.has(name)) return;
    this.#aside.add(name);
    context.metrics.count("set_aside");
    const failure: Failure = {
      origin: "peer",
      code: "MF_MESSAGE_SET_ASIDE",
      message:
        "the connection broke each time this message was acknowledged: it is not run again and stays at the broker; remove it there, and retry this letter only if its effects are missing",
      status: 0,
      retry: false,
    };
    context.logger.error({ id: incoming.id, code: failure.code }, failure.message);
    this.#handed += 1;
    const outcome = await accept({ ...incoming, replyWanted: false, setAside: failure });
    if (outcome.status === "refused") this.#aside.delete(name); // the next connection brings it again
    this.#release();
  }

  #isDeadly(entry: Entry, step: Step): boolean {
    return this.#suspects.size > 0 && (this.#suspects.get(this.#nameOf(entry, step)) ?? 0) >= suspectLimits.deadlySteps;
  }

  /** The connection has ended. If a single step was in progress, that step is the cause. */
  #suspectAll(): void {
    const sinceMs = this.#options.context.clock.monotonicMs() - suspectLimits.unprovenMs;
    const names = this.#unproven.filter(({ atMs }) => atMs >= sinceMs).map(({ name }) => name);
    for (const [entry, step] of this.#underWay) {
      if (step === "settle") names.push(this.#nameOf(entry, step));
      else this.#suspect(this.#nameOf(entry, step), 1);
    }
    for (const name of names) this.#suspect(name, names.length === 1 ? 1 : 0);
    this.#unproven = [];
  }

  #suspect(name: string, more: number): void {
    const times = (this.#suspects.get(name) ?? 0) + more;
    this.#suspects.delete(name);
    this.#suspects.set(name, times);
    const [oldest] = this.#suspects.keys();
    if (this.#suspects.size > suspectLimits.messages && oldest !== undefined) this.#suspects.delete(oldest);
  }

  /** Identifies a message over all its deliveries: not every broker gives it an id. */
  #nameOf({ delivery: { incoming } }: Entry, step: Step): string {
    const { id, correlationId = "", contentType, headers, body } = incoming;
    if (id !== undefined) return `${step} ${id}`;
    const hash = createHash("sha256")
      .update(JSON.stringify([correlationId, contentType, headers, body.length]))
      .update(body.subarray(0, suspectLimits.bodyBytes));
    return `${step} ${hash.digest("base64")}`;
  }

  async #keep(entry: Entry, retryAfterMs: number): Promise<void> {
    const { context } = this.#options;
    context.metrics.count("refused");
    if (this.#stopping) return this.#giveBack(entry);
    const at = this.#waiting.findIndex((other) => other.sequence > entry.sequence);
    this.#waiting.splice(at === -1 ? this.#waiting.length : at, 0, entry);
    context.memory.requests.force(entry.bytes);
    this.#cancelCooling?.();
    this.#cancelCooling = context.clock.after(retryAfterMs, () => {
      this.#cancelCooling = undefined;
      this.#pump();
      if (this.room > 0) this.#wake();
    });
  }

  async #giveBack(entry: Entry): Promise<void> {
    this.#options.context.metrics.count("given_back");
    try {
      await entry.delivery.giveBack();
    } catch {
      // The connection is gone: the broker has the message back already.
    }
  }
}
