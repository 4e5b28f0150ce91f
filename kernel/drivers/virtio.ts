/**
 * virtio over memory-mapped registers, version 2, and its split queues (Virtual I/O Device 1.2, 4.2 and 2.7).
 * A queue is
 *
 *     0 descriptors, 16 × 16 bytes │ 256 available ring, 6 + 2 × 16 │ 304 used ring, 6 + 8 × 16
 */
import { fence, read16, read32, write16, write32, write64 } from "./cpu";
import { findWord, mostDevices, readEnd, readNumber } from "./command-line";

export const queueLength: u32 = 16;
export const queueBytes: i32 = 448;
const availableAt: u32 = 256;
const usedAt: u32 = 304;

const magic: u32 = 0x74726976; // "virt"
const version1: u32 = 1; // bit 32 of the features
const acknowledge: u32 = 1,
  driver: u32 = 2,
  driverOk: u32 = 4,
  featuresOk: u32 = 8;
/** Addresses a device may have: the last 32 MiB below 4 GiB, which are mapped for that. Firecracker's lie below. */
const lowestDevice: u64 = 0xfe000000;

/** Result of `findDevice`. */
export let deviceBase: u32 = 0;
export let deviceLine: u32 = 0;

/** Looks for the device of a kind among those the command line names: `virtio_mmio.device=512@0xfeb00e00:12`. */
export function findDevice(kind: u32): bool {
  for (let i: u32 = 0; i < mostDevices; i++) {
    let at = findWord("virtio_mmio.device=", i);
    if (at === 0) return false;
    while (load<u8>(at) !== 64 && load<u8>(at) > 32) at++; // up to the @
    if (load<u8>(at) !== 64) continue;
    const base = readNumber(at + 1);
    if (load<u8>(readEnd) !== 58 || base < lowestDevice || base > 0xfffff000) continue; // the colon
    const line = <u32>readNumber(readEnd + 1);
    if (read32(<u32>base) !== magic || read32(<u32>base + 4) !== 2 || read32(<u32>base + 8) !== kind) continue;
    deviceBase = <u32>base;
    deviceLine = line;
    return true;
  }
  return false;
}

/** The device's lower 32 feature bits. */
export function deviceFeatures(base: u32): u32 {
  write32(base + 0x14, 0);
  return read32(base + 0x10);
}

/** Up to the point where queues may be set, with the lower features `wanted`; false when the device does not agree. */
export function beginDevice(base: u32, wanted: u32): bool {
  write32(base + 0x70, 0);
  write32(base + 0x70, acknowledge);
  write32(base + 0x70, acknowledge | driver);
  write32(base + 0x24, 0);
  write32(base + 0x20, wanted);
  write32(base + 0x24, 1);
  write32(base + 0x20, version1);
  write32(base + 0x70, acknowledge | driver | featuresOk);
  return (read32(base + 0x70) & featuresOk) !== 0;
}

export function setQueue(base: u32, index: u32, queue: u32): bool {
  write32(base + 0x30, index);
  if (read32(base + 0x34) < queueLength) return false;
  write32(base + 0x38, queueLength);
  write32(base + 0x80, queue);
  write32(base + 0x84, 0);
  write32(base + 0x90, queue + availableAt);
  write32(base + 0x94, 0);
  write32(base + 0xa0, queue + usedAt);
  write32(base + 0xa4, 0);
  write32(base + 0x44, 1);
  return true;
}

export function startDevice(base: u32): void {
  write32(base + 0x70, acknowledge | driver | featuresOk | driverOk);
}

/** Tells the device that the queue has something for it. */
export function notify(base: u32, index: u32): void {
  write32(base + 0x50, index);
}

/** Takes the device's interrupt back, so that it can raise another. */
export function quiet(base: u32): void {
  write32(base + 0x64, read32(base + 0x60));
}

/** True if the device may interrupt for this queue. */
export function setInterrupting(queue: u32, wanted: bool): void {
  write16(queue + availableAt, wanted ? 0 : 1);
}

/** Offers buffer number `index` to the device as the `count`th since the start. */
export function offer(queue: u32, index: u32, address: u32, length: u32, forDevice: bool, count: u32): void {
  const descriptor = queue + index * 16;
  write64(descriptor, <u64>address);
  write32(descriptor + 8, length);
  write32(descriptor + 12, forDevice ? 2 : 0); // VIRTQ_DESC_F_WRITE, no next
  write16(queue + availableAt + 4 + (count % queueLength) * 2, index);
  fence();
  write16(queue + availableAt + 2, count + 1);
  fence();
}

/** How many buffers the device has used since the start, modulo 2¹⁶. */
export function usedCount(queue: u32): u32 {
  return read16(queue + usedAt + 2);
}
/** Number of the `count`th used buffer. */
export function usedIndex(queue: u32, count: u32): u32 {
  return read32(queue + usedAt + 4 + (count % queueLength) * 8);
}
/** Bytes the device wrote into it. */
export function usedLength(queue: u32, count: u32): u32 {
  return read32(queue + usedAt + 8 + (count % queueLength) * 8);
}
