/** WebSocket (RFC 6455), as a client. */
import type { Connector } from "#gateway/contract";
import { websocketOutlet } from "./outlet.ts";
import { websocketSource } from "./source.ts";

export const websocket: Connector = { source: websocketSource, outlet: websocketOutlet };
