/** The memory of the network's module: a window of its own, mapped once at the start. */
import { call, Call, read32, write32 } from "../cpu";
import { netBase, netDescriptor } from "./net";
import { netPages } from "./limits";
import { fault, faultMemory } from "./faults";

/** Maps what the executable has not. */
export function startNetMemory(): void {
  const pages = read32(netDescriptor() + 8);
  const at = netBase() + (<u64>pages << 16);
  if (call(Call.mmap, at, <u64>(netPages - pages) << 16, 3, 0x4032, ~0, 0) < 0) fault(faultMemory);
  write32(netDescriptor() + 8, netPages);
  write32(netDescriptor() + 12, netPages);
}

/** True if `length` bytes from an address of the module lie in its memory. */
export function inNet(at: u32, length: u32): bool {
  return <u64>at + length <= <u64>netPages << 16;
}
