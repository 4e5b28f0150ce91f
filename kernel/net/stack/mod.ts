/** TCP/IP over one Ethernet interface. Carries streams.ts and names.ts; main.ts calls the rest. */
import { carryDatagram, carryResolve } from "../names";
import { carryQueries, dnsDue, resolve, runDns } from "../dns/mod";
import { take } from "../memory";
import { announce, arpDue, runArp } from "./arp";
import { readClock, time } from "./clock";
import { dhcpDue, runDhcp, startDhcp } from "./dhcp";
import { draw, startHash } from "./hash";
import * as input from "./input";
import { address, dns as dnsServer, setAddress, setMac } from "./interface";
import { halfOpenDue, runHalfOpen, runTcp, startTcp, tcpDue } from "./tcp/mod";
import { datagramPayload, mostDatagram, sendDatagram } from "./udp";

export { dhcpPhase } from "./dhcp";
export { address, dns, gateway, mask } from "./interface";
export { counter } from "./counters";
export { allBlocks, freeBlocks, halfOpenCount, usedCount } from "./tcp/mod";

/** Takes an address instead of asking DHCP for one. Addresses are big-endian numbers; gateway and dns may be 0. Call before `startStack`. */
export function useAddress(own: u32, prefixBits: u32, gateway: u32, dns: u32): void {
  setAddress(own, prefixBits, gateway, dns);
}

function datagram(to: u32, port: u32, fromPort: u32, at: usize, length: u32): bool {
  if (address === 0 || length > mostDatagram) return false;
  readClock();
  memory.copy(datagramPayload(), at, length);
  sendDatagram(to, fromPort << 16 | port, length);
  return true;
}

function sendQuery(at: usize, length: u32): u32 {
  if (dnsServer === 0 || address === 0) return 0;
  readClock();
  const port = 1024 + draw() % 64_512;
  memory.copy(datagramPayload(), at, length);
  sendDatagram(dnsServer, port << 16 | 53, length);
  return port;
}

/** Begins DHCP or uses the configured address. `bytes` of memory become tables and blocks; false when so many are not left. */
export function startStack(macHigh: u32, macLow: u32, bytes: u32): bool {
  readClock();
  startHash();
  setMac(macHigh, macLow);
  const at = take(bytes);
  if (at === 0) return false;
  startTcp(at, bytes);
  carryDatagram(datagram);
  carryResolve(resolve);
  carryQueries(sendQuery, (_port: u32): void => {});
  if (address !== 0) announce();
  else startDhcp();
  return true;
}

/** This host's address, or 0 while it has none. */
export function ownAddress(): u32 { return address; }

/** One frame that came in, without its checksum. */
export function receiveFrame(at: usize, length: u32): void {
  readClock();
  input.receiveFrame(at, length);
}

/** Runs what is due. */
export function runStack(): void {
  readClock();
  runDhcp();
  runDns();
  runHalfOpen();
  runTcp();
  runArp();
}

/** The time of the next call of `runStack`, u64.MAX_VALUE for never. What is sent afterwards may make it earlier. */
export function stackDue(): u64 {
  return min(min(dhcpDue(), dnsDue()), min(min(halfOpenDue(), tcpDue()), arpDue()));
}
