/** A thread that makes a kernel's modules track what they write: two seconds of work, which must not hold the gateway's messages up. */
import { parentPort, workerData } from "node:worker_threads";
import type { Kernel } from "#kernel";
import { trackWrites } from "./track.ts";

const { engine, native } = workerData as Pick<Kernel, "engine" | "native">;
parentPort?.postMessage({ engine: new WebAssembly.Module(trackWrites(engine)), native: new WebAssembly.Module(trackWrites(native)) });
