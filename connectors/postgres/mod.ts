/** PostgreSQL: a table as a queue, and statements. */
import type { Connector } from "#gateway/contract";
import { postgresOutlet } from "./outlet.ts";
import { postgresSource } from "./source.ts";

export const postgres: Connector = { source: postgresSource, outlet: postgresOutlet };
