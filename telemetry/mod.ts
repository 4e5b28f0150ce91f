/** Telemetry: what happens to messages, told to a collector by OpenTelemetry. */
export { type MetricRecord } from "./records.ts";
export { openTelemetry, type Telemetry, type TelemetryOptions } from "./telemetry.ts";
