/** The figures as JSON: overview, map, flows and connectors. */
import type { Flow } from "../contract/runner.ts";
import { watchLimits } from "./limits.ts";
import type { Past, Percentiles } from "./samples.ts";
import { countsOf, placeText, targetFlow, type Watch, type WatchedFlow, type WatchedOutlet } from "./watch.ts";

export interface MapNode {
  readonly id: string;
  readonly kind: "source" | "flow" | "outlet";
  readonly label: string;
  readonly flow: string;
  readonly ready: boolean;
  readonly detail: string;
}

export interface MapEdge {
  readonly from: string;
  readonly to: string;
  readonly perSecond: number;
  readonly failing: boolean;
}

function shownRate(rate: number): number {
  return Math.round(rate * 100) / 100;
}

function shownPercentiles(found: Percentiles | undefined): Percentiles | null {
  if (found === undefined) return null;
  return { p50: shownRate(found.p50), p95: shownRate(found.p95), p99: shownRate(found.p99) };
}

/** The new image beside the current one, with the outcomes of both; null where there is no new one. */
function canaryOf({ delivery }: WatchedFlow): object | null {
  const { canary } = delivery.flow;
  if (canary === undefined) return null;
  const sides = delivery.sides.all(delivery.flow).map(([side, { sha256, done, failed, failures, durations }]) => ({
    side,
    image: sha256,
    done,
    failed,
    averageMs: durations.count === 0 ? null : shownRate(durations.sumMs / durations.count),
    failures: [...failures].map(([code, count]) => ({ code, count })).sort((a, b) => b.count - a.count),
  }));
  return { share: canary.share, sides };
}

function flowRow(watch: Watch, flow: WatchedFlow): object {
  const { metrics, pending, running, holds, flow: served } = flow.delivery;
  const counts = countsOf(flow);
  return {
    name: flow.name,
    image: served.image.sha256,
    state: flow.switches.state,
    canary: canaryOf(flow),
    ready: flow.unready().length === 0,
    from: flow.sources.flatMap(({ config, signal }) => (signal === undefined ? placeText(config.connector, config.config) : [])),
    sleepers: watch.ports.journal.sleeperCount(flow.name).sleepers,
    to: flow.outlets.map(({ channel }) => channel.name),
    pending,
    running,
    outbox: counts.outbox,
    holds: holds.size,
    received: counts.received,
    done: counts.done,
    failed: counts.failed,
    dead: metrics.dead,
    retries: metrics.retries,
    perSecond: shownRate(watch.perSecond(metrics)),
    failingPerSecond: shownRate(watch.failingPerSecond(metrics)),
    latency: shownPercentiles(watch.samplesOf(flow.name)?.percentiles),
  };
}

/** Once a second for whoever listens; `past` only for who asks. */
export function overview(watch: Watch, letters: number): object {
  const { ports, all } = watch;
  const rates = all.rates;
  const flows = [...ports.flows()];
  const { pending, outbox, diskBytes } = ports.journal.stats();
  const { running, waiting, workers, replaced } = ports.runner.stats();
  const busiest = flows
    .map((flow) => ({ flow, perSecond: watch.perSecond(flow.delivery.metrics) }))
    .sort((a, b) => b.perSecond - a.perSecond)
    .slice(0, watchLimits.flowsInOverview)
    .map(({ flow }) => flowRow(watch, flow));
  return {
    state: ports.state(),
    since: watch.startedMs,
    now: watch.sampledMs,
    rates: { received: shownRate(rates.received), done: shownRate(rates.done), failed: shownRate(rates.failed) },
    latency: shownPercentiles(all.percentiles),
    queue: { pending: flows.reduce((sum, { delivery }) => sum + delivery.pending, 0), running: running + waiting, outbox },
    sleepers: ports.journal.stats().sleepers,
    deadLetters: letters,
    journal: { durable: ports.journal.durable, pending, diskBytes, trouble: ports.journal.trouble?.message ?? null },
    memory: { takenBytes: ports.memory.all.takenBytes, mostBytes: ports.memory.all.mostBytes },
    monitor: { running, waiting, workers, replaced },
    problems: watch.problems,
    paused: ports.ready().paused,
    flowCount: flows.length,
    flows: busiest,
    last: lastOf(all.past(watch.sampledMs)),
  };
}

/** The newest sample alone. */
function lastOf(past: Past): object {
  const tail = <T>(column: readonly T[]): T | null => column.at(-1) ?? null;
  const { received, done, failed, pending, outbox, p50, p95, p99 } = past;
  return {
    received: tail(received),
    done: tail(done),
    failed: tail(failed),
    pending: tail(pending),
    outbox: tail(outbox),
    p50: tail(p50),
    p95: tail(p95),
    p99: tail(p99),
  };
}

export function flowList(watch: Watch): object {
  return { flows: [...watch.ports.flows()].map((flow) => flowRow(watch, flow)) };
}

function limitRows({ limits, config }: Flow, flow: WatchedFlow): object[] {
  const { metrics, pending, running } = flow.delivery;
  const attempts = metrics.done + [...metrics.failures.values()].reduce((sum, count) => sum + count, 0);
  const cpuMs = attempts === 0 ? null : shownRate(metrics.cpuMs / attempts);
  const memoryBytes = metrics.mostPages === 0 ? null : metrics.mostPages * 65_536;
  return [
    { name: "queue", unit: "messages", used: pending, most: config.queue },
    { name: "concurrency", unit: "machines", used: running, most: config.concurrency },
    { name: "cpu", unit: "ms", used: cpuMs, most: limits.cpuMs },
    { name: "memory", unit: "bytes", used: memoryBytes, most: limits.memoryBytes },
  ];
}

export function oneFlow(watch: Watch, name: string): object | undefined {
  const flow = [...watch.ports.flows()].find((each) => each.name === name);
  if (flow === undefined) return undefined;
  const { metrics, flow: served } = flow.delivery;
  const failures = [...metrics.failures].map(([code, count]) => ({ code, count, at: "attempt" }));
  const outlets = flow.outlets.flatMap(({ channel }) =>
    [...channel.metrics.failures].map(([code, count]) => ({ code, count, at: channel.name })),
  );
  const refused = [...metrics.refused].map(([code, count]) => ({ code, count, at: "refused" }));
  return {
    ...flowRow(watch, flow),
    file: served.config.flow ?? served.config.image ?? null,
    limits: limitRows(served, flow),
    failures: [...failures, ...outlets, ...refused].sort((a, b) => b.count - a.count).slice(0, watchLimits.lettersNamed),
    connectors: connectorsOf(watch, flow),
    problems: watch.problems.filter((problem) => problem.flow === name),
    past: watch.samplesOf(name)?.past(watch.sampledMs) ?? null,
  };
}

function reconnects(watch: Watch, flow: string, connector: string): number {
  return watch.ports.events.get(`${flow}\0${connector}\0reconnect`) ?? 0;
}

function circuitOf({ channel }: WatchedOutlet): object | null {
  const { breaker } = channel.config;
  if (breaker === undefined) return null;
  const { circuitOpenMs, failuresInARow } = channel;
  const state = circuitOpenMs > 0 ? "open" : failuresInARow >= breaker.failures ? "half-open" : "closed";
  return { state, openMs: Math.round(circuitOpenMs), failuresInARow, failures: breaker.failures };
}

function connectorsOf(watch: Watch, flow: WatchedFlow): object[] {
  const sources = flow.sources.map(({ name, config, figures, source }) => ({
    flow: flow.name,
    name,
    direction: "from",
    connector: config.connector,
    place: placeText(config.connector, config.config),
    ...source.health(),
    lastError: watch.lastError(flow.name, name) ?? null,
    circuit: null,
    reconnects: reconnects(watch, flow.name, name),
    count: figures.received,
    perSecond: shownRate(watch.perSecond(figures)),
    waiting: 0,
    paused: flow.switches.state !== "running",
  }));
  const outlets = flow.outlets.map((placed) => {
    const { channel, outbox } = placed;
    const seen = watch.lastError(flow.name, `to.${channel.name}`);
    const failed = channel.metrics.lastFailure;
    const lastError = failed ?? seen;
    return {
      flow: flow.name,
      name: channel.name,
      direction: "to",
      connector: channel.config.connector,
      place: placeText(channel.config.connector, channel.config.config),
      ...channel.outlet.health(),
      lastError: lastError ?? null,
      circuit: circuitOf(placed),
      reconnects: reconnects(watch, flow.name, channel.name),
      count: channel.metrics.sent + channel.metrics.requests,
      perSecond: shownRate(watch.perSecond(channel.metrics)),
      waiting: outbox.depth,
      paused: channel.paused,
    };
  });
  return [...sources, ...outlets];
}

export function connectorList(watch: Watch): object {
  return { connectors: [...watch.ports.flows()].flatMap((flow) => connectorsOf(watch, flow)) };
}

/** Sources, flows and outlets; an outlet to another flow of this gateway is an edge between the two. */
export function map(watch: Watch): { readonly nodes: readonly MapNode[]; readonly edges: readonly MapEdge[] } {
  const flows = [...watch.ports.flows()];
  const names = new Set(flows.map(({ name }) => name));
  const nodes: MapNode[] = [];
  const edges: MapEdge[] = [];
  for (const flow of flows) {
    const { name, delivery } = flow;
    const troubles = flow.unready();
    const failing = watch.failingPerSecond(delivery.metrics) > 0;
    nodes.push({
      id: `flow:${name}`,
      kind: "flow",
      label: name,
      flow: name,
      ready: troubles.length === 0,
      detail: troubles[0]?.detail ?? "",
    });
    for (const { name: at, config, figures, source, signal } of flow.sources) {
      const id = `source:${name}:${at}`;
      const place = placeText(config.connector, config.config);
      const label = signal === undefined ? place : `signal ${signal.name}: ${place}`;
      nodes.push({ id, kind: "source", label, flow: name, ...source.health() });
      edges.push({ from: id, to: `flow:${name}`, perSecond: shownRate(watch.perSecond(figures)), failing });
    }
    for (const { channel } of flow.outlets) {
      const target = targetFlow(channel.config);
      const within = target !== undefined && names.has(target);
      const id = within ? `flow:${target}` : `outlet:${name}:${channel.name}`;
      const health = channel.outlet.health();
      const open = channel.circuitOpenMs > 0;
      const detail = open ? "the circuit is open" : health.detail;
      if (!within) nodes.push({ id, kind: "outlet", label: channel.name, flow: name, ready: health.ready && !open, detail });
      const perSecond = shownRate(watch.perSecond(channel.metrics));
      edges.push({ from: `flow:${name}`, to: id, perSecond, failing: open || watch.failingPerSecond(channel.metrics) > 0 });
    }
  }
  return { nodes, edges };
}
