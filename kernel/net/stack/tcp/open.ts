/** Opens connections: those that peers ask for, and those that this side asks for. */
import * as streams from "../../streams";
import { readClock, time } from "../clock";
import { Counter, count } from "../counters";
import { draw } from "../hash";
import { address, isHost } from "../interface";
import { keepAliveIdle, listeners, mostSegment, unnamedSegment } from "../limits";
import { share } from "./blocks";
import { startCongestion } from "./congestion";
import * as handshake from "./halfopen";
import { ownShift, sendSyn } from "./output";
import * as incoming from "./segment";
import { ACK, RST, SYN, refuse } from "./segment";
import { Flag, State, Tcb, allocate, due, find, free, has, hasSlot, numberOf } from "./tcb";
import { leaveOpen } from "./user";

// @ts-ignore: decorator
@lazy const ports: usize = memory.data(4 * 2, 4);
let portCount: u32 = 0, accepting: bool = true;

export function listen(port: u32): bool {
  if (port === 0) {
    accepting = false;
    return true;
  }
  if (isListening(port)) return true;
  if (portCount >= listeners || port > 0xffff) return false;
  store<u16>(ports + (portCount++ << 1), <u16>port);
  return true;
}

function isListening(port: u32): bool {
  for (let index: u32 = 0; index < portCount; index++) if (<u32>load<u16>(ports + (index << 1)) === port) return true;
  return false;
}

/** Fields of a connection whose handshake is over. */
function establish(c: Tcb): void {
  c.state = State.established;
  c.window = c.mostWindow = incoming.window << c.shiftOut;
  c.windowSequence = incoming.sequence;
  c.windowAck = incoming.acknowledged;
  c.heardAt = c.progressAt = time;
  c.idleAt = time + keepAliveIdle;
  due(c, c.idleAt);
}

/** The last segment of a handshake made a connection, told to its user; 0: it was refused. */
function accept(): usize {
  const at: usize = hasSlot() ? allocate(incoming.peer, incoming.ports) : 0;
  if (at === 0) {
    count(Counter.refused);
    refuse();
    return 0;
  }
  const c = changetype<Tcb>(at);
  c.iss = handshake.iss;
  c.una = c.nxt = c.max = c.end = c.pushed = c.iss + 1;
  c.irs = handshake.irs;
  c.rcvNxt = c.user = c.irs + 1;
  c.edge = c.rcvNxt + min<u32>(share(), 0xffff); // as the answer to the SYN offered it
  c.segment = handshake.segment;
  c.shiftOut = max(handshake.shift, 0);
  c.shiftIn = handshake.shift < 0 ? 0 : ownShift;
  c.flags = handshake.sack ? Flag.sack : 0;
  startCongestion(c);
  establish(c);
  count(Counter.opened);
  const number = numberOf(c), generation = c.generation;
  c.flags |= Flag.known;
  const welcome = streams.opened(number, c.peer, c.ports >> 16);
  if (c.generation !== generation) return 0;
  if (welcome) return at;
  free(c);
  count(Counter.refused);
  refuse();
  return 0;
}

/** A segment of no connection. Returns the connection that it makes, or 0. */
export function receiveStray(): usize {
  const flags = incoming.flags;
  if ((flags & RST) !== 0) {
    handshake.resetHalfOpen();
    return 0;
  }
  const listens = accepting && isListening(incoming.ports & 0xffff);
  if (listens && (flags & (SYN | ACK)) === SYN) {
    if (hasSlot()) handshake.answerSyn();
    else {
      count(Counter.refused);
      refuse();
    }
    return 0;
  }
  if (listens && (flags & (SYN | ACK)) === ACK && handshake.complete()) return accept();
  refuse();
  return 0;
}

/** A port of 32,768 to 60,999 that no connection to this peer has (RFC 6056), or 0. */
function localPort(peer: u32, port: u32): u32 {
  const start = draw() % 28_232;
  for (let tried: u32 = 0; tried < 1000; tried++) {
    const own = 32_768 + (start + tried) % 28_232;
    if (find(peer, port << 16 | own) === 0) return own;
  }
  return 0;
}

export function connect(peer: u32, port: u32): u32 {
  readClock();
  if (address === 0 || !isHost(peer) || port === 0 || port > 0xffff || !hasSlot()) return 0;
  const own = localPort(peer, port);
  const at: usize = own === 0 ? 0 : allocate(peer, port << 16 | own);
  if (at === 0) return 0;
  const c = changetype<Tcb>(at);
  c.state = State.synSent;
  c.flags = Flag.known;
  c.iss = handshake.firstSequence(peer, c.ports);
  c.una = c.iss;
  c.nxt = c.max = c.end = c.pushed = c.iss + 1;
  c.segment = unnamedSegment;
  c.progressAt = c.heardAt = time;
  startCongestion(c);
  sendSyn(c);
  return numberOf(c);
}

function takeOptions(c: Tcb): void {
  c.irs = incoming.sequence;
  c.rcvNxt = c.user = c.irs + 1;
  c.edge = c.rcvNxt + min<u32>(share(), 0xffff);
  c.segment = min(incoming.segment, mostSegment);
  c.shiftOut = max(incoming.shift, 0);
  c.shiftIn = incoming.shift < 0 ? 0 : ownShift;
  if (incoming.sack) c.flags |= Flag.sack;
  startCongestion(c);
}

/** The SYN of this side was acknowledged. */
export function becomeEstablished(c: Tcb): void {
  c.una = c.iss + 1;
  c.backoffs = 0;
  c.retransmitAt = u64.MAX_VALUE;
  establish(c);
  if (has(c, Flag.finish)) leaveOpen(c);
  count(Counter.connected);
}

/** A segment for a connection in SYN-SENT (RFC 9293, 3.10.7.3). True: it is established, and its text may be taken. */
export function receiveInSynSent(c: Tcb): bool {
  const flags = incoming.flags, answered = (flags & ACK) !== 0;
  if (answered && incoming.acknowledged !== c.iss + 1) {
    refuse();
    return false;
  }
  if ((flags & RST) !== 0) {
    if (answered) refusedBy(c);
    return false;
  }
  if ((flags & SYN) === 0) return false;
  takeOptions(c);
  if (!answered) { // both open at once
    c.state = State.synReceived;
    c.backoffs = 0;
    sendSyn(c);
    return false;
  }
  becomeEstablished(c);
  c.window = c.mostWindow = incoming.window; // that of a SYN is not scaled
  c.flags |= Flag.ackNow;
  return true;
}

function refusedBy(c: Tcb): void {
  const number = numberOf(c);
  free(c);
  streams.closed(number, streams.closedRefused);
}
