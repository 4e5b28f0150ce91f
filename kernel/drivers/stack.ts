/** The stack's frames below the uppermost 256 KiB, which the ELF maps: they come as it grows down, and go when a message went deep. */
import { stackLimit, stackTop } from "./cpu";
import { clearPage, giveFrame, takeFrame } from "./frames";
import { headerAt, headerStackDirectory, pageBytes, stackTopBytes } from "./map";

const usable: u64 = (1 << 63) | 3; // no execute, writable, present
const frameMask: u64 = 0x000ffffffffff000;
/** The lowest part stays unmapped: more than the largest frame of a function, so that none steps over it (compiler/assemble/convention.ts). */
const guardBytes: u64 = 0x200000;
const mostKept: u32 = 32;

let frames: u32 = 0;
/** The lowest page that has a frame. */
let lowest: u64 = 0;

function tableEntry(address: u64, make: bool): usize {
  const directory = <usize>load<u32>(<usize>headerAt, headerStackDirectory);
  const slot = directory + ((<usize>((address >> 21) & 511)) << 3);
  if ((load<u64>(slot) & 1) === 0) {
    if (!make) return 0;
    const table = takeFrame();
    clearPage(<usize>table);
    store<u64>(slot, <u64>table | 3);
  }
  return <usize>(load<u64>(slot) & frameMask) + ((<usize>((address >> 12) & 511)) << 3);
}

/** True for the part of the window in which a fault means that the stack is exhausted. */
export function inStackGuard(address: u64): bool {
  return address >= stackLimit() - guardBytes && address < stackLimit() + guardBytes;
}

export function stackFault(address: u64): bool {
  if (address < stackLimit() + guardBytes || address >= stackTop() - <u64>stackTopBytes) return false;
  const entry = tableEntry(address, true);
  if (load<u64>(entry) !== 0) return false;
  store<u64>(entry, <u64>takeFrame() | usable);
  frames++;
  const page = address & ~(<u64>pageBytes - 1);
  if (lowest === 0 || page < lowest) lowest = page;
  return true;
}

/** Gives frames back after a message that went deep; the caller flushes the translations. */
export function trimStack(): void {
  if (frames <= mostKept) return;
  const top = stackTop() - <u64>stackTopBytes;
  for (let page = lowest; page < top; page += <u64>pageBytes) {
    const entry = tableEntry(page, false);
    if (entry === 0 || load<u64>(entry) === 0) continue;
    giveFrame(<u32>(load<u64>(entry) & frameMask));
    store<u64>(entry, 0);
  }
  frames = 0;
  lowest = 0;
}
