/**
 * Families of the gateway's registry as OpenTelemetry's exporters take them, by the names of the semantic conventions where they have one.
 * Nothing is counted twice: these are the counters /metrics shows.
 */
import { ValueType } from "@opentelemetry/api";
import { AggregationTemporality, DataPointType, type MetricData, type ResourceMetrics } from "@opentelemetry/sdk-metrics";
import type { Attribute, MetricRecord, Scrape } from "../records.ts";
import type { Resource } from "./resource.ts";
import { hrTime } from "./time.ts";

interface Convention {
  readonly name: string;
  readonly unit: string;
  readonly attributes?: Readonly<Record<string, Attribute>>;
}

const send = { "messaging.operation.name": "send" };

const conventions: ReadonlyMap<string, Convention> = new Map<string, Convention>([
  [
    "mayfly_flow_duration_seconds",
    { name: "messaging.process.duration", unit: "s", attributes: { "messaging.operation.name": "process" } },
  ],
  ["mayfly_source_received_total", { name: "messaging.client.consumed.messages", unit: "{message}" }],
  ["mayfly_outlet_sent_total", { name: "messaging.client.sent.messages", unit: "{message}", attributes: send }],
  ["mayfly_outlet_duration_seconds", { name: "messaging.client.operation.duration", unit: "s", attributes: send }],
  ["process_cpu_user_seconds_total", { name: "process.cpu.time", unit: "s", attributes: { "cpu.mode": "user" } }],
  ["process_cpu_system_seconds_total", { name: "process.cpu.time", unit: "s", attributes: { "cpu.mode": "system" } }],
  ["process_resident_memory_bytes", { name: "process.memory.usage", unit: "By" }],
  ["process_virtual_memory_bytes", { name: "process.memory.virtual", unit: "By" }],
  ["process_open_fds", { name: "process.unix.file_descriptor.count", unit: "{file_descriptor}" }],
  ...["min", "max", "mean", "stddev", "p50", "p90", "p99"].map((figure): [string, Convention] => [
    `nodejs_eventloop_lag_${figure}_seconds`,
    { name: `nodejs.eventloop.delay.${figure}`, unit: "s" },
  ]),
  ["nodejs_heap_space_size_used_bytes", { name: "v8js.memory.heap.used", unit: "By" }],
  ["nodejs_heap_space_size_total_bytes", { name: "v8js.memory.heap.space.size", unit: "By" }],
  ["nodejs_gc_duration_seconds", { name: "v8js.gc.duration", unit: "s" }],
]);

const attributeNames: ReadonlyMap<string, string> = new Map([
  ["code", "error.type"],
  ["kind", "v8js.gc.type"],
  ["space", "v8js.heap.space.name"],
]);

/** `mayfly_journal_disk_bytes` → `mayfly.journal.disk_bytes`; undefined for figures of Node that have no name. */
function conventionOf(name: string): Convention | undefined {
  const known = conventions.get(name);
  const [, room, figure] = /^mayfly_([a-z]+)_(\w+)$/.exec(name) ?? [];
  if (known !== undefined || room === undefined || figure === undefined) return known;
  const unit = /_seconds(_total)?$/.test(name) ? "s" : name.endsWith("_bytes") ? "By" : "1";
  return { name: `mayfly.${room}.${figure.replace(/_total$/, "")}`, unit };
}

export interface MetricOrigin {
  readonly resource: Resource;
  readonly scope: { readonly name: string; readonly version: string };
  /** When counting began. */
  readonly startedMs: number;
}

export function metricsOf({ timeMs, families }: Scrape, { resource, scope, startedMs }: MetricOrigin): ResourceMetrics {
  const times = { startTime: hrTime(startedMs), endTime: hrTime(timeMs) };
  const byName = new Map<string, MetricData>();
  for (const family of families) {
    const convention = conventionOf(family.name);
    if (convention === undefined || family.type === "summary") continue;
    const made = family.type === "histogram" ? histogramOf(family, convention, times) : numbersOf(family, convention, times);
    const before = byName.get(convention.name);
    if (before === undefined) byName.set(convention.name, made);
    else (before.dataPoints as unknown[]).push(...made.dataPoints);
  }
  return { resource, scopeMetrics: [{ scope, metrics: [...byName.values()] }] };
}

type Times = { readonly startTime: [number, number]; readonly endTime: [number, number] };
type Labels = MetricRecord["values"][number]["labels"];

function attributesOf(labels: Labels, more: Readonly<Record<string, Attribute>> = {}): Record<string, string | number | boolean> {
  const all: Record<string, string | number | boolean> = { ...more };
  for (const [name, value] of Object.entries(labels)) if (name !== "le") all[attributeNames.get(name) ?? `mayfly.${name}`] = value;
  return all;
}

function described({ help }: MetricRecord, { name, unit }: Convention): Pick<MetricData, "descriptor" | "aggregationTemporality"> {
  const valueType = unit === "s" ? ValueType.DOUBLE : ValueType.INT;
  return { descriptor: { name, description: help, unit, valueType }, aggregationTemporality: AggregationTemporality.CUMULATIVE };
}

function numbersOf(family: MetricRecord, convention: Convention, times: Times): MetricData {
  const dataPoints = family.values.map(({ labels, value }) => ({
    ...times,
    attributes: attributesOf(labels, convention.attributes),
    value: convention.unit === "s" ? value : Math.round(value),
  }));
  const base = described(family, convention);
  return family.type === "counter"
    ? { ...base, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints }
    : { ...base, dataPointType: DataPointType.GAUGE, dataPoints };
}

interface Histogram {
  readonly buckets: { boundaries: number[]; counts: number[] };
  sum: number;
  count: number;
}

/** Prometheus counts upwards over its buckets, OpenTelemetry counts each. */
function histogramOf(family: MetricRecord, convention: Convention, times: Times): MetricData {
  const points = new Map<string, { readonly attributes: ReturnType<typeof attributesOf>; readonly value: Histogram; seen: number }>();
  for (const { labels, value, metricName = "" } of family.values) {
    const attributes = attributesOf(labels, convention.attributes);
    const key = JSON.stringify(attributes);
    const point = points.get(key) ?? { attributes, value: { buckets: { boundaries: [], counts: [] }, sum: 0, count: 0 }, seen: 0 };
    points.set(key, point);
    if (metricName.endsWith("_sum")) point.value.sum = value;
    else if (metricName.endsWith("_count")) point.value.count = value;
    else {
      const bound = Number(labels["le"]);
      if (Number.isFinite(bound)) point.value.buckets.boundaries.push(bound);
      point.value.buckets.counts.push(value - point.seen);
      point.seen = value;
    }
  }
  const dataPoints = [...points.values()].map(({ attributes, value }) => ({ ...times, attributes, value }));
  return { ...described(family, convention), dataPointType: DataPointType.HISTOGRAM, dataPoints };
}
