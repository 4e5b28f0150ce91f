/** Compiles entries of kernel/net, test doubles among them: once for all test files, while their sources are the same. */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const builderPath = join(root, "scripts", "build-kernel.mjs");
const folders = [join(root, "kernel", "net"), join(root, "kernel", "native")];

interface Builder {
  buildNet(root: string, entry: string, tokens: boolean): Promise<Uint8Array<ArrayBuffer>>;
}

/** Of whatever the module is made of. */
function hashOf(entry: string): string {
  const hash = createHash("sha256").update(entry);
  const files = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
      .map((name) => join(folder, name)),
  );
  const lock = join(root, "package-lock.json"); // it names the compiler
  for (const path of [builderPath, lock, ...files.sort()]) hash.update(readFileSync(path));
  return hash.digest("hex").slice(0, 16);
}

async function compiled(entry: string, tokens: boolean): Promise<Uint8Array<ArrayBuffer>> {
  const form = tokens ? "-tokens" : "";
  const kept = fileURLToPath(new URL(`./${entry.replace(/\W/g, "-")}${form}-${hashOf(entry)}.wasm`, import.meta.url));
  if (existsSync(kept)) return new Uint8Array(readFileSync(kept));
  const { buildNet } = (await import(pathToFileURL(builderPath).href)) as Builder;
  const bytes = await buildNet(root, entry, tokens);
  const whole = `${kept}.${process.pid}`; // two test files may compile at once
  writeFileSync(whole, bytes);
  renameSync(whole, kept);
  return bytes;
}

const modules = new Map<string, Promise<WebAssembly.Module>>();

/** `entry` lies in kernel/net; `tokens`: the form that judges them. */
export function netModuleOf(entry: string, tokens = false): Promise<WebAssembly.Module> {
  const key = `${entry} ${tokens}`;
  let module = modules.get(key);
  if (module === undefined) {
    module = compiled(entry, tokens).then((bytes) => new WebAssembly.Module(bytes));
    modules.set(key, module);
  }
  return module;
}
