/**
 * The circuit breaker of an outlet, as gateway/delivery/outbox/outlet-channel.ts has it: failures in a row open the circuit, and once its time is over
 * one exchange finds out whether the peer is well. Nobody waits for an open circuit here: there is a caller behind each send.
 */
import { put, putNumber, putText } from "../bytes";
import { now } from "../host";
import { Outlet } from "./config";
import { beginFailure, peersFault, reason } from "./ends";

export function isOpen(outlet: Outlet): bool { return now() < outlet.openUntilUs; }

/** True if an exchange may make an attempt. */
export function mayAttempt(outlet: Outlet, exchange: usize): bool {
  if (outlet.breakerFailures === 0 || outlet.failuresInARow < outlet.breakerFailures) return true;
  if (isOpen(outlet) || (outlet.probe !== 0 && outlet.probe !== exchange)) return false;
  outlet.probe = exchange;
  return true;
}

/** An exchange is over. */
export function leaveCircuit(outlet: Outlet, exchange: usize): void {
  if (outlet.probe === exchange) outlet.probe = 0;
}

/** The peer has answered with what says that it is well: a refused request does. */
export function peerIsWell(outlet: Outlet): void {
  outlet.failuresInARow = 0;
  outlet.openUntilUs = 0;
}

/** The peer is in trouble. `retryAfterMs`: as it says itself; negative: it does not. */
export function peerFailed(outlet: Outlet, retryAfterMs: f64): void {
  if (outlet.breakerFailures === 0 || ++outlet.failuresInARow < outlet.breakerFailures) return;
  const waitMs = max<f64>(outlet.breakerMs, min<f64>(retryAfterMs, outlet.retryAgeMs));
  outlet.openUntilUs = now() + <u64>(waitMs * 1000);
  outlet.probe = 0;
}

/** The failure of an exchange that may make no attempt. */
export function beginOpenCircuit(outlet: Outlet): void {
  beginFailure(peersFault, 503, "MF_CIRCUIT_OPEN");
  putText(reason, "the outlet ");
  put(reason, outlet.name, outlet.nameLength);
  putText(reason, " failed ");
  putNumber(reason, outlet.failuresInARow);
  putText(reason, " times in a row: its circuit breaker is open, try again later");
}
