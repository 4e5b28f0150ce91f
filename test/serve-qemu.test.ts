/** `mayfly serve` with `monitor: qemu`: many requests at once, virtual machines that are killed, and the end while messages are under way. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { qemuMissing } from "../monitors/qemu/testing/guests.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const patienceMs = 60_000;

const flowText = `import { flow } from "mayfly";
let seen = 0;
export default flow(async (msg) => {
  const text = msg.text();
  if (text === "spin") for (;;);
  if (text === "work") for (let i = 0, n = 0; i < 200_000; i++) n += i % 7;
  return text + ++seen;
});`;
const configuration = (isolation: string): string => `monitor: qemu
isolation: ${isolation}
flows:
  count:
    flow: count.ts
    from: [{ http: { path: /count } }]
    limits: { cpu: 60ms, time: 30s, memory: 16MiB }
    retry: { attempts: 3, backoff: 10ms..10ms }
`;

/** A gateway in a process of its own. */
class Served {
  readonly folder: string = mkdtempSync(join(tmpdir(), "mayfly-serve-qemu-"));
  readonly temporary: string = join(this.folder, "temporary");
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  url = "";
  said = "";

  constructor(isolation: string, environment: NodeJS.ProcessEnv = {}) {
    mkdirSync(this.temporary);
    writeFileSync(join(this.folder, "count.ts"), flowText);
    writeFileSync(join(this.folder, "mayfly.yaml"), configuration(isolation));
    this.child = spawn(process.execPath, [join(root, "scripts", "mayfly.mjs"), "serve", "--port", "0"], {
      cwd: this.folder,
      detached: true,
      env: { PATH: process.env["PATH"], HOME: process.env["HOME"], TMPDIR: this.temporary, CI: "1", ...environment },
    });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => (this.said += text));
    this.ended = new Promise((done) => this.child.once("close", done));
  }

  async until(pattern: RegExp): Promise<RegExpExecArray> {
    for (const endMs = Date.now() + patienceMs; Date.now() < endMs; await new Promise((done) => setTimeout(done, 20))) {
      const found = pattern.exec(this.said);
      if (found !== null) return found;
    }
    throw new Error(`no ${pattern} in: ${this.said}`);
  }

  async ready(): Promise<this> {
    this.url = (await this.until(/"url":"(http:[^"]+)".*"msg":"ready"/))[1] ?? "";
    return this;
  }

  async post(body: string): Promise<string> {
    const request = { method: "POST", body, headers: { "content-type": "text/plain", connection: "close" } };
    return (await fetch(`${this.url}/count`, request)).text();
  }

  /** How many virtual machines were lost, by its log. */
  machineEnds(): number {
    return this.said.split("a virtual machine ended").length - 1;
  }

  /** Kills one of its virtual machines; false when none runs. */
  killOne(): boolean {
    try {
      const [pid] = this.guests();
      return pid !== undefined && process.kill(pid, "SIGKILL");
    } catch {
      return false; // it has ended by itself
    }
  }

  /** Its virtual machines. */
  guests(): number[] {
    return readdirSync("/proc")
      .map(Number)
      .filter((pid) => {
        try {
          const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
          return pid > 0 && Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === this.child.pid && stat.includes("(qemu");
        } catch {
          return false;
        }
      });
  }
}

const setpriv = spawnSync("setpriv", ["--version"]).status === 0;

describe("serve with the QEMU monitor", { skip: qemuMissing() ?? false }, () => {
  let served: Served;
  afterEach(() => {
    served.child.kill("SIGKILL");
    rmSync(served.folder, { recursive: true, force: true });
  });

  for (const [isolation, requests] of [
    ["flow", 50],
    ["message", 12],
  ] as const) {
    test(`isolation: ${isolation}. ${requests} requests at once, virtual machines that are killed, limits; the end finishes what is under way and leaves nothing`, async () => {
      served = await new Served(isolation).ready();
      match(served.said, /qemu: (TCG|KVM)/);
      const bodies = Array.from({ length: requests }, (_, index) => `m${index} `);
      const expected = bodies.map((body) => `${body}1`);
      deepEqual(await Promise.all(bodies.map((body) => served.post(body))), expected);
      match(await served.post("spin"), /"code":"MF_CPU_LIMIT"/);

      // One at a time: a message that loses two machines is put aside, and two that are killed at once can lose the same one.
      const losses = served.machineEnds();
      for (let round = 1; round <= 3; round += 1) {
        const answers = Promise.all(bodies.map((body) => served.post(body)));
        while (!served.killOne()) await new Promise((done) => setTimeout(done, 2));
        deepEqual(await answers, expected);
      }
      ok(served.machineEnds() > losses, "a virtual machine was lost");

      const last = Promise.all(Array.from({ length: 3 }, () => served.post("work")));
      await served.post("other");
      const guests = served.guests();
      const ends = served.machineEnds();
      process.kill(-(served.child.pid as number), "SIGINT"); // as a terminal does it: to all that are in the group
      deepEqual(await last, ["work1", "work1", "work1"]);
      equal(await served.ended, 0, served.said);
      equal(served.machineEnds(), ends, "no virtual machine was ended but by the gateway");
      deepEqual(
        guests.filter((pid) => readdirSync("/proc").includes(String(pid))),
        [],
      );
      deepEqual(readdirSync(served.temporary), []);
    });
  }

  test("killed outright it takes its virtual machines with it", { skip: setpriv ? false : "setpriv is not installed" }, async () => {
    served = await new Served("flow").ready();
    equal(await served.post("a"), "a1");
    const guests = served.guests();
    equal(guests.length > 0, true);
    served.child.kill("SIGKILL");
    await served.ended;
    const alive = (): string[] => readdirSync("/proc").filter((pid) => guests.includes(Number(pid)));
    for (const endMs = Date.now() + patienceMs; alive().length > 0 && Date.now() < endMs; )
      await new Promise((done) => setTimeout(done, 10));
    deepEqual(alive(), []);
  });

  test("without QEMU it does not start, and says what to install", async () => {
    served = new Served("flow", { PATH: "/nowhere" });
    equal(await served.ended, 2, served.said);
    match(served.said, /MF_QEMU_MISSING: qemu-system-x86_64 is not on the PATH: install it/);
  });
});
