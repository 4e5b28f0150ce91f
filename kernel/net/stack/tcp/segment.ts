/** Segments on the wire: the one that came in, read once; and those that go out. */
import { be16, be32, put16, put32 } from "../../big-endian";
import { fold, pseudo, sum } from "../checksum";
import { beginPacket, payload, protocolTcp, sendPacket } from "../ip";
import { leastSegment, mostSegment, unnamedSegment } from "../limits";

export const FIN: u32 = 1, SYN: u32 = 2, RST: u32 = 4, PSH: u32 = 8, ACK: u32 = 16;
export const headerBytes: u32 = 20;

/** The segment that came in last. */
export let peer: u32 = 0, ports: u32 = 0, sequence: u32 = 0, acknowledged: u32 = 0, flags: u32 = 0, window: u32 = 0;
export let at: usize = 0, length: u32 = 0;
/** All its bytes have been here before. */
export let isOld: bool = false;
/** Options of a SYN. `shift` is -1 when windows are not scaled. */
export let segment: u32 = 0, shift: i32 = -1, sack: bool = false;

function readOptions(from: usize, to: usize): void {
  segment = unnamedSegment;
  shift = -1;
  sack = false;
  let each = from;
  while (each < to) {
    const kind = load<u8>(each);
    if (kind === 0) return;
    if (kind === 1) {
      each++;
      continue;
    }
    if (each + 2 > to) return;
    const size = <u32>load<u8>(each, 1);
    if (size < 2 || each + size > to) return;
    if (kind === 2 && size === 4) segment = min(max(be16(each + 2), leastSegment), mostSegment);
    else if (kind === 3 && size === 3) shift = min<i32>(<i32>load<u8>(each, 2), 14);
    else if (kind === 4 && size === 2) sack = true;
    each += size;
  }
}

/** Reads a segment of `all` bytes, in a packet with addresses at `addresses`. False: it is damaged. */
export function read(addresses: usize, from: usize, all: u32): bool {
  if (all < headerBytes) return false;
  const head = (<u32>load<u8>(from, 12) >> 4) << 2;
  if (head < headerBytes || head > all) return false;
  if (fold(sum(from, all, pseudo(addresses, protocolTcp, all))) !== 0) return false;
  peer = be32(addresses);
  ports = be32(from);
  sequence = be32(from + 4);
  acknowledged = be32(from + 8);
  flags = <u32>load<u8>(from, 13);
  window = be16(from + 14);
  at = from + head;
  length = all - head;
  isOld = false;
  if ((flags & SYN) !== 0) readOptions(from + headerBytes, at);
  return true;
}

/** Cuts bytes off the front, for those that are here already. A SYN is the first of them. */
export function trimFront(bytes: u32): void {
  if (bytes !== 0 && (flags & SYN) !== 0) {
    flags &= ~SYN;
    sequence++;
    bytes--;
  }
  bytes = min(bytes, length);
  sequence += bytes;
  at += bytes;
  length -= bytes;
}

/** Leaves no byte of a segment that has been here before. */
export function forget(): void {
  isOld = true;
  length = 0;
  flags &= ~(FIN | PSH);
}

/** Cuts bytes and the FIN off the end, where they are beyond the window. */
export function trimEnd(most: u32): void {
  if (length < most || (length === most && (flags & FIN) === 0)) return;
  length = min(length, most);
  flags &= ~(FIN | PSH);
}

/** The segment to be sent. Options, `optionBytes` of them, are written behind the header first, then the bytes behind them. */
@unmanaged
export class Outgoing {
  peer: u32;
  /** The peer's port << 16 | ours. */
  ports: u32;
  sequence: u32;
  acknowledged: u32;
  flags: u32;
  window: u32;
  optionBytes: u32;
  length: u32;
}

// @ts-ignore: decorator
@lazy const outgoingAt: usize = memory.data(32, 8);
// @ts-ignore: decorator
@inline export function out(): Outgoing { return changetype<Outgoing>(outgoingAt); }

// @ts-ignore: decorator
@inline export function optionsAt(): usize { return payload() + headerBytes; }

export function emit(): void {
  const o = out(), t = payload(), head = headerBytes + o.optionBytes, all = head + o.length;
  beginPacket(o.peer, protocolTcp, all);
  put32(t, rotl<u32>(o.ports, 16));
  put32(t + 4, o.sequence);
  put32(t + 8, o.acknowledged);
  put16(t + 12, (head << 10) | o.flags);
  put16(t + 14, min<u32>(o.window, 0xffff));
  store<u32>(t, 0, 16);
  store<u16>(t, <u16>fold(sum(t, all, pseudo(t - 8, protocolTcp, all))), 16);
  sendPacket(o.peer, all);
}

/** Options of a SYN: MSS, and what both must want. `scale` -1: no scaling. Returns their bytes. */
export function writeSynOptions(scale: i32, withSack: bool): u32 {
  const from = optionsAt();
  put32(from, 0x02040000 | mostSegment);
  let next = from + 4;
  if (scale >= 0) {
    put32(next, 0x01030300 | scale);
    next += 4;
  }
  if (withSack) {
    put32(next, 0x01010402);
    next += 4;
  }
  return <u32>(next - from);
}

/** Answers the segment that came in with a reset (RFC 9293, 3.5.2). */
export function refuse(): void {
  if ((flags & RST) !== 0) return;
  const o = out();
  o.peer = peer;
  o.ports = ports;
  o.window = 0;
  o.optionBytes = 0;
  o.length = 0;
  if ((flags & ACK) !== 0) {
    o.sequence = acknowledged;
    o.acknowledged = 0;
    o.flags = RST;
  } else {
    o.sequence = 0;
    o.acknowledged = sequence + length + ((flags & SYN) !== 0 ? 1 : 0) + ((flags & FIN) !== 0 ? 1 : 0);
    o.flags = RST | ACK;
  }
  emit();
}
