import { type GatewayConfig, readConfig } from "#gateway";
import { connectors } from "#connectors";

/** Reads a configuration written in a bench. */
export function readBenchConfig(text: string): GatewayConfig {
  return readConfig(text, "bench/mayfly.yaml", { ...connectors, environment: {} });
}
