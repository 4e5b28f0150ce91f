/** Files a flow is made of when it does not build: whatever of its imports can be found. */
import { dirname, relative } from "node:path";
import { build } from "esbuild";
import { readableFor, refusedFile } from "#image";
import { includedFolders } from "./project.ts";

/** Absolute paths; the flow's own file at least. */
export async function bundleInputs(flow: string): Promise<string[]> {
  const files = new Set([flow]);
  const readable = readableFor(flow, await includedFolders(flow));
  await build({
    entryPoints: [flow],
    absWorkingDir: dirname(flow),
    bundle: true,
    write: false,
    packages: "external",
    tsconfigRaw: {},
    logLevel: "silent",
    plugins: [
      {
        name: "collect",
        setup(builder) {
          builder.onLoad({ filter: /.*/ }, ({ path }) => {
            files.add(path);
            return refusedFile(path, readable) === undefined ? undefined : { contents: "" };
          });
        },
      },
    ],
  }).catch(() => undefined); // it does not build: that is why we are here
  return [...files].filter((path) => !relative(dirname(flow), path).includes("node_modules"));
}
