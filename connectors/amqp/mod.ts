/** RabbitMQ and other AMQP 0-9-1 brokers. */
import type { Connector } from "#gateway/contract";
import { amqpOutlet } from "./outlet.ts";
import { amqpSource } from "./source.ts";

export const amqp: Connector = { source: amqpSource, outlet: amqpOutlet };
