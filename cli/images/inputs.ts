/** Files a flow is made of when it does not build: whatever of its imports can be found. */
import { dirname, relative } from "node:path";
import { build } from "esbuild";

/** Absolute paths; the flow's own file at least. */
export async function bundleInputs(flow: string): Promise<string[]> {
  const files = new Set([flow]);
  await build({
    entryPoints: [flow],
    absWorkingDir: dirname(flow),
    bundle: true,
    write: false,
    packages: "external",
    logLevel: "silent",
    plugins: [
      {
        name: "collect",
        setup(builder) {
          builder.onLoad({ filter: /.*/ }, ({ path }) => {
            files.add(path);
            return undefined;
          });
        },
      },
    ],
  }).catch(() => undefined); // it does not build: that is why we are here
  return [...files].filter((path) => !relative(dirname(flow), path).includes("node_modules"));
}
