/** Samples of the counters, once a second, for as long as a chart goes back. Plain arrays of numbers, filled in a circle. */
import { bucketsMs } from "../delivery/metrics.ts";
import { watchLimits } from "./limits.ts";

/** Counters as they stand, of one flow or of all. */
export interface Counts {
  readonly received: number;
  readonly done: number;
  /** Failed attempts. */
  readonly failed: number;
  readonly pending: number;
  readonly outbox: number;
  /** Messages by duration, one for each of `bucketsMs` and one for what took longer. */
  readonly durations: readonly number[];
}

export interface Percentiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** Columns of a chart, oldest first. A percentile is null where no message ended. */
export interface Past {
  readonly stepMs: number;
  /** Of the last sample, milliseconds since 1970. */
  readonly endMs: number;
  readonly received: readonly number[];
  readonly done: readonly number[];
  readonly failed: readonly number[];
  readonly pending: readonly number[];
  readonly outbox: readonly number[];
  readonly p50: readonly (number | null)[];
  readonly p95: readonly (number | null)[];
  readonly p99: readonly (number | null)[];
}

export interface Rates {
  readonly received: number;
  readonly done: number;
  readonly failed: number;
}

/** Percentiles of durations in buckets, each taken to be spread evenly. Undefined without durations. */
export function percentiles(counts: readonly number[]): Percentiles | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return undefined;
  const at = (share: number): number => {
    const wanted = share * total;
    let seen = 0;
    for (const [index, count] of counts.entries()) {
      const upper = bucketsMs[index];
      const lower = index === 0 ? 0 : (bucketsMs[index - 1] ?? 0);
      if (count > 0 && seen + count >= wanted) return upper === undefined ? lower : lower + ((upper - lower) * (wanted - seen)) / count;
      seen += count;
    }
    return bucketsMs.at(-1) ?? 0;
  };
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}

const columns = ["received", "done", "failed", "pending", "outbox", "p50", "p95", "p99"] as const;
type Column = (typeof columns)[number];

/** Counters of a flow that is gone are missing from the sum: that is no growth. */
function grown(now: number, before: number): number {
  return Math.max(now - before, 0);
}

export class Samples {
  readonly #size: number;
  readonly #columns: Readonly<Record<Column, Float32Array>>;
  /** Increases of the durations, of the last samples percentiles are taken over. */
  readonly #durations: number[][] = [];
  #next = 0;
  #count = 0;
  #before: Counts | undefined;

  constructor(size: number = watchLimits.samples) {
    this.#size = size;
    this.#columns = Object.fromEntries(columns.map((name) => [name, new Float32Array(size)])) as unknown as Record<Column, Float32Array>;
  }

  /** The first only says where counting starts. */
  add(counts: Counts): void {
    const before = this.#before;
    this.#before = { ...counts, durations: [...counts.durations] };
    if (before === undefined) return;
    const durations = counts.durations.map((count, index) => grown(count, before.durations[index] ?? 0));
    this.#durations.push(durations);
    if (this.#durations.length > watchLimits.percentileSamples) this.#durations.shift();
    const found = percentiles(durations);
    const values: Readonly<Record<Column, number>> = {
      received: grown(counts.received, before.received),
      done: grown(counts.done, before.done),
      failed: grown(counts.failed, before.failed),
      pending: counts.pending,
      outbox: counts.outbox,
      p50: found?.p50 ?? Number.NaN,
      p95: found?.p95 ?? Number.NaN,
      p99: found?.p99 ?? Number.NaN,
    };
    for (const name of columns) this.#columns[name][this.#next] = values[name];
    this.#next = (this.#next + 1) % this.#size;
    this.#count = Math.min(this.#count + 1, this.#size);
  }

  /** A second, over the last few samples. */
  get rates(): Rates {
    const over = Math.min(this.#count, watchLimits.rateSamples);
    const mean = (name: Column): number => {
      if (over === 0) return 0;
      let sum = 0;
      for (let back = 1; back <= over; back += 1) sum += this.#columns[name][(this.#next - back + this.#size) % this.#size] ?? 0;
      return (sum / over) * (1000 / watchLimits.sampleMs);
    };
    return { received: mean("received"), done: mean("done"), failed: mean("failed") };
  }

  /** Over the last minute. */
  get percentiles(): Percentiles | undefined {
    const sums = new Array<number>(bucketsMs.length + 1).fill(0);
    for (const durations of this.#durations) for (const [index, count] of durations.entries()) sums[index] = (sums[index] ?? 0) + count;
    return percentiles(sums);
  }

  past(endMs: number): Past {
    const read = (name: Column): number[] =>
      Array.from({ length: this.#count }, (_, index) => {
        const value = this.#columns[name][(this.#next - this.#count + index + this.#size) % this.#size] ?? 0;
        return Math.round(value * 100) / 100;
      });
    const holes = (name: Column): (number | null)[] => read(name).map((value) => (Number.isNaN(value) ? null : value));
    const rest = { p50: holes("p50"), p95: holes("p95"), p99: holes("p99") };
    const [received, done, failed] = [read("received"), read("done"), read("failed")];
    return { stepMs: watchLimits.sampleMs, endMs, received, done, failed, pending: read("pending"), outbox: read("outbox"), ...rest };
  }
}

/** The rate of one counter, over the last few samples. */
export class Meter {
  readonly #counts: number[] = [];

  add(count: number): void {
    if (this.#counts.length > 0 && count < (this.#counts.at(-1) ?? 0)) this.#counts.length = 0;
    this.#counts.push(count);
    if (this.#counts.length > watchLimits.rateSamples + 1) this.#counts.shift();
  }

  get perSecond(): number {
    const steps = this.#counts.length - 1;
    if (steps < 1) return 0;
    return ((this.#counts.at(-1) ?? 0) - (this.#counts[0] ?? 0)) / steps / (watchLimits.sampleMs / 1000);
  }
}
