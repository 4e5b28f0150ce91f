/**
 * The way to the exporter's thread. Items wait in bounded queues; a full queue drops and counts. The SDK and the collector are the thread's
 * affair: it may be slow, blocked or lost without the gateway noticing more than a counter.
 */
import type { Clock } from "#base";
import type { Logger } from "#gateway/contract";
import { telemetryLimits } from "./limits.ts";
import { type FromThread, type Items, type Signal, signals, type ToThread } from "./records.ts";

/** The exporter's thread; node:worker_threads' Worker, as far as it is used. */
export interface Thread {
  postMessage(message: ToThread): void;
  on(event: "message", listener: (message: FromThread) => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  on(event: "exit", listener: (code: number) => void): unknown;
  terminate(): Promise<unknown>;
  unref(): void;
}

export interface ChannelPorts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly startThread: () => Thread;
}

export interface SignalCounts {
  exported: number;
  dropped: number;
}

interface Queue {
  readonly most: number;
  readonly counts: SignalCounts;
  items: Items[Signal][];
  /** At the thread. */
  away: number;
}

function newQueue(most: number): Queue {
  return { most, counts: { exported: 0, dropped: 0 }, items: [], away: 0 };
}

const names: Readonly<Record<Signal, string>> = { traces: "traces", logs: "log lines", metrics: "scrapes of metrics" };

export class Channel {
  readonly #ports: ChannelPorts;
  readonly #queues: Readonly<Record<Signal, Queue>> = {
    traces: newQueue(telemetryLimits.waiting),
    logs: newQueue(telemetryLimits.waiting),
    metrics: newQueue(telemetryLimits.metricsWaiting),
  };
  #thread: Thread | undefined;
  /** Undefined: no thread may be started before. */
  #restart: (() => void) | undefined;
  #timer: (() => void) | undefined;
  /** Signals whose trouble has been told. */
  readonly #troubled = new Set<Signal>();
  #threadTold = false;
  #ended: (() => void) | undefined;
  #stopping = false;

  constructor(ports: ChannelPorts) {
    this.#ports = ports;
    this.#open();
  }

  /** Items that reached the collector, and that did not, by signal. */
  get counts(): Readonly<Record<Signal, Readonly<SignalCounts>>> {
    const { traces, logs, metrics } = this.#queues;
    return { traces: traces.counts, logs: logs.counts, metrics: metrics.counts };
  }

  give<S extends Signal>(signal: S, item: Items[S]): void {
    const queue = this.#queues[signal];
    if (this.#stopping || queue.items.length + queue.away >= queue.most) {
      this.#drop(signal, 1, `${queue.most} wait already, the most allowed`);
      return;
    }
    queue.items.push(item);
    if (queue.items.length >= telemetryLimits.batch) this.#flush(signal);
    else this.#timer ??= this.#ports.clock.after(telemetryLimits.batchMs, () => this.#flushAll());
  }

  /** Exports what waits, at most for so many milliseconds, less where the collector takes nothing; then ends the thread. Never rejects. */
  async stop(withinMs: number): Promise<void> {
    this.#stopping = true;
    this.#flushAll();
    this.#restart?.();
    const thread = this.#thread;
    if (thread !== undefined) {
      const ended = new Promise<void>((resolve) => (this.#ended = resolve));
      this.#post({ kind: "end" });
      let cancel: () => void = () => undefined;
      const mostMs = this.#troubled.size === 0 ? withinMs : Math.min(withinMs, telemetryLimits.troubledFlushMs);
      const late = new Promise<void>((resolve) => (cancel = this.#ports.clock.after(mostMs, resolve)));
      await Promise.race([ended, late]);
      cancel();
      await thread.terminate().catch(() => undefined);
    }
    this.#timer?.();
    for (const signal of signals) this.#lose(signal, "the gateway stopped before the collector had taken them");
  }

  #open(): void {
    this.#restart = undefined;
    try {
      const thread = this.#ports.startThread();
      thread.unref();
      thread.on("message", (message) => this.#answered(message));
      thread.on("error", (error) => this.#lost(thread, error.message));
      thread.on("exit", (code) => this.#lost(thread, `it ended with code ${code}`));
      this.#thread = thread;
      this.#flushAll(); // what has come meanwhile
    } catch (error) {
      this.#lost(undefined, error instanceof Error ? error.message : String(error));
    }
  }

  #lost(thread: Thread | undefined, why: string): void {
    if (thread !== this.#thread) return;
    this.#thread = undefined;
    this.#ended?.();
    if (this.#stopping) return;
    if (!this.#threadTold)
      this.#ports.logger.error(
        { code: "MF_TELEMETRY_THREAD" },
        `the thread that exports telemetry was lost and is started again every ${telemetryLimits.restartMs / 1000} s, messages are served all the same: ${why}`,
      );
    this.#threadTold = true;
    for (const signal of signals) this.#lose(signal, "the thread that exports telemetry was lost");
    this.#restart = this.#ports.clock.after(telemetryLimits.restartMs, () => this.#open());
  }

  #flushAll(): void {
    this.#timer?.();
    this.#timer = undefined;
    for (const signal of signals) this.#flush(signal);
  }

  #flush(signal: Signal): void {
    const queue = this.#queues[signal];
    if (queue.items.length === 0 || this.#thread === undefined) return;
    const { items } = queue;
    queue.items = [];
    queue.away += items.length;
    this.#post({ kind: "batch", signal, items });
  }

  #post(message: ToThread): void {
    try {
      this.#thread?.postMessage(message);
    } catch (error) {
      if (message.kind === "batch") this.#answered({ signal: message.signal, items: message.items.length, error: String(error) });
    }
  }

  #answered({ signal, items, error }: FromThread): void {
    const queue = this.#queues[signal];
    queue.away -= items;
    if (error !== undefined) return this.#drop(signal, items, error);
    queue.counts.exported += items;
    this.#threadTold = false;
    if (this.#troubled.delete(signal))
      this.#ports.logger.info({ dropped: queue.counts.dropped }, `telemetry: the collector takes ${names[signal]} again`);
  }

  /** Empties the queue, of items at the thread as well. */
  #lose(signal: Signal, why: string): void {
    const queue = this.#queues[signal];
    const lost = queue.items.length + queue.away;
    queue.items = [];
    queue.away = 0;
    if (lost > 0) this.#drop(signal, lost, why);
  }

  /** Counted each time, said once until the collector takes something again. */
  #drop(signal: Signal, items: number, why: string): void {
    this.#queues[signal].counts.dropped += items;
    if (this.#troubled.has(signal)) return;
    this.#troubled.add(signal);
    this.#ports.logger.warn(
      { code: "MF_TELEMETRY_DROPPED" },
      `telemetry: ${names[signal]} are dropped, and counted in mayfly_telemetry_dropped_total; check telemetry.endpoint and the collector: ${why}`,
    );
  }
}
