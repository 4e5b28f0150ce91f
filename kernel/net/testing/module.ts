/** Compiles entries of kernel/net, test doubles among them: once for all test files, while their sources are the same. */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const builderPath = join(root, "scripts", "build-kernel.mjs");
const sources = join(root, "kernel", "net");

interface Builder {
  buildNet(root: string, entry: string): Promise<Uint8Array<ArrayBuffer>>;
}

/** Of whatever the module is made of. */
function hashOf(entry: string): string {
  const hash = createHash("sha256").update(entry);
  const names = readdirSync(sources, { recursive: true, encoding: "utf8" }).filter(
    (name) => name.endsWith(".ts") && !name.endsWith(".test.ts"),
  );
  const lock = join(root, "package-lock.json"); // it names the compiler
  for (const path of [builderPath, lock, ...names.sort().map((name) => join(sources, name))]) hash.update(readFileSync(path));
  return hash.digest("hex").slice(0, 16);
}

async function compiled(entry: string): Promise<Uint8Array<ArrayBuffer>> {
  const kept = fileURLToPath(new URL(`./${entry.replace(/\W/g, "-")}-${hashOf(entry)}.wasm`, import.meta.url));
  if (existsSync(kept)) return new Uint8Array(readFileSync(kept));
  const { buildNet } = (await import(pathToFileURL(builderPath).href)) as Builder;
  const bytes = await buildNet(root, entry);
  const whole = `${kept}.${process.pid}`; // two test files may compile at once
  writeFileSync(whole, bytes);
  renameSync(whole, kept);
  return bytes;
}

const modules = new Map<string, Promise<WebAssembly.Module>>();

/** `entry` lies in kernel/net. */
export function netModuleOf(entry: string): Promise<WebAssembly.Module> {
  let module = modules.get(entry);
  if (module === undefined) {
    module = compiled(entry).then((bytes) => new WebAssembly.Module(bytes));
    modules.set(entry, module);
  }
  return module;
}
