/** The library OS as the host sees it: the engine's and the natives' WebAssembly, the runtime script, and how they are brought together. */
export { type Kernel, kernelArtifacts, type KernelArtifacts, withLess } from "./artifacts.ts";
export { decodeKernel, encodeKernel, kernelFileName } from "./kernel-file.ts";
export { engineFile, type EngineFile, rewrittenEngine } from "./engine-file.ts";
export { driversModule, standaloneModule } from "./drivers-module.ts";
export { type Door, type EngineExports, instantiateKernel, type KernelInstance } from "./instance.ts";
export * as machineMap from "./drivers/map.ts";
export { layout } from "./layout.ts";
export { type NativeName, nativeFunctions } from "./native-functions.ts";
export { netModule } from "./net-module.ts";
export { packedPartModules, partModulesFile } from "./part-modules.ts";
export { platformModule, servicePlatformModule } from "./platform.ts";
export { nativeInNode } from "./runtime/node-natives.ts";
export { textBytes } from "./text-bytes.ts";
export { tabled as tabledLocales } from "./runtime/intl/locale-tables.ts";
export { linkedParts, partModules, streamingParts } from "./runtime/parts.ts";
