/**
 * Boot information at the PVH entry: hvm_start_info, its memory map and the command line
 * (Xen, xen/include/public/arch-x86/hvm/start_info.h).
 */
import { startInfoAt } from "./cpu";
import { mostMemory, pageBytes, textAt } from "./map";
import { print, printHex, printLine, printNumber } from "./serial";

const startMagic: u32 = 0x336ec578;
const mostCommandLine: u32 = 4096;
const mostEntries: u32 = 128;
const usable: u32 = 1;

function info(): usize {
  return <usize>load<u32>(<usize>startInfoAt());
}

export function startedByPvh(): bool {
  return info() !== 0 && load<u32>(info()) === startMagic;
}

export function commandLine(): usize {
  return <usize>load<u32>(info(), 24);
}

export function commandLineLength(): u32 {
  const at = commandLine();
  if (at === 0) return 0;
  let length: u32 = 0;
  while (length < mostCommandLine && load<u8>(at + length) !== 0) length++;
  return length;
}

function mapEntries(): u32 {
  return load<u32>(info(), 4) < 1 ? 0 : min<u32>(load<u32>(info(), 48), mostEntries); // version 0 has no map
}

/** End of the memory that the program lies in. */
export function endOfMemory(): u32 {
  const map = <usize>load<u32>(info(), 40);
  for (let i: u32 = 0; i < mapEntries(); i++) {
    const entry = map + <usize>i * 24;
    const from = load<u64>(entry),
      size = load<u64>(entry, 8);
    if (load<u32>(entry, 16) !== usable || from > <u64>textAt || from + size <= <u64>textAt) continue;
    return <u32>min<u64>(from + size, <u64>mostMemory) & ~(<u32>pageBytes - 1);
  }
  return 0;
}

export function printMemoryMap(): void {
  const map = <usize>load<u32>(info(), 40);
  for (let i: u32 = 0; i < mapEntries(); i++) {
    const entry = map + <usize>i * 24;
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
