/**
 * virtio: devices by memory-mapped registers or by PCI, and their split queues (Virtual I/O Device 1.2, 2.7). A queue of n buffers is
 *
 *     u32 n, 16 bytes │ descriptors, 16 n │ available ring, 6 + 2 n │ used ring, 6 + 8 n, at a multiple of 4
 *
 * known by the address of its descriptors, and a device by the address of its record:
 *
 *     u32 registers │ u32 1 with PCI │ u32 line, without │ u32 its configuration │ u32 × 6 where each queue is notified
 */
import { fence, read16, read32, write16, write32, write64 } from "./cpu";
import { enableLine } from "./interrupts";
import {
  findMmio, foundLegacyMmio, foundLine, foundMmio, mmioAcknowledge, mmioConfig, mmioFeatures, mmioInterrupts, mmioNotify, mmioStatus,
  setMmioFeatures, setMmioQueue, setMmioStatus,
} from "./virtio-mmio";
import {
  findPci, foundCommon, foundConfig, foundLegacy, foundNotify, foundStride, pciFeatures, pciStatus, queueNotifyAt, setPciFeatures, setPciQueue,
  setPciStatus,
} from "./virtio-pci";

const queueHeadBytes: u32 = 16;
/** Length of the queues whose buffers are static. */
export const queueLength: u32 = 16;
/** Bytes of such a queue, and of one of `length` buffers. */
export const queueBytes: i32 = 464;
export function bytesOfQueue(length: u32): u32 {
  return queueHeadBytes + 16 * length + ((6 + 2 * length + 3) & ~3) + 6 + 8 * length;
}

const version1: u32 = 1; // bit 32 of the features
const acknowledge: u32 = 1,
  driver: u32 = 2,
  driverOk: u32 = 4,
  featuresOk: u32 = 8;

/** Devices that are in use at most: the network, the console or channel, and the entropy device. */
const mostInUse: u32 = 3;
const recordBytes: u32 = 48;
const mostQueues: u32 = 6;
const atKind: usize = 4, atLine: usize = 8, atConfig: usize = 12, atNotify: usize = 16;
// @ts-ignore: decorator
@lazy const records: usize = memory.data(144, 16);
let inUse: u32 = 0;

// @ts-ignore: decorator
@inline function registers(device: u32): u32 { return load<u32>(<usize>device); }
// @ts-ignore: decorator
@inline function isPci(device: u32): bool { return load<u32>(<usize>device, atKind) !== 0; }
// @ts-ignore: decorator
@inline function lengthOf(queue: u32): u32 { return load<u32>(<usize>(queue - queueHeadBytes)); }
// @ts-ignore: decorator
@inline function availableAt(queue: u32): u32 { return queue + 16 * lengthOf(queue); }
// @ts-ignore: decorator
@inline function usedAt(queue: u32): u32 { return queue + 16 * lengthOf(queue) + ((6 + 2 * lengthOf(queue) + 3) & ~3); }

/** The first device of a kind, or 0. */
export function findDevice(kind: u32): u32 {
  if (inUse === mostInUse) return 0;
  const device = <u32>records + inUse * recordBytes;
  const record = <usize>device;
  if (findMmio(kind)) {
    store<u32>(record, foundMmio);
    store<u32>(record, 0, atKind);
    store<u32>(record, foundLine, atLine);
    store<u32>(record, foundMmio + mmioConfig, atConfig);
    for (let i: u32 = 0; i < mostQueues; i++) store<u32>(record + (i << 2), foundMmio + mmioNotify, atNotify);
  } else if (findPci(kind)) {
    store<u32>(record, foundCommon);
    store<u32>(record, 1, atKind);
    store<u32>(record, foundConfig, atConfig);
  } else return 0;
  inUse++;
  return device;
}

/** True if a device was seen that is of before version 1.0 and can't be used. */
export function sawLegacyDevice(): bool {
  return foundLegacyMmio || foundLegacy;
}

/** Address of the device's own configuration. */
export function deviceConfig(device: u32): u32 {
  return load<u32>(<usize>device, atConfig);
}

/** The device's lower 32 feature bits. */
export function deviceFeatures(device: u32): u32 {
  return isPci(device) ? pciFeatures(registers(device), 0) : mmioFeatures(registers(device), 0);
}

function setFeatures(device: u32, word: u32, value: u32): void {
  if (isPci(device)) setPciFeatures(registers(device), word, value);
  else setMmioFeatures(registers(device), word, value);
}

function setStatus(device: u32, value: u32): void {
  if (isPci(device)) setPciStatus(registers(device), value);
  else setMmioStatus(registers(device), value);
}

/** Up to the point where queues may be set, with the lower features `wanted`; false when the device does not agree. */
export function beginDevice(device: u32, wanted: u32): bool {
  setStatus(device, 0);
  setStatus(device, acknowledge);
  setStatus(device, acknowledge | driver);
  setFeatures(device, 0, wanted);
  setFeatures(device, 1, version1);
  setStatus(device, acknowledge | driver | featuresOk);
  return ((isPci(device) ? pciStatus(registers(device)) : mmioStatus(registers(device))) & featuresOk) !== 0;
}

/** Makes a queue of `length` buffers, a power of two, of zeroed memory: returns it, or 0 when the device has no room for it. */
export function makeQueue(device: u32, index: u32, memory: u32, length: u32): u32 {
  const queue = memory + queueHeadBytes;
  store<u32>(<usize>memory, length);
  const pci = isPci(device);
  const available = availableAt(queue), used = usedAt(queue);
  if (!(pci ? setPciQueue(registers(device), index, length, queue, available, used) : setMmioQueue(registers(device), index, length, queue, available, used)))
    return 0;
  if (pci) store<u32>(<usize>device + (index << 2), foundNotify + queueNotifyAt * foundStride, atNotify);
  return queue;
}

export function startDevice(device: u32): void {
  setStatus(device, acknowledge | driver | featuresOk | driverOk);
}

/** Lets the device's interrupts through. */
export function enableInterrupts(device: u32): void {
  if (isPci(device)) return; // messages come as they are
  quiet(device);
  enableLine(load<u32>(<usize>device, atLine));
}

/** Tells the device that the queue has something for it. */
export function notify(device: u32, index: u32): void {
  const at = load<u32>(<usize>device + (index << 2), atNotify);
  if (isPci(device)) write16(at, index);
  else write32(at, index);
}

/** As `notify`, unless the device says that it looks at the queue anyway (2.7.10). */
export function notifyIfWanted(device: u32, index: u32, queue: u32): void {
  if ((read16(usedAt(queue)) & 1) === 0) notify(device, index);
}

/** Takes the device's interrupt back, so that it can raise another. */
export function quiet(device: u32): void {
  if (isPci(device)) return;
  const at = registers(device);
  write32(at + mmioAcknowledge, read32(at + mmioInterrupts));
}

/** True if the device may interrupt for this queue. */
export function setInterrupting(queue: u32, wanted: bool): void {
  write16(availableAt(queue), wanted ? 0 : 1);
}

/** Offers buffer number `index` to the device as the `count`th since the start. */
export function offer(queue: u32, index: u32, address: u32, length: u32, forDevice: bool, count: u32): void {
  const descriptor = queue + index * 16;
  const available = availableAt(queue);
  write64(descriptor, <u64>address);
  write32(descriptor + 8, length);
  write32(descriptor + 12, forDevice ? 2 : 0); // VIRTQ_DESC_F_WRITE, no next
  write16(available + 4 + (count & (lengthOf(queue) - 1)) * 2, index);
  fence();
  write16(available + 2, count + 1);
  fence();
}

/** How many buffers the device has used since the start, modulo 2¹⁶. */
export function usedCount(queue: u32): u32 {
  return read16(usedAt(queue) + 2);
}
/** Number of the `count`th used buffer. */
export function usedIndex(queue: u32, count: u32): u32 {
  return read32(usedAt(queue) + 4 + (count & (lengthOf(queue) - 1)) * 8);
}
/** Bytes the device wrote into it. */
export function usedLength(queue: u32, count: u32): u32 {
  return read32(usedAt(queue) + 8 + (count & (lengthOf(queue) - 1)) * 8);
}
