/** Builds of strangers' code: apart from this program, and for a bounded time. */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { build } from "./images.ts";
import { sandbox } from "./sandbox.ts";

process.env["TMPDIR"] = mkdtempSync(join(tmpdir(), "mayfly-test-"));

/** Children of this process and theirs, by the process table. */
function descendants(): readonly string[] {
  const lines = execFileSync("ps", ["-eo", "pid=,ppid=,args="], { encoding: "utf8" }).trim().split("\n");
  const rows = lines.map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? []);
  const own = new Set([String(process.pid)]);
  const found: string[] = [];
  for (let before = -1; before !== own.size; ) {
    before = own.size;
    for (const [, pid = "", parent = "", command = ""] of rows)
      if (own.has(parent) && !own.has(pid) && !command.startsWith("ps ")) {
        own.add(pid);
        found.push(command);
      }
  }
  return found;
}

/** A text that keeps the bundler busy for minutes: statements that it makes one of, each of which costs as much as all before it. */
const endless = `() => { ${"x;".repeat(130_000)} }`;

test("a build that takes too long is ended with all its processes, and the next one goes on", { timeout: 120_000 }, async () => {
  let turns = 0;
  const timer = setInterval(() => turns++, 20);
  const slow = rejects(sandbox(endless, { workers: 1 }), { code: "MF_BUILD_TIME" });
  const next = build({ code: 'import { flow } from "mayfly"; export default flow(() => 1);' });
  await slow;
  clearInterval(timer);
  ok(turns > 20, `this program went on meanwhile: ${turns}`);
  equal((await next).name, "code");
  equal(
    readdirSync(tmpdir()).filter((name) => name.startsWith("mayfly-builder-")).length,
    1,
    "the folder of the one that was ended is gone",
  );
  equal(descendants().filter((command) => command.includes("builder-process")).length, 1);
});

test("texts that a compiler can't take end in coded errors, or in functions", { timeout: 120_000 }, async () => {
  const many = 100_000;
  const ends: unknown[] = [];
  for (const code of [
    `() => ${"[".repeat(many)}1${"]".repeat(many)}`,
    `() => ${"!".repeat(200_000)}1`,
    `() => /${"(".repeat(many)}${")".repeat(many)}/`,
    `() => { class A { ${"#p;".repeat(50_000)} } }`,
  ])
    ends.push(
      await sandbox(code, { workers: 1 }).then(
        async (own) => (await own.close(), "made"),
        (error: { code?: string }) => error.code,
      ),
    );
  const known = [
    "made",
    "MF_SANDBOX_INVALID",
    "MF_BUNDLE_FAILED",
    "MF_FLOW_TOP_LEVEL",
    "MF_BUILD_TIME",
    "MF_BUILD_MEMORY",
    "MF_BUILD_FAILED",
  ];
  deepEqual(
    ends.filter((end) => !known.includes(String(end))),
    [],
  );
  const after = await sandbox<[number], number>("(x) => x", { workers: 1 });
  equal(await after(1), 1);
  await after.close();
});

test("the builder has none of this program's secrets in its environment", {
  timeout: 60_000,
  skip: process.platform !== "linux" && "it reads /proc",
}, async () => {
  process.env["SECRET_OF_THE_PROGRAM"] = "sesame";
  await build({ code: 'import { flow } from "mayfly"; export default flow(() => 2);' });
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").trim().split(" ");
  const environments = children.map((pid) => readFileSync(`/proc/${pid}/environ`, "latin1"));
  ok(environments.length > 0 && environments.every((text) => text.includes("PATH=")));
  ok(!environments.some((text) => text.includes("sesame")));
});
