/** Redis streams and channels. */
import type { Connector } from "#gateway/contract";
import { redisOutlet } from "./outlet.ts";
import { redisSource } from "./source.ts";

export const redis: Connector = { source: redisSource, outlet: redisOutlet };
