/** NATS without streams. */
import type { Connector } from "#gateway/contract";
import { natsOutlet } from "./outlet.ts";
import { natsSource } from "./source.ts";

export const nats: Connector = { source: natsSource, outlet: natsOutlet };
