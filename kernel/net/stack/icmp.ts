/** ICMP: answers echo requests and says that a port of UDP is closed, both within a bound; tells TCP about errors on its way. */
import { be16, be32, put16, put32 } from "../big-endian";
import { fold, sum } from "./checksum";
import { time } from "./clock";
import { beginPacket, payload, protocolIcmp, protocolTcp, sendPacket } from "./ip";
import { address } from "./interface";
import { icmpPerSecond, mtu, second } from "./limits";

let windowAt: u64 = 0, sent: u32 = 0;

function mayAnswer(): bool {
  if (time - windowAt >= second) {
    windowAt = time;
    sent = 0;
  }
  return ++sent <= icmpPerSecond;
}

function finish(to: u32, length: u32): void {
  const at = payload();
  store<u16>(at, 0, 2);
  store<u16>(at, <u16>fold(sum(at, length, 0)), 2);
  sendPacket(to, length);
}

function answerEcho(from: u32, at: usize, length: u32): void {
  if (length > mtu - 20 || !mayAnswer()) return;
  beginPacket(from, protocolIcmp, length);
  memory.copy(payload(), at, length);
  store<u8>(payload(), 0);
  finish(from, length);
}

/** Destination unreachable, port unreachable, with the packet's header and eight bytes (RFC 792). */
export function sayPortClosed(packet: usize, from: u32): void {
  if (!mayAnswer()) return;
  beginPacket(from, protocolIcmp, 36);
  put32(payload(), 0x03030000);
  put32(payload() + 4, 0);
  memory.copy(payload() + 8, packet, 28);
  finish(from, 36);
}

/** The connection of TCP that an error is about; `failedKind` 0: nothing. */
export let failedKind: u32 = 0, failedPeer: u32 = 0, failedPorts: u32 = 0, failedSequence: u32 = 0, failedMtu: u32 = 0;
export const failedUnreachable: u32 = 1, failedTooLong: u32 = 2;

function readError(at: usize, length: u32): void {
  if (length < 36) return;
  const inner = at + 8, code = <u32>load<u8>(at, 1);
  if (load<u8>(inner) !== 0x45 || <u32>load<u8>(inner, 9) !== protocolTcp || be32(inner + 12) !== address) return;
  failedPeer = be32(inner + 16);
  failedPorts = (be16(inner + 22) << 16) | be16(inner + 20);
  failedSequence = be32(inner + 24);
  failedMtu = be16(at + 6);
  failedKind = code === 4 ? failedTooLong : failedUnreachable;
}

/** A whole ICMP message; afterwards `failedKind` says whether TCP must be told. */
export function receiveIcmp(from: u32, at: usize, length: u32): void {
  failedKind = 0;
  if (length < 8 || fold(sum(at, length, 0)) !== 0) return;
  const kind = load<u8>(at);
  if (kind === 8 && load<u8>(at, 1) === 0) answerEcho(from, at, length);
  else if (kind === 3) readError(at, length);
}
