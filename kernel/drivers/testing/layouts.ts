/** Drivers for tests, run in V8 on a board that the test lays out: what they make of start info, command line and devices of a hypervisor. */
import { endOfMemory, findModule, moduleAt as at, moduleBytes as bytes, startedByPvh } from "../boot-info";
import { beginDevice, deviceConfig, findDevice, makeQueue, notify, startDevice } from "../virtio";

export { beginDevice, deviceConfig, endOfMemory, findDevice, findModule, notify, startDevice, startedByPvh };

export function moduleAt(): u64 { return at; }
export function moduleBytes(): u64 { return bytes; }

// @ts-ignore: decorator
@lazy const queueMemory: usize = memory.data(464, 16);

/** A queue of 16 buffers; its address. */
export function queue(device: u32, index: u32): u32 {
  return makeQueue(device, index, <u32>queueMemory, 16);
}
