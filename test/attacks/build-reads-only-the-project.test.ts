/**
 * A build reads the flow's project and its packages, and nothing else of the computer. Attacker: who wrote the flow, its tests, or one of
 * its packages.
 */
import { deepEqual, doesNotMatch, equal, match } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { capture } from "#cli";

const secret = "s3cr3t-of-the-host";
let top: string;
const at = (...names: string[]): string => join(top, "project", ...names);

async function write(path: string, text: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
  return path;
}

before(async () => {
  top = await mkdtemp(join(tmpdir(), "mayfly-attack-"));
  await write(join(top, "creds.json"), JSON.stringify({ key: secret }));
  await write(join(top, "outside.ts"), `export const key = "${secret}";\nexport const wrong: number = "${secret}";`);
  await write(join(top, "shared", "tax.ts"), "export const rate: number = 20;");
  await write(join(top, "shared", "secret.txt"), secret);
  await write(at("mayfly.yaml"), `flows: {}\n# ${secret}\n`);
  await write(at("package.json"), "{}");
  await write(at(".env"), `KEY=${secret}`);
  await write(at(".git", "config"), secret);
  await write(at("own.ts"), "export const own = 1;");
  await write(at("node_modules", "good", "index.js"), 'export { deep } from "./lib/deep.js";');
  await write(at("node_modules", "good", "lib", "deep.js"), 'export const deep = "from a package";');
  await symlink(join(top, "creds.json"), at("linked.json"));
  await symlink(top, at("up"));
  await symlink(join(top, "shared"), at("node_modules", "linked"));
});
after(() => rm(top, { recursive: true, force: true }));

async function build(name: string, lines: string, flags: readonly string[] = ["--no-check"]): Promise<{ code: number; err: string }> {
  const path = await write(at("flows", `${name}.ts`), `import { flow } from "mayfly";\n${lines}\n`);
  return await capture(["build", path, "-o", at(`${name}.mfi`), ...flags]);
}

const use = (from: string, type?: string): string =>
  `import value from ${JSON.stringify(from)}${type === undefined ? "" : ` with { type: "${type}" }`};\nexport default flow(() => value);`;

/** Imports a flow may try, each refused with the line it stands on. */
const attempts: Readonly<Record<string, () => string>> = {
  environment: () => use("/proc/self/environ", "text"),
  passwords: () => use("/etc/passwd", "text"),
  "json above": () => use("../../creds.json"),
  "json above as text": () => use("../../creds.json", "text"),
  "json above as bytes": () => use("../../creds.json", "bytes"),
  "code above": () => 'import { key } from "../../outside.ts"; export default flow(() => key);\n',
  "a re-export": () => 'export * from "../../outside.ts"; export default flow(() => 1);\n',
  "an import in the handler": () => 'export default flow(async () => (await import("../../outside.ts")).key);\n',
  require: () => 'declare const require: any; export default flow(() => require("../../creds.json"));\n',
  "a pattern of names": () => "export default flow(async (msg) => (await import(`../../${msg.id}.json`)).default);\n",
  "a link to a file": () => use("../linked.json"),
  "a link to a folder": () => use("../up/creds.json"),
  "a link among packages": () => use("linked/secret.txt", "text"),
  "an address of a file": () => use("../.env", "text"),
  history: () => use("../.git/config", "text"),
  configuration: () => use("../mayfly.yaml", "text"),
  "an endless file": () => use("/dev/zero", "text"),
};

for (const [name, lines] of Object.entries(attempts))
  test(`a flow does not import ${name}`, async () => {
    const { code, err } = await build(name.replaceAll(" ", "-"), lines());
    equal(code, 2, err);
    match(err, /^MF_BUNDLE_OUTSIDE: .*\.ts:2:\d+: /m);
    doesNotMatch(err, new RegExp(secret));
  });

test("a package neither leaves its project nor reads the project's own files", async () => {
  const evil = (code: string): Promise<string> => write(at("node_modules", "evil", "index.js"), code);
  const lines = 'import { value } from "evil"; export default flow(() => value);';
  await evil('import value from "/proc/self/environ" with { type: "text" };\nexport { value };');
  match((await build("package-1", lines)).err, /MF_BUNDLE_OUTSIDE: .*evil\/index\.js:1:\d+: .*environ/);
  await evil('import value from "../../../creds.json";\nexport { value };');
  match((await build("package-2", lines)).err, /MF_BUNDLE_OUTSIDE: .*evil\/index\.js:1:\d+: .*creds\.json/);
  await evil('export { own as value } from "../../own.ts";');
  match((await build("package-3", lines)).err, /MF_BUNDLE_OUTSIDE: .*evil\/index\.js: the package imports \.\.\/\.\.\/own\.ts/);
  await evil("export const value = 1;\n//# sourceMappingURL=../../../creds.json");
  equal((await build("package-4", lines)).code, 0);
  await evil("export const value = 1;\n//# sourceMappingURL=/dev/zero");
  equal((await build("package-5", lines)).code, 0);
});

test("the type check quotes nothing from files a build may not read", async () => {
  const flow = '/// <reference path="../../outside.ts" />\nimport { flow } from "mayfly";\nexport default flow(() => 1);\n';
  const types = await capture(["build", await write(at("flows", "types.ts"), flow), "-o", at("types.mfi")]);
  match(types.err, /MF_BUNDLE_OUTSIDE: .*outside\.ts/);
  doesNotMatch(types.err, new RegExp(secret));
  const json = 'type Creds = typeof import("../../creds.json");\nconst creds: Creds = 1;\nexport default flow(() => creds);';
  const quoted = await build("json-types", json, []);
  match(quoted.err, /MF_BUNDLE_OUTSIDE: .*creds\.json/);
  doesNotMatch(quoted.err, /key/);
  // A base configuration could be any file; none counts.
  await write(at("flows", "tsconfig.json"), '{ "extends": "/dev/zero" }');
  equal((await build("base", "export default flow(() => 1);", [])).code, 0);
});

test("a file that is no regular one is refused", { skip: process.platform === "win32" ? "no named pipes on Windows" : false }, async () => {
  equal(spawnSync("mkfifo", [at("pipe.txt")]).status, 0);
  match((await build("pipe", use("../pipe.txt", "text"))).err, /MF_BUNDLE_OUTSIDE: .*not a regular file/);
});

test("what a project has is built: its own files, packages, and folders that build.include names", async () => {
  const lines = 'import { own } from "../own.ts"; import { deep } from "good"; export default flow(() => [own, deep]);';
  equal((await build("fine", lines)).code, 0);
  const shared = 'import { rate } from "../../shared/tax.ts"; export default flow(() => rate);';
  match((await build("shared", shared)).err, /build\.include in mayfly\.yaml/);
  await write(at("mayfly.yaml"), "flows: {}\nbuild: { include: [../shared] }\n");
  equal((await build("shared", shared, [])).code, 0);
  const linked = use("linked/secret.txt", "text");
  equal((await build("linked", linked)).code, 0);
  await write(at("mayfly.yaml"), "flows: {}\n");
});

test("flow tests and --message read no file outside of the project", async () => {
  await write(at("flows", "echo.ts"), 'import { flow } from "mayfly";\nexport default flow<"erp">(async (msg) => msg.text());');
  const stimuli = {
    message: "{ file: ../../creds.json }",
    absolute: "{ file: /etc/passwd }",
    hidden: "{ file: ../.env }",
    link: "{ file: ../linked.json }",
  };
  for (const [name, message] of Object.entries(stimuli)) {
    await write(
      at("flows", "echo.flow-test.yaml"),
      `cases:\n  - name: ${name}\n    message: ${message}\n    expect: { reply: { status: 200 } }\n`,
    );
    const { code, out, err } = await capture(["test", at("flows", "echo.flow-test.yaml")]);
    deepEqual([code === 0, /MF_FILE_OUTSIDE/.test(out + err), (out + err).includes(secret)], [false, true, false], `${name}: ${out}${err}`);
  }
  for (const flags of [
    ["--message", join(top, "creds.json")],
    ["--message", "/etc/passwd"],
    ["--message", at("up", "creds.json")],
    ["--outlet", `erp=${join(top, "creds.json")}`],
    ["--fetch", `https://example.com/=${join(top, "creds.json")}`],
  ]) {
    const { code, out, err } = await capture(["run", at("flows", "echo.ts"), "--no-check", ...flags]);
    equal(code, 2, flags.join(" "));
    match(err, /^MF_FILE_OUTSIDE: /);
    doesNotMatch(out + err, new RegExp(secret));
  }
  await write(at("order.json"), "{}");
  equal((await capture(["run", at("flows", "echo.ts"), "--no-check", "--message", at("order.json")])).code, 0);
});
