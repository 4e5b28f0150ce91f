/** Lines of the log as OpenTelemetry's exporters take them. */
import type { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-proto";
import type { LogRecord } from "../records.ts";
import type { Resource } from "./resource.ts";
import { hrTime } from "./time.ts";

type ReadableLogRecord = Parameters<OTLPLogExporter["export"]>[0][number];

/** SeverityNumber. */
const severities = { debug: 5, info: 9, warn: 13, error: 17 } as const;

/** Fields with a name in the semantic conventions; the others are Mayfly's own. */
const names: ReadonlyMap<string, string> = new Map([
  ["message", "messaging.message.id"],
  ["code", "error.type"],
  ["stack", "exception.stacktrace"],
]);

export function readableLog(
  { timeMs, level, text, fields }: LogRecord,
  resource: Resource,
  instrumentationScope: ReadableLogRecord["instrumentationScope"],
): ReadableLogRecord {
  const { trace_id: traceId, span_id: spanId, ...others } = JSON.parse(fields) as Readonly<Record<string, unknown>>;
  const attributes: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(others)) {
    const simple = typeof value === "string" || typeof value === "number" || typeof value === "boolean";
    attributes[names.get(name) ?? `mayfly.${name}`] = simple ? value : JSON.stringify(value);
  }
  const time = hrTime(timeMs);
  return {
    hrTime: time,
    hrTimeObserved: time,
    severityText: level.toUpperCase(),
    severityNumber: severities[level],
    body: text,
    ...(typeof traceId === "string" && typeof spanId === "string" ? { spanContext: { traceId, spanId, traceFlags: 1 } } : {}),
    resource,
    instrumentationScope,
    attributes,
    droppedAttributesCount: 0,
  };
}
