import { readFileSync } from "node:fs";
import { v8Engine } from "./engines.ts";
import { measureKernels } from "./measure.ts";

/** Measures the kernels under V8 in a process of its own, whose flags choose the tier: `node FLAGS v8-child.js HOST.wasm ROUNDS`. */
const [host = "", rounds = "3"] = process.argv.slice(2);
const [measured] = await measureKernels([{ name: "v8", engine: v8Engine(new Uint8Array(readFileSync(host))) }], Number(rounds));
process.stdout.write(JSON.stringify(measured));
