/**
 * Devices, interrupt controllers and power as ACPI's tables have them (ACPI 6.5, 5.2). The DSDT is a program; it is not run but searched for the
 * few resources that hypervisors write into it in one fixed form (6.4.3): a device's identifier as text, then its memory and its interrupt.
 */
import { acpiRoot } from "./boot-info";
import { reach } from "./reach";

const headerBytes: u32 = 36;
const mostTableBytes: u32 = 1 << 20;
const mostTables: u32 = 64;
const rootSignature: u64 = 0x2052545020445352; // "RSD PTR "
const fixedTable: u32 = 0x50434146, interruptTable: u32 = 0x43495041; // "FACP", "APIC"

let looked: bool = false;
/** The tables; 0 where one is missing. */
let fixed: u32 = 0;
let interrupts: u32 = 0;
let program: u32 = 0;
let programBytes: u32 = 0;

// @ts-ignore: decorator
@inline function word(at: u32): u32 { return load<u32>(<usize>at); }
// @ts-ignore: decorator
@inline function long(at: u32): u64 { return load<u64>(<usize>at); }

/** The whole of a table, or 0. */
function table(physical: u64): u32 {
  if (physical === 0) return 0;
  const head: u32 = reach(physical, headerBytes, false);
  if (head === 0) return 0;
  const bytes = word(head + 4);
  return bytes < headerBytes || bytes > mostTableBytes ? 0 : reach(physical, bytes, false);
}

function look(): void {
  looked = true;
  const root = acpiRoot();
  const at: u32 = root === 0 ? 0 : reach(root, headerBytes, false);
  if (at === 0 || long(at) !== rootSignature) return;
  const wide = load<u8>(<usize>at, 15) >= 2 && long(at + 24) !== 0;
  const list = table(wide ? long(at + 24) : <u64>word(at + 16));
  if (list === 0) return;
  const entryBytes: u32 = wide ? 8 : 4;
  const count = min<u32>((word(list + 4) - headerBytes) / entryBytes, mostTables);
  for (let i: u32 = 0; i < count; i++) {
    const entry = list + headerBytes + i * entryBytes;
    const found = table(wide ? long(entry) : <u64>word(entry));
    if (found === 0) continue;
    if (word(found) === fixedTable && fixed === 0) fixed = found;
    if (word(found) === interruptTable && interrupts === 0) interrupts = found;
  }
  if (fixed === 0) return;
  const extended: u64 = word(fixed + 4) >= 148 ? long(fixed + 140) : 0;
  program = table(extended !== 0 ? extended : <u64>word(fixed + 40));
  programBytes = program === 0 ? 0 : word(program + 4);
}

function isText(at: u32, text: string): bool {
  for (let i: i32 = 0; i < text.length; i++)
    if (<u16>load<u8>(<usize>at + i) !== load<u16>(changetype<usize>(text) + (<usize>i << 1))) return false;
  return true;
}

/** Where the `ordinal`th occurrence of an identifier of 8 characters ends in the program, or 0. */
function findIdentifier(text: string, ordinal: u32): u32 {
  if (!looked) look();
  const end = program + programBytes;
  let seen: u32 = 0;
  for (let at = program + headerBytes; at + 8 <= end; at++) if (isText(at, text) && seen++ === ordinal) return at + 8;
  return 0;
}

/** The first resource of a kind (its tag and the two bytes of its length) behind `from`, in the same device; or 0. */
function findResource(from: u32, tag: u32, bytes: u32): u32 {
  const end = min<u32>(from + 128, program + programBytes);
  for (let at = from; at + 3 + bytes <= end; at++)
    if (load<u8>(<usize>at) === <u8>tag && load<u16>(<usize>at, 1) === <u16>bytes) return at;
  return 0;
}

const fixedMemory: u32 = 0x86, fixedMemoryBytes: u32 = 9; // flags, base u32, length u32
const lineResource: u32 = 0x89, lineBytes: u32 = 6; // flags, count 1, line u32

/** Results of `findTableDevice`. */
export let tableDeviceAt: u32 = 0;
export let tableDeviceLine: u32 = 0;

/** The `ordinal`th virtio device with memory-mapped registers. */
export function findTableDevice(ordinal: u32): bool {
  const device = findIdentifier("LNRO0005", ordinal);
  if (device === 0) return false;
  const place = findResource(device, fixedMemory, fixedMemoryBytes), line = findResource(device, lineResource, lineBytes);
  tableDeviceAt = place === 0 ? 0 : word(place + 4);
  tableDeviceLine = line === 0 ? 0 : word(line + 5);
  return true;
}

/** Results of `findController`: the I/O APIC's address, and its first line. */
export let controllerAt: u32 = 0xfec00000;
export let controllerLine: u32 = 0;

/** The I/O APIC of a line: the one below it that begins last (5.2.12.3). */
export function findController(line: u32): void {
  if (!looked) look();
  if (interrupts === 0) return;
  const end = interrupts + word(interrupts + 4);
  controllerLine = 0;
  for (let at = interrupts + 44; at + 2 <= end; ) {
    const bytes = <u32>load<u8>(<usize>at, 1);
    if (bytes < 2) return;
    if (load<u8>(<usize>at) === 1 && bytes >= 12 && word(at + 8) <= line && word(at + 8) >= controllerLine) {
      controllerAt = word(at + 4);
      controllerLine = word(at + 8);
    }
    at += bytes;
  }
}

/** The sleep control register of hardware without fixed registers (4.8.3.7), by port or by memory; 0 without one. */
export function sleepControl(): u64 {
  if (!looked) look();
  return fixed === 0 || word(fixed + 4) < 256 ? 0 : long(fixed + 248);
}
export function sleepControlIsPort(): bool {
  return load<u8>(<usize>fixed, 244) === 1;
}
/** The port of the fixed power management events, or 0. */
export function powerEvents(): u32 {
  if (!looked) look();
  return fixed === 0 ? 0 : word(fixed + 56);
}
/** The register of the generic event device (ACPI0013) that tells what happened and forgets it; 0 without one. */
export function eventSelector(): u32 {
  const device = findIdentifier("ACPI0013", 0);
  const end: u32 = device === 0 ? 0 : min<u32>(device + 256, program + programBytes);
  for (let at = device; at + 12 <= end; at++) // OpRegionOp, four letters, SystemMemory, DWordPrefix, address (20.2.5.2)
    if (load<u16>(<usize>at) === 0x805b && load<u8>(<usize>at, 6) === 0 && load<u8>(<usize>at, 7) === 0x0c) return reach(<u64>word(at + 8), 4, true);
  return 0;
}
