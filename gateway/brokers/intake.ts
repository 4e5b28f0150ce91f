/**
 * What a source has in its hands: messages taken from the broker and not settled yet.
 *
 *     broker ──offer──▶ waiting ──accept──▶ in the gateway ──Outcome──▶ settle (ack, reply)
 *                          ▲                       │
 *                          └──────── refused ──────┘   after retryAfterMs, in the order they came in
 *
 * A refused message is kept here and offered again, not given back to the broker: only so do the ones that came after it stay
 * behind it, with every broker (MQTT has no nack, JetStream and Redis change the order). Pausing works the same way: nothing is
 * handed on, and the broker stops by itself once `limit` messages are in hand. What waits is given back when the source stops and
 * forgotten when its connection is lost, since the broker then gives it again.
 */
import type { ConnectorContext } from "../connector.ts";
import type { Incoming, Outcome } from "../message.ts";
import type { Accept } from "../sources/source.ts";

export type Settled = Exclude<Outcome, { readonly status: "refused" }>;

export interface Delivery {
  readonly incoming: Incoming;
  /** Acknowledges, sends the reply. May fail: the broker will then give the message again. */
  settle(outcome: Settled): Promise<void> | void;
  /** Lets the broker give it to the next consumer. */
  giveBack(): Promise<void> | void;
}

interface Entry {
  readonly delivery: Delivery;
  readonly sequence: number;
  readonly generation: number;
}

export interface IntakeOptions {
  readonly context: ConnectorContext;
  readonly accept: Accept;
  /** Most messages in hand; pushing brokers are told this number as their prefetch. */
  readonly limit: number;
  /** The broker keeps nothing: what waits when the source stops is handed over rather than given back. */
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
  #drained: (() => void) | undefined;
  #roomWaiters: (() => void)[] = [];

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  /** How many more messages may be fetched now: none while paused, cooling after a refusal or stopping. */
  get room(): number {
    return this.#open ? Math.max(0, this.#options.limit - this.inHand) : 0;
  }

  /** For sources that fetch: waits till there is room and says how much. 0: the source stops, or the connection is lost. */
  async untilRoom(): Promise<number> {
    const generation = this.#generation;
    while (this.room === 0 && !this.#stopping && generation === this.#generation) {
      await new Promise<void>((resolve) => this.#roomWaiters.push(resolve));
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
    const entry = { delivery, sequence: this.#sequence++, generation: this.#generation };
    if (this.#stopping && this.#options.handOverAtStop !== true) return void this.#giveBack(entry);
    this.#waiting.push(entry);
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

  /** Takes nothing new from now on: the first half of `drain`, for sources that must end their reading in between. */
  shut(): void {
    this.#stopping = true;
    this.#wake();
  }

  /** The connection is lost: nothing received over it can be settled any more. */
  forget(): void {
    this.#generation += 1;
    this.#waiting = [];
    this.#wake();
  }

  /** Gives back what waits and resolves when all that was handed over is settled. */
  async drain(): Promise<void> {
    this.#stopping = true;
    this.#cancelCooling?.();
    this.#cancelCooling = undefined;
    this.#wake();
    if (this.#options.handOverAtStop === true) this.#pump();
    else await Promise.all(this.#waiting.splice(0).map((entry) => this.#giveBack(entry)));
    if (this.#handed > 0) await new Promise<void>((resolve) => (this.#drained = resolve));
  }

  get #open(): boolean {
    return !this.#paused && !this.#stopping && this.#cancelCooling === undefined;
  }

  #wake(): void {
    for (const wake of this.#roomWaiters.splice(0)) wake();
  }

  #pump(): void {
    const last = this.#stopping && this.#options.handOverAtStop === true;
    while ((last || this.#open) && this.#handed < this.#options.limit) {
      const entry = this.#waiting.shift();
      if (entry === undefined) return;
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
      else await entry.delivery.settle(outcome);
    } catch (error) {
      context.metrics.count("unsettled");
      context.logger.warn({ id: outcome.id, error: String(error) }, "a message could not be acknowledged; the broker will give it again");
    }
    this.#handed -= 1;
    this.#pump();
    if (this.#handed === 0) this.#drained?.();
    if (this.room > 0) this.#wake();
  }

  async #keep(entry: Entry, retryAfterMs: number): Promise<void> {
    const { context } = this.#options;
    context.metrics.count("refused");
    if (this.#stopping) return this.#giveBack(entry);
    const at = this.#waiting.findIndex((other) => other.sequence > entry.sequence);
    this.#waiting.splice(at === -1 ? this.#waiting.length : at, 0, entry);
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
      // Its connection is gone: the broker has it back already.
    }
  }
}
