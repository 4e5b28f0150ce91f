// Builds the page with Vite into dist/dashboard/page/, each file compressed: the gateway serves them as they lie there.
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { constants, gzipSync } from "node:zlib";
import { build } from "vite";

/** The page and all it loads, compressed. */
const mostBytes = 150 * 1024;
/** The editor, which is loaded when a function is written. */
const mostEditorBytes = 150 * 1024;

function* filesBelow(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) yield* filesBelow(path);
    else yield path;
  }
}

export async function buildDashboard(root) {
  const made = join(root, "dist", "dashboard", ".page");
  const page = join(root, "dist", "dashboard", "page");
  await build({
    root: join(root, "dashboard"),
    configFile: false,
    publicDir: false,
    logLevel: "warn",
    base: "./",
    oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
    build: {
      outDir: made,
      emptyOutDir: true,
      target: "es2022",
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      sourcemap: false,
      reportCompressedSize: false,
    },
  });
  rmSync(page, { recursive: true, force: true });
  let [bytes, editorBytes] = [0, 0];
  for (const path of filesBelow(made)) {
    const target = join(page, `${relative(made, path)}.gz`);
    const zipped = gzipSync(readFileSync(path), { level: constants.Z_BEST_COMPRESSION });
    if (/\beditor-[^/]*\.js$/.test(path)) editorBytes += zipped.length;
    else bytes += zipped.length;
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, zipped);
  }
  rmSync(made, { recursive: true, force: true });
  if (bytes > mostBytes) throw new Error(`the page has ${bytes} bytes compressed, more than ${mostBytes}`);
  if (editorBytes > mostEditorBytes) throw new Error(`the editor has ${editorBytes} bytes compressed, more than ${mostEditorBytes}`);
  return bytes;
}
