/** Engine, natives and drivers as one program for bare metal: the same for every image, compiled when it is in no cache. */
import { createHash } from "node:crypto";
import { cachedProgram, type Program, type ProgramOptions, type ProgramSource } from "#compiler";
import { driversModule, kernelArtifacts, machineMap } from "#kernel";
import { defaultCacheFolder, type ExecutableSettings, withNativeTable } from "./executable.ts";

const engineBase = 0x10_0000_0000n;

/** Targets of imports; the rest of the engine's imports are the natives', as everywhere. */
const renamed: Readonly<Record<string, readonly [module: string, name: string]>> = {
  memory: ["engine", "memory"],
  table: ["engine", "__indirect_function_table"],
  host_interrupt: ["drivers", "hostInterrupt"],
};

const programs = new Map<string, Program>();

/** The program without an image. `settings.platform`: another drivers module. */
export function metalProgram(settings: ExecutableSettings = {}): Program {
  const { backend, kernel = kernelArtifacts() } = settings;
  const drivers = settings.platform ?? driversModule();
  const key = `${kernel.hash} ${createHash("sha256").update(drivers).digest("hex")} ${backend ?? ""}`;
  const known = programs.get(key);
  if (known !== undefined) return known;
  const source = (name: string, bytes: Uint8Array): ProgramSource => ({ name, bytes, ...(backend === undefined ? {} : { backend }) });
  const sources = [source("engine", withNativeTable(kernel.engine)), source("native", kernel.native), source("drivers", drivers)];
  const options: ProgramOptions = {
    platform: "pvh",
    entry: { module: "drivers", name: "main" },
    handler: { module: "drivers", name: "handleException" },
    baseAddress: machineMap.textAt,
    stackBytes: machineMap.stackBytes,
    memoryBase: (module) => (module === "drivers" ? 0n : engineBase), // the drivers' memory is the physical one
    resolve: (_importer, item) => {
      if (item.module !== "env" && item.module !== "wasi_snapshot_preview1") return item;
      const [module, name] = renamed[item.name] ?? ["native", item.name];
      return { module, name };
    },
  };
  const program = cachedProgram(settings.cacheFolder ?? defaultCacheFolder(), sources, options, "image/metal.ts 1");
  programs.set(key, program);
  return program;
}
