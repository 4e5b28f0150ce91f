/**
 * Engine, natives and drivers as one program for bare metal, and the network's module where the image serves by itself: the same for every
 * image, compiled when it is in no cache.
 */
import { createHash } from "node:crypto";
import { cachedProgram, type Program, type ProgramOptions, type ProgramSource } from "#compiler";
import { driversModule, kernelArtifacts, machineMap, standaloneModule } from "#kernel";
import { defaultCacheFolder, type ExecutableSettings, withNativeTable } from "./executable.ts";

const engineBase = 0x10_0000_0000n;

/** Targets of imports; the rest of the engine's imports are the natives', as everywhere. */
const renamed: Readonly<Record<string, readonly [module: string, name: string]>> = {
  memory: ["engine", "memory"],
  table: ["engine", "__indirect_function_table"],
  host_interrupt: ["drivers", "hostInterrupt"],
};

/** Where modules' memories begin. The drivers' memory is the physical one. */
const bases: Readonly<Record<string, bigint>> = { drivers: 0n, net: BigInt(machineMap.netWindow) << 32n };

export interface MetalSettings extends ExecutableSettings {
  /** The network's module: the image serves by itself. Without one a monitor brings it messages. */
  readonly net?: Uint8Array;
}

const programs = new Map<string, Program>();

/** The program without an image. `settings.platform`: another drivers module. */
export function metalProgram(settings: MetalSettings = {}): Program {
  const { backend, kernel = kernelArtifacts(), net } = settings;
  const drivers = settings.platform ?? (net === undefined ? driversModule() : standaloneModule());
  const hash = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
  const key = `${kernel.hash} ${hash(drivers)} ${net === undefined ? "" : hash(net)} ${backend ?? ""}`;
  const known = programs.get(key);
  if (known !== undefined) return known;
  const source = (name: string, bytes: Uint8Array): ProgramSource => ({ name, bytes, ...(backend === undefined ? {} : { backend }) });
  const sources = [source("engine", withNativeTable(kernel.engine)), source("native", kernel.native)];
  if (net !== undefined) sources.push(source("net", net));
  sources.push(source("drivers", drivers));
  const options: ProgramOptions = {
    platform: "pvh",
    entry: { module: "drivers", name: "main" },
    handler: { module: "drivers", name: "handleException" },
    baseAddress: machineMap.textAt,
    stackBytes: machineMap.stackBytes,
    memoryBase: (module) => bases[module] ?? engineBase,
    resolve: (importer, item) => {
      if (importer === "net") return { module: "drivers", name: item.name };
      if (item.module !== "env" && item.module !== "wasi_snapshot_preview1") return item;
      const [module, name] = renamed[item.name] ?? ["native", item.name];
      return { module, name };
    },
  };
  const program = cachedProgram(settings.cacheFolder ?? defaultCacheFolder(), sources, options, "image/metal.ts 2");
  programs.set(key, program);
  return program;
}
