/**
 * Checks a connector's configuration beyond its schema, by calling its `create`: an unknown SQL parameter, a cron expression that
 * never matches. Each connector is created once for trial, so that such faults have line and column, in `mayfly lint` as well.
 */
import { isCoded, prng, systemClock } from "#base";
import type { Connectors } from "../contract/connectors.ts";
import type { ConnectorContext, Logger } from "../contract/connector.ts";
import { type Path, pathText } from "./problem.ts";
import { expression } from "../delivery/admission/expression.ts";
import type { GatewayConfig, SourceConfig } from "../contract/config.ts";
import { gatewayMemory } from "../memory/budget.ts";

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** `create` does no I/O and starts nothing: what is made here is forgotten. Throws what is not a CodedError: that is our own fault. */
export function tryConnectors(
  config: GatewayConfig,
  connectors: Connectors,
  report: (path: Path, message: string, code: string) => void,
): void {
  const attempt = (path: Path, create: () => unknown): void => {
    try {
      create();
    } catch (error) {
      if (!isCoded(error)) throw error;
      report(path, error.message, error.code);
    }
  };
  const memory = gatewayMemory();
  for (const [flow, { from, to, queue, signals }] of Object.entries(config.flows)) {
    const context = (name: string): ConnectorContext => ({
      flow,
      name,
      base: config.base,
      logger: silent,
      clock: systemClock,
      random: prng(0),
      metrics: { count: () => {} },
      unexpected: () => {},
      memory,
    });
    const trySources = (sources: readonly SourceConfig[], place: Path): void => {
      for (const [index, source] of sources.entries()) {
        const definition = connectors.sources.find(({ name }) => name === source.connector);
        const http = { add: () => () => {}, addressOf: () => undefined };
        attempt(["flows", flow, ...place, "from", index, source.connector], () =>
          definition?.create(source.config as never, { ...context(pathText([...place, "from", index])), prefetch: queue, http }),
        );
      }
    };
    trySources(from, []);
    for (const [name, signal] of Object.entries(signals)) trySources(signal.from, ["signals", name]);
    for (const [name, outlet] of Object.entries(to)) {
      const definition = connectors.outlets.find((each) => each.name === outlet.connector);
      attempt(["flows", flow, "to", name, outlet.connector], () =>
        definition?.create(outlet.config as never, { ...context(name), deliverTo: () => undefined, signalTo: () => undefined, expression }),
      );
    }
  }
}
