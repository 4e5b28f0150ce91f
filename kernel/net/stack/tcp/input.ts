/** Segments of connections in synchronised states: RFC 9293, 3.10.7.4, in its order, with RFC 5961's answers to what strangers may send. */
import * as streams from "../../streams";
import { before } from "../../big-endian";
import { time } from "../clock";
import { Counter, count } from "../counters";
import { blockBytes, keepAliveIdle, never, timeWait } from "../limits";
import { keep, release, releaseAt } from "./blocks";
import { duplicate, grow, measured, rest } from "./congestion";
import { close, consumed, enterDrained, enterTimeWait, offer, offerStored, tellEnds } from "./events";
import { becomeEstablished, receiveInSynSent, receiveStray } from "./open";
import { acknowledge, challenge, output, sendAgain, settle, startRetransmit } from "./output";
import * as incoming from "./segment";
import { ACK, FIN, RST, SYN, refuse } from "./segment";
import { Flag, State, Tcb, due, find, free, has, numberOf, receiveRing, sendRing } from "./tcb";
import { room, setCurrent } from "./user";
import { addRange, isFull, joinRanges } from "./window";

/** A segment in a packet with addresses at `addresses`. */
export function receiveTcp(addresses: usize, at: usize, length: u32): void {
  if (!incoming.read(addresses, at, length)) return count(Counter.damaged);
  let found = find(incoming.peer, incoming.ports);
  if (found !== 0 && reopens(changetype<Tcb>(found))) found = 0;
  if (found === 0) found = receiveStray();
  if (found === 0) return;
  setCurrent(found);
  handle(changetype<Tcb>(found));
  setCurrent(0);
}

function handle(c: Tcb): void {
  const generation = c.generation;
  if (c.state === State.synSent) {
    if (!receiveInSynSent(c)) return;
    streams.connected(numberOf(c));
    if (c.generation !== generation) return;
    incoming.trimFront(1);
  } else if (!fits(c)) return;
  else if (!takeAcknowledgement(c)) return;
  takeText(c);
  if (c.generation !== generation) return;
  output(c, 0);
  settle(c);
}

/** A SYN behind all that an old connection had begins a new one (RFC 9293, 3.10.7.4; RFC 6191 without timestamps). */
function reopens(c: Tcb): bool {
  if (c.state !== State.timeWait || has(c, Flag.known)) return false;
  if ((incoming.flags & (SYN | ACK | RST)) !== SYN || !before(c.rcvNxt - 1, incoming.sequence)) return false;
  free(c);
  return true;
}

/** Checks the sequence number, RST, SYN and ACK; cuts away what lies outside the window. False: the segment is done. */
function fits(c: Tcb): bool {
  if (c.state === State.synReceived && (incoming.flags & SYN) !== 0 && incoming.sequence === c.irs) incoming.trimFront(1);
  const window: u32 = before(c.edge, c.rcvNxt) ? 0 : c.edge - c.rcvNxt;
  const first = incoming.sequence, flags = incoming.flags;
  if ((flags & RST) !== 0) {
    if (c.state === State.timeWait || c.state === State.drained) return false; // RFC 1337; its user may still take bytes
    if (first === c.rcvNxt) takeReset(c);
    else if (first - c.rcvNxt < window) challenge(c);
    return false;
  }
  if ((flags & SYN) !== 0) {
    challenge(c);
    return false;
  }
  const bytes = incoming.length + (flags & FIN);
  if (before(first, c.rcvNxt)) {
    const old = c.rcvNxt - first;
    if (bytes === 0 || old > 0x40000000) {
      challenge(c);
      return false;
    }
    c.flags |= Flag.ackNow; // its acknowledgement was lost
    if (old >= bytes) incoming.forget();
    else incoming.trimFront(old);
  } else if (first - c.rcvNxt > window || (first - c.rcvNxt === window && window !== 0 && bytes !== 0)) {
    if (bytes !== 0) acknowledge(c);
    else challenge(c);
    return false;
  }
  const room = window - (incoming.sequence - c.rcvNxt);
  if (incoming.length + (incoming.flags & FIN) > room) {
    c.flags |= Flag.ackNow;
    incoming.trimEnd(room);
  }
  return (flags & ACK) !== 0;
}

function takeReset(c: Tcb): void {
  count(Counter.resets);
  close(c, c.state === State.synReceived ? streams.closedRefused : streams.closedReset);
}

function takeAcknowledgement(c: Tcb): bool {
  const number = incoming.acknowledged;
  if (c.state === State.synReceived) {
    if (!before(c.una, number) || before(c.max, number)) {
      refuse();
      return false;
    }
    const generation = c.generation;
    becomeEstablished(c);
    streams.connected(numberOf(c));
    if (c.generation !== generation) return false;
  }
  if (before(c.max, number) || before(number, c.una - c.mostWindow)) {
    challenge(c);
    return false;
  }
  rest(c);
  c.heardAt = time;
  c.probes = 0;
  if (c.state !== State.timeWait) c.idleAt = c.state === State.drained ? never : time + keepAliveIdle;
  if (c.idleAt !== never) due(c, c.idleAt);
  const wasClosed = c.window === 0, moved = takeWindow(c);
  if (before(c.una, number)) return advance(c, number);
  if (wasClosed && c.window !== 0) reopenWindow(c);
  else if (number === c.una && c.una !== c.max && !incoming.isOld && incoming.length === 0 && (incoming.flags & FIN) === 0 && !moved && c.window !== 0) duplicate(c);
  return true;
}

/**
 * Takes the peer's window when the segment is not older than the last that had one. True: it has changed. A segment that acknowledges new
 * bytes is never older, though its sequence number may be smaller, after the peer has gone back to send again.
 */
function takeWindow(c: Tcb): bool {
  const first = incoming.sequence, number = incoming.acknowledged;
  if (before(number, c.una)) return false;
  if (number === c.una && (before(first, c.windowSequence) || (first === c.windowSequence && before(number, c.windowAck)))) return false;
  const window = incoming.window << c.shiftOut, changed = window !== c.window;
  c.window = window;
  c.mostWindow = max(c.mostWindow, window);
  c.windowSequence = first;
  c.windowAck = number;
  return changed;
}

/** The peer had no room for what was sent into its closed window: that goes again. */
function reopenWindow(c: Tcb): void {
  c.nxt = c.una;
  c.backoffs = 0;
  c.retransmitAt = never;
}

/** The peer has bytes, or the FIN, up to `number`. False: the connection is over. */
function advance(c: Tcb, number: u32): bool {
  if (has(c, Flag.timed) && !before(number, c.timedSequence)) {
    c.flags &= ~Flag.timed;
    measured(c, time - c.timedAt);
  }
  const bytes = number - c.una, finished = has(c, Flag.finish) && number === c.end + 1;
  const more = grow(c, bytes, number);
  const base = c.iss + 1;
  release(sendRing(c), c.una - base, (finished ? c.end : number) - base);
  c.una = number;
  if (before(c.nxt, number)) c.nxt = number;
  c.backoffs = 0;
  c.progressAt = time;
  if (c.una === c.max) c.retransmitAt = never;
  else startRetransmit(c);
  if (c.una === c.end || finished) releaseAt(sendRing(c), c.end - base);
  if (more) sendAgain(c, c.segment);
  if (finished && !ownEnd(c)) return false;
  return tellRoom(c);
}

function tellRoom(c: Tcb): bool {
  if (!has(c, Flag.wantsRoom) || room(c) < 2 * blockBytes && c.una !== c.end) return true;
  if (has(c, Flag.finish) || !has(c, Flag.known) || room(c) === 0) return true;
  const generation = c.generation;
  c.flags &= ~Flag.wantsRoom;
  streams.writable(numberOf(c));
  return c.generation === generation;
}

/** The peer has the FIN of this side. False: the connection is over. */
function ownEnd(c: Tcb): bool {
  if (c.state === State.finWait1) c.state = State.finWait2;
  else if (c.state === State.closing) {
    enterTimeWait(c);
    const generation = c.generation;
    tellEnds(c);
    return c.generation === generation;
  } else if (c.state === State.lastAck) {
    enterDrained(c);
    return false;
  }
  return true;
}

function takeText(c: Tcb): void {
  if (c.state === State.timeWait) {
    if (has(c, Flag.ackNow) || incoming.length !== 0) c.idleAt = time + timeWait;
    return;
  }
  if (c.state >= State.closing) return;
  if ((incoming.flags & FIN) !== 0) {
    c.flags |= Flag.finKnown;
    c.finAt = incoming.sequence + incoming.length;
  }
  if (incoming.length !== 0) {
    if (incoming.sequence === c.rcvNxt) {
      if (!takeInOrder(c)) return;
    } else takeAhead(c);
  } else if ((incoming.flags & FIN) !== 0 && incoming.sequence !== c.rcvNxt) c.flags |= Flag.ackNow;
  if (has(c, Flag.finKnown) && !has(c, Flag.finTaken) && c.finAt === c.rcvNxt) peerEnd(c);
}

/** Bytes that are the next: to the user out of the frame, the rest to the ring. False: the connection is over. */
function takeInOrder(c: Tcb): bool {
  const generation = c.generation, first = incoming.sequence, length = incoming.length, at = incoming.at;
  let taken: u32 = 0;
  if (c.user === c.rcvNxt && !has(c, Flag.held)) {
    taken = offer(c, at, length);
    if (c.generation !== generation) return false;
    c.rcvNxt = first + taken;
    consumed(c, taken);
  }
  if (taken < length) taken += keep(receiveRing(c), first + taken - c.irs - 1, at + taken, length - taken);
  if (taken < length) c.flags |= Flag.ackNow; // no block: the peer sends it again
  c.rcvNxt = first + taken;
  c.unacknowledged += taken;
  if (c.rangeCount === 0) return true;
  c.flags |= Flag.ackNow; // RFC 5681: at once when a gap is filled
  joinRanges(c);
  offerStored(c);
  return c.generation === generation;
}

/** Bytes behind a gap: kept where they belong. */
function takeAhead(c: Tcb): void {
  c.flags |= Flag.ackNow;
  const first = incoming.sequence, end = first + incoming.length;
  if (isFull(c, first, end)) return;
  const kept = keep(receiveRing(c), first - c.irs - 1, incoming.at, incoming.length);
  if (kept !== 0) addRange(c, first, first + kept);
}

/** All before the peer's FIN is here. */
function peerEnd(c: Tcb): void {
  c.rcvNxt++;
  c.flags |= Flag.finTaken | Flag.ackNow;
  if (c.state === State.established) c.state = State.closeWait;
  else if (c.state === State.finWait1) c.state = State.closing;
  else if (c.state === State.finWait2) {
    acknowledge(c);
    enterTimeWait(c);
  }
  tellEnds(c);
}

/** An ICMP error about a segment of this connection: fatal only while it is being opened (RFC 5927). */
export function receiveError(peer: u32, ports: u32, sequence: u32, mtu: u32): void {
  const found = find(peer, ports);
  if (found === 0) return;
  const c = changetype<Tcb>(found);
  if (before(sequence, c.una) || !before(sequence, c.max)) return;
  if (mtu === 0) {
    if (c.state === State.synSent) close(c, streams.closedUnreachable);
    return;
  }
  const segment = max<u32>(mtu, 576) - 40;
  if (c.state < State.established || segment >= c.segment) return;
  c.segment = segment;
  sendAgain(c, segment);
}
