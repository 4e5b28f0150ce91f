/** The exporter's thread: takes batches, exports one after the other of each signal, and says when each is gone. */
import { parentPort, workerData } from "node:worker_threads";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-proto";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { telemetryLimits } from "../limits.ts";
import type { FromThread, Items, Signal, ThreadSettings, ToThread } from "../records.ts";
import { readableLog } from "./logs.ts";
import { SpanMaker } from "./made-spans.ts";
import { metricsOf } from "./metrics.ts";
import { resourceOf } from "./resource.ts";
import { readableSpan } from "./spans.ts";

/** An exporter's way of telling; `code` 0 is success (ExportResultCode). */
type Tell = (result: { readonly code: number; readonly error?: Error }) => void;

const settings = workerData as ThreadSettings;
const resource = resourceOf(settings);
const scope = { name: "mayfly", version: settings.version };

/** Undefined settings are read from the environment: OTEL_EXPORTER_OTLP_ENDPOINT, _HEADERS, _TIMEOUT, _COMPRESSION. */
function options(path: string): { url?: string; headers?: Record<string, string> } {
  const { endpoint, headers } = settings;
  return {
    ...(endpoint === undefined ? {} : { url: `${endpoint.replace(/\/+$/, "")}/v1/${path}` }),
    ...(Object.keys(headers).length === 0 ? {} : { headers: { ...headers } }),
  };
}

const traces = new OTLPTraceExporter(options("traces"));
const logs = new OTLPLogExporter(options("logs"));
const metrics = new OTLPMetricExporter(options("metrics"));
const maker = new SpanMaker();

/** Hands a batch to its exporter. */
const exporters: { readonly [S in Signal]: (items: readonly Items[S][], tell: Tell) => void } = {
  traces: (items, tell) =>
    traces.export(
      items.flatMap((fact) => maker.spansOf(fact).map((each) => readableSpan(each, resource, scope))),
      tell,
    ),
  logs: (items, tell) =>
    logs.export(
      items.map((each) => readableLog(each, resource, scope)),
      tell,
    ),
  metrics: (items, tell) => {
    const last = items.at(-1); // cumulative: a newer one says all that older ones did
    if (last !== undefined) metrics.export(metricsOf(last, { resource, scope, startedMs: settings.startedMs }), tell);
  },
};

/** Undefined, or the reason why it was not taken. A collector that never finishes its answer has its time and no more. */
function exported(signal: Signal, items: readonly Items[Signal][]): Promise<string | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(`no answer within ${telemetryLimits.exportMs} ms`), telemetryLimits.exportMs);
    const done = (error: string | undefined): void => {
      clearTimeout(timer);
      resolve(error);
    };
    try {
      (exporters[signal] as (items: readonly Items[Signal][], tell: Tell) => void)(items, ({ code, error }) =>
        done(code === 0 ? undefined : (error?.message ?? "the collector refused them")),
      );
    } catch (error) {
      done(error instanceof Error ? error.message : String(error));
    }
  });
}

const last: Record<Signal, Promise<void>> = { traces: Promise.resolve(), logs: Promise.resolve(), metrics: Promise.resolve() };

parentPort?.on("message", (message: ToThread) => {
  if (message.kind === "end") {
    void Promise.all(Object.values(last)).then(() => process.exit(0));
    return;
  }
  const { signal, items } = message;
  last[signal] = last[signal].then(async () => {
    const error = await exported(signal, items);
    parentPort?.postMessage({ signal, items: items.length, error } satisfies FromThread);
  });
});
