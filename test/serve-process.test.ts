/** `mayfly serve` with `monitor: process`, as a user without privileges where that can be had: messages, limits, a killed machine, and the end. */
import { deepEqual, equal, match } from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const runs = process.platform === "linux" && process.arch === "x64";
const patienceMs = 30_000;

/** Nobody, when this is root and nobody can read the repository; else whoever this is. */
function identity(): { readonly uid?: number; readonly gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const nobody = { uid: 65_534, gid: 65_534 };
  const reads = spawnSync(
    process.execPath,
    ["-e", `require("node:fs").readFileSync(${JSON.stringify(join(root, "package.json"))})`],
    nobody,
  );
  return reads.status === 0 ? nobody : {};
}

const flowText = `import { flow } from "mayfly";
let seen = 0;
export default flow(async (msg) => {
  const text = msg.text();
  if (text === "spin") for (;;);
  if (text === "bomb") for (const all: string[] = []; ; ) all.push("x".repeat(1_000_000) + all.length);
  return text + ++seen;
});`;
const configuration = `monitor: process
flows:
  count:
    flow: count.ts
    from: [{ http: { path: /count } }]
    limits: { cpu: 300ms, time: 20s, memory: 16MiB }
    retry: { attempts: 1 }
`;

describe("serve with the process monitor", { skip: runs ? false : "it runs on x86-64 Linux" }, () => {
  const folder = mkdtempSync(join(tmpdir(), "mayfly-serve-process-"));
  const temporary = join(folder, "temporary");
  const who = identity();
  let serving: ChildProcess;
  let said = "";
  let url = "";

  async function until(pattern: RegExp): Promise<RegExpExecArray> {
    for (const endMs = Date.now() + patienceMs; Date.now() < endMs; await new Promise((done) => setTimeout(done, 20))) {
      const found = pattern.exec(said);
      if (found !== null) return found;
    }
    throw new Error(`no ${pattern} in: ${said}`);
  }
  const post = async (body: string): Promise<string> =>
    await (await fetch(`${url}/count`, { method: "POST", body, headers: { "content-type": "text/plain", connection: "close" } })).text();
  /** Processes that run an executable of the monitor's folder. */
  const machines = (): number[] =>
    readdirSync("/proc")
      .map(Number)
      .filter((pid) => {
        try {
          return pid > 0 && readFileSync(`/proc/${pid}/cmdline`, "latin1").startsWith(temporary);
        } catch {
          return false;
        }
      });

  before(async () => {
    mkdirSync(temporary);
    writeFileSync(join(folder, "count.ts"), flowText);
    writeFileSync(join(folder, "mayfly.yaml"), configuration);
    chmodSync(folder, 0o755);
    for (const path of [folder, temporary]) if (who.uid !== undefined) chownSync(path, who.uid, who.uid);
    const entry = join(root, "scripts", "mayfly.mjs");
    serving = spawn(process.execPath, [entry, "serve", "--port", "0"], {
      ...who,
      cwd: folder,
      env: { PATH: process.env["PATH"], HOME: folder, TMPDIR: temporary, CI: "1" },
    });
    for (const stream of [serving.stdout, serving.stderr]) stream?.setEncoding("utf8").on("data", (text: string) => (said += text));
    url = (await until(/"url":"(http:[^"]+)".*"msg":"ready"/))[1] ?? "";
  });
  after(() => {
    serving.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });

  test("every message meets a machine that has seen none", async () => {
    deepEqual(await Promise.all(["a", "b", "c", "d"].map(post)), ["a1", "b1", "c1", "d1"]);
  });

  test("a message over its limits fails with a code, and the next one is served", async () => {
    match(await post("spin"), /"code":"MF_CPU_LIMIT"/);
    match(await post("bomb"), /"code":"MF_MEMORY_LIMIT"/);
    equal(await post("e"), "e1");
  });

  test("messages survive a machine process that is killed", async () => {
    const before = machines();
    equal(before.length > 0, true);
    const answers = Promise.all(Array.from({ length: 40 }, (_, index) => post(`m${index} `)));
    for (const pid of before) process.kill(pid, "SIGKILL");
    deepEqual(
      await answers,
      Array.from({ length: 40 }, (_, index) => `m${index} 1`),
    );
  });

  test("at its end no process and no file is left", async () => {
    const ended = new Promise((done) => serving.once("exit", done));
    serving.kill("SIGTERM");
    equal(await ended, 0);
    deepEqual(machines(), []);
    deepEqual(readdirSync(temporary), []);
  });
});
