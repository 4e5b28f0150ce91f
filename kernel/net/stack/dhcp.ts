/**
 * DHCP client (RFC 2131). One server's offer, the first, is requested; whoever else is on the network could have answered first anyway.
 *
 *     selecting ──offer──▶ requesting ──ACK──▶ bound ──T1──▶ renewing ──T2──▶ rebinding ──end of lease──▶ selecting
 *         ▲                    │ NAK, silence     ▲              │ ACK              │ ACK
 *         └────────────────────┘                  └──────────────┴──────────────────┘           NAK: selecting, without the address
 */
import { announce } from "./arp";
import { be16, be32, put16, put32 } from "../big-endian";
import { time } from "./clock";
import { draw } from "./hash";
import { address, isHost, macHigh, macLow, putMac, setAddress } from "./interface";
import { dhcpInterval, dhcpMostInterval, dhcpRequestTries, leastLease, never, second } from "./limits";
import { datagramPayload, sendDatagram } from "./udp";

export const enum Phase { off, selecting, requesting, bound, renewing, rebinding }

const clientPort: u32 = 68, serverPort: u32 = 67, fixedBytes: u32 = 236, cookie: u32 = 0x63825363, leastMessage: u32 = 300;
const discover: u32 = 1, offered: u32 = 2, request: u32 = 3, acknowledged: u32 = 5, refused: u32 = 6;
const everyone: u32 = 0xffffffff;

let phase: Phase = Phase.off;
let transaction: u32 = 0, tries: u32 = 0, startedAt: u64 = 0, dueAt: u64 = never;
/** Of the offer that is requested, or of the lease. */
let offer: u32 = 0, server: u32 = 0;
let renewAt: u64 = 0, rebindAt: u64 = 0, endsAt: u64 = 0;

// ---- options of the message that was read last; 0: absent
let kind: u32 = 0, messageServer: u32 = 0, subnet: u32 = 0, router: u32 = 0, names: u32 = 0, lease: u32 = 0, renewal: u32 = 0, rebinding: u32 = 0;

export function dhcpPhase(): u32 { return <u32>phase; }

function putOption(at: usize, code: u32, value: u32): usize {
  store<u8>(at, code);
  store<u8>(at, 4, 1);
  put32(at + 2, value);
  return at + 6;
}

function send(type: u32, to: u32): void {
  const at = datagramPayload(), holds = phase >= Phase.bound;
  memory.fill(at, 0, leastMessage);
  put32(at, 0x01010600);
  put32(at + 4, transaction);
  put16(at + 8, <u32>min<u64>((time - startedAt) / second, 0xffff));
  if (holds) put32(at + 12, address);
  putMac(at + 28);
  put32(at + fixedBytes, cookie);
  let next = at + fixedBytes + 4;
  put32(next, 0x35010000 | type << 8 | 55); // message type; wanted: mask, router, DNS, lease, T1, T2
  put32(next + 4, 0x06010306);
  put32(next + 8, 0x333a3bff);
  next += 11;
  if (phase === Phase.requesting) {
    next = putOption(next, 50, offer);
    next = putOption(next, 54, server);
  }
  store<u8>(next, 255);
  sendDatagram(to, clientPort << 16 | serverPort, leastMessage);
}

/** Up to a quarter more than `interval`, so that many who start at once do not ask at once. */
function jitter(interval: u64): u64 {
  return interval + <u64>(draw() & 0xff) * (interval >> 10);
}

function backoff(): u64 {
  return jitter(min<u64>(dhcpInterval << min<u32>(tries, 10), dhcpMostInterval));
}

function select(): void {
  phase = Phase.selecting;
  setAddress(0, 0, 0, 0);
  transaction = draw();
  startedAt = time;
  tries = 0;
  dueAt = time;
}

export function startDhcp(): void {
  select();
}

function readOption(code: u32, at: usize, length: u32): void {
  if (code === 53 && length === 1) kind = load<u8>(at);
  if (length < 4) return;
  const value = be32(at);
  if (code === 1) subnet = value;
  else if (code === 3) router = value;
  else if (code === 6) names = value;
  else if (code === 51) lease = value;
  else if (code === 54) messageServer = value;
  else if (code === 58) renewal = value;
  else if (code === 59) rebinding = value;
}

/** True: a sound answer to this client's own message. */
function read(at: usize, length: u32): bool {
  if (phase === Phase.off || length < fixedBytes + 4 || be32(at) >> 8 !== 0x020106 || be32(at + 4) !== transaction) return false;
  if (be32(at + 28) !== macHigh || be16(at + 32) !== macLow || be32(at + fixedBytes) !== cookie) return false;
  kind = messageServer = subnet = router = names = lease = renewal = rebinding = 0;
  let each = at + fixedBytes + 4;
  const end = at + length;
  while (each < end) {
    const code = <u32>load<u8>(each);
    if (code === 255) break;
    if (code === 0) {
      each++;
      continue;
    }
    if (each + 2 > end) return false;
    const size = <u32>load<u8>(each, 1);
    if (each + 2 + size > end) return false;
    readOption(code, each + 2, size);
    each += 2 + size;
  }
  return messageServer !== 0;
}

function prefixOf(mask: u32): u32 {
  const bits = clz<u32>(~mask);
  return mask !== 0 && (bits === 32 || mask << bits === 0) ? bits : 0;
}

function bind(own: u32): void {
  const prefix = prefixOf(subnet), seconds = max(lease, leastLease), changed = own !== address;
  if (prefix === 0 || own >> 24 === 0 || own >> 24 === 127 || own >> 24 >= 224 || lease === 0) return;
  setAddress(own, prefix, router, names);
  phase = Phase.bound;
  offer = own;
  server = messageServer;
  if (lease === 0xffffffff) {
    renewAt = rebindAt = endsAt = dueAt = never;
  } else {
    const t2 = rebinding !== 0 && rebinding < seconds ? rebinding : seconds - (seconds >> 3);
    const t1 = renewal !== 0 && renewal < t2 ? renewal : min(seconds >> 1, t2);
    renewAt = time + <u64>t1 * second;
    rebindAt = time + <u64>t2 * second;
    endsAt = time + <u64>seconds * second;
    dueAt = renewAt;
  }
  if (changed) announce();
}

/** A datagram of port 67 for port 68. */
export function receiveDhcp(from: u32, at: usize, length: u32): void {
  if (!read(at, length)) return;
  const own = be32(at + 16);
  if (phase === Phase.selecting && kind === offered) {
    if (own === 0 || prefixOf(subnet) === 0) return;
    offer = own;
    server = messageServer;
    phase = Phase.requesting;
    tries = 0;
    dueAt = time;
    runDhcp();
  } else if (phase === Phase.requesting && messageServer === server) {
    if (kind === acknowledged && own === offer) bind(own);
    else if (kind === refused) select();
  } else if (phase === Phase.renewing || phase === Phase.rebinding) {
    if (kind === acknowledged) bind(own);
    else if (kind === refused && (phase === Phase.rebinding || from === server)) select();
  }
}

/** Half of what is left until `until`, a minute at least (RFC 2131, 4.4.5). */
function half(until: u64): u64 {
  return min(until, time + max<u64>((until - time) >> 1, <u64>leastLease * second));
}

/** The time of the next call of `runDhcp`. */
export function dhcpDue(): u64 { return dueAt; }

/** Sends what is due. */
export function runDhcp(): void {
  if (time < dueAt) return;
  if (phase === Phase.requesting && tries >= dhcpRequestTries) select();
  if (phase >= Phase.bound && time >= endsAt) select();
  if (phase === Phase.selecting || phase === Phase.requesting) {
    send(phase === Phase.selecting ? discover : request, everyone);
    dueAt = time + backoff();
    tries++;
  } else if (phase >= Phase.bound) {
    if (phase === Phase.bound) {
      transaction = draw();
      startedAt = time;
    }
    phase = time < rebindAt ? Phase.renewing : Phase.rebinding;
    send(request, phase === Phase.renewing && isHost(server) ? server : everyone);
    dueAt = half(phase === Phase.renewing ? rebindAt : endsAt);
  }
}
