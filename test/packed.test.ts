/** Mayfly as a package: packed, installed elsewhere, and used there as the README says. */
import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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
  // Files of the kernel's runtime that are in runtime.js.br or parts.json.br only are left out: what is packed must find all that it imports.
  for (const path of paths.filter((each) => /^dist\/(?!dashboard\/).*\.js$/.test(each)))
    for (const [, name = ""] of readFileSync(join(root, path), "utf8").matchAll(/^(?:import|export)\b[^;]*?from "(\.[^"]+)";$/gm))
      ok(paths.includes(posix.join(posix.dirname(path), name)), `${path} imports ${name}, which is not packed`);
  const named = JSON.stringify((JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { exports: object }).exports);
  for (const [, path = ""] of named.matchAll(/"\.\/([^"]+\.[a-z]+)"/g)) ok(paths.includes(path), `${path} is exported and not packed`);
  ok(found.unpackedSize < 5_550_000, `${found.unpackedSize} bytes unpacked`); // docs/RATIONALE.md: why not 2.5 MB any more
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

  const embedded = run(
    folder,
    process.execPath,
    "--input-type=module",
    "-e",
    `import { build, load, replay, sandbox } from "mayfly/embed";
    const host = await load(await build({ file: "flows/hello.ts" }));
    const result = await host.run({ body: { name: "Ada", language: "fr" } });
    const double = await sandbox("(x: bigint) => x * 2n");
    console.log(result.reply.text(), (await replay(result.recording)).identical, await double(21n));`,
  );
  equal(embedded.out, '{"greeting":"Bonjour, Ada!"} true 42n\n', embedded.err);

  const second = run(folder, "npx", "mayfly", "init", "second", "--no-install");
  equal(second.status, 0, second.err);
  const manifest = JSON.parse(readFileSync(join(folder, "second", "package.json"), "utf8")) as { dependencies: { mayfly: string } };
  equal(manifest.dependencies.mayfly, `file:../${tarball}`);
  ok(run(join(folder, "second"), "npm", "install", ...flags).status === 0);
  equal(run(join(folder, "second"), "npx", "mayfly", "test").status, 0);
});

/** The arguments of an instruction of DEPLOYMENT.md's Dockerfile. */
function commandOf(line: RegExp): string[] {
  return JSON.parse(line.exec(readFileSync(join(root, "docs", "DEPLOYMENT.md"), "utf8"))?.[1] ?? "[]") as string[];
}

test("a user without rights serves a project that can't be written to, is healthy, and ends well", {
  timeout: 120_000,
}, async (context) => {
  if (process.getuid?.() !== 0) return context.skip("only root can run it as another user");
  if (!readdirSync(folder).includes("node_modules")) return context.skip("mayfly is not installed: see the test above");
  const app = join(folder, "app");
  mkdirSync(join(app, ".mayfly"), { recursive: true });
  writeFileSync(join(app, "f.ts"), 'import { flow } from "mayfly"; export default flow((msg) => "hello " + msg.text());');
  writeFileSync(join(app, "mayfly.yaml"), "flows: { f: { flow: f.ts, from: [ { http: { path: /f } } ] } }");
  for (const each of [folder, app]) chmodSync(each, 0o755);
  mkdirSync(join(folder, "tmp"));
  for (const each of [join(app, ".mayfly"), join(folder, "tmp")]) chownSync(each, 1000, 1000);
  const [program = "", ...given] = commandOf(/^CMD (\[.*\])$/m);
  equal(program, "node_modules/.bin/mayfly");
  const env = { PATH: process.env["PATH"], NODE_ENV: "production", HOME: "/nonexistent", TMPDIR: join(folder, "tmp") };
  const child = spawn(join(folder, program), [...given, "-p", "0"], { cwd: app, uid: 1000, gid: 1000, env });
  context.after(() => child.kill("SIGKILL"));
  const exited = once(child, "exit");
  let output = "";
  const ready = /"url":"(http:[^"]+)".*"msg":"ready"/;
  await new Promise<void>((resolve) => {
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (piece) => {
        output += String(piece);
        if (ready.test(output)) resolve();
      });
    child.on("exit", () => resolve());
  });
  const url = ready.exec(output)?.[1];
  ok(url !== undefined, output);
  equal(await (await fetch(`${url}/f`, { method: "POST", body: "you" })).text(), "hello you");
  const [node, ...probe] = commandOf(/^HEALTHCHECK .*CMD (\[.*\])$/m);
  equal(node, "node");
  const asked = probe.map((part) => part.replace("http://127.0.0.1:8080", url));
  equal(run(app, process.execPath, ...asked).status, 0);
  equal((await fetch(`${url}/ready`)).status, 200);
  deepEqual(readdirSync(app).sort(), [".mayfly", "f.ts", "mayfly.yaml"]);
  ok(!/"level":"(?:warn|error)"/.test(output), output);
  child.kill("SIGTERM");
  deepEqual(await exited, [0, null], output);
  notEqual(run(app, process.execPath, ...asked).status, 0, "it does not live any more");
});
