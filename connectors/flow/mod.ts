/** Other flows of the same gateway. */
import type { Connector } from "#gateway/contract";
import { flowOutlet } from "./outlet.ts";
import { flowSource } from "./source.ts";

export const flow: Connector = { source: flowSource, outlet: flowOutlet };
