/** The part of the compatibility suite whose packages this project has: Node's modules, and a dozen packages. */
import { deepEqual, equal, match } from "node:assert/strict";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { embeddedMonitor, type Monitor } from "#monitors";
import { job } from "./job.ts";
import { themes } from "./jobs.ts";
import { runJob } from "./run.ts";
import { knownFailures, pageOf } from "./table.ts";

const chosen = "ajv buffer events fast-xml-parser jose papaparse @rgrove/parse-xml readable-stream string_decoder yaml zod dayjs".split(
  " ",
);

let folder: string;
let monitor: Monitor;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-compat-"));
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  await symlink(join(process.cwd(), "node_modules"), join(folder, "node_modules"), "dir");
  monitor = embeddedMonitor({ workers: 1 });
});
after(async () => {
  await monitor.close();
  await rm(folder, { recursive: true, force: true });
});

for (const each of [...themes["Node's modules"]!, ...Object.values(themes).flat()].filter(
  ({ package: name }, index, all) =>
    (name.startsWith("node:") || ["globals", "streams", "compression"].includes(name) || chosen.includes(name)) &&
    all.findIndex((other) => other.package === name) === index,
))
  test(`${each.package} gives in a flow what it gives in Node`, async () => {
    equal((await runJob(each, folder, monitor)).why, undefined);
  });

test("a job that differs, fails or can't be built says why", async () => {
  const why = async (name: string, imports: string, code: string) => (await runJob(job(name, imports, code), folder, monitor)).why ?? "";
  match(await why("differs", "", "return typeof process.versions.node;"), /gives …"undefined"…, Node …"string"…/);
  match(await why("throws", "", 'throw new Error("both");'), /does not run in Node: both/);
  match(await why("throws-here", "", 'if (process.versions.node === undefined) throw new Error("here");'), /^MF_FLOW_THREW: here/);
  match(await why("files", 'import fs from "node:fs";', "return typeof fs;"), /a machine has no Node module "node:fs"/);
});

test("the page tells what works, and is read back", () => {
  const verdict = { imageBytes: 2 ** 20, machineMs: 0.5, nodeMs: 12 };
  const page = pageOf({
    A: [{ package: "a", why: undefined, ...verdict }],
    B: [{ package: "b (x)", why: "no <Intl> | none", ...verdict }],
  });
  match(page, /\*\*1 of 2 jobs work \(50\.0 %\)\.\*\*/);
  match(page, /^\| a \| yes \| 1\.0 MiB \| 0\.50 ms \| 12 ms \|$/m);
  deepEqual([...knownFailures(page)], ["b (x)"]);
});

test("every job has a name of its own", () => {
  const names = Object.values(themes)
    .flat()
    .map(({ package: name }) => name);
  deepEqual(names, [...new Set(names)]);
});
