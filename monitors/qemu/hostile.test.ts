/** Guests that lie, hang, flood or die, and virtual machines that are killed: each is the failure of its message alone. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { FlowLimits, MachineErrorCode } from "#abi";
import { type Image, metalProgram } from "#image";
import type { LoadedImage } from "../monitor.ts";
import { deliver, effect, replyText, resolve } from "../monitor.case.ts";
import { findProgram } from "./command.ts";
import { namelessFile } from "./elf-file.ts";
import { qemuMonitorForTest } from "./qemu.ts";
import { buildTestDrivers, imageOf, qemuMissing } from "./testing/guests.ts";
import type { Vm } from "./vm.ts";

const missing = qemuMissing();
const skip = missing === undefined ? {} : { skip: missing };
const limits: FlowLimits = { memoryBytes: 16 * 1024 ** 2, cpuMs: 300, timeMs: 60_000, sends: 1000, logBytes: 65_536 };
type Bench = ReturnType<typeof qemuMonitorForTest>;

describe("a guest that misbehaves is contained", skip, () => {
  let monitor: Bench;
  let loaded: LoadedImage;
  before(async () => {
    const program = metalProgram({ platform: await buildTestDrivers("liar.ts") });
    monitor = qemuMonitorForTest({ perFlow: 1, cpuFactor: 1, hangMs: 1500, pvh: { program } });
    loaded = await monitor.load(await imageOf('import { flow } from "mayfly"; export default flow(() => 1);'));
  });
  after(() => monitor.close());
  const run = (body: string): ReturnType<Bench["start"]> => monitor.start(loaded, deliver({ body }), limits);

  const lies: readonly (readonly [what: string, body: string, code: MachineErrorCode, why: RegExp])[] = [
    ["sends what is no frame", "m", "MF_MACHINE_LIED", /malformed frame/],
    ["announces a frame of four gigabytes", "h", "MF_MACHINE_LIED", /4294967295 bytes/],
    ["answers with an unknown kind", "k", "MF_MACHINE_LIED", /kind 99/],
    ["says twice that it is ready", "r", "MF_MACHINE_LIED", /kind 16/],
    ["has effects that can't be decoded", "g", "MF_MACHINE_LIED", /./],
    ["answers without effects", "e", "MF_MACHINE_LIED", /./],
    ["ends", "x", "MF_MACHINE_LOST", /./],
    ["traps", "u", "MF_MACHINE_TRAP", /unreachable/],
    ["sleeps for ever", "s", "MF_TIME_LIMIT", /does not answer/],
    ["computes for ever", "l", "MF_CPU_LIMIT", /300 ms/],
  ];
  for (const [what, body, code, why] of lies) {
    test(`one that ${what} fails with ${code}; the next message does not notice`, async () => {
      const outcome = await run(body).first;
      equal(outcome.status, "broken");
      equal(outcome.failure?.code, code, outcome.failure?.message);
      match(outcome.failure?.message ?? "", why);
      equal((await run("o").first).status, "done");
    });
  }

  for (const [what, body] of [
    ["floods its port", "f"],
    ["answers twice", "t"],
    ["computes on after its answer", "b"],
  ] as const) {
    test(`one that ${what} is ended, and its neighbours run elsewhere`, { timeout: 60_000 }, async () => {
      const before = monitor.stats().replaced;
      equal((await run(body).first).status, "done"); // its first answer is a good one
      if (body !== "b") for (let i = 0; i < 20; i++) equal((await run("o").first).status, "done");
      while (monitor.stats().replaced === before) await new Promise((done) => setTimeout(done, 5));
      equal((await run("o").first).status, "done");
    });
  }
});

describe("virtual machines that are killed", skip, () => {
  let monitor: Bench;
  let images: Record<"waits" | "spins" | "echo", LoadedImage>;
  before(async () => {
    monitor = qemuMonitorForTest({ perFlow: 2 });
    const head = 'import { flow } from "mayfly"; export default flow(async (msg, { to }) => {';
    const load = async (source: string): Promise<LoadedImage> => monitor.load((await imageOf(`${head} ${source} });`)) as Image);
    images = {
      waits: await load("const a = await to.erp.request(1); const b = await to.erp.request(2); return a.json() + b.json() + msg.text();"),
      spins: await load("while (true);"),
      echo: await load("return msg.text();"),
    };
  });
  after(() => monitor.close());
  const killed = new Set<number | undefined>();
  /** Each once: one that is dead already may take its time to be noticed on a busy machine. Returns how many. */
  const kill = (chosen: readonly Vm[] = monitor.vms): number => {
    const alive = chosen.filter(({ pid }) => pid !== undefined && !killed.has(pid));
    for (const { pid } of alive) {
      killed.add(pid);
      process.kill(pid as number, "SIGKILL");
    }
    return alive.length;
  };

  test("a machine whose virtual machine dies in mid-message runs again, and is given up when that dies too", async () => {
    const machine = monitor.start(images.spins, deliver(), { ...limits, cpuMs: 20_000 });
    let times = 0;
    const killing = setInterval(() => {
      if (times < 2) times += kill(monitor.vms.filter(({ state }) => state === "running"));
    }, 100);
    const outcome = await machine.first;
    clearInterval(killing);
    equal(times, 2);
    equal(outcome.failure?.code, "MF_MACHINE_LOST");
    match(outcome.failure?.message ?? "", /SIGKILL/);
    equal(replyText(await monitor.start(images.echo, deliver({ body: "next" })).first), "next");
  });

  test("machines that wait in a virtual machine that dies are run again from their events", async () => {
    const machines = Array.from({ length: 10 }, (_, index) => monitor.start(images.waits, deliver({ body: String(index) }), limits));
    for (const machine of machines) {
      const first = effect(await machine.first, "call").call;
      equal(effect(await machine.step(resolve(first, '"a"')), "call").call, first + 1);
    }
    kill();
    while (monitor.stats().workers > 0) await new Promise((done) => setTimeout(done, 5));
    for (const [index, machine] of machines.entries()) equal(replyText(await machine.step(resolve(1, '"b"'))), `ab${index}`);
    equal(monitor.stats().waiting, 0);
  });
});

describe("a virtual machine's surroundings", skip, () => {
  test("it has no privilege and no network, sleeps when idle, and dies with the monitor", async (t) => {
    const monitor = qemuMonitorForTest({ perFlow: 1 });
    const loaded = await monitor.load(await imageOf('import { flow } from "mayfly"; export default flow((msg) => msg.text());'));
    equal(replyText(await monitor.start(loaded, deliver({ body: "x" })).first), "x");
    const vm = monitor.vms[0];
    ok(vm?.pid !== undefined);
    const status = readFileSync(`/proc/${vm.pid}/status`, "latin1");
    const value = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)?.[1] ?? "";
    if (process.getuid?.() === 0) match(value("Uid"), /^65534\s+65534\s+65534/);
    equal(BigInt(`0x${value("CapEff")}`), 0n);
    if (findProgram("setpriv") !== undefined) equal(value("NoNewPrivs"), "1");
    if (readFileSync(`/proc/${vm.pid}/cmdline`, "latin1").includes("-sandbox")) equal(value("Seccomp"), "2");
    ok(!/netdev|nic|-net/.test(readFileSync(`/proc/${vm.pid}/cmdline`, "latin1")));
    equal(readFileSync(`/proc/${vm.pid}/oom_score_adj`, "latin1").trim(), "1000", "when memory runs out it goes first");

    const cpuMs = (): number => vm.cpuMs() ?? Number.NaN;
    const before = cpuMs();
    await new Promise((done) => setTimeout(done, 1000));
    const used = cpuMs() - before;
    t.diagnostic(`CPU time of an idle virtual machine in a second: ${used} ms`);
    ok(used <= 50, `an idle machine used ${used} ms of CPU in a second`);

    await monitor.close();
    ok(!existsSync(`/proc/${vm.pid}`), "it is gone");
  });

  test("nothing of it has a name in the file system", async () => {
    const folder = mkdtempSync(join(tmpdir(), "mayfly-names-"));
    const file = await namelessFile(new Uint8Array(16), [folder]);
    try {
      deepEqual(readdirSync(folder), []);
    } finally {
      await file.close();
      rmSync(folder, { recursive: true });
    }
  });
});
