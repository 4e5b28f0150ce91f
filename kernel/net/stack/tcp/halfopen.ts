/**
 * Handshakes that peers have begun. A bounded table, because a connection that was opened by a cookie can be opened again by a copy of its
 * first segment that the network kept: only while the table is full, under a flood of SYNs, do cookies take over. Then a SYN costs
 * an answer and no memory, and any peer who really is where it says still gets in.
 *
 * A cookie is the initial sequence number: 24 bits of a keyed hash of addresses, ports, the peer's sequence number and the time, then
 * 3 bits for the segment size, 4 for the window's scale and 1 for SACK.
 */
import { before } from "../../big-endian";
import { time } from "../clock";
import { Counter, count } from "../counters";
import { hash } from "../hash";
import { cookieAge, firstTimeout, halfOpenMost, mostSegment, never, synAnswerTries } from "../limits";
import { share } from "./blocks";
import * as incoming from "./segment";
import { ACK, SYN, emit, out, writeSynOptions } from "./segment";
import { ownShift } from "./output";

@unmanaged
class HalfOpen {
  /** 0: free. */
  peer: u32;
  ports: u32;
  irs: u32;
  iss: u32;
  segment: u32;
  /** -1: no scaling. */
  shift: i32;
  sack: u32;
  tries: u32;
  dueAt: u64;
}

const entryBytes: u32 = offsetof<HalfOpen>();
// @ts-ignore: decorator
@lazy const table: usize = memory.data(128 * 40, 8);
let used: u32 = 0, cookiesUntil: u64 = 0, next: u64 = never;

// ---- the handshake that `complete` found
export let irs: u32 = 0, iss: u32 = 0, segment: u32 = 0, shift: i32 = -1, sack: bool = false;

function entry(index: u32): HalfOpen { return changetype<HalfOpen>(table + index * entryBytes); }

function find(peer: u32, ports: u32): usize {
  if (used === 0) return 0;
  for (let index: u32 = 0; index < halfOpenMost; index++) {
    const each = entry(index);
    if (each.peer === peer && each.ports === ports) return changetype<usize>(each);
  }
  return 0;
}

export function halfOpenCount(): u32 { return used; }

function leave(each: HalfOpen): void {
  each.peer = 0;
  used--;
}

/** Sizes that a cookie can name. */
function sizeOf(code: u32): u32 {
  switch (code) {
    case 0: return 64;
    case 1: return 256;
    case 2: return 536;
    case 3: return 1024;
    case 4: return 1220;
    case 5: return 1360;
    case 6: return 1440;
    default: return mostSegment;
  }
}

function codeOf(size: u32): u32 {
  let code: u32 = 7;
  while (code > 0 && sizeOf(code) > size) code--;
  return code;
}

/** The cookie of a time, with these eight bits of options. */
function cookieOf(irs: u32, slot: u64, options: u32): u32 {
  return (<u32>hash(<u64>incoming.peer << 32 | incoming.ports, <u64>irs << 32 | (slot & 0xffffff) << 8 | options) & 0xffffff00) | options;
}

function makeCookie(): u32 {
  const scale: u32 = incoming.shift < 0 ? 15 : <u32>incoming.shift;
  return cookieOf(incoming.sequence, time / cookieAge, codeOf(incoming.segment) << 5 | scale << 1 | (incoming.sack ? 1 : 0));
}

function answer(from: u32, ports: u32, sequence: u32, acknowledged: u32, scaled: bool, withSack: bool): void {
  const o = out();
  o.peer = from;
  o.ports = ports;
  o.sequence = sequence;
  o.acknowledged = acknowledged;
  o.flags = SYN | ACK;
  o.window = share();
  o.length = 0;
  o.optionBytes = writeSynOptions(scaled ? <i32>ownShift : -1, withSack);
  emit();
}

function answerEntry(each: HalfOpen): void {
  answer(each.peer, each.ports, each.iss, each.irs + 1, each.shift >= 0, each.sack !== 0);
  each.dueAt = time + (<u64>firstTimeout << each.tries);
  each.tries++;
  if (each.dueAt < next) next = each.dueAt;
}

/** RFC 6528: a clock of 4 µs, and a secret number of this pair of ends. */
export function firstSequence(peer: u32, ports: u32): u32 {
  return <u32>(time >> 2) + <u32>hash(<u64>peer << 32 | ports, 1);
}

/** Answers a SYN for a port that listens. */
export function answerSyn(): void {
  let found = find(incoming.peer, incoming.ports);
  if (found !== 0 && changetype<HalfOpen>(found).irs !== incoming.sequence) {
    leave(changetype<HalfOpen>(found)); // the peer begins anew
    found = 0;
  }
  if (found !== 0) {
    const each = changetype<HalfOpen>(found);
    return answer(each.peer, each.ports, each.iss, each.irs + 1, each.shift >= 0, each.sack !== 0);
  }
  for (let index: u32 = 0; used < halfOpenMost && index < halfOpenMost; index++) {
    const each = entry(index);
    if (each.peer !== 0) continue;
    used++;
    each.peer = incoming.peer;
    each.ports = incoming.ports;
    each.irs = incoming.sequence;
    each.iss = firstSequence(incoming.peer, incoming.ports);
    each.segment = incoming.segment;
    each.shift = incoming.shift;
    each.sack = incoming.sack ? 1 : 0;
    each.tries = 0;
    return answerEntry(each);
  }
  count(Counter.cookies);
  cookiesUntil = time + cookieAge;
  answer(incoming.peer, incoming.ports, makeCookie(), incoming.sequence + 1, incoming.shift >= 0, incoming.sack);
}

function readCookie(): bool {
  if (time >= cookiesUntil) return false;
  const cookie = incoming.acknowledged - 1, first = incoming.sequence - 1, slot = time / cookieAge;
  if (cookieOf(first, slot, cookie & 0xff) !== cookie && cookieOf(first, slot - 1, cookie & 0xff) !== cookie) return false;
  const scale = (cookie >> 1) & 15;
  irs = first;
  iss = cookie;
  segment = sizeOf((cookie >> 5) & 7);
  shift = scale === 15 ? -1 : <i32>scale;
  sack = (cookie & 1) !== 0;
  return true;
}

/** True when the segment that came in ends a handshake; `irs` to `sack` are its numbers and options. */
export function complete(): bool {
  const found = find(incoming.peer, incoming.ports);
  if (found === 0) return readCookie();
  const each = changetype<HalfOpen>(found);
  // Bytes behind a lost acknowledgement complete it too: they are stored as bytes out of order.
  if (incoming.acknowledged !== each.iss + 1 || before(incoming.sequence, each.irs + 1) || incoming.sequence - each.irs - 1 > 0xffff) return false;
  iss = each.iss;
  segment = each.segment;
  shift = each.shift;
  sack = each.sack !== 0;
  irs = each.irs;
  leave(each);
  return true;
}

/** A reset ends a handshake, when it comes from who began it. */
export function resetHalfOpen(): void {
  const found = find(incoming.peer, incoming.ports);
  if (found !== 0 && incoming.sequence === changetype<HalfOpen>(found).irs + 1) leave(changetype<HalfOpen>(found));
}

/** The time of the next call of `runHalfOpen`. */
export function halfOpenDue(): u64 { return next; }

/** Answers again, and gives up. */
export function runHalfOpen(): void {
  if (time < next) return;
  next = never;
  for (let index: u32 = 0; used !== 0 && index < halfOpenMost; index++) {
    const each = entry(index);
    if (each.peer === 0) continue;
    if (each.dueAt > time) next = min(next, each.dueAt);
    else if (each.tries > synAnswerTries) leave(each);
    else answerEntry(each);
  }
}
