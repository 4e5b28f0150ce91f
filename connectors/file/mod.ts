/** Folders of files. */
import type { Connector } from "#gateway/contract";
import { fileOutlet } from "./outlet.ts";
import { fileSource } from "./source.ts";

export const file: Connector = { source: fileSource, outlet: fileOutlet };
