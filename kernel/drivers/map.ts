/**
 * Where things lie when an image runs on bare metal. Read by the drivers (AssemblyScript) and by what writes the ELF (TypeScript).
 *
 *  physical = virtual, what the drivers see
 *    0x000000  4 KiB    not mapped: a null pointer faults
 *    0x001000           the firmware's: start info, command line                                  rw-
 *    0x100000  252 KiB  page tables, as the ELF brings them                                       rw-
 *    0x13f000    4 KiB  header of the image                                                       r--
 *    0x140000   32 KiB  static data of the drivers                                                rw-
 *    0x148000   32 KiB  slots of the machines that wait                                           rw-
 *    0x150000  192 KiB  buffers of the channel                                                    rw-
 *    0x180000  256 KiB  the stack's uppermost part                                                rw-
 *    0x1c0000           three stacks of the exceptions, 16 KiB each, an unmapped page below each  rw-
 *    0x1cf000    4 KiB  looks at the memory map first; not mapped
 *    0x200000           text r-x, constants r--, tables and globals rw-
 *                       list of pages, names of functions, frozen pages                           r--
 *                       free frames, up to 1 GiB                                                  rw-
 *  0xfe000000           devices: virtio-mmio, I/O APIC, local APIC                                rw- uncached
 *
 *  virtual only, below 4 GiB
 *  0xfde00000    2 MiB  whatever lies elsewhere and has to be read: devices, the firmware's tables, page 0 (reach.ts)
 *
 *  virtual only
 *   0x0e_0000_0000  64 MiB   the stack; frames come as it grows down, nothing is mapped below
 *   0x10_0000_0000   4 GiB   the engine's linear memory, and at least as much unmapped behind it
 *   0x14_0000_0000   4 GiB   the network module's linear memory, where the image serves by itself; as much unmapped behind it
 */
export const tablesAt = 0x100000;
export const tablesBytes = 0x3f000;
export const headerAt = 0x13f000;
export const driversAt = 0x140000;
export const driversBytes = 0x8000;
export const slotsAt = 0x148000;
export const incomingAt = 0x150000;
export const outgoingAt = 0x160000;
export const stackAt = 0x180000;
export const stackTopBytes = 0x40000;
export const faultStackAt = 0x1c1000;
export const doubleFaultStackAt = 0x1c6000;
export const exceptionStackAt = 0x1cb000;
export const exceptionStackBytes = 0x4000;
/** A page that looks at the memory map before anything else runs (compiler/runtime/memory-check.ts), in an image that serves by itself. */
export const checkAt = 0x1cf000;
export const textAt = 0x200000;
/** Memory above is not used. */
export const mostMemory = 0x40000000;
export const windowAt = 0xfde00000;
export const windowBytes = 0x200000;
export const devicesAt = 0xfe000000;
/** Addresses of the linear memories' windows, in units of 4 GiB: AssemblyScript's literals have 32 bits here. */
export const netWindow = 0x14;
export const pageBytes = 4096;
export const stackBytes = 0x4000000;

/** Frames of 4 KiB that machines need beside the network's: tables, stack, the pages of a small message. */
export const leastFrames = 200;

/** Fields of the header, by their offset. All u32. */
export const headerMagic = 0;
/** The engine's memory at rest, in pages of 4 KiB. */
export const headerRestPages = 4;
export const headerStackPointer = 8;
/** Address of a u32 for each page at rest: 0 for a zero page, else 1 + its number among the frozen ones. */
export const headerEntries = 12;
export const headerFrozen = 16;
export const headerFrozenCount = 20;
/** Address and number of the functions' names: address u32, length of the name u32, place of the name u32. */
export const headerSymbols = 24;
export const headerSymbolCount = 28;
/** Where free memory begins. */
export const headerFree = 32;
/** The page directory of the engine's window. */
export const headerEngineDirectory = 36;
/** The page table of the stack's uppermost 2 MiB, and the page directory above it. */
export const headerStackDirectory = 40;
/** The engine's memory at most, in pages of 64 KiB, when nobody says otherwise. */
export const headerLimit = 44;
/** The page table of the window at `windowAt`. */
export const headerWindowTable = 48;
/** The page directory of the network module's window; 0 where the ELF carries none. */
export const headerNetDirectory = 52;
/** The module's data at rest, from its address 0: where, and pages of 4 KiB. */
export const headerNetData = 56;
export const headerNetDataPages = 60;
/** The service as abi/service.ts writes it: where, and bytes. */
export const headerService = 64;
export const headerServiceBytes = 68;
export const magic = 0x5059464d; // "MFYP"
