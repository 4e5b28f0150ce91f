/** AMQP 1.0: ActiveMQ Artemis, Azure Service Bus, Qpid, and others. */
import type { Connector } from "#gateway/contract";
import { amqp1Outlet } from "./outlet.ts";
import { amqp1Source } from "./source.ts";

export const amqp1: Connector = { source: amqp1Source, outlet: amqp1Outlet };
