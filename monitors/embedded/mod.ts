/** The embedded monitor, and for benches and tests the pieces it is made of. */
export { type EmbeddedOptions, embeddedMonitor } from "./embedded.ts";
export { trackedModules } from "./kernels.ts";
export { PageStore, type PageTable } from "./page-store.ts";
export { WarmInstance } from "./warm.ts";
export { NativesFuzzer, type NativesVerdict } from "./testing/fuzz-natives.ts";
