/**
 * virtio over PCI, modern devices only (Virtual I/O Device 1.2, 4.1): capabilities say in which region and where the registers lie. Its
 * interrupts are messages to the local APIC (PCI Local Bus 3.0, 6.8.2), so that no table of lines has to be understood.
 */
import { read8, read16, read32, write8, write16, write32 } from "./cpu";
import { interruptVector } from "./exceptions";
import { enableFunction, findFunction, nextCapability, noFunction, reachBar, readConfig, readConfig8, writeConfig } from "./pci";

const vendor: u32 = 0x1af4;
const vendorCapability: u32 = 9, messagesCapability: u32 = 0x11;
const commonConfig: u32 = 1, notifyConfig: u32 = 2, deviceConfig: u32 = 4;
const enableMessages: u32 = 0x80000000, maskMessages: u32 = 0x40000000;
const localApicAddress: u32 = 0xfee00000;

// Registers of the common configuration (4.1.4.3).
const featureSelect: u32 = 0, features: u32 = 4, wantedSelect: u32 = 8, wanted: u32 = 12, status: u32 = 20;
const queueSelect: u32 = 22, queueSize: u32 = 24, queueMessage: u32 = 26, queueEnable: u32 = 28, queueNotify: u32 = 30, queueAreas: u32 = 32;

/** Results of `findPci`: the registers, the notifications and their stride, and the device's own configuration, 0 where it has none. */
export let foundCommon: u32 = 0;
export let foundNotify: u32 = 0;
export let foundStride: u32 = 0;
export let foundConfig: u32 = 0;
/** True if a device of the kind was seen that has only the registers of before version 1.0. */
export let foundLegacy: bool = false;

/** Device ids: 0x1040 + kind, or the one that devices with both kinds of registers have. */
function transitional(kind: u32): u32 {
  switch (kind) {
    case 1: return 0x1000;
    case 3: return 0x1003;
    case 4: return 0x1005;
    default: return 0x1040 + kind;
  }
}

function findRegisters(place: u32): bool {
  foundCommon = 0;
  foundNotify = 0;
  foundConfig = 0;
  for (let at = nextCapability(place, 0, vendorCapability); at !== 0; at = nextCapability(place, at, vendorCapability)) {
    const type = readConfig8(place, at + 3);
    if (type !== commonConfig && type !== notifyConfig && type !== deviceConfig) continue;
    const address = reachBar(place, readConfig8(place, at + 4), readConfig(place, at + 8), readConfig(place, at + 12));
    if (type === commonConfig && foundCommon === 0) foundCommon = address;
    if (type === deviceConfig && foundConfig === 0) foundConfig = address;
    if (type !== notifyConfig || foundNotify !== 0) continue;
    foundNotify = address;
    foundStride = readConfig(place, at + 16);
  }
  return foundCommon !== 0 && foundNotify !== 0;
}

/** Entry 0 of the table of messages: the vector that ends `hlt`. */
function enableMessage(place: u32): bool {
  const at = nextCapability(place, 0, messagesCapability);
  if (at === 0) return false;
  const table = readConfig(place, at + 4);
  const entry = reachBar(place, table & 7, table & 0xfffffff8, 16);
  if (entry === 0) return false;
  writeConfig(place, at, (readConfig(place, at) & ~maskMessages) | enableMessages);
  write32(entry, localApicAddress);
  write32(entry + 4, 0);
  write32(entry + 8, interruptVector);
  write32(entry + 12, 0);
  return true;
}

/** Looks for the first device of a kind on bus 0. */
export function findPci(kind: u32): bool {
  const modern = ((0x1040 + kind) << 16) | vendor, both = (transitional(kind) << 16) | vendor;
  for (let place = findFunction(0, modern, both); place !== noFunction; place = findFunction(place + 1, modern, both)) {
    enableFunction(place);
    if (findRegisters(place) && enableMessage(place)) return true;
    foundLegacy = true;
  }
  return false;
}

export function pciFeatures(common: u32, word: u32): u32 {
  write32(common + featureSelect, word);
  return read32(common + features);
}
export function setPciFeatures(common: u32, word: u32, value: u32): void {
  write32(common + wantedSelect, word);
  write32(common + wanted, value);
}
export function pciStatus(common: u32): u32 {
  return read8(common + status);
}
export function setPciStatus(common: u32, value: u32): void {
  write8(common + status, value);
}

/** Result of `setPciQueue`: where the queue is notified, in strides. */
export let queueNotifyAt: u32 = 0;

export function setPciQueue(common: u32, index: u32, length: u32, descriptors: u32, available: u32, used: u32): bool {
  write16(common + queueSelect, index);
  if (read16(common + queueSize) < length) return false;
  write16(common + queueSize, length);
  write16(common + queueMessage, 0);
  if (read16(common + queueMessage) !== 0) return false; // no vector left
  for (let part: u32 = 0; part < 3; part++) {
    write32(common + queueAreas + part * 8, part === 0 ? descriptors : part === 1 ? available : used);
    write32(common + queueAreas + part * 8 + 4, 0);
  }
  queueNotifyAt = read16(common + queueNotify);
  write16(common + queueEnable, 1);
  return true;
}
