/**
 * Boot information at the PVH entry: hvm_start_info, its memory map, the command line and the first module
 * (Xen, xen/include/public/arch-x86/hvm/start_info.h). Some firmware leaves it in page 0.
 */
import { startInfoAt } from "./cpu";
import { mostMemory, pageBytes, textAt } from "./map";
import { reach } from "./reach";
import { print, printHex, printLine, printNumber } from "./serial";

const startMagic: u32 = 0x336ec578;
const infoBytes: u32 = 56;
const mostCommandLine: u32 = 4096;
const mostEntries: u32 = 128;
const entryBytes: u32 = 24;
const usable: u32 = 1;

let infoAt: usize = 0;
let mapAt: usize = 0;
let lineAt: usize = 0;

function info(): usize {
  if (infoAt === 0) {
    const at = load<u32>(<usize>startInfoAt());
    if (at !== 0) infoAt = <usize>reach(<u64>at, infoBytes, false);
  }
  return infoAt;
}

export function startedByPvh(): bool {
  return info() !== 0 && load<u32>(info()) === startMagic;
}

export function commandLine(): usize {
  if (lineAt === 0 && load<u64>(info(), 24) !== 0) lineAt = <usize>reach(load<u64>(info(), 24), mostCommandLine, false);
  return lineAt;
}

export function commandLineLength(): u32 {
  const at = commandLine();
  if (at === 0) return 0;
  let length: u32 = 0;
  while (length < mostCommandLine && load<u8>(at + length) !== 0) length++;
  return length;
}

/** Physical address of the ACPI tables' root, or 0. */
export function acpiRoot(): u64 {
  return load<u64>(info(), 32);
}

function mapEntries(): u32 {
  if (load<u32>(info(), 4) < 1) return 0; // version 0 has no map
  const count = min<u32>(load<u32>(info(), 48), mostEntries);
  if (mapAt === 0) mapAt = <usize>reach(load<u64>(info(), 40), count * entryBytes, false);
  return mapAt === 0 ? 0 : count;
}

/** End of the memory that the program lies in. */
export function endOfMemory(): u32 {
  for (let i: u32 = 0; i < mapEntries(); i++) {
    const entry = mapAt + <usize>i * entryBytes;
    const from = load<u64>(entry),
      size = load<u64>(entry, 8);
    if (load<u32>(entry, 16) !== usable || from > <u64>textAt || from + size <= <u64>textAt) continue;
    return <u32>min<u64>(from + size, <u64>mostMemory) & ~(<u32>pageBytes - 1);
  }
  return 0;
}

/** The first module (`-initrd`): its physical address, and its bytes, 0 without one. */
export let moduleAt: u64 = 0;
export let moduleBytes: u64 = 0;

export function findModule(): void {
  if (load<u32>(info(), 12) === 0) return;
  const list = <usize>reach(load<u64>(info(), 16), 32, false);
  if (list === 0) return;
  moduleAt = load<u64>(list);
  moduleBytes = load<u64>(list, 8);
}

export function printMemoryMap(): void {
  for (let i: u32 = 0; i < mapEntries(); i++) {
    const entry = mapAt + <usize>i * entryBytes;
    if (load<u64>(entry, 8) === 0) continue;
    print("  ");
    printHex(load<u64>(entry), 12);
    print(" - ");
    printHex(load<u64>(entry) + load<u64>(entry, 8) - 1, 12);
    print("  type ");
    printNumber(load<u32>(entry, 16));
    printLine(load<u32>(entry, 16) === usable ? ", memory" : "");
  }
}
