/**
 * A connection to a peer that reconnects when it is lost. Every broker connector uses it instead of its client's own reconnecting, so that
 * backoff, jitter, health and logging are the same for all, and run on the clock of the context.
 *
 *     idle ──start──▶ connecting ──open──▶ ready ──lost──▶ waiting ──backoff──▶ connecting …
 *                          └──fails──▶ waiting          any ──stop──▶ stopped
 */
import { type CodedError } from "#base";
import { backoffMs, type ConnectorContext, gatewayLimits, type Health, OutletError } from "#gateway/contract";
import { AttemptSockets } from "./attempt-sockets.ts";
import { brokerLimits } from "./limits.ts";

export interface Closable {
  close(): Promise<void> | void;
}

export interface Opening {
  /** Call it when the session becomes unusable; further calls are ignored. */
  readonly lost: (error: unknown) => void;
  /** Closes `closable` once, after the session or a failed attempt; the last owned first, without waiting for one before the next. */
  readonly own: <T extends Closable>(closable: T) => T;
}

export interface LinkOptions<S extends object> {
  readonly context: ConnectorContext;
  /** Address of the peer, for people: without secrets. */
  readonly peer: string;
  /** Connects, logs in, subscribes. */
  open(opening: Opening): Promise<S>;
  /** Converts an error of the client into one with a code and a sentence. */
  explain(error: unknown): CodedError;
  /**
   * The session, or an attempt to open one, was lost (not: closed by stop). Messages received over it can't be acknowledged any more.
   * An attempt counts as well: MQTT and AMQP deliver messages before `open` resolves.
   */
  onLost?(): void;
}

/** The resources of one attempt and of the session it opens. */
class Resources {
  readonly sockets = new AttemptSockets();
  readonly #owned: Closable[] = [];

  readonly own = <T extends Closable>(closable: T): T => {
    this.#owned.push(closable);
    return closable;
  };

  async close(): Promise<void> {
    await Promise.allSettled(
      this.#owned
        .splice(0)
        .reverse()
        .map(async (closable) => closable.close()),
    );
  }
}

export class Link<S extends object> {
  readonly #options: LinkOptions<S>;
  #session: S | undefined;
  /** Those of the live session. */
  #resources = new Resources();
  #stopped = false;
  #failure: CodedError | undefined;
  #failures = 0;
  #readySinceMs = 0;
  #cancelWait: (() => void) | undefined;
  #connecting: Promise<void> | undefined;

  constructor(options: LinkOptions<S>) {
    this.#options = options;
  }

  /** The live session, if there is one. */
  get session(): S | undefined {
    return this.#session;
  }

  /** Makes the first attempt; resolves after it, whether it succeeded or failed. */
  start(): Promise<void> {
    this.#connecting = this.#connect();
    return this.#connecting;
  }

  health(): Health {
    const { peer } = this.#options;
    if (this.#session !== undefined) return { ready: true, detail: `connected to ${peer}` };
    if (this.#failure !== undefined) return { ready: false, detail: `${this.#failure.code}: ${this.#failure.message}` };
    return { ready: false, detail: this.#stopped ? "stopped" : `connecting to ${peer}` };
  }

  /** The live session for an outlet's attempt; without one, throws the reason as a retryable error. */
  need(): S {
    if (this.#session !== undefined) return this.#session;
    const failure = this.#failure;
    throw new OutletError(failure?.code ?? "MF_NOT_CONNECTED", failure?.message ?? `not connected to ${this.#options.peer}`, {
      retryable: true,
      unreached: true,
      cause: failure,
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelWait?.();
    const session = this.#session;
    this.#session = undefined;
    this.#failure = undefined;
    if (session !== undefined) return this.#release(this.#resources);
    // An attempt in progress closes what it opens. Wait for it: it may carry acknowledgements of messages that came before `open` resolved,
    // and a session that opened later would displace the successor under the same name.
    await within(this.#options.context, brokerLimits.closeMs, this.#connecting ?? Promise.resolve()).catch(() => {});
  }

  async #connect(): Promise<void> {
    const { context, peer } = this.#options;
    let over = false; // this attempt, or the session it opened
    let opened: S | undefined;
    const resources = new Resources();
    const { sockets, own } = resources;
    const lost = (error: unknown): void => {
      if (over) return;
      over = true;
      if (opened !== undefined) return this.#lose(opened, error);
      if (!this.#stopped) this.#options.onLost?.();
      this.#retry(error);
    };
    const timer = context.clock.after(brokerLimits.connectMs, () => {
      lost(new Error(`no answer within ${brokerLimits.connectMs} ms`));
      sockets.destroy();
    });
    try {
      const session = await sockets.run(() => this.#options.open({ lost, own }));
      if (over || this.#stopped) return void (await this.#release(resources));
      opened = session;
      this.#session = session;
      this.#resources = resources;
      this.#failure = undefined;
      this.#readySinceMs = context.clock.monotonicMs();
      context.logger.info({ peer }, this.#failures === 0 ? "connected" : "connected again");
    } catch (error) {
      lost(error); // before closing, which would be taken for the reason
      await this.#release(resources);
    } finally {
      timer();
    }
  }

  #lose(session: S, error: unknown): void {
    const { context } = this.#options;
    if (this.#stopped || this.#session !== session) return;
    this.#session = undefined;
    if (context.clock.monotonicMs() - this.#readySinceMs >= brokerLimits.steadyMs) this.#failures = 0;
    this.#options.onLost?.();
    context.metrics.count("lost");
    void this.#release(this.#resources);
    this.#retry(error);
  }

  #retry(error: unknown): void {
    if (this.#stopped) return;
    const { context, peer } = this.#options;
    const failure = this.#options.explain(error);
    const known = this.#failure?.code === failure.code;
    this.#failure = failure;
    this.#failures += 1;
    const waitMs = backoffMs(this.#failures, gatewayLimits.reconnectMs, context.random);
    const fields = { code: failure.code, peer, retryInMs: waitMs };
    if (known)
      context.logger.debug(fields, failure.message); // logged as an error before
    else context.logger.error(fields, failure.message);
    this.#cancelWait = context.clock.after(waitMs, () => {
      this.#cancelWait = undefined;
      context.metrics.count("reconnect");
      this.#connecting = this.#connect();
    });
  }

  /** Closes in order, with a timeout; then destroys the sockets, so that no client library leaves one open. */
  async #release(resources: Resources): Promise<void> {
    await this.lastWords(resources.close());
    resources.sockets.destroy();
  }

  /** Waits for the last messages to the peer, with a timeout. Never rejects. */
  async lastWords(work: Promise<unknown> | undefined): Promise<void> {
    if (work !== undefined) await within(this.#options.context, brokerLimits.closeMs, work).catch(() => undefined);
  }
}

/** Waits for `work` with a timeout; after it rejects, the result of `work` is ignored. */
export function within<T>(context: Pick<ConnectorContext, "clock">, limitMs: number, work: Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const cancel = context.clock.after(limitMs, () => reject(new Error(`not done within ${limitMs} ms`)));
    work.then(
      (value) => {
        cancel();
        resolve(value);
      },
      (error: unknown) => {
        cancel();
        reject(error instanceof Error ? error : new Error(String(error)));
      },
    );
  });
}

/** Waits for `work` until the signal aborts; then it rejects, and the result of `work` is ignored. */
export function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const abort = (): void =>
      reject(
        new OutletError("MF_OUTLET_TIMEOUT", "the attempt was ended before the peer answered", { retryable: true, cause: signal.reason }),
      );
    if (signal.aborted) {
      work.catch(() => {});
      return abort();
    }
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/**
 * Rejects pending requests when their connection is lost, for clients that leave them pending. A race against one long-lived promise would
 * do too, but would keep every settled request in memory until the connection ends.
 */
export class LossGuard {
  readonly #waiting = new Set<(error: Error) => void>();

  during<T>(work: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting.add(reject);
      work.then(resolve, reject).finally(() => this.#waiting.delete(reject));
    });
  }

  lost(): void {
    const error = new OutletError("MF_CONNECTION_LOST", "the connection was lost before the peer answered", { retryable: true });
    for (const reject of this.#waiting) reject(error);
    this.#waiting.clear();
  }
}

/**
 * Probes the peer every `everyMs`, and calls `lost` if a probe is not answered within the same time: TCP alone does not notice an unplugged
 * cable. Returns a function that ends it.
 */
export function heartbeat(
  context: Pick<ConnectorContext, "clock">,
  everyMs: number,
  probe: () => Promise<unknown>,
  lost: (error: unknown) => void,
): () => void {
  let cancel = (): void => {};
  const again = (): void => {
    cancel = context.clock.after(everyMs, () => {
      within(context, everyMs, probe()).then(again, () => lost(new Error("the server does not answer pings")));
    });
  };
  again();
  return () => cancel();
}
