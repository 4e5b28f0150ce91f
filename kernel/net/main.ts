/** The module on bare metal: a small gateway between an Ethernet device and the machine's slots. docs/STANDALONE.md draws where it runs. */
import { frameBytes } from "./limits";
import { remaining } from "./memory";
import { receiveFrame, runStack, startStack } from "./stack/mod";

// @ts-ignore: decorator
@lazy const frame: usize = memory.data(2048, 16);

/** Begins DHCP or uses the configured address, and listens. The MAC's first four and last two bytes, big endian. */
export function start(macHigh: u32, macLow: u32): void {
  startStack(macHigh, macLow, remaining() / 2);
}

/** Room for one incoming frame of at most 2,048 bytes, virtio's header left out. */
export function frameBuffer(): usize {
  return frame;
}

export function receive(length: u32): void {
  if (length <= frameBytes) receiveFrame(frame, length);
}

/** Runs what is due; returns when to call again, as `now()` counts, or u64.MAX_VALUE for never. A job may be ready afterwards. */
export function poll(): u64 {
  return runStack();
}
