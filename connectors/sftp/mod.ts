/** Folders of SFTP servers. */
import type { Connector } from "#gateway/contract";
import { sftpOutlet } from "./outlet.ts";
import { sftpSource } from "./source.ts";

export const sftp: Connector = { source: sftpSource, outlet: sftpOutlet };
