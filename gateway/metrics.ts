/** /metrics: Prometheus text from the plain numbers of delivery/metrics.ts, made when it is asked for. */
import { collectDefaultMetrics, type Metric, type MetricValue, Registry } from "prom-client";
import { bucketsMs, type Durations } from "./delivery/metrics.ts";
import type { ServedFlow } from "./served-flow.ts";
import type { HistoryStats } from "./history/mod.ts";
import type { Journal } from "./journal/journal.ts";
import type { PartitionLoad } from "./contract/cluster.ts";
import { gatewayLimits } from "./contract/limits.ts";
import type { GatewayMemory } from "./contract/memory.ts";
import type { Runner } from "./contract/runner.ts";

type Labels = Readonly<Record<string, string | number>>;
type Value = MetricValue<string> & { metricName?: string };

export interface Measured {
  readonly flows: () => Iterable<ServedFlow>;
  readonly runner: Runner;
  readonly journal: Journal;
  readonly memory: GatewayMemory;
  /** Events counted by connectorsed: flow, connector, event → count. */
  readonly events: ReadonlyMap<string, number>;
  readonly unexpected: { readonly total: number };
  readonly witnesses: { readonly failures: number };
  readonly history: { stats(): HistoryStats } | undefined;
  readonly connections: { readonly refused: number };
  readonly exported: (() => Exported) | undefined;
  /** Partitions that this node of a cluster owns; undefined without a cluster. */
  readonly loads: () => readonly PartitionLoad[] | undefined;
}

/** Items that telemetry exported and dropped, by signal. */
export type Exported = Readonly<Record<string, { readonly exported: number; readonly dropped: number }>>;

/** One family as prom-client gives it as JSON. */
export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram" | "summary";
  readonly values: readonly { readonly value: number; readonly labels: Labels; readonly metricName?: string | undefined }[];
}

type Type = "counter" | "gauge" | "histogram";

/** A metric whose values are found when it is scraped. */
function scraped(registry: Registry, name: string, help: string, type: Type, values: () => Value[]): void {
  const metric = { name, get: async () => ({ name, help, type, aggregator: "sum", values: values() }) };
  registry.registerMetric(metric as unknown as Metric);
}

function histogram(name: string, labels: Labels, durations: Durations): Value[] {
  const values: Value[] = [];
  let sum = 0;
  for (const [index, bound] of bucketsMs.entries()) {
    sum += durations.counts[index] ?? 0;
    values.push({ metricName: `${name}_bucket`, labels: { ...labels, le: bound / 1000 }, value: sum });
  }
  values.push({ metricName: `${name}_bucket`, labels: { ...labels, le: "+Inf" }, value: durations.count });
  values.push(
    { metricName: `${name}_sum`, labels, value: durations.sumMs / 1000 },
    { metricName: `${name}_count`, labels, value: durations.count },
  );
  return values;
}

function byCode(labels: Labels, counts: ReadonlyMap<string, number>): Value[] {
  return [...counts].map(([code, value]) => ({ labels: { ...labels, code }, value }));
}

export function createRegistry(measured: Measured): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const perFlow = (name: string, help: string, type: Type, values: (flow: ServedFlow, labels: Labels) => Value[]): void => {
    scraped(registry, name, help, type, () => shown(measured.flows()).flatMap((flow) => values(flow, { flow: flow.name })));
  };
  const count = (name: string, help: string, value: (flow: ServedFlow) => number): void =>
    perFlow(name, help, "counter", (flow, labels) => [{ labels, value: value(flow) }]);
  const gauge = (name: string, help: string, value: (flow: ServedFlow) => number): void =>
    perFlow(name, help, "gauge", (flow, labels) => [{ labels, value: value(flow) }]);
  count("mayfly_source_received_total", "Messages received from sources", (flow) => flow.delivery.metrics.received);
  perFlow("mayfly_source_refused_total", "Messages refused, by code", "counter", (flow, labels) =>
    byCode(labels, flow.delivery.metrics.refused),
  );
  count("mayfly_flow_done_total", "Messages completed", (flow) => flow.delivery.metrics.done);
  count("mayfly_flow_dead_total", "Messages that became dead letters", (flow) => flow.delivery.metrics.dead);
  count("mayfly_flow_duplicates_total", "Duplicates recognised", (flow) => flow.delivery.metrics.duplicates);
  count("mayfly_flow_retries_total", "Attempts after the first", (flow) => flow.delivery.metrics.retries);
  count("mayfly_flow_cancelled_total", "Messages whose caller left", (flow) => flow.delivery.metrics.cancelled);
  count("mayfly_flow_expired_total", "Messages that expired before they started", (flow) => flow.delivery.metrics.expired);
  count("mayfly_flow_state_conflicts_total", "Runs repeated because of a state conflict", (flow) => flow.delivery.metrics.conflicts);
  count("mayfly_flow_log_lines_dropped_total", "Log lines over limits.log", (flow) => flow.delivery.metrics.logsDropped);
  count("mayfly_flow_cpu_seconds_total", "CPU time of steps", (flow) => flow.delivery.metrics.cpuMs / 1000);
  perFlow("mayfly_flow_failures_total", "Failed attempts, by code", "counter", (flow, labels) =>
    byCode(labels, flow.delivery.metrics.failures),
  );
  perFlow("mayfly_flow_duration_seconds", "From accept to done", "histogram", (flow, labels) =>
    histogram("mayfly_flow_duration_seconds", labels, flow.delivery.metrics.durations),
  );
  gauge("mayfly_flow_pending", "Messages queued, running or waiting for a retry", (flow) => flow.delivery.pending);
  gauge("mayfly_flow_holds", "Dead letters that hold back messages", (flow) => flow.delivery.holds.size);
  gauge("mayfly_flow_paused", "1 while an operator has stopped the flow", (flow) => (flow.switches.state === "running" ? 0 : 1));
  gauge("mayfly_sleepers", "Machines asleep, those being woken included", ({ name }) => measured.journal.sleeperCount(name).sleepers);
  gauge("mayfly_sleepers_stuck", "Machines that can't be woken", (flow) => flow.delivery.sleepers.stuck.size);
  count("mayfly_sleepers_slept_total", "Times a machine fell asleep", (flow) => flow.delivery.metrics.slept);
  perFlow("mayfly_sleepers_woken_total", "Times a machine was woken, by a signal or by the time", "counter", ({ delivery }, labels) => [
    { labels: { ...labels, by: "signal" }, value: delivery.metrics.wokenBySignal },
    { labels: { ...labels, by: "time" }, value: delivery.metrics.wokenByTime },
  ]);
  gauge("mayfly_signals_kept", "Signals that are kept and not yet taken", ({ name }) => measured.journal.sleeperCount(name).signals);
  count("mayfly_signals_received_total", "Signals kept, duplicates not counted", (flow) => flow.delivery.metrics.signals);
  count(
    "mayfly_signals_unclaimed_total",
    "Signals that became dead letters because nobody waited",
    (flow) => flow.delivery.metrics.signalsUnclaimed,
  );
  gauge("mayfly_flow_running", "Machines running or waiting", (flow) => flow.delivery.running);
  outletMetrics(perFlow);
  perFlow("mayfly_canary_done_total", "Attempts that ended well, with a new image beside the current one", "counter", (flow, labels) =>
    flow.delivery.sides.all(flow.delivery.flow).map(([side, { done, sha256 }]) => ({
      labels: { ...labels, side, image: sha256.slice(0, 12) },
      value: done,
    })),
  );
  perFlow("mayfly_canary_failures_total", "Failed attempts with a new image beside the current one, by code", "counter", (flow, labels) =>
    flow.delivery.sides
      .all(flow.delivery.flow)
      .flatMap(([side, { failures, sha256 }]) => byCode({ ...labels, side, image: sha256.slice(0, 12) }, failures)),
  );
  perFlow("mayfly_canary_duration_seconds", "One attempt, with a new image beside the current one", "histogram", (flow, labels) =>
    flow.delivery.sides
      .all(flow.delivery.flow)
      .flatMap(([side, { durations }]) => histogram("mayfly_canary_duration_seconds", { ...labels, side }, durations)),
  );
  runnerMetrics(registry, measured);
  memoryMetrics(registry, measured.memory);
  partitionMetrics(registry, measured.loads);
  if (measured.exported !== undefined) telemetryMetrics(registry, measured.exported);
  scraped(registry, "mayfly_connector_events_total", "Events counted by connectors", "counter", () =>
    [...measured.events].map(([key, value]) => {
      const [flow = "", connector = "", event = ""] = key.split("\0");
      return { labels: { flow, connector, event }, value };
    }),
  );
  return registry;
}

/** Without a cluster they are there, and have no values. */
function partitionMetrics(registry: Registry, loads: Measured["loads"]): void {
  const each = (name: string, help: string, of: (load: PartitionLoad) => number): void =>
    scraped(registry, name, help, "gauge", () =>
      (loads() ?? []).map((load) => ({ labels: { partition: load.partition }, value: of(load) })),
    );
  scraped(registry, "mayfly_partitions_owned", "Partitions of the cluster that this node owns", "gauge", () => {
    const owned = loads();
    return owned === undefined ? [] : [{ labels: {}, value: owned.length }];
  });
  each("mayfly_partition_pending", "Messages of an owned partition that wait or run", ({ pending }) => pending);
  each("mayfly_partition_outbox", "Sends of an owned partition that wait or are under way", ({ outbox }) => outbox);
  each("mayfly_partition_sleepers", "Machines of an owned partition that sleep", ({ sleepers }) => sleepers);
}

/** Every flow; of very many only those that had a message, since a scrape of idle thousands would hold up the others. */
function shown(flows: Iterable<ServedFlow>): ServedFlow[] {
  const all = [...flows];
  return all.length <= gatewayLimits.flowsAlwaysShown
    ? all
    : all.filter((flow) => flow.delivery.metrics.received > 0 || flow.delivery.pending > 0);
}

function outletMetrics(
  perFlow: (name: string, help: string, type: Type, values: (flow: ServedFlow, labels: Labels) => Value[]) => void,
): void {
  const each = (name: string, help: string, type: Type, values: (outlet: ServedFlow["outlets"][number], labels: Labels) => Value[]): void =>
    perFlow(name, help, type, (flow, labels) =>
      flow.outlets.flatMap((outlet) => values(outlet, { ...labels, outlet: outlet.channel.name })),
    );
  each("mayfly_outlet_sent_total", "Sends accepted by the peer", "counter", ({ channel }, labels) => [
    { labels, value: channel.metrics.sent },
  ]);
  each("mayfly_outlet_requests_total", "Requests made", "counter", ({ channel }, labels) => [{ labels, value: channel.metrics.requests }]);
  each("mayfly_outlet_retries_total", "Attempts after the first", "counter", ({ channel }, labels) => [
    { labels, value: channel.metrics.retries },
  ]);
  each("mayfly_outlet_dead_total", "Sends that became dead letters", "counter", ({ channel }, labels) => [
    { labels, value: channel.metrics.dead },
  ]);
  each("mayfly_outlet_failures_total", "Failed attempts, by code", "counter", ({ channel }, labels) =>
    byCode(labels, channel.metrics.failures),
  );
  each("mayfly_outlet_duration_seconds", "One attempt", "histogram", ({ channel }, labels) =>
    histogram("mayfly_outlet_duration_seconds", labels, channel.metrics.durations),
  );
  each("mayfly_outlet_pending", "Committed sends not yet accepted by the peer", "gauge", ({ outbox }, labels) => [
    { labels, value: outbox.depth },
  ]);
  each("mayfly_outlet_delayed", "Of these, sends whose date is not there yet", "gauge", ({ outbox }, labels) => [
    { labels, value: outbox.delayed },
  ]);
  each("mayfly_outlet_holds", "Dead letters that hold back sends", "gauge", ({ outbox }, labels) => [{ labels, value: outbox.holds.size }]);
  each("mayfly_outlet_paused", "1 while an operator has paused the outlet", "gauge", ({ channel }, labels) => [
    { labels, value: channel.paused ? 1 : 0 },
  ]);
  each("mayfly_outlet_circuit_open", "1 while the circuit is open", "gauge", ({ channel }, labels) => [
    { labels, value: channel.circuitOpenMs > 0 ? 1 : 0 },
  ]);
}

function telemetryMetrics(registry: Registry, exported: NonNullable<Measured["exported"]>): void {
  const each = (name: string, help: string, of: "exported" | "dropped"): void =>
    scraped(registry, name, help, "counter", () =>
      Object.entries(exported()).map(([signal, counts]) => ({ labels: { signal }, value: counts[of] })),
    );
  each("mayfly_telemetry_exported_total", "Spans, log lines and scrapes that the collector took", "exported");
  each("mayfly_telemetry_dropped_total", "Spans, log lines and scrapes that did not reach the collector", "dropped");
}

function memoryMetrics(registry: Registry, { all, ...uses }: GatewayMemory): void {
  const one = (name: string, help: string, type: Type, value: () => number): void =>
    scraped(registry, name, help, type, () => [{ labels: {}, value: value() }]);
  one("mayfly_memory_budget_bytes", "The memory budget", "gauge", () => all.mostBytes);
  one("mayfly_memory_refused_total", "Requests for memory that were refused", "counter", () => all.refusals.count);
  scraped(registry, "mayfly_memory_taken_bytes", "Bytes of the memory budget in use, by purpose", "gauge", () =>
    Object.values(uses)
      .filter(({ parts }) => parts.length === 0)
      .map(({ use, takenBytes }) => ({ labels: { use }, value: takenBytes })),
  );
}

function runnerMetrics(registry: Registry, { runner, journal, unexpected, connections, witnesses, history }: Measured): void {
  const one = (name: string, help: string, type: Type, value: () => number): void =>
    scraped(registry, name, help, type, () => [{ labels: {}, value: value() }]);
  one("mayfly_unexpected_errors_total", "Unexpected errors", "counter", () => unexpected.total);
  one("mayfly_witness_failures_total", "Errors of history and telemetry that were told to delivery", "counter", () => witnesses.failures);
  one("mayfly_http_connections_refused_total", "Connections refused over a limit", "counter", () => connections.refused);
  one("mayfly_monitor_queued", "Machines that wait for a worker", "gauge", () => runner.stats().queued);
  one("mayfly_monitor_running", "Machines in a step", "gauge", () => runner.stats().running);
  one("mayfly_monitor_waiting", "Machines that wait for an answer or a timer", "gauge", () => runner.stats().waiting);
  one("mayfly_monitor_workers", "Workers alive", "gauge", () => runner.stats().workers);
  one("mayfly_monitor_replaced_total", "Workers replaced because a machine broke them", "counter", () => runner.stats().replaced);
  one("mayfly_monitor_waiting_bytes", "Bytes held for waiting machines", "gauge", () => runner.stats().waitingBytes);
  one("mayfly_journal_pending", "Messages in the journal", "gauge", () => journal.stats().pending);
  one("mayfly_journal_outbox", "Sends in the journal", "gauge", () => journal.stats().outbox);
  one("mayfly_journal_disk_bytes", "Bytes of the journal on disk", "gauge", () => journal.stats().diskBytes);
  one("mayfly_journal_commits_total", "Commits", "counter", () => journal.stats().commits);
  one("mayfly_journal_committed_total", "Journal calls in those commits", "counter", () => journal.stats().committed);
  if (history === undefined) return;
  one("mayfly_history_recorded_total", "Entries recorded", "counter", () => history.stats().recorded);
  one("mayfly_history_dropped_total", "Entries lost to a slow, full or failing disk", "counter", () => history.stats().dropped);
  one("mayfly_history_gave_way_total", "Segments deleted early for a full disk", "counter", () => history.stats().gaveWay);
  one("mayfly_history_disk_bytes", "Bytes of history on disk", "gauge", () => history.stats().bytes);
  one("mayfly_history_segments", "Segments of history", "gauge", () => history.stats().segments);
}
