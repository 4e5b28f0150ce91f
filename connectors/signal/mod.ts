/** Signals to sleeping machines of the same gateway. */
import type { Connector } from "#gateway/contract";
import { signalOutlet } from "./outlet.ts";

export const signal: Connector = { outlet: signalOutlet };
