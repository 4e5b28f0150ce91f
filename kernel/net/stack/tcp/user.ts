/** The functions that a stream's user calls (streams.ts). Segments of the connection that is being handled go when its events are over. */
import { readClock } from "../clock";
import { blockBytes, ringBlocks } from "../limits";
import { keep, share } from "./blocks";
import { output, sendReset } from "./output";
import { Flag, State, Tcb, free, has, numberOf, ofUser, sendRing } from "./tcb";

/** The connection whose events are being told: it sends afterwards. */
let current: usize = 0;
/** A bit for each connection whose user has resumed. */
let ready: usize = 0, readyWords: u32 = 0;
export let anyReady: bool = false;
/** A write found no block, and no acknowledgement is under way that would tell its user about room. */
export let starved: bool = false;

export function setStarved(value: bool): void { starved = value; }

export function startReady(at: usize, words: u32): void {
  ready = at;
  readyWords = words;
}

export function setCurrent(at: usize): void { current = at; }

function send(c: Tcb): void {
  if (changetype<usize>(c) === current) return;
  readClock();
  output(c, 0);
}

/** Bytes that a write would take. */
export function room(c: Tcb): u32 {
  const held = c.end - c.una, most = min(share(), (ringBlocks - 1) * blockBytes);
  return held < most && c.state !== State.synReceived ? most - held : 0;
}

export function roomOf(stream: u32): u32 {
  const at = ofUser(stream);
  return at === 0 || has(changetype<Tcb>(at), Flag.finish) ? 0 : room(changetype<Tcb>(at));
}

export function write(stream: u32, at: usize, length: u32): u32 {
  const found = ofUser(stream);
  if (found === 0) return 0;
  const c = changetype<Tcb>(found);
  if (has(c, Flag.finish)) return 0;
  const taken = keep(sendRing(c), c.end - c.iss - 1, at, min(length, room(c)));
  c.end += taken;
  if (taken < length) {
    c.flags |= Flag.wantsRoom;
    c.pushed = c.end; // the rest can't follow before these have gone
    if (c.end === c.una) starved = true;
  }
  if (taken < length || c.end - c.nxt >= c.segment) send(c);
  return taken;
}

export function push(stream: u32): void {
  const found = ofUser(stream);
  if (found === 0) return;
  const c = changetype<Tcb>(found);
  c.pushed = c.end;
  send(c);
}

export function resume(stream: u32): void {
  const found = ofUser(stream);
  if (found === 0 || !has(changetype<Tcb>(found), Flag.held)) return;
  const index = stream - 1;
  store<u64>(ready + ((index >> 6) << 3), load<u64>(ready + ((index >> 6) << 3)) | (<u64>1 << (index & 63)));
  changetype<Tcb>(found).flags |= Flag.ready;
  anyReady = true;
}

export function finish(stream: u32): void {
  const found = ofUser(stream);
  if (found === 0) return;
  const c = changetype<Tcb>(found);
  if (has(c, Flag.finish)) return;
  c.flags = (c.flags | Flag.finish) & ~Flag.wantsRoom;
  c.pushed = c.end;
  leaveOpen(c);
  send(c);
}

/** The state after `finish`; a connection that is not established yet gets there with its handshake. */
export function leaveOpen(c: Tcb): void {
  if (c.state === State.established) c.state = State.finWait1;
  else if (c.state === State.closeWait) c.state = State.lastAck;
}

export function abort(stream: u32): void {
  const found = ofUser(stream);
  if (found === 0) return;
  const c = changetype<Tcb>(found);
  readClock();
  if (c.state >= State.synReceived && c.state !== State.timeWait && c.state !== State.drained) sendReset(c);
  free(c);
}

export function localPort(stream: u32): u32 {
  const found = ofUser(stream);
  return found === 0 ? 0 : changetype<Tcb>(found).ports & 0xffff;
}

/** The next stream that has resumed, which is taken off the list; 0: no more. */
export function nextReady(): u32 {
  if (!anyReady) return 0;
  for (let word: u32 = 0; word < readyWords; word++) {
    const bits = load<u64>(ready + (word << 3));
    if (bits === 0) continue;
    store<u64>(ready + (word << 3), bits & (bits - 1));
    return (word << 6) + <u32>ctz(bits) + 1;
  }
  anyReady = false;
  return 0;
}
