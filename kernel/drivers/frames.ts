/** Physical memory in frames of 4 KiB: what was never used, then what was given back, each naming the next in its first word. */
import { copy, fill } from "./cpu";
import { pageBytes } from "./map";
import { isEmulated } from "./processor";
import { print } from "./serial";
import { exit, exitNoMemory } from "./power";

let next: u32 = 0;
let end: u32 = 0;
let given: u32 = 0;
let free: u32 = 0;

export function startFrames(first: u32, limit: u32): void {
  next = (first + <u32>pageBytes - 1) & ~(<u32>pageBytes - 1);
  end = limit;
}

export function freeFrames(): u32 {
  return free + (next < end ? (end - next) / <u32>pageBytes : 0);
}

function exhausted(): void {
  print("mayfly: the machine has no more memory: give it more with -m\r\n");
  exit(exitNoMemory);
}

/** Several frames in a row, for tables; only before the first message, never given back. */
export function takeRow(frames: u32): u32 {
  if (next >= end || (end - next) / <u32>pageBytes < frames) exhausted();
  const first = next;
  next += frames * <u32>pageBytes;
  return first;
}

/** One frame, holding anything. Ends the machine when all are taken; limits are set so that one is free. */
export function takeFrame(): u32 {
  if (given === 0) return takeRow(1);
  const frame = given;
  given = load<u32>(<usize>frame);
  free--;
  return frame;
}

export function giveFrame(frame: u32): void {
  store<u32>(<usize>frame, given);
  given = frame;
  free++;
}

export function clearPage(at: usize): void {
  if (!isEmulated()) return fill(<u64>at, 0, <u64>pageBytes);
  for (let i: usize = 0; i < <usize>pageBytes; i += 32) {
    store<u64>(at + i, 0);
    store<u64>(at + i, 0, 8);
    store<u64>(at + i, 0, 16);
    store<u64>(at + i, 0, 24);
  }
}

/** As `copyBytes` (copy.ts), for whole pages at physical addresses. */
export function copyPage(to: usize, from: usize): void {
  if (!isEmulated()) return copy(<u64>to, <u64>from, <u64>pageBytes);
  for (let i: usize = 0; i < <usize>pageBytes; i += 32) {
    store<u64>(to + i, load<u64>(from + i));
    store<u64>(to + i, load<u64>(from + i, 8), 8);
    store<u64>(to + i, load<u64>(from + i, 16), 16);
    store<u64>(to + i, load<u64>(from + i, 24), 24);
  }
}
