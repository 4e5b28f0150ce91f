/** MySQL and MariaDB: a table as a queue, and statements. */
import type { Connector } from "#gateway/contract";
import { mysqlOutlet } from "./outlet.ts";
import { mysqlSource } from "./source.ts";

export const mysql: Connector = { source: mysqlSource, outlet: mysqlOutlet };
