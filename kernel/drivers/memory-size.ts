/** Size and limit of the running machine's memory, in units of 64 KiB, as the engine's memory.grow reads them. */
import { engineDescriptor } from "./cpu";

export function memoryUnits(): u32 { return load<u32>(<usize>engineDescriptor(), 8); }
export function memoryLimit(): u32 { return load<u32>(<usize>engineDescriptor(), 12); }
export function setMemory(units: u32, most: u32): void {
  store<u32>(<usize>engineDescriptor(), units, 8);
  store<u32>(<usize>engineDescriptor(), most, 12);
}
