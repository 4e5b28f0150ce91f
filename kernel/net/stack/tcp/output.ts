/** Sends segments of connections: what there is to send, as far as the peer's window and the congestion window reach. */
import { before, put16, put32 } from "../../big-endian";
import { time } from "../clock";
import { Counter, count } from "../counters";
import { payload } from "../ip";
import { ackDelay, burst, challengeInterval, mostSegment, mostTimeout, never } from "../limits";
import { fetch, share } from "./blocks";
import { ACK, FIN, PSH, RST, SYN, emit, headerBytes, optionsAt, out, writeSynOptions } from "./segment";
import { Flag, State, Tcb, currentTimeout, due, has, rangeAt, sendRing } from "./tcb";
import { edgeToOffer } from "./window";

/** Windows are offered in units of 4 bytes: what is held is at most 64 KiB. */
export const ownShift: u32 = 2;

function prepare(c: Tcb, sequence: u32, flags: u32): void {
  const o = out();
  o.peer = c.peer;
  o.ports = c.ports;
  o.sequence = sequence;
  o.acknowledged = (flags & ACK) !== 0 ? c.rcvNxt : 0;
  o.flags = flags;
  o.optionBytes = 0;
  o.length = 0;
  o.window = 0;
}

/** NOP, NOP, SACK and the pieces out of order, as many as fit beside `length` bytes. */
function writeSack(c: Tcb, length: u32): u32 {
  if (c.rangeCount === 0 || !has(c, Flag.sack) || length + 12 > mostSegment) return 0;
  const fitting = min(c.rangeCount, (mostSegment - length - 4) >> 3), at = optionsAt();
  put16(at, 0x0101);
  put16(at + 2, 0x0500 | (2 + (fitting << 3)));
  for (let index: u32 = 0; index < fitting; index++) {
    put32(at + 4 + (index << 3), load<u32>(rangeAt(c, index)));
    put32(at + 8 + (index << 3), load<u32>(rangeAt(c, index), 4));
  }
  return 4 + (fitting << 3);
}

/** Every segment but a SYN acknowledges, and offers the window. */
function transmit(c: Tcb, sequence: u32, length: u32, flags: u32): void {
  prepare(c, sequence, flags | ACK);
  const o = out();
  c.edge = edgeToOffer(c);
  const room = c.edge - c.rcvNxt;
  o.window = before(c.edge, c.rcvNxt) ? 0 : room >> c.shiftIn;
  o.optionBytes = writeSack(c, length);
  o.length = length;
  if (length !== 0) fetch(sendRing(c), sequence - c.iss - 1, payload() + headerBytes + o.optionBytes, length);
  c.ackAt = never;
  c.unacknowledged = 0;
  c.flags &= ~Flag.ackNow;
  emit();
}

export function acknowledge(c: Tcb): void {
  transmit(c, c.nxt, 0, 0);
}

/** Answers a segment that does not fit with an acknowledgement (RFC 5961), not too often. */
export function challenge(c: Tcb): void {
  if (time - c.challengedAt < challengeInterval && c.challengedAt !== 0) return;
  c.challengedAt = time;
  count(Counter.challenges);
  acknowledge(c);
}

export function sendReset(c: Tcb): void {
  prepare(c, c.nxt, RST | ACK);
  emit();
}

/** The SYN of a connection that this side opens, or its answer where both open at once. */
export function sendSyn(c: Tcb): void {
  prepare(c, c.iss, c.state === State.synReceived ? SYN | ACK : SYN);
  const o = out(), answers = c.state === State.synReceived;
  o.window = share();
  c.edge = c.rcvNxt + min<u32>(o.window, 0xffff);
  o.optionBytes = writeSynOptions(answers && c.shiftIn === 0 ? -1 : <i32>ownShift, !answers || has(c, Flag.sack));
  c.retransmitAt = time + currentTimeout(c, mostTimeout);
  due(c, c.retransmitAt);
  emit();
}

/** An empty segment with a sequence number that is not new: the peer answers it. */
export function probe(c: Tcb): void {
  transmit(c, c.una - 1, 0, 0);
}

/** The FIN takes part in sequence numbers behind `end`. */
// @ts-ignore: decorator
@inline function finFits(c: Tcb, sequence: u32, length: u32): bool {
  return has(c, Flag.finish) && sequence + length === c.end;
}

export function startRetransmit(c: Tcb): void {
  c.retransmitAt = time + currentTimeout(c, mostTimeout);
  due(c, c.retransmitAt);
}

/** Sends one segment from `una` on again, as far as the peer's window reaches or once reached, or a byte of it into a window that is closed. */
export function sendAgain(c: Tcb, most: u32): void {
  const left = before(c.una, c.end) ? c.end - c.una : 0;
  const length = min(left, min(most, max<u32>(max(c.window, c.max - c.una), 1)));
  const flags = finFits(c, c.una, length) ? FIN | ACK : ACK;
  if (length === 0 && (flags & FIN) === 0) return;
  if (c.una !== c.max) count(Counter.retransmitted);
  c.flags &= ~Flag.timed;
  transmit(c, c.una, length, length === left && length !== 0 ? flags | PSH : flags);
  const sent = c.una + length + ((flags & FIN) !== 0 ? 1 : 0);
  if (before(c.nxt, sent)) c.nxt = sent;
  if (before(c.max, sent)) c.max = sent;
}

function sendOne(c: Tcb, length: u32, flags: u32): void {
  const first = c.nxt;
  transmit(c, first, length, flags);
  c.nxt = first + length + ((flags & FIN) !== 0 ? 1 : 0);
  if (before(c.max, c.nxt)) {
    if (c.max === c.una) c.progressAt = time; // nothing was under way
    if (!has(c, Flag.timed) && first === c.max) {
      c.flags |= Flag.timed;
      c.timedSequence = c.nxt;
      c.timedAt = time;
    }
    c.max = c.nxt;
  } else count(Counter.retransmitted);
  if (c.retransmitAt === never) startRetransmit(c);
}

/** Sends what may go. `extra` bytes beyond the congestion window: limited transmit (RFC 3042). */
export function output(c: Tcb, extra: u32): void {
  if (c.state < State.established || c.state === State.timeWait || c.state === State.drained) return;
  const window = min(c.window, c.congestion + extra);
  let left: u32 = 0;
  for (let sent: u32 = 0; sent < burst; sent++) {
    const flight = c.nxt - c.una, usable = window > flight ? window - flight : 0;
    left = before(c.nxt, c.end) ? c.end - c.nxt : 0;
    const length = min(min(left, usable), c.segment);
    const fin = length === left && finFits(c, c.nxt, length) && (c.window !== 0 || length === 0);
    if (length === 0 && !fin) break;
    const whole = length === left && (before(c.nxt, c.pushed) || fin);
    if (length < c.segment && !whole && length < c.mostWindow >> 1) break;
    sendOne(c, length, fin ? FIN | PSH : length === left ? PSH : 0);
    left -= length;
  }
  // The window is closed or too small for all that must go: probe it.
  if (left !== 0 && c.retransmitAt === never && (left >= c.segment || before(c.nxt, c.pushed))) {
    if (c.max === c.una) c.progressAt = time;
    startRetransmit(c);
  }
}

/** Acknowledges now, or arms the delay, when something is owed that no segment took along. */
export function settle(c: Tcb): void {
  if (c.state < State.established) return;
  if (has(c, Flag.ackNow) || c.unacknowledged >= 2 * c.segment) return acknowledge(c);
  const edge = edgeToOffer(c), moved = edge - c.edge;
  if (!has(c, Flag.finTaken) && before(c.edge, edge) && moved >= min<u32>(2 * mostSegment, share() >> 1) && c.edge - c.rcvNxt < share() >> 1) return acknowledge(c);
  if (c.unacknowledged === 0 || c.ackAt !== never) return;
  c.ackAt = time + ackDelay;
  due(c, c.ackAt);
}
