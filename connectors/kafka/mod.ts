/** Apache Kafka and what speaks its protocol. */
import type { Connector } from "#gateway/contract";
import { kafkaOutlet } from "./outlet.ts";
import { kafkaSource } from "./source.ts";

export const kafka: Connector = { source: kafkaSource, outlet: kafkaOutlet };
