import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { decodeModule } from "#compiler";
import { kernelArtifacts, layout, platformModule } from "#kernel";
import { buildImage } from "./build.ts";
import { linuxExecutable, withNativeTable } from "./executable.ts";
import type { Image } from "./file.ts";

interface Segment {
  readonly type: number;
  readonly flags: number;
  readonly address: bigint;
  readonly offset: number;
  readonly fileBytes: number;
  readonly memoryBytes: bigint;
}

const loaded = 1;
const interpreter = 3;
const [executable, writable] = [1, 2];

function segmentsOf(elf: Uint8Array): Segment[] {
  const view = new DataView(elf.buffer, elf.byteOffset, elf.byteLength);
  const [at, count] = [Number(view.getBigUint64(32, true)), view.getUint16(56, true)];
  return Array.from({ length: count }, (_, index) => {
    const header = at + 56 * index;
    return {
      type: view.getUint32(header, true),
      flags: view.getUint32(header + 4, true),
      offset: Number(view.getBigUint64(header + 8, true)),
      address: view.getBigUint64(header + 16, true),
      fileBytes: Number(view.getBigUint64(header + 32, true)),
      memoryBytes: view.getBigUint64(header + 40, true),
    };
  });
}

/** A window of the executable as a loader maps it. */
function windowOf(elf: Uint8Array, base: bigint): Uint8Array {
  const inside = segmentsOf(elf).filter(({ type, address }) => type === loaded && address >= base && address < base + 0x1_0000_0000n);
  const end = inside.reduce((most, { address, memoryBytes }) => (address + memoryBytes > most ? address + memoryBytes : most), base);
  const memory = new Uint8Array(Number(end - base));
  for (const { address, offset, fileBytes } of inside) memory.set(elf.subarray(offset, offset + fileBytes), Number(address - base));
  return memory;
}

describe("an image as an executable", () => {
  const folder = mkdtempSync(join(tmpdir(), "mayfly-executable-"));
  const settings = { cacheFolder: join(folder, "programs") };
  let image: Image;
  let other: Image;

  before(async () => {
    const build = async (name: string, body: string): Promise<Image> => {
      const file = join(folder, `${name}.ts`);
      writeFileSync(file, `import { flow } from "mayfly"; export default flow(async (msg) => ${body});`);
      return (await buildImage(file, { check: false })).image;
    };
    image = await build("one", "msg.text()");
    other = await build("two", "msg.text().length");
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test("holds the image's memory twice: to run in, and to restore it from", () => {
    const elf = linuxExecutable(image, settings);
    const expected = new Uint8Array(image.manifest.memoryPages * layout.wasmPageBytes);
    for (const [index, page] of image.pageNumbers.entries())
      expected.set(image.pages.subarray(index * layout.pageBytes, (index + 1) * layout.pageBytes), page * layout.pageBytes);
    for (const base of [0x10_0000_0000n, 0x14_0000_0000n]) equal(Buffer.compare(windowOf(elf, base), expected), 0);
  });

  test("is static, has nothing both writable and executable, and 4 GiB of nothing behind every memory", () => {
    const segments = segmentsOf(linuxExecutable(image, settings));
    ok(segments.every(({ type }) => type !== interpreter));
    const inMemory = segments.filter(({ type }) => type === loaded);
    for (const { flags } of inMemory) ok((flags & executable) === 0 || (flags & writable) === 0);
    equal(inMemory.filter(({ flags }) => (flags & executable) !== 0).length, 1);
    const bases = [0x10_0000_0000n, 0x14_0000_0000n, 0x18_0000_0000n];
    for (const base of bases) {
      const end = base + 0x1000_0000n; // the most a machine can have
      for (const { address, memoryBytes } of inMemory)
        ok(address + memoryBytes <= base || (address >= base && address + memoryBytes <= end) || address >= base + 0x2_0000_0000n);
    }
  });

  test("is the same, byte for byte, whether compiled or taken from the cache, and differs by its pages alone", () => {
    const first = linuxExecutable(image, settings);
    equal(Buffer.compare(linuxExecutable(image, { cacheFolder: join(folder, "again") }), first), 0);
    const second = linuxExecutable(other, settings);
    const text = (elf: Uint8Array): Uint8Array => {
      const found = segmentsOf(elf).find(({ flags, type }) => type === loaded && (flags & executable) !== 0) as Segment;
      return elf.subarray(found.offset, found.offset + found.fileBytes);
    };
    equal(Buffer.compare(text(first), text(second)), 0);
    ok(Buffer.compare(first, second) !== 0);
  });

  test("is compiled all the same where no cache can be written", () => {
    writeFileSync(join(folder, "file"), "");
    // A name section of its own makes it a program of its own: those made before are remembered.
    const platform = Uint8Array.from([...platformModule(), 0, 2, 1, 120]);
    ok(linuxExecutable(image, { cacheFolder: join(folder, "file", "below"), platform }).length > 0);
  });

  test("is refused for an image of another kernel", () => {
    const foreign = { ...image, manifest: { ...image.manifest, kernel: "1".repeat(64) } };
    throws(() => linuxExecutable(foreign, settings), { code: "MF_IMAGE_VERSION" });
  });
});

test("the engine gets room for the natives in its table, and nothing else changes", () => {
  const { engine, native } = kernelArtifacts();
  const changed = decodeModule(withNativeTable(engine));
  const [before, wanted] = [decodeModule(engine), decodeModule(native)];
  const size = layout.engineTable + layout.nativeTable;
  deepEqual(changed.tables[0]?.limits, { minimum: size, maximum: size });
  ok((wanted.tables[0]?.limits.minimum ?? size + 1) <= size);
  deepEqual(
    [changed.functions.length, changed.exports, changed.data.length],
    [before.functions.length, before.exports, before.data.length],
  );
});

test("nothing initialises the platform at run time: it has no start function, and its memory begins as its segments say", () => {
  const platform = decodeModule(platformModule());
  equal(platform.start, undefined);
  for (const { mode } of platform.data) equal(mode.kind, "active");
});
