/** Server-Sent Events. */
import type { Connector } from "#gateway/contract";
import { sseSource } from "./source.ts";

export const sse: Connector = { source: sseSource };
