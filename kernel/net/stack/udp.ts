/** UDP (RFC 768). */
import { be16, put16 } from "../big-endian";
import { fold, pseudo, sum } from "./checksum";
import { beginPacket, payload, protocolUdp, sendPacket } from "./ip";
import { mtu } from "./limits";

export const udpBytes: u32 = 8;
export const mostDatagram: u32 = mtu - 28;

/** Where the bytes of the outgoing datagram belong. */
// @ts-ignore: decorator
@inline export function datagramPayload(): usize { return payload() + udpBytes; }

/** Sends a datagram whose bytes are at `datagramPayload()`. `ports` is the sender's << 16 | the receiver's. */
export function sendDatagram(to: u32, ports: u32, length: u32): void {
  const at = payload(), all = udpBytes + length;
  beginPacket(to, protocolUdp, all);
  put16(at, ports >> 16);
  put16(at + 2, ports & 0xffff);
  put16(at + 4, all);
  store<u16>(at, 0, 6);
  const checksum = fold(sum(at, all, pseudo(at - 8, protocolUdp, all)));
  store<u16>(at, <u16>(checksum === 0 ? 0xffff : checksum), 6);
  sendPacket(to, all);
}

/** Length of the bytes of a datagram at `at`, in a packet with addresses at `addresses`, or -1 when it is damaged. */
export function readDatagram(addresses: usize, at: usize, length: u32): i32 {
  if (length < udpBytes) return -1;
  const all = be16(at + 4);
  if (all < udpBytes || all > length) return -1;
  if (load<u16>(at, 6) !== 0 && fold(sum(at, all, pseudo(addresses, protocolUdp, all))) !== 0) return -1;
  return all - udpBytes;
}
