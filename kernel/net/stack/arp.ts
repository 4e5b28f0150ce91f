/**
 * ARP (RFC 826): hardware addresses of neighbours. Learnt from answers to own requests and from those who ask for this host only. Packets
 * wait for their neighbour's answer in a few places, in their order: behind a router one answer is what all first connections wait for.
 *
 *     free ──packet to send──▶ asked ──answer──▶ known ──old, and used──▶ known, asked again ──no answer──▶ free
 */
import { be16, be32, put16, put32 } from "../big-endian";
import { time } from "./clock";
import { address, ethernetBytes, isHost, isNeighbour, putMac, transmit, typeArp } from "./interface";
import { arpInterval, arpTries, mtu, neighbourAge, neighbours, never, waitingPackets } from "./limits";

const enum State { free = 0, asked = 1, known = 2 }

@unmanaged
class Neighbour {
  state: u32;
  address: u32;
  mac4: u32;
  mac2: u32;
  /** Requests without an answer. */
  tries: u32;
  usedAt: u64;
  /** Of the next request; never when no answer is awaited. */
  askAt: u64;
  knownAt: u64;
}

const neighbourBytes: u32 = offsetof<Neighbour>();
const placeBytes: u32 = ethernetBytes + mtu + 2 + 8;
// @ts-ignore: decorator
@lazy const table: usize = memory.data(32 * 48, 8);
/** Places, the first so many taken: neighbour's address u32, length of the frame u32, frame. */
// @ts-ignore: decorator
@lazy const places: usize = memory.data(16 * 1524, 8);
let taken: u32 = 0;
// @ts-ignore: decorator
@lazy const request: usize = memory.data(48, 8);
let lastFound: usize = 0;
/** Not after the next request that is due. */
let dueAt: u64 = never;

function entry(index: u32): Neighbour { return changetype<Neighbour>(table + index * neighbourBytes); }

function find(other: u32): usize {
  if (lastFound !== 0 && changetype<Neighbour>(lastFound).address === other) return lastFound;
  for (let index: u32 = 0; index < neighbours; index++) {
    const each = entry(index);
    if (each.state !== State.free && each.address === other) {
      lastFound = changetype<usize>(each);
      return lastFound;
    }
  }
  return 0;
}

function leave(each: Neighbour): void {
  if (taken !== 0 && each.state === State.asked) release(each.address, 0);
  if (changetype<usize>(each) === lastFound) lastFound = 0;
  memory.fill(changetype<usize>(each), 0, neighbourBytes);
}

/** A free entry, or that which was used least recently. */
function make(other: u32): Neighbour {
  let chosen = entry(0);
  for (let index: u32 = 0; index < neighbours; index++) {
    const each = entry(index);
    if (each.state === State.free) {
      chosen = each;
      break;
    }
    if (each.usedAt < chosen.usedAt) chosen = each;
  }
  leave(chosen);
  chosen.address = other;
  chosen.usedAt = time;
  chosen.askAt = never;
  return chosen;
}

function put(operation: u32, toHigh: u32, toLow: u32, target: u32): void {
  put32(request, operation === 1 ? 0xffffffff : toHigh);
  put16(request + 4, operation === 1 ? 0xffff : toLow);
  putMac(request + 6);
  put16(request + 12, typeArp);
  put32(request + 14, 0x00010800);
  put32(request + 18, 0x06040000 | operation);
  putMac(request + 22);
  put32(request + 28, address);
  put32(request + 32, toHigh);
  put16(request + 36, toLow);
  put32(request + 38, target);
  transmit(request, 42);
}

function ask(each: Neighbour): void {
  each.tries++;
  each.askAt = time + arpInterval;
  dueAt = min(dueAt, each.askAt);
  put(1, 0, 0, each.address);
}

/** Says who has this host's address: neighbours that knew another hardware address learn. */
export function announce(): void {
  put(1, 0, 0, address);
}

/** Without a free place it is dropped: whoever sent it sends it again. */
function wait(other: u32, frame: usize, length: u32): void {
  if (taken === waitingPackets) return;
  const at = places + taken++ * placeBytes;
  store<u32>(at, other);
  store<u32>(at, length, 4);
  memory.copy(at + 8, frame, length);
}

/** Takes a neighbour's packets off their places; they go when there is a hardware address. */
function release(other: u32, mac: usize): void {
  const all = taken;
  taken = 0;
  for (let place: u32 = 0; place < all; place++) {
    const at = places + place * placeBytes;
    if (load<u32>(at) !== other) {
      const to = places + taken++ * placeBytes;
      if (to !== at) memory.copy(to, at, placeBytes);
    } else if (mac !== 0) {
      memory.copy(at + 8, mac, 6);
      transmit(at + 8, load<u32>(at, 4));
    }
  }
}

/** Sends the frame, which lacks the receiver's hardware address only, to a neighbour: now, or when it has answered. */
export function sendToNeighbour(other: u32, frame: usize, length: u32): void {
  const found = find(other);
  const each = found !== 0 ? changetype<Neighbour>(found) : make(other);
  each.usedAt = time;
  if (each.state === State.known) {
    store<u32>(frame, each.mac4);
    store<u16>(frame, <u16>each.mac2, 4);
    transmit(frame, length);
    if (each.askAt === never && time - each.knownAt >= neighbourAge) ask(each);
    return;
  }
  wait(other, frame, length);
  if (each.state === State.free) {
    each.state = State.asked;
    ask(each);
  }
}

function learn(each: Neighbour, mac: usize): void {
  each.state = State.known;
  each.mac4 = load<u32>(mac);
  each.mac2 = load<u16>(mac, 4);
  each.knownAt = time;
  each.askAt = never;
  each.tries = 0;
  if (taken !== 0) release(each.address, mac);
}

/** A frame of type ARP. */
export function receiveArp(frame: usize, length: u32): void {
  if (length < 42 || address === 0) return;
  if (be32(frame + 14) !== 0x00010800 || be16(frame + 18) !== 0x0604) return;
  const operation = be16(frame + 20), sender = be32(frame + 28);
  if (!isHost(sender) || !isNeighbour(sender) || (load<u8>(frame, 22) & 1) !== 0) return;
  const forUs = operation === 1 && be32(frame + 38) === address;
  const found = find(sender);
  if (found !== 0) learn(changetype<Neighbour>(found), frame + 22);
  else if (forUs) learn(make(sender), frame + 22);
  if (forUs) put(2, be32(frame + 22), be16(frame + 26), sender);
}

/** The time of the next call of `runArp`. */
export function arpDue(): u64 { return dueAt; }

/** Asks again and gives up. */
export function runArp(): void {
  if (dueAt > time) return;
  let next = never;
  for (let index: u32 = 0; index < neighbours; index++) {
    const each = entry(index);
    if (each.state === State.free || each.askAt === never) continue;
    if (each.askAt <= time) {
      if (each.tries >= arpTries) {
        leave(each);
        continue;
      }
      ask(each);
    }
    next = min(next, each.askAt);
  }
  dueAt = next;
}
