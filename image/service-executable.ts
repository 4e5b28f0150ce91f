/**
 * An ELF for Linux that serves HTTP by itself: the program of executable.ts with the network's module and another platform
 * (kernel/platform-linux/service), and its service (abi/service.ts), which stands in an ELF note as well.
 *
 *     memory.net        0x1c_0000_0000                the network's memory, out of the engine's reach, and the engine's out of its own
 *     memory.service    0x20_0000_0000                the service's frame
 */
import { createHash } from "node:crypto";
import { encodeService, type Service } from "#abi";
import { type Program, type ProgramOptions, type ProgramSource, writeExecutable } from "#compiler";
import { kernelArtifacts, layout, netModule, servicePlatformModule } from "#kernel";
import { compiledProgram, defaultCacheFolder, type ExecutableSettings, memoryModule, restMemory, withNativeTable } from "./executable.ts";
import type { Image } from "./file.ts";
import { linkedKernelOf } from "./kernel.ts";
import { imageLimits } from "./limits.ts";
import { serviceNote, takesTokens } from "./microvm.ts";

export interface ServiceSettings extends ExecutableSettings {
  /** Another network module, for tests. */
  readonly net?: Uint8Array;
}

const bases: Readonly<Record<string, bigint>> = {
  engine: 0x10_0000_0000n,
  frozen: 0x14_0000_0000n,
  platform: 0x18_0000_0000n,
  net: 0x1c_0000_0000n,
  service: 0x20_0000_0000n,
};
const pages: Readonly<Record<string, number>> = { platform: imageLimits.platformPages, net: imageLimits.netPages, service: 1 };

/** Targets of the engine's and the natives' imports; the rest are the natives'. */
const renamed: Readonly<Record<string, readonly [module: string, name: string]>> = {
  memory: ["engine", "memory"],
  table: ["engine", "__indirect_function_table"],
  host_interrupt: ["platform", "interrupt"],
};

const programs = new Map<string, Program>();

/** The program without an image and a service: compiled when it is in no cache. */
export function serviceProgram(settings: ServiceSettings = {}): Program {
  const { backend, kernel = kernelArtifacts(), net = netModule("linux"), platform = servicePlatformModule() } = settings;
  const hash = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
  const key = `${kernel.hash} ${hash(platform)} ${hash(net)} ${backend ?? ""}`;
  const known = programs.get(key);
  if (known !== undefined) return known;
  const source = (name: string, bytes: Uint8Array): ProgramSource => ({ name, bytes, ...(backend === undefined ? {} : { backend }) });
  const sources = [
    source("engine", withNativeTable(kernel.engine)),
    source("native", kernel.native),
    source("frozen", memoryModule),
    source("service", memoryModule),
    source("net", net),
    source("platform", platform),
  ];
  const options: ProgramOptions = {
    platform: "linux",
    entry: { module: "platform", name: "main" },
    stackBytes: imageLimits.stackBytes,
    memoryBase: (module) => bases[module] ?? 0n,
    memoryPages: (module) => pages[module] ?? imageLimits.machinePages,
    resolve: (importer, item) => {
      if (importer === "net" && item.module === "host") return { module: "platform", name: item.name };
      if (importer !== "engine" && importer !== "native") return item;
      if (importer === "native" && item.module !== "env") return item;
      const [module, name] = renamed[item.name] ?? ["native", item.name];
      return { module, name };
    },
  };
  const program = compiledProgram(settings.cacheFolder ?? defaultCacheFolder(), sources, options, "image/service-executable.ts 1");
  programs.set(key, program);
  return program;
}

/** Writes the ELF of an image and its service: equal input, equal bytes. Throws MF_IMAGE_VERSION for an image of another kernel. */
export function writeServiceExecutable(image: Image, service: Service, settings: ServiceSettings = {}): Uint8Array {
  const net = settings.net ?? netModule("linux", takesTokens(service));
  const program = serviceProgram({ ...settings, net, kernel: linkedKernelOf(image) });
  const bytes = restMemory(image);
  const encoded = encodeService(service);
  const frame = new Uint8Array(layout.wasmPageBytes);
  frame.set(encoded);
  return writeExecutable(program, {
    memories: [
      { module: "engine", bytes },
      { module: "frozen", bytes },
      { module: "service", bytes: frame },
    ],
    globals: [{ module: "engine", index: 0, value: BigInt(image.manifest.stackPointer) }],
    notes: [serviceNote(encoded, "linux")],
  });
}
