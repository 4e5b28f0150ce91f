/**
 * The network module's memory: a window of its own at `netWindow`, as large as the machine's memory allows and never larger. Its frames are set
 * aside at the start, and mapped when they are first touched; beyond them nothing is mapped, so that the module reaches nothing else.
 */
import { netDescriptor } from "./cpu";
import { clearPage, copyPage, freeFrames, takeRow } from "./frames";
import { headerAt, headerNetData, headerNetDataPages, headerNetDirectory, netWindow, pageBytes } from "./map";

const present: u64 = 1, writable: u64 = 2, accessedDirty: u64 = 0x60, noExecute: u64 = 1 << 63;
const pagesPerUnit: u32 = 16;
/** 64 MiB. */
const mostUnits: u32 = 1024;
/** The network gets this part of the memory, and the machines the rest. */
const part: u32 = 4;

let pages: u32 = 0;
let frames: u32 = 0;
let tables: u32 = 0;

export function netBase(): u64 { return <u64>netWindow << 32; }
export function netBytes(): u64 { return <u64>pages * pageBytes; }

/** True if `length` bytes from an address of the module lie in its memory. */
export function inNet(at: u32, length: u32): bool { return <u64>at + length <= netBytes(); }

/** Frames that the module needs at least. */
export function leastNetFrames(): u32 { return load<u32>(<usize>netDescriptor(), 8) * pagesPerUnit; }

/** Sets the module's memory aside. There must be `leastNetFrames`, and tables for them. */
export function startNetPages(): void {
  const units = min<u32>(max<u32>(freeFrames() / part, leastNetFrames()) / pagesPerUnit, mostUnits);
  pages = units * pagesPerUnit;
  const tableCount = (pages + 511) / 512;
  tables = takeRow(tableCount);
  frames = takeRow(pages);
  const directory = <usize>load<u32>(<usize>headerAt, headerNetDirectory);
  for (let i: u32 = 0; i < tableCount; i++) {
    clearPage(<usize>(tables + i * pageBytes));
    store<u64>(directory + (<usize>i << 3), <u64>(tables + i * pageBytes) | present | writable);
  }
  store<u32>(<usize>netDescriptor(), units, 8);
  store<u32>(<usize>netDescriptor(), units, 12);
}

/** Answers a fault at `address`; false when the module had no business there. */
export function netFault(address: u64): bool {
  const offset = address - netBase();
  if (offset >= netBytes()) return false;
  const page = <u32>(offset >> 12);
  const entry = <usize>tables + (<usize>page << 3);
  if (load<u64>(entry) !== 0) return false;
  const frame = frames + page * pageBytes;
  if (page < load<u32>(<usize>headerAt, headerNetDataPages)) copyPage(<usize>frame, <usize>(load<u32>(<usize>headerAt, headerNetData) + page * pageBytes));
  else clearPage(<usize>frame);
  store<u64>(entry, <u64>frame | present | writable | accessedDirty | noExecute);
  return true;
}
