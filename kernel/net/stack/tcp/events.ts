/** Events of a connection for its user, and the end of connections. Every function here may end the connection: callers compare its generation. */
import * as streams from "../../streams";
import { before } from "../../big-endian";
import { time } from "../clock";
import { Counter, count } from "../counters";
import { blockBytes, never, timeWait } from "../limits";
import { place, release, releaseAll, releaseAt } from "./blocks";
import { sendReset } from "./output";
import { Flag, State, Tcb, due, free, has, numberOf, receiveRing, sendRing, setTimeWait } from "./tcb";
import { dataEnd } from "./window";

/** Frees the connection and tells its user. */
export function close(c: Tcb, reason: u32): void {
  const number = numberOf(c), known = has(c, Flag.known);
  free(c);
  if (known) streams.closed(number, reason);
}

export function closeWithReset(c: Tcb, reason: u32): void {
  sendReset(c);
  close(c, reason);
}

/** Tells the end of the peer's bytes and of the connection, when all has been taken. */
export function tellEnds(c: Tcb): void {
  if (!has(c, Flag.finTaken) || c.user !== dataEnd(c)) return;
  const generation = c.generation;
  if (!has(c, Flag.endedTold)) {
    c.flags |= Flag.endedTold;
    if (has(c, Flag.known)) streams.ended(numberOf(c));
    if (c.generation !== generation) return;
  }
  if (c.state === State.drained) return close(c, streams.closedWell);
  if (c.state !== State.timeWait || !has(c, Flag.known)) return;
  c.flags &= ~Flag.known;
  streams.closed(numberOf(c), streams.closedWell);
}

/** Both sides have finished, and this one was first: the slot is kept for the peer's repeated FIN. */
export function enterTimeWait(c: Tcb): void {
  setTimeWait(c);
  c.retransmitAt = c.ackAt = never;
  c.idleAt = time + timeWait;
  due(c, c.idleAt);
  releaseAll(sendRing(c));
}

/** The peer has everything, and has finished before this side. */
export function enterDrained(c: Tcb): void {
  c.state = State.drained;
  c.retransmitAt = c.ackAt = c.idleAt = never;
  tellEnds(c);
}

/** Counts bytes that the user has taken, and gives back their blocks. */
export function consumed(c: Tcb, bytes: u32): void {
  const from = c.user - c.irs - 1;
  c.user += bytes;
  const ring = receiveRing(c);
  release(ring, from, from + bytes);
  if (c.user === dataEnd(c) && c.rangeCount === 0) releaseAt(ring, from + bytes);
}

/** Offers bytes that lie in the frame that came in; returns how many were taken. */
export function offer(c: Tcb, at: usize, length: u32): u32 {
  const generation = c.generation;
  const taken = min(streams.received(numberOf(c), at, length), length);
  if (c.generation !== generation) return length;
  if (taken < length) c.flags |= Flag.held;
  return taken;
}

/** Offers what is stored, block by block, until the user takes less. */
export function offerStored(c: Tcb): void {
  const generation = c.generation;
  while (!has(c, Flag.held) && before(c.user, dataEnd(c))) {
    const position = c.user - c.irs - 1, at = place(receiveRing(c), position);
    if (at === 0) { // must not be: give the connection up rather than wrong bytes
      count(Counter.damaged);
      return closeWithReset(c, streams.closedReset);
    }
    const length = min(dataEnd(c) - c.user, blockBytes - (position & (blockBytes - 1)));
    const taken = offer(c, at, length);
    if (c.generation !== generation) return;
    consumed(c, taken);
  }
}
