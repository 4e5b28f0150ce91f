/** Folders of FTP servers. */
import type { Connector } from "#gateway/contract";
import { ftpOutlet } from "./outlet.ts";
import { ftpSource } from "./source.ts";

export const ftp: Connector = { source: ftpSource, outlet: ftpOutlet };
