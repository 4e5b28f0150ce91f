/** Spans as OpenTelemetry's exporters take them. */
import type { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { telemetryLimits } from "../limits.ts";
import type { Attribute, Attributes, SpanRecord } from "../records.ts";
import type { Resource } from "./resource.ts";
import { hrTime } from "./time.ts";

type ReadableSpan = Parameters<OTLPTraceExporter["export"]>[0][number];

/** TraceFlags.SAMPLED: nothing else comes here. */
const traceFlags = 1;
/** SpanStatusCode. */
const unset = { code: 0 };

function shown(given: Attributes): Record<string, Attribute> {
  const all: Record<string, Attribute> = {};
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === "") continue;
    all[name] = typeof value === "string" ? value.slice(0, telemetryLimits.textCharacters) : value;
  }
  return all;
}

export function readableSpan(
  record: SpanRecord,
  resource: Resource,
  instrumentationScope: ReadableSpan["instrumentationScope"],
): ReadableSpan {
  const { traceId, spanId, parentId, remote, name, kind, startMs, endMs, attributes, error, links } = record;
  const context = { traceId, spanId, traceFlags };
  return {
    name,
    kind,
    spanContext: () => context,
    ...(parentId === undefined ? {} : { parentSpanContext: { traceId, spanId: parentId, traceFlags, isRemote: remote } }),
    startTime: hrTime(startMs),
    endTime: hrTime(Math.max(endMs, startMs)),
    duration: hrTime(Math.max(endMs - startMs, 0)),
    status: error === undefined ? unset : { code: 2, message: error },
    attributes: shown(attributes),
    links: links.map((each) => ({ context: { traceId, spanId: each, traceFlags } })),
    events: [],
    ended: true,
    resource,
    instrumentationScope,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}
