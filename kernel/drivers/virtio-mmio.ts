/** virtio over memory-mapped registers, version 2 (Virtual I/O Device 1.2, 4.2.2). The command line names devices, or ACPI's tables do. */
import { findTableDevice, tableDeviceAt, tableDeviceLine } from "./acpi";
import { findWord, mostDevices, readEnd, readNumber } from "./command-line";
import { read32, write32 } from "./cpu";
import { reach } from "./reach";

const magic: u32 = 0x74726976; // "virt"
const registerBytes: u32 = 0x200;

const version: u32 = 4, deviceId: u32 = 8, featureSelect: u32 = 0x14, features: u32 = 0x10, wantedSelect: u32 = 0x24, wanted: u32 = 0x20;
const queueSelect: u32 = 0x30, queueMost: u32 = 0x34, queueSize: u32 = 0x38, queueReady: u32 = 0x44, status: u32 = 0x70;
const queueDescriptors: u32 = 0x80, queueAvailable: u32 = 0x90, queueUsed: u32 = 0xa0;
export const mmioNotify: u32 = 0x50, mmioInterrupts: u32 = 0x60, mmioAcknowledge: u32 = 0x64, mmioConfig: u32 = 0x100;

/** Results of `findMmio`: the registers, and the line of interrupts. */
export let foundMmio: u32 = 0;
export let foundLine: u32 = 0;
/** True if a device of the kind was seen that has only the registers of before version 1.0. */
export let foundLegacyMmio: bool = false;

function take(physical: u64, line: u32, kind: u32): bool {
  const at = reach(physical, registerBytes, true);
  if (at === 0 || read32(at) !== magic || read32(at + deviceId) !== kind) return false;
  if (read32(at + version) !== 2) {
    foundLegacyMmio = true;
    return false;
  }
  foundMmio = at;
  foundLine = line;
  return true;
}

/** Looks for the first device of a kind: `virtio_mmio.device=512@0xfeb00e00:12`, then what the tables list. */
export function findMmio(kind: u32): bool {
  for (let i: u32 = 0; i < mostDevices; i++) {
    let at = findWord("virtio_mmio.device=", i);
    if (at === 0) break;
    while (load<u8>(at) !== 64 && load<u8>(at) > 32) at++; // up to the @
    if (load<u8>(at) !== 64) continue;
    const base = readNumber(at + 1);
    if (load<u8>(readEnd) !== 58) continue; // the colon
    if (take(base, <u32>readNumber(readEnd + 1), kind)) return true;
  }
  for (let i: u32 = 0; i < mostDevices && findTableDevice(i); i++) if (take(<u64>tableDeviceAt, tableDeviceLine, kind)) return true;
  return false;
}

export function mmioFeatures(at: u32, word: u32): u32 {
  write32(at + featureSelect, word);
  return read32(at + features);
}
export function setMmioFeatures(at: u32, word: u32, value: u32): void {
  write32(at + wantedSelect, word);
  write32(at + wanted, value);
}
export function mmioStatus(at: u32): u32 {
  return read32(at + status);
}
export function setMmioStatus(at: u32, value: u32): void {
  write32(at + status, value);
}

export function setMmioQueue(at: u32, index: u32, length: u32, descriptors: u32, available: u32, used: u32): bool {
  write32(at + queueSelect, index);
  if (read32(at + queueMost) < length) return false;
  write32(at + queueSize, length);
  write32(at + queueDescriptors, descriptors);
  write32(at + queueDescriptors + 4, 0);
  write32(at + queueAvailable, available);
  write32(at + queueAvailable + 4, 0);
  write32(at + queueUsed, used);
  write32(at + queueUsed + 4, 0);
  write32(at + queueReady, 1);
  return true;
}
