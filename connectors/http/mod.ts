/** HTTP: requests in, requests out. */
import type { Connector } from "#gateway/contract";
import { httpOutlet } from "./outlet.ts";
import { httpSource } from "./source.ts";

export const http: Connector = { source: httpSource, outlet: httpOutlet };
