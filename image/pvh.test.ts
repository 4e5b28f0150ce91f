/** The ELF of bare metal, read back as a hypervisor's loader and the processor's page walk would read it. */
import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { machineMap as map, netModule } from "#kernel";
import { buildImage } from "./build.ts";
import type { Image } from "./file.ts";
import { metalProgram } from "./metal.ts";
import { PageTables } from "./page-tables.ts";
import { writePvh } from "./pvh.ts";

interface Segment {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly physical: number;
  readonly fileBytes: number;
  readonly memoryBytes: number;
  readonly align: number;
}

function segments(elf: Uint8Array): Segment[] {
  const view = new DataView(elf.buffer, elf.byteOffset, elf.byteLength);
  return Array.from({ length: view.getUint16(56, true) }, (_, index) => {
    const at = Number(view.getBigUint64(32, true)) + 56 * index;
    const long = (offset: number): number => Number(view.getBigUint64(at + offset, true));
    return {
      type: view.getUint32(at, true),
      flags: view.getUint32(at + 4, true),
      offset: long(8),
      physical: long(24),
      fileBytes: long(32),
      memoryBytes: long(40),
      align: long(48),
    };
  });
}

/** The guest's memory below 16 MiB as a loader leaves it. */
function load(elf: Uint8Array): DataView {
  const memory = new Uint8Array(16 * 1024 ** 2);
  for (const { type, offset, physical, fileBytes } of segments(elf))
    if (type === 1) memory.set(elf.subarray(offset, offset + fileBytes), physical);
  return new DataView(memory.buffer);
}

interface Mapping {
  readonly physical: number;
  readonly access: string;
}

/** The processor's page walk (Intel SDM vol. 3, 4.5); access as r, w, x and u for uncached. */
function walk(memory: DataView, virtual: bigint): Mapping | undefined {
  let table = map.tablesAt;
  for (let level = 4; level > 0; level--) {
    const entry = memory.getBigUint64(table + 8 * Number((virtual >> BigInt(12 + 9 * (level - 1))) & 511n), true);
    if ((entry & 1n) === 0n) return undefined;
    const leaf = level === 1 || (entry & 0x80n) !== 0n;
    const frame = Number(entry & 0x000f_ffff_ffff_f000n);
    if (leaf) {
      const inside = Number(virtual & ((1n << BigInt(12 + 9 * (level - 1))) - 1n));
      const access = `r${(entry & 2n) === 0n ? "" : "w"}${(entry >> 63n) === 0n ? "x" : ""}${(entry & 0x10n) === 0n ? "" : "u"}`;
      return { physical: frame + inside, access };
    }
    table = frame;
  }
  return undefined;
}

describe("an image as a PVH ELF", () => {
  let image: Image;
  let elf: Uint8Array;
  let memory: DataView;
  before(async () => {
    const folder = await mkdtemp(join(tmpdir(), "mayfly-pvh-"));
    try {
      await writeFile(join(folder, "flow.ts"), 'import { flow } from "mayfly"; export default flow((msg) => msg.text());');
      image = (await buildImage(join(folder, "flow.ts"), { check: false })).image;
    } finally {
      await rm(folder, { recursive: true });
    }
    elf = writePvh(image);
    memory = load(elf);
  });

  test("has the note of the physical entry, aligned to 4 bytes, and the same bytes each time", () => {
    const note = segments(elf).find(({ type }) => type === 4);
    ok(note !== undefined);
    equal(note.align, 4);
    const view = new DataView(elf.buffer, elf.byteOffset + note.offset, note.fileBytes);
    deepEqual([view.getUint32(0, true), view.getUint32(4, true), view.getUint32(8, true)], [4, 4, 18]);
    equal(Buffer.from(elf.subarray(note.offset + 12, note.offset + 16)).toString(), "Xen\0");
    equal(BigInt(view.getUint32(16, true)), metalProgram().entry);
    equal(Buffer.compare(elf, writePvh(image)), 0);
  });

  test("loads at or above 1 MiB, without overlaps, nothing writable and executable", () => {
    const loaded = segments(elf)
      .filter(({ type }) => type === 1)
      .sort((a, b) => a.physical - b.physical);
    let end = 0x100000;
    for (const { physical, memoryBytes, flags } of loaded) {
      ok(physical >= end, `0x${physical.toString(16)} overlaps what ends at 0x${end.toString(16)}`);
      end = physical + memoryBytes;
      ok((flags & 3) !== 3);
    }
  });

  test("maps text read-only and executable, data not executable, constants and frozen pages read-only, guards not at all", () => {
    const { linked, stack } = metalProgram();
    const access: Record<string, string> = { text: "rx", rodata: "r", data: "rw", bss: "rw" };
    for (const { name, address, memoryBytes } of linked.segments)
      for (const at of [address, address + memoryBytes - 1])
        deepEqual(walk(memory, BigInt(at)), { physical: at, access: access[name] }, name);
    const field = (offset: number): number => memory.getUint32(map.headerAt + offset, true);
    for (const at of [map.headerAt, field(map.headerEntries), field(map.headerSymbols), field(map.headerFrozen), field(map.headerFree) - 1])
      deepEqual(walk(memory, BigInt(at)), { physical: at, access: "r" });
    for (const at of [0x1000, map.tablesAt, map.driversAt, map.stackAt, map.faultStackAt, field(map.headerFree), map.mostMemory - 1])
      deepEqual(walk(memory, BigInt(at)), { physical: at, access: "rw" });
    for (const at of [0xfeb00000, 0xfec00000, 0xfee00000]) deepEqual(walk(memory, BigInt(at)), { physical: at, access: "rwu" });
    const unmapped = [
      0,
      0xfff,
      map.faultStackAt - 1,
      map.doubleFaultStackAt - 1,
      map.exceptionStackAt - 1,
      map.mostMemory,
      map.devicesAt - 1,
    ];
    for (const at of unmapped) equal(walk(memory, BigInt(at)), undefined, `0x${at.toString(16)}`);
    const top = stack.limit + BigInt(stack.bytes);
    deepEqual(walk(memory, top - 1n), { physical: map.stackAt + map.stackTopBytes - 1, access: "rw" });
    for (const at of [top, top - BigInt(map.stackTopBytes) - 1n, stack.limit, 0x10_0000_0000n, 0x11_0000_0000n, 0x12_0000_0000n])
      equal(walk(memory, at), undefined, `0x${at.toString(16)}`);
  });

  test("leaves out the network's pages that are zero, and only those", () => {
    const program = metalProgram({ net: netModule() });
    const initial = program.memories.find(({ module }) => module === "net")?.initial ?? [];
    ok(initial.length > 0);
    const served = writePvh(image, { service: new Uint8Array(100) });
    const loaded = load(served);
    const [at, pages] = [map.headerNetData, map.headerNetDataPages].map((field) => loaded.getUint32(map.headerAt + field, true)) as [
      number,
      number,
    ];
    const wanted = new Uint8Array(pages * map.pageBytes);
    for (const { offset, bytes } of initial) wanted.set(bytes, offset);
    equal(Buffer.compare(new Uint8Array(loaded.buffer, at, wanted.length), wanted), 0);
    const covered = segments(served).filter(
      ({ type, physical, memoryBytes }) => type === 1 && physical < at + wanted.length && physical + memoryBytes > at,
    );
    equal(
      covered.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0),
      wanted.length,
    );
    ok(covered.reduce((sum, { fileBytes }) => sum + fileBytes, 0) < wanted.length);
    ok(served.length <= 2_000_000, `${served.length} bytes`);
    equal(Buffer.compare(served, writePvh(image, { service: new Uint8Array(100) })), 0);
  });

  test("lists every page at rest, and each frozen one is the image's", () => {
    const field = (offset: number): number => memory.getUint32(map.headerAt + offset, true);
    equal(field(map.headerRestPages), image.manifest.memoryPages * 16);
    equal(field(map.headerFrozenCount), image.pageNumbers.length);
    const frozen = new Map([...image.pageNumbers].map((page, index) => [page, index]));
    for (let page = 0; page < field(map.headerRestPages); page++) {
      const entry = memory.getUint32(field(map.headerEntries) + 4 * page, true);
      equal(entry, (frozen.get(page) ?? -1) + 1, `page ${page}`);
    }
    const pages = new Uint8Array(memory.buffer, field(map.headerFrozen), image.pages.length);
    equal(Buffer.compare(pages, image.pages), 0);
  });

  test("is at most 2 MiB for a small flow, and is refused for an image of another kernel", () => {
    ok(elf.length <= 2 * 1024 ** 2, `${elf.length} bytes`);
    throws(() => writePvh({ ...image, manifest: { ...image.manifest, kernel: "0".repeat(64) } }), { code: "MF_IMAGE_VERSION" });
  });
});

test("page tables say so when they have no room", () => {
  const tables = new PageTables(0x100000, 4 * 4096);
  tables.map({ virtual: 0n, physical: 0n, bytes: 0x1000n });
  throws(() => tables.map({ virtual: 0x4000_0000n, physical: 0n, bytes: 0x1000n }), { code: "MF_IMAGE_TOO_LARGE" });
});
