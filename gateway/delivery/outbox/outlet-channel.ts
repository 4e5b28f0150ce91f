/**
 * One outlet of one flow: everything that goes to it passes here. Bounds what is under way, keeps the rate, opens the circuit when
 * the peer is down, and classifies what happens. The outbox (sends) and requests of running flows share it.
 *
 *   circuit: closed ──failures in a row──▶ open ──pause──▶ half-open ──success──▶ closed
 *                                           ▲                 └──failure──┐
 *                                           └─────────────────────────────┘
 */
import { type Clock, isCoded, type Prng } from "#base";
import { storedBodyHeader, storedBodyOf } from "../../contract/stored-body.ts";
import { resolved } from "../../stored-bodies/outgoing.ts";
import type { BodyStore } from "../../stored-bodies/store.ts";
import type { OutletConfig } from "../../contract/config.ts";
import { gatewayLimits } from "../../contract/limits.ts";
import { memoryBusy } from "../../contract/memory.ts";
import type { Answer, Outgoing } from "../../contract/message.ts";
import { type Attempt, type Outlet, OutletError, type OutletRequest } from "../../contract/outlet.ts";
import { backoffMs } from "../../contract/backoff.ts";
import { Deadlines } from "../deadlines.ts";
import { Chain } from "../chain.ts";
import { Deque } from "../deque.ts";
import { outletTimedOut } from "../failures.ts";
import { OutletMetrics } from "../metrics.ts";
import { type Abandonment, OpenAttempt } from "./open-attempt.ts";
import { RateLimit } from "./rate-limit.ts";

export function classified(error: unknown): OutletError {
  if (error instanceof OutletError) return error;
  const code = isCoded(error) ? error.code : "MF_OUTLET_FAILED";
  return new OutletError(code, error instanceof Error ? error.message : String(error), { retryable: true, cause: error });
}

const nobodyWaits = (): OutletError =>
  new OutletError("MF_OUTLET_ABANDONED", "the caller of this request no longer waits for it", { retryable: true, origin: "gateway" });
const stopping = (): OutletError => new OutletError("MF_STOPPING", "the gateway is stopping", { retryable: true, origin: "gateway" });
export interface OutletChannelOptions {
  readonly flow: string;
  readonly name: string;
  readonly outlet: Outlet;
  readonly config: OutletConfig;
  readonly clock: Clock;
  /** For backoff. */
  readonly random: Prng;
  /** Of the channel it replaces; absent: new ones. */
  readonly metrics?: OutletMetrics | undefined;
  /** Absent: there are no stored bodies. */
  readonly bodyStore?: BodyStore | undefined;
}

/** An attempt to be made in a place that was taken. */
export interface AttemptOptions<T> {
  readonly idempotencyKey: string;
  /** 1 for the first. */
  readonly attempt: number;
  readonly timeoutMs: number;
  /** Aborts when nobody waits for it any more. */
  readonly outer?: AbortSignal | undefined;
  /** The same, of a send. */
  readonly abandonment?: Abandonment | undefined;
  readonly make: (how: Attempt) => Promise<T>;
}

export class OutletChannel {
  readonly flow: string;
  readonly name: string;
  readonly outlet: Outlet;
  readonly config: OutletConfig;
  readonly metrics: OutletMetrics;
  readonly #clock: Clock;
  readonly #random: Prng;
  readonly #rate: RateLimit | undefined;
  readonly #bodyStore: BodyStore | undefined;
  readonly #waiters = new Deque<() => void>();
  readonly #open = new Chain<OpenAttempt>();
  readonly #deadlines: Deadlines;
  #underWay = 0;
  #failuresInARow = 0;
  #openUntilMs = 0;
  #probing = false;
  #waking: (() => void) | undefined;
  #stopped = false;
  #paused = false;
  /** Called when a place may have become free; set by the outbox. */
  onRoom: () => void = () => undefined;
  /** Called when an attempt succeeds after one that did not; set by whoever has what waits for it. */
  onRecovered: () => void = () => undefined;
  /** Called when the circuit opens, for so many milliseconds. */
  onCircuitOpen: (openMs: number, failure: OutletError) => void = () => undefined;

  constructor({ flow, name, outlet, config, clock, random, metrics, bodyStore }: OutletChannelOptions) {
    this.flow = flow;
    this.name = name;
    this.outlet = outlet;
    this.config = config;
    this.metrics = metrics ?? new OutletMetrics();
    this.#bodyStore = bodyStore;
    this.#clock = clock;
    this.#deadlines = new Deadlines(clock);
    this.#random = random;
    this.#rate = config.rate === undefined ? undefined : new RateLimit(config.rate, clock);
  }

  get underWay(): number {
    return this.#underWay;
  }

  /** Milliseconds the circuit stays open, 0 when it is not. */
  get circuitOpenMs(): number {
    return Math.max(this.#openUntilMs - this.#clock.monotonicMs(), 0);
  }

  get failuresInARow(): number {
    return this.#failuresInARow;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** While it is paused nothing new is sent or asked; what is under way ends. Requests that wait for a place are refused. */
  pause(paused: boolean): void {
    this.#paused = paused;
    for (let waiting = this.#waiters.length; waiting > 0; waiting -= 1) this.#waiters.shift()?.();
    if (!paused) this.#admit();
  }

  /** Takes a place for one attempt; false when all are taken, and `onRoom` is called later. Requests that wait go first. */
  tryEnter(): boolean {
    if (this.#waiters.length > 0) return false;
    return this.#enter();
  }

  /** Gives a place back that was taken and is not needed after all. */
  leaveUnused(): void {
    this.#rate?.putBack();
    this.#leave();
  }

  /** Makes one attempt in a place that was taken. Rejects with an OutletError, also for an outlet that ignores its signal. */
  async attempt<T>({ idempotencyKey, attempt, timeoutMs, outer, abandonment, make }: AttemptOptions<T>): Promise<T> {
    const startedMs = this.#clock.monotonicMs();
    const open = new OpenAttempt(idempotencyKey, attempt, startedMs + timeoutMs, () => outletTimedOut(this.name, timeoutMs));
    const onAbort = (): void => open.abandon(nobodyWaits());
    this.#open.add(open);
    this.#deadlines.add(open);
    const isAborted = (): boolean => outer?.aborted === true || abandonment?.isAbandoned === true;
    outer?.addEventListener("abort", onAbort, { once: true });
    abandonment?.listen(onAbort);
    if (isAborted()) onAbort();
    try {
      const result = await open.outcome(make);
      this.#succeeded();
      return result;
    } catch (error) {
      const failure = classified(error);
      if (!isAborted() && failure.code !== "MF_STOPPING" && failure.code !== memoryBusy) this.#failed(failure);
      throw failure;
    } finally {
      outer?.removeEventListener("abort", onAbort);
      abandonment?.listen(undefined);
      this.#deadlines.remove(open);
      this.#open.remove(open);
      this.metrics.durations.add(this.#clock.monotonicMs() - startedMs);
      this.#leave();
    }
  }

  /** Sends in a place that was taken, with a stored body as this outlet can have it. */
  send(message: Outgoing, how: Attempt): Promise<void> {
    if (message.headers[storedBodyHeader] === undefined) return this.outlet.send(message, how);
    return this.#withStoredBody(message, (whole) => this.outlet.send(whole, how));
  }

  /** One attempt by hand: waits for a place, but not for an open circuit. Rejects with an OutletError. */
  async sendNow(message: Outgoing, key: string, attempt: number, signal: AbortSignal): Promise<void> {
    await this.#place(signal);
    const make = (how: Attempt): Promise<void> => this.send(message, how);
    await this.attempt({ idempotencyKey: key, attempt, timeoutMs: this.config.timeout, outer: signal, make });
  }

  /** A request with its retries, `timeoutMs` at most in all when it is not 0. Rejects with an OutletError. */
  async request(message: OutletRequest, key: string, timeoutMs: number, signal: AbortSignal): Promise<Answer> {
    const { outlet, config } = this;
    const ask = outlet.request?.bind(outlet);
    if (ask === undefined)
      throw new OutletError("MF_OUTLET_NO_ANSWER", `the outlet ${this.name} (${config.connector}) can't answer: use send`, {
        retryable: false,
        origin: "flow",
      });
    this.metrics.requests += 1;
    const make = (how: Attempt): Promise<Answer> =>
      message.headers[storedBodyHeader] === undefined ? ask(message, how) : this.#withStoredBody(message, (whole) => ask(whole, how));
    const untilMs = timeoutMs > 0 ? this.#clock.monotonicMs() + timeoutMs : Number.POSITIVE_INFINITY;
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#place(signal);
        const leftMs = Math.min(config.timeout, untilMs - this.#clock.monotonicMs());
        return await this.attempt({ idempotencyKey: key, attempt, timeoutMs: Math.max(leftMs, 1), outer: signal, make });
      } catch (error) {
        const failure = classified(error);
        if (failure.answer !== undefined && (failure.retryAfterMs ?? 0) > gatewayLimits.requestWaitMs) return failure.answer;
        const waitMs = failure.retryAfterMs ?? backoffMs(attempt, config.retry.backoff, this.#random);
        const most = Math.min(config.retry.attempts, gatewayLimits.requestAttempts);
        if (
          signal.aborted ||
          !failure.retryable ||
          failure.code === "MF_CIRCUIT_OPEN" ||
          failure.code === "MF_OUTLET_PAUSED" ||
          attempt >= most ||
          this.#clock.monotonicMs() + waitMs >= untilMs
        )
          throw failure;
        this.metrics.retries += 1;
        await this.#pause(waitMs, signal);
      }
    }
  }

  /** Aborts what is under way; nothing is attempted any more. */
  stop(): void {
    this.#stopped = true;
    this.#waking?.();
    for (const open of this.#open.all()) open.abandon(stopping());
    this.#deadlines.close();
    for (let waiter = this.#waiters.shift(); waiter !== undefined; waiter = this.#waiters.shift()) waiter();
  }

  async #withStoredBody<Message extends Outgoing, T>(message: Message, give: (message: Message) => Promise<T>): Promise<T> {
    const release = this.#bodyStore?.hold(storedBodyOf(message.headers)?.id ?? "");
    try {
      return await give(await resolved(message, this.outlet, this.#bodyStore));
    } finally {
      release?.();
    }
  }

  #enter(): boolean {
    if (this.#stopped || this.#paused || this.#underWay >= this.config.concurrency) return false;
    if (this.#openUntilMs > 0) {
      const openMs = this.circuitOpenMs;
      if (openMs > 0 || this.#probing) {
        this.#wakeIn(Math.max(openMs, 1));
        return false;
      }
    }
    const waitMs = this.#rate?.take() ?? 0;
    if (waitMs > 0) {
      this.#wakeIn(waitMs);
      return false;
    }
    if (this.#openUntilMs > 0) this.#probing = true;
    this.#underWay += 1;
    return true;
  }

  #leave(): void {
    this.#underWay -= 1;
    this.#probing = false;
    this.#admit();
  }

  /** A place for a request: waits its turn, but not for an open circuit. */
  async #place(signal: AbortSignal): Promise<void> {
    while (!this.#enter()) {
      const refusal = this.#refusal(signal);
      if (refusal !== undefined) {
        this.#admit(); // the place this one was woken for goes to the next
        throw refusal;
      }
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
    if (!signal.aborted) return;
    this.leaveUnused();
    throw nobodyWaits();
  }

  #refusal(signal: AbortSignal): OutletError | undefined {
    if (this.#stopped) return stopping();
    if (signal.aborted) return nobodyWaits();
    if (this.#paused)
      return new OutletError(
        "MF_OUTLET_PAUSED",
        `the outlet ${this.name} is paused by its operator (\`mayfly outlets resume\` starts it): try again later`,
        {
          retryable: true,
          unreached: true,
          origin: "gateway",
          callerStatus: 503,
        },
      );
    const openMs = this.circuitOpenMs;
    if (openMs > 0 || this.#probing)
      return new OutletError(
        "MF_CIRCUIT_OPEN",
        `the outlet ${this.name} failed ${this.#failuresInARow} times in a row: its circuit breaker is open, try again later`,
        { retryable: true, unreached: true, retryAfterMs: Math.max(openMs, 1), callerStatus: 503 },
      );
    if (this.#waiters.length >= gatewayLimits.outletWaiters)
      return new OutletError(
        "MF_OUTLET_BUSY",
        `${this.#waiters.length} requests wait for the outlet ${this.name}, the most allowed: raise its concurrency, or send less`,
        { retryable: true, origin: "gateway", callerStatus: 503 },
      );
    return undefined;
  }

  /** A place may be free: the next request takes it, or the outbox. */
  #admit(): void {
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) waiter();
    else if (!this.#stopped) this.onRoom();
  }

  #wakeIn(ms: number): void {
    if (this.#waking !== undefined || this.#stopped) return;
    this.#waking = this.#clock.after(ms, () => {
      this.#waking = undefined;
      this.#admit();
    });
  }

  #succeeded(): void {
    const recovered = this.#failuresInARow > 0;
    this.#failuresInARow = 0;
    this.#openUntilMs = 0;
    if (recovered) this.onRecovered();
  }

  /** Only what says the peer is in trouble opens the circuit: a refused message (4xx) says it is well. */
  #failed(failure: OutletError): void {
    this.metrics.fail(failure.code, failure.message, this.#clock.now());
    if (!failure.retryable) return this.#succeeded();
    this.#failuresInARow += 1;
    const { breaker } = this.config;
    if (breaker === undefined || this.#failuresInARow < breaker.failures) return;
    const openMs = Math.max(breaker.pause, Math.min(failure.retryAfterMs ?? 0, this.config.retry.age));
    const wasOpen = this.circuitOpenMs > 0;
    this.#openUntilMs = this.#clock.monotonicMs() + openMs;
    if (!wasOpen) this.onCircuitOpen(openMs, failure);
  }

  #pause(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        signal.removeEventListener("abort", done);
        resolve();
      };
      const cancel = this.#clock.after(ms, done);
      signal.addEventListener("abort", done, { once: true });
    });
  }
}
