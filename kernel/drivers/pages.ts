/**
 * The engine's memory: pristine for every message.
 *
 *     frozen or zero, read-only ──first write: a frame of its own──▶ private, writable
 *            ▲                                                          │ between messages: those the processor marked dirty
 *            └──────────── too many to keep: given back ────────────────┴──▶ copied back from the frozen page, kept
 *
 * So a page that every message writes costs one fault in the machine's life and one copy a message. Pages beyond the image come
 * zeroed when they are touched and go after the message. A page table entry's dirty bit is set by the processor alone
 * (Intel SDM vol. 3, 4.8), once per page after the bit was cleared and the translation flushed.
 */
import { engineBase, invlpg, read64Far, readCr3, writeCr3 } from "./cpu";
import { clearPage, copyPage, freeFrames, giveFrame, takeFrame, takeRow } from "./frames";
import {
  headerAt, headerEngineDirectory, headerEntries, headerFrozen, headerRestPages, headerStackPointer, pageBytes,
} from "./map";
import { stackPointer } from "./engine";
import { memoryUnits, setMemory } from "./memory-size";
import { keepPage, openSlot, restoreRest, takenFrame, takenPage, takePage } from "./parked";

const present: u64 = 1;
const writable: u64 = 2;
const accessed: u64 = 0x20;
const dirty: u64 = 0x40;
const noExecute: u64 = 1 << 63;
const frameMask: u64 = 0x000ffffffffff000;
const privateBits: u64 = present | writable | accessed | dirty | noExecute;
/** Pages of 4 KiB that any machine may have: 256 MiB. */
const hardPages: u32 = 65_536;
/** Private frames kept from message to message. */
const mostKept: u32 = 512;
export const pagesPerUnit: u32 = 16;

let tables: usize = 0;
/** Pages that have a table entry. */
export let mostPages: u32 = 0;
let restPages: u32 = 0;
let zeroFrame: u32 = 0;
/** Numbers of the pages that have a frame of their own. */
let privates: usize = 0;
let privateCount: u32 = 0;
/** Faults answered, and pages put back, since the start. */
export let faults: u64 = 0;
export let restored: u64 = 0;

// @ts-ignore: decorator
@inline function header(field: u32): u32 { return load<u32>(<usize>headerAt + field); }
// @ts-ignore: decorator
@inline function entryAt(page: u32): usize { return tables + (<usize>page << 3); }
// @ts-ignore: decorator
@inline function privateAt(index: u32): usize { return privates + (<usize>index << 2); }

export function restUnits(): u32 { return restPages / pagesPerUnit; }

/** Address of the frozen contents of a page at rest; the zero frame's when it is zero. */
function frozen(page: u32): u32 {
  const entry = load<u32>(<usize>header(headerEntries) + (<usize>page << 2));
  return entry === 0 ? zeroFrame : header(headerFrozen) + (entry - 1) * <u32>pageBytes;
}

function pristineEntry(page: u32): u64 {
  return page < restPages ? <u64>frozen(page) | present | accessed | noExecute : 0;
}

/** The entry of the page directory that covers a page; 0 until one of its pages is touched: few machines grow much. */
// @ts-ignore: decorator
@inline function directoryAt(page: u32): usize { return <usize>header(headerEngineDirectory) + (<usize>(page >> 9) << 3); }

function makeTable(page: u32): void {
  const table = tables + (<usize>(page >> 9) << 12);
  clearPage(table);
  store<u64>(directoryAt(page), <u64>table | present | writable);
}

export function startPages(): void {
  restPages = header(headerRestPages);
  zeroFrame = takeFrame();
  clearPage(<usize>zeroFrame);
  mostPages = min<u32>(hardPages, max<u32>(freeFrames(), restPages) + 511) & ~511;
  const tableFrames = mostPages / 512;
  tables = <usize>takeRow(tableFrames);
  privates = <usize>takeRow((mostPages * 4 + <u32>pageBytes - 1) / <u32>pageBytes);
  for (let page: u32 = 0; page < restPages; page += 512) makeTable(page);
  for (let page: u32 = 0; page < restPages; page++) store<u64>(entryAt(page), pristineEntry(page));
  writeCr3(readCr3());
}

/** Gives the page a frame of its own, holding what it shows now. */
function own(page: u32, shown: u64): void {
  const frame = takeFrame();
  if ((shown & present) === 0) clearPage(<usize>frame);
  else copyPage(<usize>frame, <usize>(shown & frameMask));
  store<u64>(entryAt(page), <u64>frame | privateBits);
  store<u32>(privateAt(privateCount++), page);
}

/** Answers a fault at `address`; false when the machine had no business there. */
export function engineFault(address: u64, write: bool): bool {
  const offset = address - engineBase();
  const page = <u32>(offset >> 12);
  if (offset >= <u64>mostPages << 12 || page >= memoryUnits() * pagesPerUnit) return false;
  if (load<u64>(directoryAt(page)) === 0) makeTable(page);
  const entry = load<u64>(entryAt(page));
  if ((entry & present) !== 0 && (!write || (entry & writable) !== 0)) return false;
  own(page, entry);
  invlpg(address);
  faults++;
  return true;
}

// @ts-ignore: decorator
@inline function frameOf(entry: u64): u32 { return <u32>(entry & frameMask); }

/** Makes the memory the image again, whatever ran in it. Returns nothing: it can't fail. */
export function putBack(): void {
  let kept: u32 = 0;
  for (let i: u32 = 0; i < privateCount; i++) {
    const page = load<u32>(privateAt(i));
    const entry = load<u64>(entryAt(page));
    const frame = frameOf(entry);
    if (page < restPages && kept < mostKept) {
      if ((entry & dirty) !== 0) {
        copyPage(<usize>frame, <usize>frozen(page));
        store<u64>(entryAt(page), entry & ~dirty);
        restored++;
      }
      store<u32>(privateAt(kept++), page);
    } else {
      giveFrame(frame);
      store<u64>(entryAt(page), pristineEntry(page));
      restored++;
    }
  }
  privateCount = kept;
  setMemory(restUnits(), restUnits());
  stackPointer = header(headerStackPointer);
  flush();
}

/** Takes the machine that waits off the tables and into a slot: every page it wrote. The memory is the image's then. */
export function park(slot: u32): void {
  openSlot(slot);
  let kept: u32 = 0;
  for (let i: u32 = 0; i < privateCount; i++) {
    const page = load<u32>(privateAt(i));
    const entry = load<u64>(entryAt(page));
    if (page < restPages && (entry & dirty) === 0) {
      store<u32>(privateAt(kept++), page);
      continue;
    }
    keepPage(slot, page, frameOf(entry));
    store<u64>(entryAt(page), pristineEntry(page));
  }
  privateCount = kept;
  putBack();
}

/** Puts a parked machine on the tables again; the memory must be the image's. */
export function unpark(slot: u32): void {
  while (takePage(slot)) {
    const shown = load<u64>(entryAt(takenPage));
    if ((shown & writable) !== 0) giveFrame(frameOf(shown));
    else store<u32>(privateAt(privateCount++), takenPage);
    store<u64>(entryAt(takenPage), <u64>takenFrame | privateBits);
  }
  restoreRest(slot);
  flush();
}

/** Pages the machine has written that are on the tables now. */
export function dirtyPages(): u32 {
  let count: u32 = 0;
  for (let i: u32 = 0; i < privateCount; i++) {
    const page = load<u32>(privateAt(i));
    if (page >= restPages || (load<u64>(entryAt(page)) & dirty) !== 0) count++;
  }
  return count;
}

/** Forgets every translation: none of ours is global. */
function flush(): void {
  writeCr3(readCr3());
}

export function privatePages(): u32 { return privateCount; }

/** Result of `differences`: the first page, and the number of pages compared. */
export let firstDifference: u32 = 0;
export let compared: u32 = 0;

function differs(page: u32): bool {
  if (page >= restPages) return load<u64>(directoryAt(page)) !== 0 && load<u64>(entryAt(page)) !== 0;
  const seen = engineBase() + (<u64>page << 12);
  const wanted = <usize>frozen(page);
  for (let i: usize = 0; i < <usize>pageBytes; i += 8) if (read64Far(seen + i) !== load<u64>(wanted + i)) return true;
  return false;
}

/**
 * Compares every page of the window with the image, as the engine would see it, and the size and the stack pointer with it.
 * Pages beyond the image must not be there. Returns how many differ.
 */
export function differences(): u32 {
  let found: u32 = 0;
  firstDifference = 0xffffffff;
  for (compared = 0; compared < mostPages; compared++) {
    if (!differs(compared)) continue;
    if (found++ === 0) firstDifference = compared;
  }
  if (memoryUnits() !== restUnits() || stackPointer !== header(headerStackPointer)) found++;
  return found;
}
