/**
 * Makes the engine's memory the image again, and keeps machines that wait.
 *
 * The window is mapped privately from the executable, so the kernel itself knows which pages were written: those have become
 * anonymous (/proc/self/pagemap, bit 61 clear). They are overwritten from the frozen copy and stay, since the next message will
 * write nearly the same ones. When they are many they are dropped instead, and the window shows the file again.
 * Nothing a machine does can hide a page from this: it is the page tables that tell.
 */
import { address, call, Call, copy, engineBase, engineDescriptor, frozenBase, read32, stackLimit, stackTop, write32 } from "./cpu";
import { pagemapFile } from "./lockdown";

export const pageBytes: u32 = 4096;
export const wasmPageBytes: u32 = 65536;
const pagesPerWasmPage: u32 = 16;

/** Private pages a process keeps between messages: 640 KiB. Beyond that all are dropped. */
const mostPrivatePages: u32 = 160;
/** Native stack that stays resident. */
const stackKeptBytes: u64 = 256 * 1024;

/** Machines that may wait in one process, and their pages together: 128 MiB. */
export const mostBerths: u32 = 4096;
const mostSlots: u32 = 32768;
/** Slots count from 1, so that zeroed memory means none: nothing initialises this module at run time. */
const noSlot: u32 = 0;

// @ts-ignore: decorator
@external("engine", "__stack_pointer")
declare let stackPointer: i32;

let restPages: u32 = 0;
let restStackPointer: i32 = 0;
let tracked: bool = false;

const entriesPerRead: u32 = 1024;
// @ts-ignore: decorator
@lazy const entries: usize = memory.data(8192, 8);
/** Page numbers of the last scan, at most `mostListed`. */
const mostListed: u32 = 4096;
// @ts-ignore: decorator
@lazy const listed: usize = memory.data(16384, 8);

/** The memory's size, in 64 KiB pages. */
export function enginePages(): u32 {
  return read32(engineDescriptor() + 8);
}

export function engineStackPointer(): i32 {
  return stackPointer;
}

export function setLimitPages(pages: u32): void {
  write32(engineDescriptor() + 12, max(pages, restPages));
}

/** Remembers how the image looks. Before the first message, and before anything of the engine runs. */
export function rememberImage(): void {
  restPages = enginePages();
  restStackPointer = stackPointer;
}
export function imageBytes(): u64 {
  return <u64>restPages * wasmPageBytes;
}
export function trackPages(can: bool): void {
  tracked = can;
}

/** Lists the pages of the memory that are this process's own, in `listed`. Returns how many there are, which may be more than fit. */
export function scan(): u32 {
  const last = enginePages() * pagesPerWasmPage;
  let count: u32 = 0;
  for (let page: u32 = 0; page < last; page += entriesPerRead) {
    const wanted = min(entriesPerRead, last - page);
    const got = call(Call.pread, pagemapFile, address(entries), wanted * 8, ((engineBase() >> 12) + page) * 8);
    if (got !== <i64>(wanted * 8)) return mostListed + 1; // then everything counts as written
    for (let index: u32 = 0; index < wanted; index++) {
      const entry = load<u64>(entries + (<usize>index << 3));
      // Present (63) or swapped (62), and not of a file (61).
      if (entry >> 62 === 0 || ((entry >> 61) & 1) !== 0) continue;
      if (count < mostListed) store<u32>(listed + (<usize>count << 2), page + index);
      count++;
    }
  }
  return count;
}

/** Page `index` of the last scan. */
export function listedPage(index: u32): u32 {
  return load<u32>(listed + (<usize>index << 2));
}

function dropPages(): void {
  call(Call.madvise, engineBase(), imageBytes(), 4);
}

/** Restores the memory's size and the stack pointer. */
export function shrink(): void {
  const pages = enginePages();
  if (pages > restPages) {
    call(Call.munmap, engineBase() + imageBytes(), <u64>(pages - restPages) * wasmPageBytes);
    write32(engineDescriptor() + 8, restPages);
  }
  stackPointer = restStackPointer;
}

/** Restores memory, its size and the stack pointer to the image's, after any run. */
export function reset(): void {
  shrink();
  call(Call.madvise, stackLimit(), stackTop() - stackKeptBytes - stackLimit(), 4);
  if (!tracked) return dropPages();
  const count = scan();
  if (count > mostPrivatePages) return dropPages();
  for (let i: u32 = 0; i < count; i++) {
    const at = <u64>listedPage(i) << 12;
    copy(engineBase() + at, frozenBase() + at, pageBytes);
  }
}

// Waiting machines. A berth's pages are a chain of slots; a slot is a page in the arena, which grows at the end of this module's memory.
// Slot tables: page number and next slot; a free slot is chained by `next` as well.
// @ts-ignore: decorator
@lazy const slotPage: usize = memory.data(131080, 8);
// @ts-ignore: decorator
@lazy const slotNext: usize = memory.data(131080, 8);
// A berth: first slot, memory pages, stack pointer, 0.
// @ts-ignore: decorator
@lazy const berths: usize = memory.data(65536, 8);

let arena: usize = 0;
let slots: u32 = 0;
let freeSlot: u32 = 0;
let usedSlots: u32 = 0;

export function waitingPages(): u32 {
  return usedSlots;
}

function takeSlot(): u32 {
  if (freeSlot === noSlot) {
    if (slots === mostSlots) return noSlot;
    const before = memory.grow(1);
    if (before < 0) return noSlot;
    if (arena === 0) arena = <usize>before * wasmPageBytes;
    for (let i: u32 = 0; i < pagesPerWasmPage; i++) {
      slots++;
      store<u32>(slotNext + (<usize>slots << 2), freeSlot);
      freeSlot = slots;
    }
  }
  const slot = freeSlot;
  freeSlot = load<u32>(slotNext + (<usize>slot << 2));
  usedSlots++;
  return slot;
}

function giveSlots(first: u32): void {
  while (first !== noSlot) {
    const next = load<u32>(slotNext + (<usize>first << 2));
    store<u32>(slotNext + (<usize>first << 2), freeSlot);
    freeSlot = first;
    first = next;
    usedSlots--;
  }
}

function slotAddress(slot: u32): u64 {
  return address(arena + (<usize>(slot - 1) << 12));
}

/** Forgets what a berth holds. */
export function drop(berth: u32): void {
  const at = berths + (<usize>berth << 4);
  const first = load<u32>(at);
  store<u32>(at, 0);
  giveSlots(first);
}

/** Keeps the machine in a berth; false when there is no room, or when it cannot be told what it wrote. */
export function hibernate(berth: u32): bool {
  return tracked && keep(berth, scan());
}

/** Puts a page on the list; false when it is full. */
export function listPage(index: u32, page: u32): bool {
  if (index >= mostListed) return false;
  store<u32>(listed + (<usize>index << 2), page);
  return true;
}

/** Keeps the machine, which has written the `count` pages that are listed, in a berth; false when there is no room. */
export function keep(berth: u32, count: u32): bool {
  if (count === 0 || count > mostListed) return false;
  let first = noSlot;
  for (let i: u32 = 0; i < count; i++) {
    const slot = takeSlot();
    if (slot === noSlot) {
      giveSlots(first);
      return false;
    }
    const page = listedPage(i);
    store<u32>(slotPage + (<usize>slot << 2), page);
    store<u32>(slotNext + (<usize>slot << 2), first);
    copy(slotAddress(slot), engineBase() + (<u64>page << 12), pageBytes);
    first = slot;
  }
  const at = berths + (<usize>berth << 4);
  store<u32>(at, first);
  store<u32>(at, enginePages(), 4);
  store<i32>(at, stackPointer, 8);
  return true;
}

function growEngine(pages: u32): bool {
  const at = engineBase() + <u64>enginePages() * wasmPageBytes;
  // As the engine's own memory.grow does: compiler/runtime/linux.ts.
  if (call(Call.mmap, at, <u64>pages * wasmPageBytes, 3, 0x4032, ~0, 0) < 0) return false;
  write32(engineDescriptor() + 8, enginePages() + pages);
  return true;
}

/** Puts a kept machine back into the pristine memory and frees its berth; false when the berth is empty. */
export function resume(berth: u32): bool {
  const at = berths + (<usize>berth << 4);
  const first = load<u32>(at);
  if (first === noSlot) return false;
  const more = load<u32>(at, 4) - enginePages();
  if (more > 0 && !growEngine(more)) return false;
  stackPointer = load<i32>(at, 8);
  for (let slot = first; slot !== noSlot; slot = load<u32>(slotNext + (<usize>slot << 2)))
    copy(engineBase() + (<u64>load<u32>(slotPage + (<usize>slot << 2)) << 12), slotAddress(slot), pageBytes);
  drop(berth);
  return true;
}
