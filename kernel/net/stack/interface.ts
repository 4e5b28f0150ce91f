/** The one interface: its hardware address, its address in the network, and the buffer for outgoing frames. */
import { send } from "../host";
import { put16, put32 } from "../big-endian";
import { Counter, count } from "./counters";

export const ethernetBytes: u32 = 14, ipBytes: u32 = 20;
export const typeIp: u32 = 0x0800, typeArp: u32 = 0x0806;

export let macHigh: u32 = 0, macLow: u32 = 0;
/** Big-endian numbers; address 0: there is no address yet. */
export let address: u32 = 0, mask: u32 = 0, gateway: u32 = 0, dns: u32 = 0;

/** One outgoing frame is built here, and sent before the next one is begun. */
// @ts-ignore: decorator
@lazy export const outgoing: usize = memory.data(1536, 16);

export function setMac(high: u32, low: u32): void {
  macHigh = high;
  macLow = low & 0xffff;
}

export function setAddress(own: u32, prefixBits: u32, router: u32, names: u32): void {
  address = own;
  mask = prefixBits === 0 ? 0 : prefixBits >= 32 ? 0xffffffff : ~(0xffffffff >> prefixBits);
  gateway = router;
  dns = names;
}

export function putMac(at: usize): void {
  put32(at, macHigh);
  put16(at + 4, macLow);
}

/** An address for one host: not 0.x, loopback, multicast, broadcast or this host's own. */
export function isHost(other: u32): bool {
  const first = other >> 24;
  return first !== 0 && first !== 127 && first < 224 && other !== address && (mask === 0 || other !== (address | ~mask));
}

// @ts-ignore: decorator
@inline export function isNeighbour(other: u32): bool { return ((other ^ address) & mask) === 0; }

export function transmit(at: usize, length: u32): void {
  count(Counter.framesOut);
  send(<u32>at, length);
}
