/** The gateway's own log. */
import type { Connector } from "#gateway/contract";
import { logOutlet } from "./outlet.ts";

export const log: Connector = { outlet: logOutlet };
