import { deepEqual, equal, match } from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture, packageRoot } from "#cli";

let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-lint-test-"));
  await mkdir(join(folder, "flows"));
  const files: Readonly<Record<string, string>> = {
    "flows/top.ts": `import { flow } from "mayfly";
import { salt } from "./salt.ts";
const id = crypto.randomUUID();
const fixed = new Date(0);
export default flow<"erp" | "more">((_msg, { to }) => to.erp.send([id, salt, fixed, Date.now()]));`,
    "flows/salt.ts": "export const salt = [1, 2].map(() => Math.random());",
    "flows/node.ts": `import { flow } from "mayfly";
import { readFileSync } from "node:fs";
export default flow(() => readFileSync("a", "utf8"));`,
    "flows/types.ts": `import { flow } from "mayfly";
export default flow((msg) => msg.nothing);`,
    "mayfly.yaml": `flows:
  top:
    flow: flows/top.ts
    from: [{ http: { path: /top, method: PSOT } }]
    to:
      erp: { http: { url: "\${MAYFLY_LINT_TEST_MISSING}" } }
      unused: { log: {} }
  gone: { flow: flows/gone.ts, from: [], to: {} }
`,
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
});
after(() => rm(folder, { recursive: true, force: true }));

test("lint finds each fault once, where it is", async () => {
  const { code, out } = await capture(["lint", folder, "--json"]);
  equal(code, 1);
  const { findings } = JSON.parse(out) as { findings: { file: string; line: number; level: string; code: string }[] };
  const short = findings
    .map(({ file, line, level, code: found }) => `${file.slice(file.lastIndexOf("/") + 1)}:${line} ${level} ${found}`)
    .sort();
  deepEqual(short, [
    "gone.ts:0 error MF_FLOW_NOT_FOUND",
    "mayfly.yaml:4 error MF_CONFIG_INVALID",
    "mayfly.yaml:6 warning MF_CONFIG_ENV",
    "node.ts:2 error MF_BUNDLE_FAILED",
    "salt.ts:1 error MF_TOP_LEVEL",
    "top.ts:3 error MF_TOP_LEVEL",
    "types.ts:2 error MF_TYPE_ERROR",
  ]);
});

test("promises that nobody waits for are found by their types, also in modules that a flow imports", async () => {
  const floating = `import { flow } from "mayfly";
import { save } from "./save.ts";
let last: Promise<number>;
export default flow<"erp" | "out">(async (msg, { to, sleep }) => {
  to.erp.request({}).then((answer) => to.out.send(answer.json()));
  msg.json<number[]>().forEach(async (n) => { await to.erp.request(n); });
  if (msg.text() === "a") save(1).catch(() => 0);
  msg.text() === "b" && sleep(5);
  setTimeout(async () => { await save(2); }, 5);
  void to.erp.request({});
  last = save(3);
  await Promise.all([1].map(async (n) => save(n)));
  to.out.send(await last);
  [3].map((n) => n);
});`;
  const saving = `export async function save(n: number): Promise<number> {
  await undefined;
  if (n > 1) save(n - 1);
  return n;
}`;
  await mkdir(join(folder, "floating"));
  await writeFile(join(folder, "floating", "flow.ts"), floating);
  await writeFile(join(folder, "floating", "save.ts"), saving);
  // A second flow that imports the same module: its fault is one.
  await writeFile(
    join(folder, "floating", "other.ts"),
    'import { flow } from "mayfly";\nimport { save } from "./save.ts";\nexport default flow(async () => await save(5));',
  );
  const { code, out } = await capture(["lint", join(folder, "floating"), "--json"]);
  equal(code, 1);
  const { findings } = JSON.parse(out) as { findings: { file: string; line: number; column: number; code: string }[] };
  deepEqual(findings.map(({ file, line, column, code: found }) => [file.slice(file.lastIndexOf("/") + 1), line, column, found]).sort(), [
    ["flow.ts", 5, 3, "MF_LINT_PROMISE"],
    ["flow.ts", 6, 32, "MF_LINT_PROMISE"],
    ["flow.ts", 7, 27, "MF_LINT_PROMISE"],
    ["flow.ts", 8, 3, "MF_LINT_PROMISE"],
    ["flow.ts", 9, 14, "MF_LINT_PROMISE"],
    ["save.ts", 3, 14, "MF_LINT_PROMISE"],
  ]);
  await rm(join(folder, "floating"), { recursive: true });
});

test("outlets a flow uses and is not given are errors, those it does not use are warnings", async () => {
  await writeFile(
    join(folder, "flows/fine.ts"),
    `import { flow } from "mayfly";\nexport default flow<"erp" | "more">((_msg, { to }) => to.erp.send(1));`,
  );
  await writeFile(
    join(folder, "other.yaml"),
    `flows:\n  fine:\n    flow: flows/fine.ts\n    from: []\n    to:\n      erp: { log: {} }\n      unused: { log: {} }\n`,
  );
  const { code, out } = await capture(["lint", join(folder, "other.yaml")]);
  equal(code, 1);
  match(out, /other\.yaml:2:3: error flow fine uses the outlet "more", which is not configured/);
  match(out, /other\.yaml:7:7: warning the outlet "unused" is configured/);
  match(out, /1 error, 1 warning in 1 flow, 1 configuration/);
});

test("the examples have no errors", async () => {
  const { code, out } = await capture(["lint", join(packageRoot, "examples")]);
  equal(code, 0, out);
});
