/** Mails of IMAP servers. */
import type { Connector } from "#gateway/contract";
import { imapSource } from "./source.ts";

export const imap: Connector = { source: imapSource };
