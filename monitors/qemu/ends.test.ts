/** Ends at awkward moments, and virtual machines that never get as far as a message. */
import { equal, match, ok, rejects } from "node:assert/strict";
import { tmpdir } from "node:os";
import { after, before, describe, test } from "node:test";
import type { FlowLimits, StepOutcome } from "#abi";
import type { LoadedImage } from "../monitor.ts";
import { deliver, effect, replyText, resolve } from "../monitor.case.ts";
import { namelessFile } from "./elf-file.ts";
import { emptyGuest } from "./empty-guest.ts";
import { OwnedMachine } from "../machine.ts";
import { QemuImage } from "./image.ts";
import { Fleet } from "./pool.ts";
import { probeQemu } from "./probe.ts";
import { qemuMonitorForTest } from "./qemu.ts";
import { imageOf, qemuMissing } from "./testing/guests.ts";
import { Vm } from "./vm.ts";

const missing = qemuMissing();
const skip = missing === undefined ? {} : { skip: missing };
const limits: FlowLimits = { memoryBytes: 16 * 1024 ** 2, cpuMs: 20_000, timeMs: 60_000, sends: 1000, logBytes: 65_536 };
const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));
const head = 'import { flow } from "mayfly"; export default flow(async (msg, { to }) => {';
const asks = `${head} return (await to.erp.request(1)).json(); });`;

describe("a machine that is ended", skip, () => {
  test("while another runs beside it does not disturb that one", async () => {
    const monitor = qemuMonitorForTest({ perFlow: 1 });
    try {
      const image = await monitor.load(
        await imageOf(
          `${head} if (msg.text() === "ask") await to.erp.request(1); let n = 0; for (let i = 0; i < 1_000_000; i++) n += i % 7; return "worked"; });`,
        ),
      );
      const waiting = Array.from({ length: 8 }, () => monitor.start(image, deliver({ body: "ask" }), limits));
      for (const machine of waiting) equal((await machine.first).status, "waiting");
      const running = monitor.start(image, deliver(), limits);
      const ending = setInterval(() => waiting.pop()?.end(), 5);
      equal(replyText(await running.first), "worked");
      clearInterval(ending);
      ok(waiting.length < 8, "one was ended meanwhile");
      for (const machine of waiting) machine.end();
      equal(monitor.stats().waiting, 0);
      equal(replyText(await monitor.start(image, deliver(), limits).first), "worked");
      equal((await monitor.vms[0]?.check())?.argument, 0);
    } finally {
      await monitor.close();
    }
  });

  test("in a step, its image unloaded: virtual machine and file go, and the monitor closes", async () => {
    const monitor = qemuMonitorForTest({ perFlow: 1 });
    const image = await monitor.load(await imageOf(`${head} while (true); });`));
    const machine = monitor.start(image, deliver(), limits);
    while (monitor.stats().running === 0) await pause(5);
    const { pid } = monitor.vms[0] as Vm;
    machine.end();
    monitor.unload(image);
    equal((await machine.first).failure?.code, "MF_MACHINE_ENDED");
    await monitor.close();
    equal(monitor.stats().workers, 0);
    let alive = true;
    try {
      process.kill(pid as number, 0);
    } catch {
      alive = false;
    }
    equal(alive, false);
  });
});

test("more flows than there may be virtual machines take turns", skip, async () => {
  const monitor = qemuMonitorForTest({ most: 2 });
  try {
    const images = await Promise.all(
      Array.from({ length: 6 }, async (_, index) => monitor.load(await imageOf(`${head} return ${index} + msg.text(); });`))),
    );
    const replies = await Promise.all(
      Array.from({ length: 24 }, (_, index) => monitor.start(images[index % 6] as LoadedImage, deliver({ body: "x" }), limits).first),
    );
    for (const [index, reply] of replies.entries()) equal(replyText(reply), `${index % 6}x`);
    ok(monitor.stats().workers <= 2);
  } finally {
    await monitor.close();
  }
});

describe("a virtual machine that never gets ready", skip, () => {
  test("fails its messages after some tries, and is tried less often then", async () => {
    const lines: string[] = [];
    const log = (line: string): void => void lines.push(line);
    const options = { isolation: "flow", perFlow: 1, most: 4, standby: 0, cpuFactor: 10, parkedBytes: 0, hangMs: 30_000, log } as const;
    const fleet = new Fleet(await probeQemu(), options);
    const built = await imageOf('import { flow } from "mayfly"; export default flow(() => 1);');
    const file = await namelessFile(emptyGuest()); // it ends at once
    const image = new QemuImage(built, file, () => undefined);
    const run = (): Promise<StepOutcome> => {
      image.retain();
      const seat = { image, weight: 1, home: undefined, slot: -1 };
      return new OwnedMachine(fleet, [deliver()], { seat, limits }).first;
    };
    try {
      const first = await run();
      equal(first.failure?.code, "MF_MACHINE_LOST");
      match(first.failure?.message ?? "", /virtual machines do not start/);
      equal(lines.length, 3);
      for (const { failure } of await Promise.all(Array.from({ length: 20 }, run))) equal(failure?.code, "MF_MACHINE_LOST");
      equal(lines.length, 4, "one try more is enough for all that waited for it");
    } finally {
      await fleet.close();
      await file.close();
    }
  });

  test("that stands by and is killed again and again is not started again and again", async () => {
    const monitor = qemuMonitorForTest({ isolation: "message", standby: 1 });
    try {
      const image = await monitor.load(await imageOf('import { flow } from "mayfly"; export default flow((msg) => msg.text());'));
      equal(replyText(await monitor.start(image, deliver({ body: "x" })).first), "x");
      const before = monitor.stats().replaced;
      // A second is room for ten at least; with rests of 50, 100, 200 ms and so on there are five at most.
      for (const endMs = performance.now() + 1500; performance.now() < endMs; await pause(5))
        for (const vm of monitor.vms) vm.kill("stopped", "the test ends it");
      const times = monitor.stats().replaced - before;
      ok(times >= 1 && times <= 6, `${times} were started`);
      equal(replyText(await monitor.start(image, deliver({ body: "y" })).first), "y");
    } finally {
      await monitor.close();
    }
  });

  test("because no process can be had ends as one that was lost", async () => {
    const file = await namelessFile(emptyGuest());
    const append = "x".repeat(1 << 18); // more than Linux takes as one argument
    const vm = new Vm(await probeQemu(), { elf: file.fd, memoryBytes: 16 * 1024 ** 2, append }, () => undefined);
    await vm.ended;
    equal(vm.state, "ended");
    match(vm.epitaph, /E2BIG/);
    await file.close();
  });
});

test("the ELF lies where there is room, and the error says so when none is left", async () => {
  const bytes = Uint8Array.of(1, 2, 3);
  const file = await namelessFile(bytes, ["/nowhere/at/all", tmpdir()]);
  equal((await file.stat()).size, 3);
  await file.close();
  await rejects(namelessFile(bytes, ["/nowhere/at/all", "/proc"]), { code: "MF_QEMU_FAILED", message: /TMPDIR.*ENOENT/s });
});

describe("a virtual machine for every message", skip, () => {
  let monitor: ReturnType<typeof qemuMonitorForTest>;
  before(() => void (monitor = qemuMonitorForTest({ isolation: "message", most: 4 })));
  after(() => monitor.close());

  test("is used once, and another stands by", async () => {
    const image = await monitor.load(await imageOf('import { flow } from "mayfly"; export default flow((msg) => msg.text());'));
    const used = new Set<number | undefined>();
    for (let i = 0; i < 4; i++) {
      const machine = monitor.start(image, deliver({ body: String(i) }), limits);
      while (monitor.stats().running === 0) await pause(1);
      const [own] = monitor.vms.filter(({ state }) => state === "running");
      equal(replyText(await machine.first), String(i));
      ok(own?.pid !== undefined && !used.has(own.pid), "it has not been seen before");
      used.add(own.pid);
    }
    while (!monitor.vms.some(({ state }) => state === "idle")) await pause(5);
    monitor.unload(image);
    while (monitor.stats().workers > 0) await pause(5);
  });

  test("is kept while its machine waits; where there are too few, those that waited longest are run again", async () => {
    const image = await monitor.load(await imageOf(asks));
    const machines = Array.from({ length: 10 }, () => monitor.start(image, deliver(), limits));
    for (const machine of machines) equal(effect(await machine.first, "call").target, "erp");
    ok(monitor.stats().workers <= 4);
    const replies = await Promise.all(machines.map((machine, index) => machine.step(resolve(0, `{"n":${index}}`))));
    for (const [index, reply] of replies.entries()) equal(replyText(reply), `{"n":${index}}`);
    equal(monitor.stats().waiting, 0);
  });

  test("that computes for too long is ended with its message alone", async () => {
    const image = await monitor.load(await imageOf(`${head} if (msg.text() === "spin") while (true); return msg.text(); });`));
    const [spin, fine] = await Promise.all([
      monitor.start(image, deliver({ body: "spin" }), { ...limits, cpuMs: 20 }).first,
      monitor.start(image, deliver({ body: "fine" }), limits).first,
    ]);
    equal(spin.failure?.code, "MF_CPU_LIMIT");
    equal(replyText(fine), "fine");
  });
});
