/** Outgoing IPv4 packets: whole, never to be fragmented, so that their identification says nothing (RFC 6864). */
import { sendToNeighbour } from "./arp";
import { put16, put32 } from "../big-endian";
import { fold, sum } from "./checksum";
import { address, ethernetBytes, gateway, ipBytes, isNeighbour, outgoing, putMac, transmit, typeIp } from "./interface";

export const protocolIcmp: u32 = 1, protocolTcp: u32 = 6, protocolUdp: u32 = 17;

/** Where the outgoing packet's payload belongs. */
// @ts-ignore: decorator
@inline export function payload(): usize { return outgoing + 34; }

/** Writes the header first: checksums of TCP and UDP cover its addresses at `payload() - 8`. */
export function beginPacket(to: u32, protocol: u32, length: u32): void {
  putMac(outgoing + 6);
  put16(outgoing + 12, typeIp);
  const at = outgoing + ethernetBytes;
  put32(at, 0x45000000 | (ipBytes + length));
  put32(at + 4, 0x4000); // don't fragment
  put32(at + 8, 0x40000000 | (protocol << 16)); // 64 hops
  put32(at + 12, address);
  put32(at + 16, to);
  store<u16>(at, <u16>fold(sum(at, ipBytes, 0)), 10);
}

/** Sends what was begun; dropped where there is no way. */
export function sendPacket(to: u32, length: u32): void {
  const all = ethernetBytes + ipBytes + length;
  if (to === 0xffffffff) {
    put32(outgoing, 0xffffffff);
    put16(outgoing + 4, 0xffff);
    return transmit(outgoing, all);
  }
  if (address === 0) return;
  const hop = isNeighbour(to) ? to : gateway;
  if (hop !== 0 && hop !== address) sendToNeighbour(hop, outgoing, all);
}
