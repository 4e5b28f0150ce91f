import type { GatewayConfig } from "./contract/config.ts";

const kept = ["http", "fetch", "journal", "cluster", "deadLetters", "telemetry", "history", "approvals"] as const;

/** Settings that a running gateway keeps: they change only at a restart. */
export function keptSettings(config: GatewayConfig): Pick<GatewayConfig, (typeof kept)[number]> {
  return Object.fromEntries(kept.map((name) => [name, config[name]])) as Pick<GatewayConfig, (typeof kept)[number]>;
}
