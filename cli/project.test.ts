import { deepEqual, equal, match, ok } from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { capture, packageRoot } from "#cli";

let folder: string;
const start = process.cwd();

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-init-"));
});
after(async () => {
  process.chdir(start);
  await rm(folder, { recursive: true, force: true });
});

test("a new project passes its test, runs, lints, and type-checks in an editor", async () => {
  const project = join(folder, "hello");
  const { code, out } = await capture(["init", project, "--no-install", "--json"]);
  equal(code, 0);
  ok((JSON.parse(out) as { files: string[] }).files.includes("mayfly.yaml"));
  process.chdir(project);

  const tested = await capture(["test"]);
  equal(tested.code, 0, tested.out + tested.err);
  const ran = await capture(["run", "flows/hello.ts", "-m", "samples/hello.json", "--json"]);
  equal((JSON.parse(ran.out) as { reply: { body: string } }).reply.body, '{"greeting":"Bonjour, Ada!"}');
  const linted = await capture(["lint"]);
  equal(linted.code, 0, linted.out);
  match(linted.out, /no findings/);

  // The link that `npm install` would create for a dependency on a checkout.
  await mkdir(join(project, "node_modules"));
  await symlink(packageRoot, join(project, "node_modules", "mayfly"));
  const compiler = join(createRequire(join(packageRoot, "package.json")).resolve("typescript/package.json"), "..", "bin", "tsc");
  await writeFile(
    join(project, "flows", "modern.ts"),
    `import { flow } from "mayfly";
export default flow((msg) => {
  using end = { [Symbol.dispose]: () => console.timeEnd("all") };
  console.time("all");
  const odd = Object.groupBy(msg.json<number[]>(), (n) => (n % 2 ? "odd" : "even")).odd ?? [];
  return { end: typeof end, all: [...new Set(odd).union(new Set([9]))], twice: odd.values().map((n) => 2 * n).toArray() };
});`,
  );
  await writeFile(join(project, "numbers.json"), "[1, 2, 3]");
  const modern = await capture(["run", "flows/modern.ts", "-m", "numbers.json", "--json"]);
  equal((JSON.parse(modern.out) as { reply: { body: string } }).reply.body, '{"end":"object","all":[1,3,9],"twice":[2,6]}', modern.err);
  await promisify(execFile)(process.execPath, [compiler, "-p", "."], { cwd: project });
});

test("a folder that holds something of it already is left alone, unless told otherwise", async () => {
  const project = join(folder, "taken");
  await mkdir(project);
  await writeFile(join(project, "mayfly.yaml"), "mine");
  const refused = await capture(["init", project, "--no-install"]);
  equal(refused.code, 2);
  match(refused.err, /^MF_INIT_EXISTS: .*mayfly\.yaml/);
  equal(await readFile(join(project, "mayfly.yaml"), "utf8"), "mine");
  equal((await capture(["init", project, "--no-install", "--force"])).code, 0);
});

test("a project that is there keeps its dependencies and settings, with --force as well", async () => {
  const project = join(folder, "grown");
  await mkdir(project);
  const manifest = {
    name: "mine",
    version: "3.0.0",
    scripts: { test: "my-tests" },
    dependencies: { zod: "^4.0.0" },
    devDependencies: { tsx: "^4.0.0" },
    workspaces: ["packages/*"],
  };
  await writeFile(join(project, "package.json"), `${JSON.stringify(manifest, undefined, "\t")}\n`);
  await writeFile(join(project, ".gitignore"), "node_modules/\nsecrets/");
  await writeFile(join(project, "README.md"), "mine");
  await writeFile(join(project, "tsconfig.json"), "{}");
  for (const flags of [[], ["--force"]]) {
    const { code, out, err } = await capture(["init", project, "--no-install", "--json", ...flags]);
    equal(code, 0, err);
    const told = JSON.parse(out) as { merged: string[]; kept: string[] };
    deepEqual([told.merged, told.kept], [["package.json", ".gitignore"], flags.length === 0 ? ["tsconfig.json", "README.md"] : []]);
    const text = await readFile(join(project, "package.json"), "utf8");
    const made = JSON.parse(text) as typeof manifest & { dependencies: Record<string, string> };
    match(text, /^\t"name"/m);
    const { mayfly, ...others } = made.dependencies;
    ok(mayfly !== undefined);
    deepEqual({ ...made, dependencies: others }, { ...manifest, scripts: { test: "my-tests", start: "mayfly serve", dev: "mayfly dev" } });
    equal(await readFile(join(project, ".gitignore"), "utf8"), "node_modules/\nsecrets/\n.mayfly/\naudit/\n*.mfi\n");
  }
  // One that names Mayfly already names it on as it did.
  await writeFile(join(project, "package.json"), '{"devDependencies":{"mayfly":"file:../m.tgz"}}');
  equal((await capture(["init", project, "--no-install", "--force"])).code, 0);
  const again = JSON.parse(await readFile(join(project, "package.json"), "utf8")) as object;
  deepEqual(again, {
    devDependencies: { mayfly: "file:../m.tgz" },
    scripts: { test: "mayfly test", start: "mayfly serve", dev: "mayfly dev" },
  });
  await writeFile(join(project, "package.json"), "[oops");
  const broken = await capture(["init", project, "--no-install", "--force"]);
  match(broken.err, /^MF_INIT_MANIFEST: .*package\.json/);
  equal(await readFile(join(project, "package.json"), "utf8"), "[oops");
});

test("doctor reports on everything it is asked about, and how to get what is missing", async () => {
  process.chdir(folder);
  const { code, out } = await capture(["doctor", "--json"]);
  equal(code, 0);
  const { findings } = JSON.parse(out) as { findings: { name: string; status: string; remedy?: string }[] };
  deepEqual(
    findings.map(({ name }) => name),
    [
      "Node",
      "Computer",
      "Embedded monitor",
      "Process monitor",
      "QEMU",
      "KVM",
      "RabbitMQ",
      "NATS",
      "Mosquitto",
      "Redis",
      "PostgreSQL",
      "MariaDB",
      "Client for amqp1",
      "Client for ftp",
      "Client for grpc",
      "Client for grpc contracts",
      "Client for imap",
      "Client for imap mails",
      "Client for mcp",
      "Client for kafka",
      "Client for mysql",
      "Client for sftp",
      "Client for websocket",
      "Disk",
    ],
  );
  for (const { name, status, remedy } of findings) equal(status !== "ok", remedy !== undefined, name);
});
