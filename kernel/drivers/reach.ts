/**
 * Physical memory outside of what the ELF maps: a window of 2 MiB shows it page by page, never taken back. So an address that a hypervisor
 * chooses, above 4 GiB or in page 0, becomes one of the drivers' own, and null pointers go on faulting.
 */
import { invlpg } from "./cpu";
import { devicesAt, headerAt, headerWindowTable, mostMemory, pageBytes, windowAt, windowBytes } from "./map";

const present: u64 = 1, writable: u64 = 2, uncached: u64 = 0x18, noExecute: u64 = 1 << 63;
const mostAddress: u64 = 1 << 52;

let used: u32 = 0;

function isMapped(from: u64, end: u64): bool {
  return (from >= <u64>pageBytes && end <= <u64>mostMemory) || (from >= <u64>devicesAt && end <= <u64>1 << 32);
}

/** An address for physical memory; 0 when the window is full. `device`: writable and uncached; otherwise it can be read only. */
export function reach(physical: u64, bytes: u32, device: bool): u32 {
  const end = physical + bytes;
  if (end < physical || end > mostAddress) return 0;
  if (isMapped(physical, end)) return <u32>physical;
  const first = physical & ~(<u64>pageBytes - 1);
  const pages = <u32>((end - first + pageBytes - 1) / pageBytes);
  if (pages > <u32>windowBytes / pageBytes - used) return 0;
  const table = <usize>load<u32>(<usize>headerAt, headerWindowTable);
  const at: u32 = <u32>windowAt + used * pageBytes;
  for (let page: u32 = 0; page < pages; page++, used++) {
    store<u64>(table + (<usize>used << 3), (first + <u64>page * pageBytes) | present | noExecute | (device ? writable | uncached : 0));
    invlpg(<u64>at + <u64>page * pageBytes);
  }
  return at + <u32>(physical - first);
}
