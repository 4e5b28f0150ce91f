/**
 * Machines that wait while others run: their private frames, off the engine's page tables. Nothing is copied; parking and resuming
 * cost a table entry per page. The monitor numbers the slots and bounds what they hold.
 *
 *     slot   first list page u32 │ pages u32 │ memory size u32 │ stack pointer u32
 *     list   next list page u64 │ up to 511 × ( page u32 │ frame u32 )
 */
import { giveFrame, takeFrame } from "./frames";
import { slotsAt } from "./map";
import { memoryLimit, memoryUnits, setMemory } from "./memory-size";
import { stackPointer } from "./engine";

export const slots: u32 = 1024;
export const noSlot: u32 = 0xffff;
const slotBytes: usize = 24;
const perList: u32 = 511;

// @ts-ignore: decorator
@inline function slotAt(slot: u32): usize { return <usize>slotsAt + <usize>slot * slotBytes; }

/** Opens an empty slot and keeps what is not pages. */
export function openSlot(slot: u32): void {
  const at = slotAt(slot);
  store<u32>(at, 0);
  store<u32>(at, 0, 4);
  store<u32>(at, memoryUnits(), 8);
  store<u32>(at, stackPointer, 12);
  store<u32>(at, memoryLimit(), 16);
}

/** Puts a page and its frame into the slot. */
export function keepPage(slot: u32, page: u32, frame: u32): void {
  const at = slotAt(slot);
  const count = load<u32>(at, 4);
  const place = count % perList;
  if (place === 0) {
    const list = takeFrame();
    store<u64>(<usize>list, <u64>load<u32>(at));
    store<u32>(at, list);
  }
  const entry = <usize>load<u32>(at) + 8 + (<usize>place << 3);
  store<u32>(entry, page);
  store<u32>(entry, frame, 4);
  store<u32>(at, count + 1, 4);
}

/** Result of `takePage`. */
export let takenPage: u32 = 0;
export let takenFrame: u32 = 0;

/** Takes the page put in last; false when the slot is empty. */
export function takePage(slot: u32): bool {
  const at = slotAt(slot);
  const count = load<u32>(at, 4);
  if (count === 0) return false;
  const list = load<u32>(at);
  const place = (count - 1) % perList;
  const entry = <usize>list + 8 + (<usize>place << 3);
  takenPage = load<u32>(entry);
  takenFrame = load<u32>(entry, 4);
  store<u32>(at, count - 1, 4);
  if (place === 0) {
    store<u32>(at, load<u32>(<usize>list));
    giveFrame(list);
  }
  return true;
}

/** Makes size and stack pointer the slot's again. */
export function restoreRest(slot: u32): void {
  const at = slotAt(slot);
  setMemory(load<u32>(at, 8), load<u32>(at, 16));
  stackPointer = load<u32>(at, 12);
}

/** Gives back whatever the slot holds. */
export function releaseSlot(slot: u32): void {
  while (takePage(slot)) giveFrame(takenFrame);
}
