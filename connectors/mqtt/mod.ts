/** MQTT brokers. */
import type { Connector } from "#gateway/contract";
import { mqttOutlet } from "./outlet.ts";
import { mqttSource } from "./source.ts";

export const mqtt: Connector = { source: mqttSource, outlet: mqttOutlet };
