/** Telemetry's settings: of mayfly.yaml, and of the environment where that is silent. */
import { randomUUID } from "node:crypto";
import { CodedError } from "#base";
import type { TelemetryConfig } from "#gateway/contract";
import { telemetryLimits } from "./limits.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface TelemetrySettings {
  readonly config: TelemetryConfig;
  readonly sample: number;
  readonly metricsIntervalMs: number;
  /** Of this process. */
  readonly instance: string;
}

/** Variables that turn telemetry on. */
const endpoints = [
  "OTEL_EXPORTER_OTLP_ENDPOINT",
  "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
  "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
  "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
];

const byEnvironment: TelemetryConfig = {
  endpoint: undefined,
  headers: {},
  sample: undefined,
  traces: true,
  metrics: true,
  logs: true,
  service: undefined,
  attributes: {},
  interval: undefined,
};

function isSet(value: string | undefined): value is string {
  return value !== undefined && value.trim() !== "";
}

function refused(name: string, value: string, says: string): CodedError {
  return new CodedError("MF_TELEMETRY_ENV", `${name}=${value.slice(0, 100)} ${says}`);
}

/** OTEL_TRACES_SAMPLER: parent-based or not, Mayfly follows a parent's decision. */
function sampleOf(environment: Environment): number {
  const sampler = environment["OTEL_TRACES_SAMPLER"];
  const given = environment["OTEL_TRACES_SAMPLER_ARG"];
  if (isSet(sampler) && !/^(parentbased_)?(always_on|always_off|traceidratio)$/.test(sampler))
    throw refused("OTEL_TRACES_SAMPLER", sampler, "is not supported: use parentbased_traceidratio, always_on or always_off");
  if (sampler?.endsWith("always_off") === true) return 0;
  if (sampler?.endsWith("always_on") === true || !isSet(given)) return 1;
  const share = Number(given);
  if (share >= 0 && share <= 1) return share;
  throw refused("OTEL_TRACES_SAMPLER_ARG", given, "must be a number from 0 to 1");
}

function intervalOf(environment: Environment): number {
  const given = environment["OTEL_METRIC_EXPORT_INTERVAL"];
  if (!isSet(given)) return telemetryLimits.metricsIntervalMs;
  const ms = Number(given);
  if (Number.isInteger(ms) && ms >= telemetryLimits.leastMetricsIntervalMs) return ms;
  throw refused("OTEL_METRIC_EXPORT_INTERVAL", given, `must be milliseconds, at least ${telemetryLimits.leastMetricsIntervalMs}`);
}

/** Only `otlp` and `none` are known; `none` turns the signal off. */
function isExported(environment: Environment, signal: string): boolean {
  return environment[`OTEL_${signal}_EXPORTER`]?.trim() !== "none";
}

/** Undefined: telemetry is off. Throws MF_TELEMETRY_ENV for a variable it can't follow. */
export function telemetrySettings(given: TelemetryConfig | undefined, environment: Environment): TelemetrySettings | undefined {
  if (environment["OTEL_SDK_DISABLED"]?.trim().toLowerCase() === "true") return undefined;
  const configured = given ?? (endpoints.some((name) => isSet(environment[name])) ? byEnvironment : undefined);
  if (configured === undefined) return undefined;
  const config = {
    ...configured,
    traces: configured.traces && isExported(environment, "TRACES"),
    metrics: configured.metrics && isExported(environment, "METRICS"),
    logs: configured.logs && isExported(environment, "LOGS"),
  };
  return {
    config,
    sample: config.sample ?? sampleOf(environment),
    metricsIntervalMs: Math.max(config.interval ?? intervalOf(environment), telemetryLimits.leastMetricsIntervalMs),
    instance: randomUUID(),
  };
}
