/** Modules that a program loads with the library: none of the gateway's clients and servers. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const library = new URL("./mod.js", import.meta.url).href;
const root = fileURLToPath(new URL("../../", import.meta.url));

/** Scripts that the program's threads have compiled, as V8's coverage lists them. */
function loadedBy(program: string): { readonly urls: readonly string[]; readonly output: string } {
  const folder = mkdtempSync(join(tmpdir(), "mayfly-modules-"));
  try {
    const env = { ...process.env, NODE_V8_COVERAGE: folder };
    const { status, stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
      env,
      encoding: "utf8",
      cwd: root,
    });
    equal(status, 0, stderr);
    const urls = readdirSync(folder).flatMap((name) => {
      const { result } = JSON.parse(readFileSync(join(folder, name), "utf8")) as { readonly result: readonly { readonly url: string }[] };
      return result.map(({ url }) => url);
    });
    return { urls, output: stdout };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("a plain program runs code with it, loads no client and no server, and ends by itself", () => {
  const { urls, output } = loadedBy(`
    import { build, load } from ${JSON.stringify(library)};
    const host = await load(await build({ code: 'import { flow } from "mayfly"; export default flow((msg) => msg.text().toUpperCase());' }));
    console.log((await host.run({ body: "hello" })).reply.text());
  `);
  equal(output, "HELLO\n");
  ok(
    urls.some((url) => url.endsWith("dist/embed/host.js")),
    "the list has what was loaded",
  );
  const packages = new Set(urls.flatMap((url) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? []));
  deepEqual(
    [...packages].filter((name) => !["esbuild", "quickjs-wasi"].includes(name)),
    [],
  );
  deepEqual(
    urls.filter((url) => /\/dist\/(connectors|cli|telemetry|dashboard|gateway\/(http|config|history))\//.test(url)),
    [],
  );
});
