/** A row of the bench: a figure beside a peer's, measured in the same run on the same machine. Ratios travel, absolutes do not. */
export interface Row {
  readonly suite: string;
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The peer, and its figure in the same unit. */
  readonly beside?: { readonly name: string; readonly value: number };
  /** How many times better than the peer: above 1 is better than it. */
  readonly ratio?: number;
  readonly aim?: string;
  readonly met?: boolean;
  /** Why there is no figure. */
  readonly skipped?: string;
}

export interface Sample {
  readonly p50: number;
  readonly p99: number;
}

/** Percentiles of durations, the first quarter left out as warm-up. */
export function sample(durations: readonly number[]): Sample {
  return percentiles(durations.slice(Math.floor(durations.length / 4)));
}

export function percentiles(durations: readonly number[]): Sample {
  const sorted = [...durations].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99) };
}

/** Runs `task` one after the other and gives each one's milliseconds. */
export async function durations(count: number, task: (index: number) => unknown): Promise<number[]> {
  const all: number[] = [];
  for (let index = 0; index < count; index++) {
    const started = performance.now();
    await task(index);
    all.push(performance.now() - started);
  }
  return all;
}

export function say(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}
