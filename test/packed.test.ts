/** Mayfly as a package: packed, installed elsewhere, and used there as the README says. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, posix } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "mayfly-packed-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function run(
  cwd: string,
  command: string,
  ...values: string[]
): { readonly status: number | null; readonly out: string; readonly err: string } {
  const { status, stdout, stderr } = spawnSync(command, values, { cwd, encoding: "utf8", timeout: 300_000 });
  return { status, out: stdout, err: stderr };
}

const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"];

test("the package holds what runs, and nothing that only tests or builds it", () => {
  const packed = run(root, "npm", "pack", "--dry-run", "--json", "--ignore-scripts");
  equal(packed.status, 0, packed.err);
  const [found] = JSON.parse(packed.out) as [{ readonly unpackedSize: number; readonly files: readonly { readonly path: string }[] }];
  const paths = found.files.map(({ path }) => path);
  deepEqual(
    paths.filter((path) =>
      /\.(test|case)\.|\.map$|(^|\/)(testing|fuzz|spec|quickjs|examples|bench|test|chaos)\/|(^|\/)\.|\.ts$(?<!\.d\.ts)/.test(path),
    ),
    [],
  );
  // Files of the kernel's runtime that are in runtime.js.br only are left out: what is packed must find all that it imports.
  for (const path of paths.filter((each) => /^dist\/(?!dashboard\/).*\.js$/.test(each)))
    for (const [, name = ""] of readFileSync(join(root, path), "utf8").matchAll(/^(?:import|export)\b[^;]*?from "(\.[^"]+)";$/gm))
      ok(paths.includes(posix.join(posix.dirname(path), name)), `${path} imports ${name}, which is not packed`);
  const named = JSON.stringify((JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { exports: object }).exports);
  for (const [, path = ""] of named.matchAll(/"\.\/([^"]+\.[a-z]+)"/g)) ok(paths.includes(path), `${path} is exported and not packed`);
  ok(found.unpackedSize < 3_500_000, `${found.unpackedSize} bytes unpacked`); // docs/RATIONALE.md: why not 2.5 MB any more
});

test("packed and installed, mayfly makes a project whose test passes, and a second one beside it", { timeout: 600_000 }, (context) => {
  const packed = run(root, "npm", "pack", "--silent", "--pack-destination", folder);
  equal(packed.status, 0, packed.err);
  const [tarball = ""] = readdirSync(folder);
  match(tarball, /^mayfly-.*\.tgz$/);
  writeFileSync(join(folder, "package.json"), '{ "private": true, "dependencies": {} }');
  const installed = run(folder, "npm", "install", `./${tarball}`, ...flags);
  if (/E(NOTFOUND|AI_AGAIN|CONNREFUSED|TIMEDOUT)|network/.test(installed.err))
    return context.skip(`no npm registry: ${installed.err.slice(0, 200)}`);
  equal(installed.status, 0, installed.err);

  const made = run(folder, "npx", "mayfly", "init", "--no-install");
  equal(made.status, 0, made.err);
  deepEqual(Object.keys((JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { dependencies: object }).dependencies), [
    "mayfly",
  ]);
  const tested = run(folder, "npx", "mayfly", "test");
  equal(tested.status, 0, tested.out + tested.err);
  const ran = run(folder, "npx", "mayfly", "run", "flows/hello.ts", "-m", "samples/hello.json", "--json");
  equal((JSON.parse(ran.out) as { reply: { body: string } }).reply.body, '{"greeting":"Bonjour, Ada!"}', ran.err);

  const second = run(folder, "npx", "mayfly", "init", "second", "--no-install");
  equal(second.status, 0, second.err);
  const manifest = JSON.parse(readFileSync(join(folder, "second", "package.json"), "utf8")) as { dependencies: { mayfly: string } };
  equal(manifest.dependencies.mayfly, `file:../${tarball}`);
  ok(run(join(folder, "second"), "npm", "install", ...flags).status === 0);
  equal(run(join(folder, "second"), "npx", "mayfly", "test").status, 0);
});
