/**
 * An image as one Linux executable: engine, natives and platform compiled to machine code once, the image's pages added to them.
 *
 *     text │ read-only data │ data                    the program, the same for every image
 *     memory.engine     0x10_0000_0000                the machine's memory, mapped privately: what is written is a copy
 *     memory.frozen     0x14_0000_0000                the same pages again, made read-only at start: what the memory is restored from
 *     memory.platform   0x18_0000_0000                the platform's own memory, out of the engine's reach
 *     stack             0x0e_0000_0000
 *
 * Each window has 16 GiB, so that an address of 32 bits with an offset of 32 bits falls into unmapped space and never into a neighbour.
 */
import { createHash } from "node:crypto";
import { homedir } from "node:os";
import { join } from "node:path";
import { assert, concatBytes } from "#base";
import {
  type Backend,
  cachedProgram,
  compileModule,
  decodeModule,
  encodeUnsigned,
  linkProgram,
  type Program,
  type ProgramOptions,
  type ProgramSource,
  writeExecutable,
} from "#compiler";
import { type Kernel, kernelArtifacts, layout, platformModule } from "#kernel";
import type { Image } from "./file.ts";
import { kernelOf } from "./kernel.ts";
import { imageLimits } from "./limits.ts";

export interface ExecutableSettings {
  /** Where compiled programs are kept; `mayfly` in the user's cache folder by default. */
  readonly cacheFolder?: string;
  /** The compiler's default when undefined. */
  readonly backend?: Backend;
  /** Another platform module, for tests. */
  readonly platform?: Uint8Array;
  /** This version's own by default. */
  readonly kernel?: Kernel;
}

const memoryBases: Readonly<Record<string, bigint>> = { engine: 0x10_0000_0000n, frozen: 0x14_0000_0000n, platform: 0x18_0000_0000n };

/** (module (memory 1)): a window of its own without any code. */
export const memoryModule = Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 5, 3, 1, 0, 1);

/** The engine with room in its function table for the natives. */
export function withNativeTable(engine: Uint8Array): Uint8Array {
  const section = decodeModule(engine).sections.find(({ id }) => id === 4);
  assert(section !== undefined, "the engine has a table");
  const size = encodeUnsigned(layout.engineTable + layout.nativeTable);
  const body = concatBytes([Uint8Array.of(1, 0x70, 1), size, size]); // one table of funcref, with a minimum and the same maximum
  return concatBytes([
    engine.subarray(0, section.at),
    Uint8Array.of(section.id),
    encodeUnsigned(body.length),
    body,
    engine.subarray(section.end),
  ]);
}

export function defaultCacheFolder(): string {
  const base = process.env["XDG_CACHE_HOME"];
  return join(base !== undefined && base !== "" ? base : join(homedir(), ".cache"), "mayfly", "programs");
}

const programs = new Map<string, Program>();

/** The program without an image: compiled when it is in no cache. Some three seconds then, some milliseconds after. */
export function linuxProgram(settings: ExecutableSettings = {}): Program {
  const { backend, kernel = kernelArtifacts() } = settings;
  const platform = settings.platform ?? platformModule();
  const key = `${kernel.hash} ${createHash("sha256").update(platform).digest("hex")} ${backend ?? ""}`;
  const known = programs.get(key);
  if (known !== undefined) return known;
  const source = (name: string, bytes: Uint8Array): ProgramSource => ({ name, bytes, ...(backend === undefined ? {} : { backend }) });
  const sources = [
    source("engine", withNativeTable(kernel.engine)),
    source("native", kernel.native),
    source("frozen", memoryModule),
    source("platform", platform),
  ];
  const options: ProgramOptions = {
    platform: "linux",
    entry: { module: "platform", name: "main" },
    stackBytes: imageLimits.stackBytes,
    memoryBase: (module) => memoryBases[module] ?? 0n,
    memoryPages: (module) => (module === "platform" ? imageLimits.platformPages : imageLimits.machinePages),
    resolve: (importer, { module, name }) => {
      if (importer === "engine") return name === "host_interrupt" ? { module: "platform", name: "interrupt" } : { module: "native", name };
      if (importer === "native" && name === "table") return { module: "engine", name: "__indirect_function_table" };
      if (importer === "native" && name === "memory") return { module: "engine", name };
      return { module, name };
    },
  };
  const program = compiledProgram(settings.cacheFolder ?? defaultCacheFolder(), sources, options, "image/executable.ts 1");
  programs.set(key, program);
  return program;
}

/** From the cache, where there can be one; a folder that can't be written costs the compilation, nothing else. */
export function compiledProgram(folder: string, sources: readonly ProgramSource[], options: ProgramOptions, version: string): Program {
  try {
    return cachedProgram(folder, sources, options, version);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).errno === undefined) throw error;
    const modules = sources.map(({ name, bytes, backend }) => ({
      name,
      code: compileModule(decodeModule(bytes), backend === undefined ? {} : { backend }),
    }));
    return linkProgram(modules, options);
  }
}

/** The machine's whole memory at rest. */
export function restMemory(image: Image): Uint8Array {
  const memory = new Uint8Array(image.manifest.memoryPages * layout.wasmPageBytes);
  for (const [index, page] of image.pageNumbers.entries())
    memory.set(image.pages.subarray(index * layout.pageBytes, (index + 1) * layout.pageBytes), page * layout.pageBytes);
  return memory;
}

/** The image as a static x86-64 Linux executable that speaks monitors/process/wire.ts. Throws MF_IMAGE_VERSION for one of another kernel. */
export function linuxExecutable(image: Image, settings: ExecutableSettings = {}): Uint8Array {
  const { manifest } = image;
  const program = linuxProgram({ ...settings, kernel: kernelOf(image) });
  const bytes = restMemory(image);
  return writeExecutable(program, {
    memories: [
      { module: "engine", bytes },
      { module: "frozen", bytes },
    ],
    globals: [{ module: "engine", index: 0, value: BigInt(manifest.stackPointer) }],
  });
}
