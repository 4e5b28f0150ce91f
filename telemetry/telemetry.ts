/**
 * Telemetry as the command line wires it: a witness and a giver of trace contexts for the gateway, a logger around its own, and the metrics
 * of its registry at an interval. OpenTelemetry's packages are loaded in a thread of their own.
 *
 *   facts ────────────┐
 *   log lines ────────┼──▶ bounded queues ──▶ thread: spans, SDK types ──▶ OTLP exporters ──▶ collector
 *   counters ─────────┘
 */
import { randomFillSync } from "node:crypto";
import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";
import { type Clock, CodedError } from "#base";
import type { Tracing, Witness } from "#gateway/contract";
import { Channel, type SignalCounts, type Thread } from "./channel.ts";
import { FactWitness } from "./facts.ts";
import { telemetryLimits } from "./limits.ts";
import { type ParentLogger, tellingLogger } from "./lines.ts";
import type { MetricRecord, Signal, ThreadSettings } from "./records.ts";
import { type Environment, telemetrySettings } from "./settings.ts";
import { TraceContexts } from "./tracing.ts";

export interface TelemetryOptions {
  readonly clock: Clock;
  /** The gateway's own, whose lines are exported. */
  readonly logger: ParentLogger;
  /** Lowest level that is exported. */
  readonly level: string;
  /** Of Mayfly. */
  readonly version: string;
}

export interface Telemetry {
  /** Undefined where traces are off. */
  readonly witness: Witness | undefined;
  readonly tracing: Tracing | undefined;
  /** Writes as the given one did, and exports. */
  readonly logger: ParentLogger;
  /** Items exported and dropped so far, by signal. */
  readonly counts: Readonly<Record<Signal, Readonly<SignalCounts>>>;
  /** Exports what `read` gives, at the interval of metrics. */
  observe(read: () => Promise<readonly MetricRecord[]>): void;
  /** Exports what waits, for so many milliseconds at most. Never rejects. */
  stop(withinMs: number): Promise<void>;
}

/** Packages of the thread: optional ones, for whoever installs without. */
const packages = [
  "@opentelemetry/api",
  "@opentelemetry/exporter-logs-otlp-proto",
  "@opentelemetry/exporter-metrics-otlp-proto",
  "@opentelemetry/exporter-trace-otlp-proto",
  "@opentelemetry/resources",
  "@opentelemetry/sdk-metrics",
];

function checkInstalled(): void {
  const { resolve } = createRequire(import.meta.url);
  for (const name of packages) {
    try {
      resolve(name);
    } catch (cause) {
      throw new CodedError(
        "MF_TELEMETRY_MISSING",
        `telemetry is on, but the package ${name} is not installed: install Mayfly without --omit=optional, or turn telemetry off`,
        { cause },
      );
    }
  }
}

function startThread(settings: ThreadSettings, environment: Environment): Thread {
  return new Worker(new URL("./export/main.js", import.meta.url), {
    workerData: settings,
    env: environment as NodeJS.Dict<string>,
    resourceLimits: { maxOldGenerationSizeMb: telemetryLimits.threadMebibytes },
  });
}

/** Undefined: telemetry is off. Throws MF_TELEMETRY_ENV or MF_TELEMETRY_MISSING. */
export function openTelemetry(
  given: Parameters<typeof telemetrySettings>[0],
  environment: Environment,
  { clock, logger, level, version }: TelemetryOptions,
): Telemetry | undefined {
  const settings = telemetrySettings(given, environment);
  if (settings === undefined) return undefined;
  checkInstalled();
  const { config, sample, metricsIntervalMs, instance } = settings;
  const { endpoint, headers, service, attributes } = config;
  const thread: ThreadSettings = { endpoint, headers, service, attributes, version, instance, startedMs: clock.now() };
  const channel = new Channel({ clock, logger, startThread: () => startThread(thread, environment) });
  let cancel: (() => void) | undefined;
  let stopped = false;
  let scrape: () => Promise<void> = async () => undefined;
  return {
    witness: config.traces ? new FactWitness((fact) => channel.give("traces", fact)) : undefined,
    tracing: config.traces ? new TraceContexts(sample, randomFillSync) : undefined,
    logger: config.logs ? tellingLogger(logger, { clock, least: level, take: (line) => channel.give("logs", line) }) : logger,
    get counts() {
      return channel.counts;
    },
    observe(read) {
      if (!config.metrics) return;
      scrape = async () => channel.give("metrics", { timeMs: clock.now(), families: await read() });
      const again = (): void => {
        cancel = clock.after(metricsIntervalMs, () => {
          scrape()
            .catch((error: unknown) => logger.error({}, `telemetry: the metrics could not be read: ${String(error)}`))
            .finally(() => {
              if (!stopped) again();
            });
        });
      };
      again();
    },
    async stop(withinMs) {
      stopped = true;
      cancel?.();
      await scrape().catch(() => undefined); // the last figures
      await channel.stop(Math.min(withinMs, telemetryLimits.flushMs));
    },
  };
}
