/** The module on bare metal: a small gateway between an Ethernet device and the machine's slots. docs/STANDALONE.md draws where it runs. */
import { frameBytes } from "./limits";
import { remaining } from "./memory";
import { address, dns, gateway, prefixBits, prepareService, runService, sayAddress, startService } from "./service/mod";
import { ownAddress, receiveFrame, runStack, stackDue, startStack, useAddress } from "./stack/mod";

export { button, configBuffer, configure, done, effectsBuffer, nextJob } from "./service/mod";

// @ts-ignore: decorator
@lazy const frame: usize = memory.data(2048, 16);

/** Least memory of the stack for one connection: no stream has a greater number than fit in. */
const leastStreamBytes: u32 = 512;
const mostStreams: u32 = 65_535;

/**
 * Begins DHCP or uses the configured address, and listens; after `configure`. The MAC's first four and last two bytes, big endian. Ends the
 * machine with `off` where the configuration can't be served.
 */
export function start(macHigh: u32, macLow: u32): void {
  if (!prepareService()) return;
  if (address !== 0) useAddress(address, prefixBits, gateway, dns);
  const bytes = remaining() / 2;
  startStack(macHigh, macLow, bytes);
  if (!startService(min<u32>(bytes / leastStreamBytes, mostStreams))) return;
  isServing = true;
  told = ownAddress();
  sayAddress(told);
}

let isServing: bool = false;
/** The address that the log has. */
let told: u32 = 0;

/** Room for one incoming frame of at most 2,048 bytes, virtio's header left out. */
export function frameBuffer(): usize {
  return frame;
}

export function receive(length: u32): void {
  if (length <= frameBytes) receiveFrame(frame, length);
}

/** Runs what is due; returns when to call again, as `now()` counts, or u64.MAX_VALUE for never. A job may be ready afterwards. */
export function poll(): u64 {
  runStack();
  if (isServing && told !== ownAddress()) {
    told = ownAddress();
    sayAddress(told);
  }
  const service = runService();
  return min<u64>(service, stackDue()); // what the service has sent may have to be sent again
}
