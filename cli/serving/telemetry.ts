/** Telemetry of a gateway, if it is on. Otherwise nothing of it is loaded. */
import { systemClock } from "#base";
import type { GatewayConfig, RootLogger } from "#gateway";
import type { Telemetry } from "#telemetry";
import { version } from "../package.ts";

export async function configuredTelemetry(
  { telemetry, log }: GatewayConfig,
  environment: Readonly<Record<string, string | undefined>>,
  logger: RootLogger,
): Promise<Telemetry | undefined> {
  if (telemetry === undefined && !Object.keys(environment).some((name) => name.startsWith("OTEL_"))) return undefined;
  const { openTelemetry } = await import("#telemetry");
  return openTelemetry(telemetry, environment, { clock: systemClock, logger, level: log.level, version: version() });
}
