/** PCI's configuration space by ports 0xcf8 and 0xcfc, bus 0 only (PCI Local Bus 3.0, 3.2.2.3.2 and 6.1). */
import { inl, outl } from "./cpu";
import { reach } from "./reach";

const addressPort: u32 = 0xcf8, dataPort: u32 = 0xcfc;
const none: u32 = 0xffffffff;
const command: u32 = 4, capabilities: u32 = 0x34, header: u32 = 0x0c, firstBar: u32 = 0x10;
const memorySpace: u32 = 2, busMaster: u32 = 4, noLines: u32 = 0x400;
const hasCapabilities: u32 = 0x100000;
const severalFunctions: u32 = 0x800000;
const mostCapabilities: u32 = 48;
/** Functions of bus 0: 32 devices of 8. */
const functions: u32 = 256;

/** A dword of a function's configuration; `place` is device × 8 + function. */
export function readConfig(place: u32, offset: u32): u32 {
  outl(addressPort, 0x80000000 | (place << 8) | (offset & 0xfc));
  return inl(dataPort);
}
export function writeConfig(place: u32, offset: u32, value: u32): void {
  outl(addressPort, 0x80000000 | (place << 8) | (offset & 0xfc));
  outl(dataPort, value);
}
export function readConfig8(place: u32, offset: u32): u32 {
  return (readConfig(place, offset) >> ((offset & 3) << 3)) & 0xff;
}

/** The place of the first function from `from` on whose vendor and device (device << 16 | vendor) are one of two; or `none`. */
export function findFunction(from: u32, id: u32, other: u32): u32 {
  for (let place = from; place < functions; place++) {
    const found = readConfig(place, 0);
    if (place === 0 && found === none) return none; // no PCI
    if (found === id || found === other) return place;
    if ((place & 7) === 0 && (found === none || (readConfig(place, header) & severalFunctions) === 0)) place |= 7;
  }
  return none;
}
export const noFunction: u32 = none;

/** Lets the function be read and written, and read and write memory; its interrupt lines stay quiet. */
export function enableFunction(place: u32): void {
  const value = readConfig(place, command) & 0xffff;
  writeConfig(place, command, value | memorySpace | busMaster | noLines);
}

/** The first capability of an id behind another one, or the first of all behind 0; 0 after the last. */
export function nextCapability(place: u32, behind: u32, id: u32): u32 {
  if ((readConfig(place, command) & hasCapabilities) === 0) return 0;
  let at = readConfig8(place, behind === 0 ? capabilities : behind + 1) & 0xfc;
  for (let i: u32 = 0; i < mostCapabilities && at >= 0x40; i++) {
    if (readConfig8(place, at) === id) return at;
    at = readConfig8(place, at + 1) & 0xfc;
  }
  return 0;
}

/** An address for part of a memory region; 0 for a region of ports, or one that nobody has placed. */
export function reachBar(place: u32, bar: u32, offset: u32, bytes: u32): u32 {
  if (bar > 5) return 0;
  const low = readConfig(place, firstBar + bar * 4);
  if ((low & 1) !== 0) return 0;
  let base = <u64>(low & 0xfffffff0);
  if ((low & 6) === 4) base |= <u64>readConfig(place, firstBar + bar * 4 + 4) << 32;
  return base === 0 ? 0 : reach(base + offset, bytes, true);
}
