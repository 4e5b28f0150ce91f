/**
 * Image → one ELF that QEMU boots directly, by PVH (Xen's docs/misc/pvh.pandoc). Nothing is compiled or linked here: the
 * program comes from the build, and what is the image's own lies behind it.
 *
 *     page tables │ header │ drivers' data │ stacks │ text, constants, data, zeroes │ list of pages │ names │ network's data, service │ frozen pages
 *     kernel/drivers/map.ts has the addresses
 */
import { assert, CodedError, toUtf8 } from "#base";
import { type LoadSegment, memoryCheck, type Note, type Program, writeElf } from "#compiler";
import { machineMap as map, netModule } from "#kernel";
import type { ExecutableSettings } from "./executable.ts";
import type { Image } from "./file.ts";
import { kernelOf, linkedKernelOf } from "./kernel.ts";
import { metalProgram } from "./metal.ts";
import { PageTables, type Region } from "./page-tables.ts";

const { pageBytes } = map;
/** XEN_ELFNOTE_PHYS32_ENTRY (Xen, xen/include/public/elfnote.h). */
const physicalEntryNote = 18;
/** exitNoMemory of kernel/drivers/power.ts. */
const noMemoryCode = 0x50;
const alignUp = (value: number): number => Math.ceil(value / pageBytes) * pageBytes;

/** Regions after the program's zeroes, one after another on pages of their own. */
interface Layout {
  readonly entriesAt: number;
  readonly entries: Uint8Array;
  readonly namesAt: number;
  readonly names: Uint8Array;
  readonly nameCount: number;
  readonly netDataAt: number;
  readonly netData: Uint8Array;
  readonly serviceAt: number;
  readonly frozenAt: number;
  readonly freeAt: number;
}

/** Functions' names sorted by address: address u32, length u32, place u32 each, then the text. */
function functionNames(program: Program, address: number): { readonly bytes: Uint8Array; readonly count: number } {
  const functions = program.linked.symbols.filter(({ kind }) => kind === "function").sort((a, b) => a.address - b.address);
  const texts = functions.map(({ name }) => toUtf8(name));
  const tableBytes = 12 * functions.length;
  const bytes = new Uint8Array(tableBytes + texts.reduce((sum, text) => sum + text.length, 0));
  const view = new DataView(bytes.buffer);
  let at = tableBytes;
  for (const [index, text] of texts.entries()) {
    view.setUint32(12 * index, functions[index]?.address ?? 0, true);
    view.setUint32(12 * index + 4, text.length, true);
    view.setUint32(12 * index + 8, address + at, true);
    bytes.set(text, at);
    at += text.length;
  }
  return { bytes, count: functions.length };
}

/** For each page at rest: 0 when it is zero, else 1 + its number among the frozen. */
function pageEntries(image: Image): Uint8Array {
  const bytes = new Uint8Array(4 * restPages(image));
  const view = new DataView(bytes.buffer);
  for (const [index, page] of image.pageNumbers.entries()) view.setUint32(4 * page, index + 1, true);
  return bytes;
}

function restPages(image: Image): number {
  return image.manifest.memoryPages * 16;
}

/** The network module's static data, from its address 0, in whole pages; nothing where the program has no such module. */
function netData(program: Program): Uint8Array {
  const initial = program.memories.find(({ module }) => module === "net")?.initial ?? [];
  const out = new Uint8Array(alignUp(Math.max(0, ...initial.map(({ offset, bytes }) => offset + bytes.length))));
  for (const { offset, bytes } of initial) out.set(bytes, offset);
  return out;
}

function layOut(program: Program, image: Image, service: Uint8Array): Layout {
  const end = Math.max(...program.linked.segments.map(({ address, memoryBytes }) => address + memoryBytes));
  const entriesAt = alignUp(end);
  const entries = pageEntries(image);
  const namesAt = entriesAt + alignUp(entries.length);
  const { bytes: names, count: nameCount } = functionNames(program, namesAt);
  const netDataAt = namesAt + alignUp(names.length);
  const data = netData(program);
  const serviceAt = netDataAt + data.length;
  const frozenAt = serviceAt + alignUp(service.length);
  const freeAt = frozenAt + image.pages.length;
  return { entriesAt, entries, namesAt, names, nameCount, netDataAt, netData: data, serviceAt, frozenAt, freeAt };
}

const region = (from: number, bytes: number, more: Partial<Region> = {}): Region => ({
  virtual: BigInt(from),
  physical: BigInt(from),
  bytes: BigInt(alignUp(bytes)),
  ...more,
});

function regions(program: Program, lay: Layout): Region[] {
  const writable = { writable: true };
  const stacks = [map.faultStackAt, map.doubleFaultStackAt, map.exceptionStackAt];
  return [
    region(pageBytes, map.headerAt - pageBytes, writable),
    region(map.headerAt, pageBytes),
    region(map.driversAt, map.stackAt + map.stackTopBytes - map.driversAt, writable),
    ...stacks.map((at) => region(at, map.exceptionStackBytes, writable)),
    ...program.linked.segments
      .filter(({ memoryBytes }) => memoryBytes > 0)
      .map(({ name, address, memoryBytes }) =>
        region(address, memoryBytes, { writable: name === "data" || name === "bss", executable: name === "text" }),
      ),
    region(lay.entriesAt, lay.freeAt - lay.entriesAt),
    region(lay.freeAt, map.mostMemory - lay.freeAt, writable),
    region(map.devicesAt, 2 ** 32 - map.devicesAt, { writable: true, uncached: true }),
    {
      virtual: program.stack.limit + BigInt(program.stack.bytes - map.stackTopBytes),
      physical: BigInt(map.stackAt),
      bytes: BigInt(map.stackTopBytes),
      writable: true,
    },
  ];
}

/** Physical addresses of tables that the drivers fill. */
interface Directories {
  readonly engine: bigint;
  readonly stack: bigint;
  readonly window: bigint;
  /** Absent where the program has no network. */
  readonly net: bigint | undefined;
}

function directories(program: Program, tables: PageTables): Directories {
  const base = (name: string): bigint | undefined => program.memories.find(({ module }) => module === name)?.base;
  const [engine, net] = [base("engine"), base("net")];
  assert(engine !== undefined, "the program has an engine");
  return {
    engine: tables.tableFor(engine, 2),
    stack: tables.tableFor(program.stack.limit, 2),
    window: tables.tableFor(BigInt(map.windowAt), 1),
    net: net === undefined ? undefined : tables.tableFor(net, 2),
  };
}

function header(image: Image, lay: Layout, tables: Directories, service: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(pageBytes);
  const view = new DataView(bytes.buffer);
  const set = (field: number, value: number | bigint): void => view.setUint32(field, Number(value), true);
  set(map.headerMagic, map.magic);
  set(map.headerRestPages, restPages(image));
  set(map.headerStackPointer, image.manifest.stackPointer);
  set(map.headerEntries, lay.entriesAt);
  set(map.headerFrozen, lay.frozenAt);
  set(map.headerFrozenCount, image.pageNumbers.length);
  set(map.headerSymbols, lay.namesAt);
  set(map.headerSymbolCount, lay.nameCount);
  set(map.headerFree, lay.freeAt);
  set(map.headerEngineDirectory, tables.engine);
  set(map.headerStackDirectory, tables.stack);
  set(map.headerWindowTable, tables.window);
  set(map.headerNetDirectory, tables.net ?? 0);
  set(map.headerNetData, lay.netDataAt);
  set(map.headerNetDataPages, lay.netData.length / pageBytes);
  set(map.headerService, lay.serviceAt);
  set(map.headerServiceBytes, service.length);
  set(map.headerLimit, Math.floor(image.manifest.limits.memoryBytes / 65_536));
  return bytes;
}

/** The drivers' static data, from the start of their part of the memory to its end. */
function driversData(program: Program): Uint8Array {
  const initial = program.memories.find(({ module }) => module === "drivers")?.initial ?? [];
  const end = Math.max(0, ...initial.map(({ offset, bytes }) => offset + bytes.length - map.driversAt));
  if (end > map.driversBytes)
    throw new CodedError("MF_LINK_LIMIT", "the drivers' static data does not fit into its place: make map.ts's driversBytes larger");
  const out = new Uint8Array(end);
  for (const { offset, bytes } of initial) {
    assert(offset >= map.driversAt, "the drivers' data begins where map.ts says");
    out.set(bytes, offset - map.driversAt);
  }
  return out;
}

const isZero = (page: Uint8Array): boolean => page.every((byte) => byte === 0);

/** Whole pages without those that are zero: each run of others is a part, which in memory reaches to the next. */
function parts(bytes: Uint8Array): { readonly offset: number; readonly bytes: Uint8Array; readonly memoryBytes: number }[] {
  const zero = Array.from({ length: bytes.length / pageBytes }, (_, page) =>
    isZero(bytes.subarray(page * pageBytes, (page + 1) * pageBytes)),
  );
  const starts = zero.flatMap((empty, page) => (page === 0 || (!empty && zero[page - 1] === true) ? [page] : []));
  return starts.map((start, index) => {
    const next = starts[index + 1] ?? zero.length;
    const gap = zero.indexOf(true, start + 1);
    const end = gap === -1 || gap > next ? next : gap;
    return {
      offset: start * pageBytes,
      bytes: bytes.subarray(start * pageBytes, end * pageBytes),
      memoryBytes: (next - start) * pageBytes,
    };
  });
}

/** Parts of the executable that are laid out before it is. */
interface Prelude {
  readonly lay: Layout;
  readonly tables: Uint8Array;
  readonly head: Uint8Array;
  readonly service: Uint8Array;
}

function loadSegments(program: Program, image: Image, { lay, tables, head, service }: Prelude): LoadSegment[] {
  const segment = (
    name: string,
    at: number,
    bytes: Uint8Array,
    memoryBytes = bytes.length,
    writable = false,
    executable = false,
  ): LoadSegment => ({
    name,
    address: BigInt(at),
    bytes,
    memoryBytes,
    writable,
    executable,
  });
  return [
    ...parts(tables).map(({ offset, bytes, memoryBytes }) => segment("tables", map.tablesAt + offset, bytes, memoryBytes, true)),
    segment("header", map.headerAt, head),
    segment("drivers", map.driversAt, driversData(program), map.textAt - map.driversAt, true),
    ...program.linked.segments
      .filter(({ memoryBytes }) => memoryBytes > 0)
      .map(({ name, address, bytes, memoryBytes }) =>
        segment(name, address, bytes, memoryBytes, name === "data" || name === "bss", name === "text"),
      ),
    segment("entries", lay.entriesAt, lay.entries),
    segment("names", lay.namesAt, lay.names),
    ...parts(lay.netData).map(({ offset, bytes, memoryBytes }) => segment("net", lay.netDataAt + offset, bytes, memoryBytes)),
    ...(service.length === 0 ? [] : [segment("service", lay.serviceAt, service)]),
    ...(image.pages.length === 0 ? [] : [segment("frozen", lay.frozenAt, image.pages)]),
  ];
}

/** The page that says if there is too little memory, where the program itself would lie beyond it. */
function checkSegment(program: Program, lay: Layout): LoadSegment {
  const netPages = program.memories.find(({ module }) => module === "net")?.minimumPages ?? 0;
  const needed = alignUp(lay.freeAt) + (map.leastFrames + 16 * netPages) * pageBytes;
  const bytes = memoryCheck({
    address: map.checkAt,
    needed,
    entry: Number(program.entry),
    sentence: `mayfly: too little memory: it needs ${Math.ceil(needed / 2 ** 20)} MiB: give it more with -m`,
    exitCode: noMemoryCode,
  });
  return { name: "check", address: BigInt(map.checkAt), bytes, memoryBytes: pageBytes, writable: false, executable: true };
}

export interface PvhSettings extends ExecutableSettings {
  /** A program that is linked already. */
  readonly program?: Program;
  /** A service (abi/service.ts): the image serves the network by itself, and its ELF has symbols for debuggers. */
  readonly service?: Uint8Array;
  /** The service takes tokens of issuers. */
  readonly tokens?: boolean;
  /** More notes of the ELF, for tools. */
  readonly notes?: readonly Note[];
}

/** Writes the ELF of an image. Throws MF_IMAGE_VERSION for one of another kernel, MF_IMAGE_TOO_LARGE. */
export function writePvh(image: Image, settings: PvhSettings = {}): Uint8Array {
  const kernel = settings.service === undefined ? kernelOf(image) : linkedKernelOf(image);
  const { service = new Uint8Array(0) } = settings;
  const net = settings.service === undefined ? {} : { net: netModule("metal", settings.tokens) };
  const program = settings.program ?? metalProgram({ ...settings, kernel, ...net });
  const lay = layOut(program, image, service);
  const tables = new PageTables(map.tablesAt, map.tablesBytes);
  for (const one of regions(program, lay)) tables.map(one);
  const head = header(image, lay, directories(program, tables), service);
  const checked = settings.service !== undefined;
  const start = checked ? BigInt(map.checkAt) : program.entry;
  const entry = new Uint8Array(4);
  new DataView(entry.buffer).setUint32(0, Number(start), true);
  const segments = loadSegments(program, image, { lay, tables: tables.bytes(), head, service });
  return writeElf({
    entry: start,
    segments: checked ? [checkSegment(program, lay), ...segments] : segments,
    symbols: settings.service === undefined ? [] : program.linked.symbols,
    notes: [{ owner: "Xen", type: physicalEntryNote, bytes: entry }, ...(settings.notes ?? [])],
  });
}
