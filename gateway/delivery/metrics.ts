/** Counters as plain numbers: a scrape turns them into Prometheus text (../metrics.ts), a message only adds. */
import { gatewayLimits } from "../contract/limits.ts";

/** Upper bounds of the duration buckets, in milliseconds. */
export const bucketsMs: readonly number[] = [0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];

export class Durations {
  readonly counts: number[] = new Array<number>(bucketsMs.length + 1).fill(0);
  sumMs = 0;
  count = 0;

  add(ms: number): void {
    let bucket = 0;
    while (bucket < bucketsMs.length && ms > (bucketsMs[bucket] ?? 0)) bucket += 1;
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
    this.sumMs += ms;
    this.count += 1;
  }
}

export class FlowMetrics {
  received = 0;
  done = 0;
  dead = 0;
  duplicates = 0;
  expired = 0;
  cancelled = 0;
  retries = 0;
  conflicts = 0;
  /** Refusals by code. */
  readonly refused = new Map<string, number>();
  /** Failed attempts by code; at most 200 codes, since flows may make up their own. */
  readonly failures = new Map<string, number>();
  /** Times that a machine fell asleep, and was woken by a signal or by the time. */
  slept = 0;
  wokenBySignal = 0;
  wokenByTime = 0;
  /** Signals that were kept, and that nobody took in their time. */
  signals = 0;
  signalsUnclaimed = 0;
  logsDropped = 0;
  cpuMs = 0;
  /** Largest linear memory of a machine so far, in pages of 64 KiB; 0 where the monitor does not count them. */
  mostPages = 0;
  readonly durations = new Durations();

  fail(code: string): void {
    countCode(this.failures, code);
  }

  refuse(code: string): void {
    countCode(this.refused, code);
  }
}

export class OutletMetrics {
  sent = 0;
  requests = 0;
  retries = 0;
  dead = 0;
  readonly failures = new Map<string, number>();
  /** Of an attempt; milliseconds since 1970. */
  lastFailure: { readonly message: string; readonly at: number } | undefined;
  readonly durations = new Durations();

  fail(code: string, message: string, at: number): void {
    countCode(this.failures, code);
    this.lastFailure = { message: `${code}: ${message}`.slice(0, gatewayLimits.failureCharacters), at };
  }
}

/** Adds to the count of a code; at most 200 of them are counted one by one. */
export function countCode(counts: Map<string, number>, code: string): void {
  const known = counts.get(code);
  if (known !== undefined) counts.set(code, known + 1);
  else if (counts.size < gatewayLimits.failureCodes) counts.set(code, 1);
  else counts.set("other", (counts.get("other") ?? 0) + 1);
}
