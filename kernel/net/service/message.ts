/**
 * A message from its head to its answer, and the table of them. Its index is its machine's slot.
 *
 *     receiving ─▶ queued ─▶ running ⇄ waiting ─▶ sending ─▶ free
 *                               │          └────────┬──────────┘
 *                               └──▶ ending: nobody waits for it; a `cancel` event, then the machine is dropped
 */
import { release } from "../blocks";
import { Bytes, bytesSize, clear, drop } from "../bytes";
import { now, random, wall } from "../host";
import { take } from "../memory";
import { clearTimer, messageTimer, Timer } from "../timers";
import { Flow, Route } from "./config";
import { idBytes } from "./limits";

export const free: u32 = 0, receiving: u32 = 1, queued: u32 = 2, running: u32 = 3, waiting: u32 = 4, sending: u32 = 5, ending: u32 = 6;

@unmanaged
export class Message extends Timer {
  slot: u32 = 0;
  state: u32 = 0;
  /** The caller's connection; 0: it has left, or has its answer. */
  connection: usize = 0;
  route: usize = 0;
  /** `now()` when its machine was started, and when its head came. */
  startedUs: u64 = 0;
  receivedUs: u64 = 0;
  /** Milliseconds since 1970 when its machine was started. */
  startedMs: f64 = 0;
  /** The `deliver` event, until the machine has it. */
  event: usize = 0;
  /** Where the body begins in it. */
  bodyStart: u32 = 0;
  idLength: u32 = 0;
  hasNonce: bool = false;
  /** The machine holds a slot of the host. */
  hasMachine: bool = false;
  isReady: bool = false;
  /** Its caller is known once its body is whole. */
  isUnproven: bool = false;
  /** Its time was over before it was: nobody waits for it. */
  isLate: bool = false;
  // counted for the limits
  steps: u32 = 0;
  calls: u32 = 0;
  openCalls: u32 = 0;
  openTimers: u32 = 0;
  sends: u32 = 0;
  logged: u32 = 0;
  sendBytes: u64 = 0;
  // lists of what is open
  firstEvent: usize = 0;
  lastEvent: usize = 0;
  firstCall: usize = 0;
  firstTimer: usize = 0;
  firstSend: usize = 0;
  lastSend: usize = 0;
  firstFrame: usize = 0;
  /** Of those frames the one that has the reply. */
  replyFrame: usize = 0;
  firstBlame: usize = 0;
  /** Signatures that are looked at once the body is whole (signatures.ts). */
  firstClaim: usize = 0;
  /** Header lines that every request to an outlet has for this message: its trace, its correlation id. */
  passed: usize = 0;
  passedLength: u32 = 0;
  /** The reply, in a kept frame; status 0: none. */
  status: u32 = 0;
  contentType: usize = 0;
  contentTypeLength: u32 = 0;
  headers: usize = 0;
  headersLength: u32 = 0;
  body: usize = 0;
  bodyLength: u32 = 0;
  next: usize = 0;
}

const nonceBytes: u32 = 22;

let places: usize = 0;
let most: u32 = 0;
let firstFree: usize = 0;
/** Places that were used, from the first on: those beyond are zero. */
let used: u32 = 0;
/** Messages that are not over, of all flows. */
export let pending: u32 = 0;

function messageSize(): u32 {
  return (<u32>offsetof<Message>() + bytesSize + idBytes + 32 + 15) & ~15;
}

export function startMessages(count: u32): bool {
  places = take(count * messageSize());
  most = count;
  return places !== 0;
}

/** A place that was not used yet. */
function newPlace(): Message {
  const m = messageAt(used);
  m.slot = used++;
  m.event = changetype<usize>(m) + offsetof<Message>();
  return m;
}

/** A place that was used before. */
function freePlace(): Message {
  const m = changetype<Message>(firstFree);
  firstFree = m.next;
  return m;
}

/** The message of a slot; the slot must be one that was given. */
export function messageAt(slot: u32): Message {
  return changetype<Message>(places + <usize>slot * messageSize());
}

export function isSlot(slot: u32): bool { return slot < most; }

export function flowOfMessage(m: Message): Flow { return changetype<Flow>(changetype<Route>(m.route).flow); }
export function eventOf(m: Message): Bytes { return changetype<Bytes>(m.event); }
export function idOf(m: Message): usize { return m.event + bytesSize; }
export function nonceOf(m: Message): usize { return m.event + bytesSize + idBytes; }

/** A new message; null: there are too many. */
export function openMessage(connection: usize, route: usize): Message | null {
  if (firstFree === 0 && used === most) return null;
  const m = firstFree === 0 ? newPlace() : freePlace();
  pending++;
  changetype<Flow>(changetype<Route>(route).flow).pending++;
  const slot = m.slot;
  const event = m.event;
  memory.fill(changetype<usize>(m), 0, offsetof<Message>());
  m.slot = slot;
  m.event = event;
  m.kind = messageTimer;
  m.state = receiving;
  m.connection = connection;
  m.route = route;
  m.receivedUs = now();
  clear(eventOf(m));
  return m;
}

/** The message is over, and what it held is free. Its calls, timers and events have been given up before. */
export function closeMessage(m: Message): void {
  clearTimer(m);
  drop(eventOf(m));
  freeList(m.firstSend);
  freeFrames(m.firstFrame);
  freeList(m.firstBlame);
  freeList(m.firstClaim);
  release(m.passed);
  m.passed = 0;
  m.firstSend = m.lastSend = m.firstFrame = m.firstBlame = m.firstClaim = 0;
  m.state = free;
  pending--;
  flowOfMessage(m).pending--;
  m.next = firstFree;
  firstFree = changetype<usize>(m);
}

/** A structure of a message's lists begins with the next one's address. */
function freeList(at: usize): void {
  while (at !== 0) {
    const next = <usize>load<u32>(at);
    release(at);
    at = next;
  }
}

/** Frames of effects that sends and the reply lie in: next u32 │ block u32. */
function freeFrames(at: usize): void {
  for (let frame = at; frame !== 0; frame = <usize>load<u32>(frame)) release(<usize>load<u32>(frame, 4));
  freeList(at);
}

/** Its machine's time, in milliseconds since 1970: steady from its start. */
export function timeOf(m: Message): f64 {
  return m.startedMs + Math.floor(<f64>(now() - m.startedUs) / 1000);
}

export function startTime(m: Message): void {
  m.startedUs = now();
  m.startedMs = Math.floor(wall());
}

// ---- ids

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
// @ts-ignore: decorator
@lazy const entropy: usize = memory.data(16, 8);

/** Writes 128 random bits as 22 characters of base64url. */
function writeRandom(to: usize): void {
  random(<u32>entropy, 16);
  for (let index: u32 = 0; index < nonceBytes; index++) {
    const bit = index * 6;
    const pair = (<u32>load<u8>(entropy + (bit >> 3)) << 8) | (bit >> 3 < 15 ? <u32>load<u8>(entropy + (bit >> 3) + 1) : 0);
    store<u8>(to + index, alphabet.charCodeAt((pair >> (10 - (bit & 7))) & 63));
  }
}

/** An id of the gateway's own: nobody guesses another's. */
export function setNewId(m: Message): void {
  const at = idOf(m);
  store<u8>(at, 109);
  store<u8>(at + 1, 102);
  store<u8>(at + 2, 45);
  writeRandom(at + 3);
  m.idLength = nonceBytes + 3;
}

/** Random text for the idempotency keys of this message's sends and calls: its id is the sender's. */
export function nonceAt(m: Message): usize {
  if (!m.hasNonce) writeRandom(nonceOf(m));
  m.hasNonce = true;
  return nonceOf(m);
}
export const nonceLength: u32 = nonceBytes;
