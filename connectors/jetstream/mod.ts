/** Streams of NATS. */
import type { Connector } from "#gateway/contract";
import { jetstreamOutlet } from "./outlet.ts";
import { jetstreamSource } from "./source.ts";

export const jetstream: Connector = { source: jetstreamSource, outlet: jetstreamOutlet };
