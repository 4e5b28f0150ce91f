/** Mail. */
import type { Connector } from "#gateway/contract";
import { smtpOutlet } from "./outlet.ts";

export const smtp: Connector = { outlet: smtpOutlet };
