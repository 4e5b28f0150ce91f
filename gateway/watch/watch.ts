/**
 * Figures of a running gateway as the page and the command line show them. Nothing is counted here: once a second the counters of
 * delivery are read, and their increases kept. Reading begins with the first that asks.
 */
import type { Clock } from "#base";
import type { FlowConfig, OutletConfig, SourceConfig } from "../contract/config.ts";
import type { Health } from "../contract/connector.ts";
import type { GatewayMemory } from "../contract/memory.ts";
import type { Readiness } from "../contract/readiness.ts";
import type { Flow, Runner } from "../contract/runner.ts";
import type { Sides } from "../delivery/canary.ts";
import type { Holds } from "../delivery/holds.ts";
import type { FlowState } from "../delivery/flow-state.ts";
import type { FlowMetrics, OutletMetrics } from "../delivery/metrics.ts";
import type { Journal } from "../journal/journal.ts";
import { watchLimits } from "./limits.ts";
import { type Counts, Meter, Samples } from "./samples.ts";

/** A flow as far as it is watched. */
export interface WatchedFlow {
  readonly name: string;
  readonly delivery: {
    readonly flow: Flow;
    readonly metrics: FlowMetrics;
    readonly pending: number;
    readonly running: number;
    readonly holds: Pick<Holds, "size">;
    readonly sides: Pick<Sides, "all">;
  };
  readonly switches: { readonly state: FlowState };
  readonly sources: readonly WatchedSource[];
  readonly outlets: readonly WatchedOutlet[];
  unready(): readonly Trouble[];
}

export interface WatchedSource {
  readonly name: string;
  readonly config: SourceConfig;
  readonly figures: { readonly received: number };
  readonly source: { health(): Health };
  /** The signal it is for; undefined for a source of messages. */
  readonly signal?: { readonly name: string } | undefined;
}

export interface WatchedOutlet {
  readonly channel: {
    readonly name: string;
    readonly config: OutletConfig;
    readonly metrics: OutletMetrics;
    readonly circuitOpenMs: number;
    readonly failuresInARow: number;
    readonly underWay: number;
    readonly paused: boolean;
    readonly outlet: { health(): Health };
  };
  readonly outbox: { readonly depth: number; readonly holds: Pick<Holds, "size"> };
}

export interface Trouble {
  readonly flow?: string;
  readonly connector?: string;
  readonly detail?: string;
}

/** An entry of /ready with the time it was first seen, milliseconds since 1970. */
export interface Problem {
  readonly flow: string | null;
  readonly connector: string | null;
  readonly detail: string;
  readonly since: number;
}

export interface WatchPorts {
  readonly clock: Clock;
  readonly flows: () => Iterable<WatchedFlow>;
  readonly ready: () => Readiness;
  readonly state: () => string;
  readonly journal: Journal;
  readonly memory: GatewayMemory;
  readonly runner: Runner;
  /** Flow, connector, event → count. */
  readonly events: ReadonlyMap<string, number>;
  /** Without a folder in the way: counts are kept. */
  readonly lettersOf: (flow: string) => Promise<number>;
}

function sum(counts: ReadonlyMap<string, number>): number {
  let all = 0;
  for (const count of counts.values()) all += count;
  return all;
}

export function countsOf(flow: WatchedFlow): Counts {
  const { metrics, pending } = flow.delivery;
  const outbox = flow.outlets.reduce((all, each) => all + each.outbox.depth, 0);
  const { received, done, failures, durations } = metrics;
  return { received, done, failed: sum(failures), pending, outbox, durations: durations.counts };
}

const connectorKey = (flow: string, connector: string): string => `${flow}\0${connector}`;

/** Entries of /ready as one kind: what is not a connector's says which part it is about by its only name. */
function asTrouble(entry: object): Trouble {
  const { flow, connector, detail } = entry as Trouble;
  if (flow !== undefined) return { flow, ...(connector === undefined ? {} : { connector }), ...(detail === undefined ? {} : { detail }) };
  const [name = "gateway", value] = Object.entries(entry)[0] ?? [];
  return { connector: name, detail: name === "gateway" ? `the gateway is ${String(value)}` : String(value) };
}

export interface LastError {
  readonly message: string;
  readonly at: number;
}

export class Watch {
  readonly ports: WatchPorts;
  readonly all = new Samples();
  readonly startedMs: number;
  readonly #flows = new Map<string, Samples>();
  readonly #meters = new WeakMap<object, Meter>();
  readonly #failing = new WeakMap<object, Meter>();
  #problems = new Map<string, Problem>();
  readonly #errors = new Map<string, LastError>();
  #sampledMs = 0;
  #samples = 0;
  #cancel: (() => void) | undefined;
  #ended = false;
  /** Told after each sample. */
  onSample: () => void = () => undefined;

  constructor(ports: WatchPorts) {
    this.ports = ports;
    this.startedMs = ports.clock.now();
  }

  /** Reads the counters from now on. */
  begin(): void {
    if (this.#cancel !== undefined || this.#ended) return;
    this.sample();
    this.#again();
  }

  end(): void {
    this.#ended = true;
    this.#cancel?.();
  }

  /** Milliseconds since 1970 of the newest sample. */
  get sampledMs(): number {
    return this.#sampledMs;
  }

  samplesOf(flow: string): Samples | undefined {
    return this.#flows.get(flow);
  }

  /** A source's, a flow's or an outlet's figures: how often they grow. */
  perSecond(figures: object): number {
    return this.#meters.get(figures)?.perSecond ?? 0;
  }

  failingPerSecond(figures: object): number {
    return this.#failing.get(figures)?.perSecond ?? 0;
  }

  /** As of the last sample, the oldest first. */
  get problems(): Problem[] {
    return [...this.#problems.values()].sort((a, b) => a.since - b.since);
  }

  lastError(flow: string, connector: string): LastError | undefined {
    return this.#errors.get(connectorKey(flow, connector));
  }

  sample(): void {
    const { clock, flows } = this.ports;
    this.#sampledMs = clock.now();
    this.#samples += 1;
    const total = { received: 0, done: 0, failed: 0, pending: 0, outbox: 0, durations: [] as number[] };
    const names = new Set<string>();
    for (const flow of flows()) {
      names.add(flow.name);
      const counts = countsOf(flow);
      if (counts.received === 0 && counts.pending === 0 && counts.outbox === 0) continue;
      for (const name of ["received", "done", "failed", "pending", "outbox"] as const) total[name] += counts[name];
      for (const [index, count] of counts.durations.entries()) total.durations[index] = (total.durations[index] ?? 0) + count;
      this.#sampleFlow(flow, counts);
    }
    for (const name of this.#flows.keys()) if (!names.has(name)) this.#flows.delete(name);
    this.all.add(total);
    if ((this.#samples - 1) % Math.ceil(names.size / watchLimits.flowsLookedAt || 1) === 0) this.#findProblems();
  }

  #again(): void {
    this.#cancel = this.ports.clock.after(watchLimits.sampleMs, () => {
      if (this.#ended) return;
      this.sample();
      this.onSample();
      this.#again();
    });
  }

  #sampleFlow(flow: WatchedFlow, counts: Counts): void {
    this.#meter(this.#meters, flow.delivery.metrics, counts.done);
    this.#meter(this.#failing, flow.delivery.metrics, counts.failed);
    for (const { figures } of flow.sources) this.#meter(this.#meters, figures, figures.received);
    for (const { channel } of flow.outlets) {
      this.#meter(this.#meters, channel.metrics, channel.metrics.sent + channel.metrics.requests);
      this.#meter(this.#failing, channel.metrics, sum(channel.metrics.failures));
    }
    const samples = this.#samplesFor(flow.name, counts);
    if (samples === undefined) return;
    samples.add(counts);
    if (samples.rates.received === 0) return;
    this.#flows.delete(flow.name);
    this.#flows.set(flow.name, samples); // the first is the one without traffic for longest
  }

  #samplesFor(flow: string, { received, pending }: Counts): Samples | undefined {
    const known = this.#flows.get(flow);
    if (known !== undefined || (received === 0 && pending === 0)) return known;
    const [oldest] = this.#flows;
    if (this.#flows.size >= watchLimits.sampledFlows && oldest !== undefined) {
      if (oldest[1].rates.received > 0) return undefined;
      this.#flows.delete(oldest[0]);
    }
    const made = new Samples();
    this.#flows.set(flow, made);
    return made;
  }

  /** None for what has never counted: most flows of very many are idle. */
  #meter(meters: WeakMap<object, Meter>, figures: object, count: number): void {
    let meter = meters.get(figures);
    if (meter === undefined) {
      if (count === 0) return;
      meters.set(figures, (meter = new Meter()));
      if (this.#samples > 1) meter.add(0);
    }
    meter.add(count);
  }

  /** An entry whose text differs in numbers only is the same one: a circuit says how long it stays open. */
  #findProblems(): void {
    const found = new Map<string, Problem>();
    const { problems, remarks } = this.ports.ready();
    for (const entry of [...problems, ...remarks]) {
      const { flow = null, connector = null, detail = "not ready" } = asTrouble(entry);
      const key = `${flow ?? ""}\0${connector ?? ""}\0${detail.replace(/\d+/g, "0")}`;
      found.set(key, { flow, connector, detail, since: this.#problems.get(key)?.since ?? this.#sampledMs });
      // While it starts, nothing is ready, and nothing is wrong.
      if (flow !== null && connector !== null && this.ports.state() === "running") this.#remember(connectorKey(flow, connector), detail);
    }
    this.#problems = found;
  }

  #remember(key: string, message: string): void {
    this.#errors.delete(key);
    this.#errors.set(key, { message, at: this.#sampledMs });
    if (this.#errors.size > watchLimits.errorsKept) this.#errors.delete(this.#errors.keys().next().value ?? "");
  }
}

/** A source's or an outlet's peer, for people; no credentials. */
export function placeText(connector: string, config: unknown): string {
  const settings = (config ?? {}) as Readonly<Record<string, unknown>>;
  const { url } = settings;
  const named = (
    typeof url === "string"
      ? ["url"]
      : ["method", "path", "queue", "topic", "subject", "stream", "table", "dir", "schedule", "flow", "name", "servers"]
  ).flatMap((name) => (typeof settings[name] === "string" ? [settings[name].replace(/\/\/[^/@]*@/g, "//").replace(/\?.*$/s, "")] : []));
  return [connector, ...named.slice(0, 2)].join(" ");
}

/** The flow that an outlet sends to within this gateway. */
export function targetFlow({ connector, config }: FlowConfig["to"][string]): string | undefined {
  const { name: target, flow } = config as { readonly name?: unknown; readonly flow?: unknown };
  const name = connector === "flow" ? target : connector === "signal" ? flow : undefined;
  return typeof name === "string" ? name : undefined;
}
