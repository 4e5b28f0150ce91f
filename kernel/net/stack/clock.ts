/** The time of the frame, call or poll that is being handled, in microseconds. */
import { now } from "../host";

export let time: u64 = 0;

export function readClock(): void {
  time = now();
}
