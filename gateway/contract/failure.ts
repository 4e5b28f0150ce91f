/**
 * The text of a failure as a caller is told it: decided here alone, for HTTP and for brokers. The operator's log has everything.
 *
 *   origin    the caller is told
 *   caller    everything: the fault is theirs to mend
 *   gateway   everything: the gateway wrote it, and writes no address into it
 *   flow      the author's words where they gave a status (`fail` with one), otherwise only that the flow failed
 *   peer      that a system failed: its texts hold addresses, statements and what it said
 */
import type { Failure } from "./message.ts";

export interface Told {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

const hidden = {
  flow: "the flow failed on this message; the gateway's log has the reason under the message's id",
  peer: "a system that the flow called failed or did not answer; the gateway's log has the reason under the message's id",
} as const;

/** `full`: callers are trusted with what a flow threw; never with what a peer said. */
export function told({ origin, status, code, message }: Failure, errors: "brief" | "full" = "brief"): Told {
  const given = status >= 400 && status <= 599;
  switch (origin) {
    case "caller":
      return { status: given ? status : 400, code, message };
    case "gateway":
      return { status: given ? status : 500, code, message };
    case "peer":
      return { status: given ? status : 502, code, message: hidden.peer };
    default:
      return { status: given ? status : 500, code, message: given || errors === "full" ? message : hidden.flow };
  }
}
