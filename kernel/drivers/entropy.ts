/**
 * The entropy device (Virtual I/O Device 1.2, 5.4), where there is one: a second opinion on the seeds of messages. Nothing of it gets
 * into a machine, which is a function of image and events alone; what it finds is said on the console, and the message runs as it would.
 */
import {
  beginDevice, findDevice, makeQueue, notify, offer, queueBytes, setInterrupting, startDevice, usedCount, usedLength,
} from "./virtio";
import { read32Far, read64Far } from "./cpu";
import { printLine } from "./serial";

const entropyDevice: u32 = 4;
const seedBytes: u32 = 32;
/** QEMU's device has eight at most. */
const entropyBuffers: u32 = 8;
/** Looks at the device before it is given up; QEMU answers within some thousands. */
const mostLooks: u32 = 10_000_000;

// @ts-ignore: decorator
@lazy const queueMemory: usize = memory.data(queueBytes, 16);
// @ts-ignore: decorator
@lazy const drawn: usize = memory.data(32, 16);
// @ts-ignore: decorator
@lazy const previous: usize = memory.data(32, 16);

/** True if there is a device that gave something; without one nothing is checked. */
export let entropyWorks: bool = false;
let told: bool = false;

/** Draws once; false when there is no device, or it gives nothing, or nothing but zeroes. */
function drawOnce(): bool {
  const device = findDevice(entropyDevice);
  if (device === 0 || !beginDevice(device, 0)) return false;
  const queue = makeQueue(device, 0, <u32>queueMemory, entropyBuffers);
  if (queue === 0) return false;
  startDevice(device);
  setInterrupting(queue, false);
  offer(queue, 0, <u32>drawn, seedBytes, true, 0);
  notify(device, 0);
  for (let look: u32 = 0; look < mostLooks && usedCount(queue) === 0; look++) {}
  if (usedCount(queue) !== 0 && usedLength(queue, 0) === seedBytes && !allZero(<u64>drawn)) return true;
  printLine("mayfly: the entropy device gives nothing, or nothing but zeroes");
  return false;
}

/** Draws as much as a seed once, so that there is something to hold seeds against. */
export function startEntropy(): void {
  entropyWorks = drawOnce();
}

/** 32 bytes of the device's, for a generator's key; false when it gives none. */
export function drawSeed(to: usize): bool {
  if (!drawOnce()) return false;
  memory.copy(to, drawn, seedBytes);
  memory.fill(drawn, 0, seedBytes);
  return true;
}

function allZero(at: u64): bool {
  return (read64Far(at) | read64Far(at + 8) | read64Far(at + 16) | read64Far(at + 24)) === 0;
}

function same(at: u64, other: usize): bool {
  for (let i: usize = 0; i < seedBytes; i += 8) if (read64Far(at + i) !== load<u64>(other + i)) return false;
  return true;
}

/** Where the seed lies in the frame of a `deliver` event: its second part, behind a number (abi/events.ts, abi/frame.ts). */
const recordAt: u64 = 8;
const lengthsAt: u64 = recordAt + 4;
const deliverParts: u64 = 9;
const seedAt: u64 = lengthsAt + deliverParts * 4 + 8;

/** Looks at the seed of a message that is about to run. Says what is wrong once in a machine's life. */
export function checkSeed(frame: u64, length: u32): void {
  if (!entropyWorks || told || <u64>length < seedAt + seedBytes || read32Far(frame + lengthsAt) !== 8 || read32Far(frame + lengthsAt + 4) !== seedBytes) return;
  const seed = frame + seedAt;
  told = true;
  if (allZero(seed)) printLine("mayfly: the seed of a message is all zeroes");
  else if (same(seed, previous)) printLine("mayfly: two messages in a row have the same seed");
  else if (same(seed, drawn)) printLine("mayfly: the seed of a message is what the entropy device gave");
  else told = false;
  for (let i: usize = 0; i < seedBytes; i += 8) store<u64>(previous + i, read64Far(seed + i));
}
