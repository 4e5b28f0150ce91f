/** Times of day. */
import type { Connector } from "#gateway/contract";
import { cronSource } from "./source.ts";

export const cron: Connector = { source: cronSource };
