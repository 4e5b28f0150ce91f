/** Connections: the table, found by address and ports; free slots wait in a queue. */
import { hash } from "../hash";
import { leastTimeout, never, ranges, ringBlocks } from "../limits";
import { releaseAll } from "./blocks";

export const enum State {
  free, synSent, synReceived, established, finWait1, finWait2, closing, timeWait, closeWait, lastAck,
  /** Over on the wire; its user has not taken all bytes yet. */
  drained,
}

export const enum Flag {
  /** The peer takes SACK. */
  sack = 1,
  /** The user has finished: a FIN stands behind its bytes. */
  finish = 2,
  /** The peer's FIN is known to be at `finAt`; it may not have its turn yet. */
  finKnown = 4,
  /** All before the peer's FIN has come, and it. */
  finTaken = 8,
  endedTold = 16,
  /** The user took less than it was offered, and has not resumed. */
  held = 32,
  /** The user has resumed. */
  ready = 64,
  /** A write took less than it was given. */
  wantsRoom = 128,
  recovering = 256,
  /** The round trip of `timedSequence` is measured. */
  timed = 512,
  /** The user knows the stream, and must be told its end. */
  known = 1024,
  /** An acknowledgement is owed at once. */
  ackNow = 2048,
}

/** All sequence numbers modulo 2³², windows in bytes, times in microseconds. */
@unmanaged
export class Tcb {
  state: i32;
  flags: u32;
  /** Counts the connections that had this slot. */
  generation: u32;
  peer: u32;
  /** The peer's port << 16 | ours. */
  ports: u32;
  /** 1 + index of the next in the bucket, or in the queue of free slots. */
  next: u32;
  // sending: una ≤ nxt ≤ max; end is behind the last byte written, pushed behind the last that may go in a short segment
  iss: u32;
  una: u32;
  nxt: u32;
  max: u32;
  end: u32;
  pushed: u32;
  window: u32;
  windowSequence: u32;
  windowAck: u32;
  mostWindow: u32;
  segment: u32;
  shiftOut: u32;
  congestion: u32;
  threshold: u32;
  recover: u32;
  duplicates: u32;
  // receiving: user ≤ nxt; bytes between are held for the user
  irs: u32;
  rcvNxt: u32;
  user: u32;
  /** Right edge of the window that the peer knows. */
  edge: u32;
  shiftIn: u32;
  finAt: u32;
  rangeCount: u32;
  unacknowledged: u32;
  // timing
  smoothed: u32;
  variation: u32;
  timeout: u32;
  timedSequence: u32;
  backoffs: u32;
  probes: u32;
  timedAt: u64;
  retransmitAt: u64;
  ackAt: u64;
  idleAt: u64;
  /** Not after the earliest of the three before. */
  dueAt: u64;
  heardAt: u64;
  progressAt: u64;
  challengedAt: u64;
}

const fixedBytes: u32 = offsetof<Tcb>();
const ringBytes: u32 = ringBlocks * 2;
/** Of a connection: fields, ring of bytes to send, ring of bytes received, ranges out of order (first and last + 1, u32 each). */
export const tcbBytes: u32 = fixedBytes + 2 * ringBytes + ranges * 8;

// @ts-ignore: decorator
@inline export function sendRing(c: Tcb): usize { return changetype<usize>(c) + fixedBytes; }
// @ts-ignore: decorator
@inline export function receiveRing(c: Tcb): usize { return changetype<usize>(c) + fixedBytes + ringBytes; }
// @ts-ignore: decorator
@inline export function rangeAt(c: Tcb, index: u32): usize { return changetype<usize>(c) + fixedBytes + 2 * ringBytes + (index << 3); }
// @ts-ignore: decorator
@inline export function has(c: Tcb, flag: u32): bool { return (c.flags & flag) !== 0; }

let table: usize = 0, buckets: usize = 0, bucketMask: u32 = 0;
let total: u32 = 0, used: u32 = 0, firstFree: u32 = 0, lastFree: u32 = 0, reclaimFrom: u32 = 0;
/** Slots below this have been used at least once. */
let touched: u32 = 0;
/** Connections in TIME-WAIT. */
let waiting: u32 = 0;
/** Not after the earliest timer of any connection. */
export let earliest: u64 = never;

export function bucketsFor(connections: u32): u32 {
  let size: u32 = 1;
  while (size < connections) size <<= 1;
  return size;
}

/** Takes over zeroed memory for `connections` connections, and for their `bucketsFor` buckets of u16. */
export function startTable(at: usize, bucketsAt: usize, connections: u32): void {
  table = at;
  buckets = bucketsAt;
  bucketMask = bucketsFor(connections) - 1;
  total = connections;
  firstFree = 1;
  lastFree = connections;
  for (let index: u32 = 0; index < connections; index++) tcb(index + 1).next = index + 1 < connections ? index + 2 : 0;
}

// @ts-ignore: decorator
@inline export function tcb(number: u32): Tcb { return changetype<Tcb>(table + (number - 1) * tcbBytes); }
export function numberOf(c: Tcb): u32 { return <u32>(changetype<usize>(c) - table) / tcbBytes + 1; }
export function touchedCount(): u32 { return touched; }
export function usedCount(): u32 { return used; }
export function connectionCount(): u32 { return total; }

/** The connection of a stream's number that its user knows, or 0. */
export function ofUser(stream: u32): usize {
  if (stream === 0 || stream > total) return 0;
  const c = tcb(stream);
  return c.state !== State.free && has(c, Flag.known) ? changetype<usize>(c) : 0;
}

function bucket(peer: u32, ports: u32): usize {
  return buckets + ((<u32>hash(<u64>peer << 32 | ports, 0) & bucketMask) << 1);
}

/** Address of the connection, or 0. */
export function find(peer: u32, ports: u32): usize {
  let number = <u32>load<u16>(bucket(peer, ports));
  while (number !== 0) {
    const c = tcb(number);
    if (c.peer === peer && c.ports === ports) return changetype<usize>(c);
    number = c.next;
  }
  return 0;
}

/** A slot for a connection in no state yet, entered in the table; 0 when all are taken. */
export function allocate(peer: u32, ports: u32): usize {
  const number = firstFree;
  if (number === 0) return 0;
  const c = tcb(number), generation = c.generation + 1;
  firstFree = c.next;
  if (firstFree === 0) lastFree = 0;
  memory.fill(changetype<usize>(c), 0, tcbBytes);
  c.generation = generation;
  c.peer = peer;
  c.ports = ports;
  const head = bucket(peer, ports);
  c.next = load<u16>(head);
  store<u16>(head, <u16>number);
  c.retransmitAt = c.ackAt = c.idleAt = c.dueAt = never;
  used++;
  touched = max(touched, number);
  return changetype<usize>(c);
}

function unlink(c: Tcb): void {
  const head = bucket(c.peer, c.ports), number = numberOf(c);
  let at = <u32>load<u16>(head);
  if (at === number) return store<u16>(head, <u16>c.next);
  while (at !== 0) {
    const each = tcb(at);
    if (each.next === number) {
      each.next = c.next;
      return;
    }
    at = each.next;
  }
}

/** Gives the slot and all that it holds back. */
export function free(c: Tcb): void {
  if (c.state === State.free) return;
  if (c.state === State.timeWait) waiting--;
  unlink(c);
  releaseAll(sendRing(c));
  releaseAll(receiveRing(c));
  c.state = State.free;
  c.flags = 0;
  c.generation++;
  c.dueAt = never;
  c.next = 0;
  const number = numberOf(c);
  if (lastFree === 0) firstFree = number;
  else tcb(lastFree).next = number;
  lastFree = number;
  used--;
}

export function setTimeWait(c: Tcb): void {
  c.state = State.timeWait;
  waiting++;
}

/** Frees an old connection in TIME-WAIT when no slot is free; false when there is no slot afterwards. */
export function hasSlot(): bool {
  if (firstFree !== 0) return true;
  for (let tried: u32 = 0; waiting !== 0 && tried < total; tried++) {
    reclaimFrom = reclaimFrom % total + 1;
    const c = tcb(reclaimFrom);
    if (c.state !== State.timeWait || has(c, Flag.known)) continue;
    free(c);
    return true;
  }
  return false;
}

/** Notes that a timer of the connection ends then. */
// @ts-ignore: decorator
@inline export function due(c: Tcb, at: u64): void {
  if (at < c.dueAt) c.dueAt = at;
  if (at < earliest) earliest = at;
}

export function setEarliest(at: u64): void { earliest = at; }

/** The retransmission timeout with its backoff (RFC 6298). */
export function currentTimeout(c: Tcb, most: u32): u64 {
  return min<u64>(<u64>max(c.timeout, leastTimeout) << min<u32>(c.backoffs, 10), most);
}
