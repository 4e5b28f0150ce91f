/** The transports that were asked for and can be had here. */
import type { TransportName } from "../options.ts";
import { amqpTransport } from "./amqp.ts";
import { amqp1Transport } from "./amqp1.ts";
import { httpTransport } from "./http.ts";
import { kafkaTransport } from "./kafka.ts";
import { mqttTransport } from "./mqtt.ts";
import { natsTransport } from "./nats.ts";
import { postgresTransport } from "./postgres.ts";
import { sleepTransport } from "./sleep.ts";
import { redisTransport } from "./redis.ts";
import { type Site, type Transport, Unavailable } from "./transport.ts";

export interface Opened {
  readonly transports: readonly Transport[];
  readonly skipped: readonly string[];
}

export async function openTransports(only: readonly TransportName[], site: Site, gatewayPort: number): Promise<Opened> {
  const transports: Transport[] = [];
  const skipped: string[] = [];
  const natsLanes = (["jetstream", "nats"] as const).filter((name) => only.includes(name));
  const openers: readonly (readonly [name: string, wanted: boolean, open: () => Promise<Transport>])[] = [
    ["http", only.includes("http"), () => httpTransport(gatewayPort)],
    ["sleep", only.includes("sleep"), () => sleepTransport(gatewayPort)],
    ["amqp", only.includes("amqp"), () => amqpTransport(site)],
    ["amqp1", only.includes("amqp1"), () => amqp1Transport(site)],
    [natsLanes.join(" and "), natsLanes.length > 0, () => natsTransport(site, natsLanes)],
    ["kafka", only.includes("kafka"), () => kafkaTransport(site)],
    ["mqtt", only.includes("mqtt"), () => mqttTransport(site)],
    ["redis", only.includes("redis"), () => redisTransport(site)],
    ["postgres", only.includes("postgres"), () => postgresTransport(site)],
  ];
  for (const [name, wanted, open] of openers) {
    if (!wanted) continue;
    try {
      transports.push(await open());
    } catch (error) {
      if (!(error instanceof Unavailable)) {
        for (const transport of transports) await transport.close();
        throw error;
      }
      skipped.push(`${name}: ${error.message}`);
    }
  }
  return { transports, skipped };
}
