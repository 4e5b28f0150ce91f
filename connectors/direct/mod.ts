/** Messages put in by hand. */
import type { Connector } from "#gateway/contract";
import { directSource } from "./source.ts";

export const direct: Connector = { source: directSource };
