/** Frames that come in: checked from the outside in, and given to their protocol. */
import { receiveArp } from "./arp";
import { be16, be32 } from "../big-endian";
import { fold, sum } from "./checksum";
import { Counter, count } from "./counters";
import { receiveDhcp } from "./dhcp";
import { expectsDns, receiveDns } from "../dns/mod";
import * as icmp from "./icmp";
import { address, dns, ethernetBytes, ipBytes, isHost, macHigh, macLow, typeArp, typeIp } from "./interface";
import { protocolIcmp, protocolTcp, protocolUdp } from "./ip";
import { receiveError, receiveTcp } from "./tcp/mod";
import { readDatagram, udpBytes } from "./udp";

function receiveUdp(packet: usize, length: u32): void {
  const at = packet + ipBytes, from = be32(packet + 12), bytes = readDatagram(packet + 12, at, length);
  if (bytes < 0) return count(Counter.damaged);
  const fromPort = be16(at), toPort = be16(at + 2), data = at + udpBytes;
  if (fromPort === 67 && toPort === 68) return receiveDhcp(from, data, bytes);
  if (address === 0 || be32(packet + 16) !== address || !isHost(from)) return count(Counter.foreign);
  if (fromPort === 53 && from === dns && expectsDns(toPort)) receiveDns(toPort, data, bytes);
  else icmp.sayPortClosed(packet, from);
}

function receiveIcmp(packet: usize, length: u32): void {
  icmp.receiveIcmp(be32(packet + 12), packet + ipBytes, length);
  if (icmp.failedKind === 0) return;
  const mtu = icmp.failedKind === icmp.failedTooLong ? max(icmp.failedMtu, 68) : 0;
  receiveError(icmp.failedPeer, icmp.failedPorts, icmp.failedSequence, mtu);
}

/** The packet's length when it is whole, sound and for this host, or 0. */
function check(packet: usize, most: u32): u32 {
  if (most < ipBytes || load<u8>(packet) >> 4 !== 4) return 0;
  const head = <u32>(load<u8>(packet) & 15) << 2, all = be16(packet + 2);
  if (head < ipBytes || all < head || all > most || fold(sum(packet, head, 0)) !== 0) {
    count(Counter.damaged);
    return 0;
  }
  if (head !== ipBytes) { // options steer routers and record routes: nothing that a service needs
    count(Counter.options);
    return 0;
  }
  if ((be16(packet + 6) & 0x3fff) !== 0) { // not reassembled: TCP does not need it, and the rest may not cost memory
    count(Counter.fragments);
    return 0;
  }
  return all;
}

function receivePacket(packet: usize, most: u32): void {
  const all = check(packet, most);
  if (all === 0) return;
  const to = be32(packet + 16), from = be32(packet + 12), length = all - ipBytes, protocol = <u32>load<u8>(packet, 9);
  if (protocol === protocolUdp) return receiveUdp(packet, length); // an answer of DHCP comes before there is an address
  if (address === 0 || to !== address || !isHost(from)) return count(Counter.foreign);
  if (protocol === protocolTcp) receiveTcp(packet + 12, packet + ipBytes, length);
  else if (protocol === protocolIcmp) receiveIcmp(packet, length);
}

function isOurs(frame: usize): bool {
  const high = be32(frame), low = be16(frame + 4);
  return (high === macHigh && low === macLow) || (high === 0xffffffff && low === 0xffff);
}

/** One frame, without its checksum. */
export function receiveFrame(frame: usize, length: u32): void {
  count(Counter.framesIn);
  if (length < ethernetBytes || !isOurs(frame)) return;
  const type = be16(frame + 12);
  if (type === typeIp) receivePacket(frame + ethernetBytes, length - ethernetBytes);
  else if (type === typeArp) receiveArp(frame, length);
}
