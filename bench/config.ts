import { type GatewayConfig, outlets, readConfig, sources } from "#gateway";

/** Reads a configuration written in a bench. */
export function readBenchConfig(text: string): GatewayConfig {
  return readConfig(text, "bench/mayfly.yaml", { sources, outlets, environment: {} });
}
