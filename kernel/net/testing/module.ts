/** Compiles entries of kernel/net, test doubles among them. */
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("../../../../", import.meta.url));

interface Builder {
  buildNet(root: string, entry: string): Promise<Uint8Array<ArrayBuffer>>;
}

const compiled = new Map<string, Promise<WebAssembly.Module>>();

/** `entry` lies in kernel/net; each is compiled once a process. */
export function netModuleOf(entry: string): Promise<WebAssembly.Module> {
  let module = compiled.get(entry);
  if (module === undefined) {
    module = (async () => {
      const builder = (await import(pathToFileURL(join(root, "scripts", "build-kernel.mjs")).href)) as Builder;
      return new WebAssembly.Module(await builder.buildNet(root, entry));
    })();
    compiled.set(entry, module);
  }
  return module;
}
