/** Failures that the gateway makes itself. */
import type { Failure } from "../contract/message.ts";
import { OutletError } from "../contract/outlet.ts";

/** A failure found by the gateway. `status`: what a caller gets, 0 for 500. */
export function failureOf(code: string, message: string, retry: boolean, status = 0): Failure {
  return { origin: "gateway", code, message, retry, status };
}

/** A failure that is the caller's to mend. Another attempt can't help. */
export function callersFault(code: string, message: string, status: number): Failure {
  return { origin: "caller", code, message, retry: false, status };
}

/** An outlet or its peer took longer than one attempt may. */
export function outletTimedOut(outlet: string, timeoutMs: number): OutletError {
  const text = `${outlet} did not answer within ${timeoutMs} ms: check the peer, or raise the outlet's timeout`;
  return new OutletError("MF_OUTLET_TIMEOUT", text, { retryable: true, callerStatus: 504 });
}

/** Of a sleeper that an operator ended. */
export const cancelledCode = "MF_CANCELLED_BY_OPERATOR";

/** Of a message that an operator made a dead letter: nobody waits behind it. */
export const purgedCode = "MF_MESSAGE_PURGED";
