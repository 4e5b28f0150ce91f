/** Faults of processes: lie, die, hang, never start. Each is a coded failure of one message, and nothing is left over. */
import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import wabt from "wabt";
import type { FlowLimits, StepOutcome } from "#abi";
import type { Image } from "#image";
import { buildCaseImages, deliver, effect, type FlowName, replyText, resolve } from "../monitor.case.ts";
import type { Child } from "./worker.ts";
import { type Household, ImagePool } from "./pool.ts";
import { OwnedMachine } from "../machine.ts";
import { platformFault, processMonitor, type ProcessOptions } from "./process.ts";
import type { Machine, Monitor } from "../monitor.ts";
import { noBerth } from "./wire.ts";
import { testPlatform } from "./testing/platforms.ts";

const limits: FlowLimits = { memoryBytes: 16 * 1024 ** 2, cpuMs: 60, timeMs: 60_000, sends: 100, logBytes: 1000 };

/** A pool of processes that run a script of Node instead of a machine. */
class FakeHousehold implements Household {
  readonly workers = 1;
  readonly reuse = true;
  readonly pool: ImagePool;
  readonly #ends: Promise<void>[] = [];
  readonly #watchdog: NodeJS.Timeout;

  constructor(command: string, ...values: readonly string[]) {
    this.pool = new ImagePool(this, { command, values }, undefined);
    this.#watchdog = setInterval(() => this.pool.watch(0), 10);
  }

  room(): boolean {
    return true;
  }
  roomForStopped(): boolean {
    return true;
  }
  wake(): void {}
  held(): void {}
  evict(): void {}
  lost(): void {}
  born(child: Child): void {
    this.#ends.push(child.gone);
  }

  async run(more: Partial<FlowLimits> = {}): Promise<StepOutcome> {
    const seat = { home: undefined, berth: noBerth, heldPages: 0 };
    const outcome = await new OwnedMachine(this.pool, [deliver()], { seat, limits: { ...limits, ...more } }).first;
    this.pool.close();
    await Promise.all(this.#ends);
    clearInterval(this.#watchdog);
    equal(this.pool.children.length, 0);
    return outcome;
  }
}

/** Greets as a machine does, then runs `code` with `answer(number, length, more)` and `say(bytes)` when the first request is there. */
function liar(code: string): FakeHousehold {
  const script = `
    const fs = require("node:fs");
    const say = (bytes) => { for (let at = 0; at < bytes.length; ) at += fs.writeSync(1, bytes, at); };
    const answer = (number, length, { magic = 0x4e41464d, status = 0, kept = 0, zero = 0 } = {}) => {
      const header = Buffer.alloc(32);
      [magic, number, status, length, 0, kept, 0, zero].forEach((word, i) => header.writeUInt32LE(word, 4 * i));
      say(header);
    };
    answer(0xffffffff, 0);
    const request = Buffer.alloc(65536);
    fs.readSync(0, request);
    ${code}`;
  return new FakeHousehold(process.execPath, "-e", script);
}

const lies: Readonly<Record<string, string>> = {
  "claims a frame of four gigabytes": "answer(0, 0xffffffff); setTimeout(() => {}, 1e6);",
  "claims a frame just over the limit": "answer(0, 64 * 1024 * 1024 + 1); setTimeout(() => {}, 1e6);",
  "answers what nobody asked": "answer(5, 0); setTimeout(() => {}, 1e6);",
  "greets twice": "answer(0xffffffff, 0); setTimeout(() => {}, 1e6);",
  "says something else": "say(Buffer.alloc(100, 1)); setTimeout(() => {}, 1e6);",
  "has a status there is not": "answer(0, 0, { status: 99 }); setTimeout(() => {}, 1e6);",
  "has an unknown flag": "answer(0, 0, { kept: 7 }); setTimeout(() => {}, 1e6);",
  "fills what is reserved": "answer(0, 0, { zero: 1 }); setTimeout(() => {}, 1e6);",
  "floods the monitor": "for (;;) say(Buffer.alloc(65536, 0x4d));",
  "answers with a frame that can't be decoded": "answer(0, 8); say(Buffer.from('nonsense')); setTimeout(() => {}, 1e6);",
  "claims that a frame of nothing is a message done": "answer(0, 0); setTimeout(() => {}, 1e6);",
};

describe("a process that lies", () => {
  for (const [name, code] of Object.entries(lies)) {
    test(name, async () => {
      const outcome = await liar(code).run();
      equal(outcome.status, "broken");
      equal(outcome.failure?.code, "MF_MACHINE_LIED");
    });
  }

  test("makes a system call that kills it", async () => {
    equal((await liar('process.kill(process.pid, "SIGSYS"); setTimeout(() => {}, 1e6);').run()).failure?.code, "MF_MACHINE_LIED");
  });

  test("leaves a malformed trap record", async () => {
    equal((await liar('fs.writeSync(2, "MFTRAP\\0\\0" + "x".repeat(100000)); process.exit(140);').run()).failure?.code, "MF_MACHINE_LOST");
  });
});

describe("a process that ends or hangs", () => {
  test("is tried again, and the message fails when it ends again", async () => {
    for (const code of [
      "process.exit(0);",
      "process.exit(1);",
      'process.kill(process.pid, "SIGKILL");',
      "answer(0, 100); process.exit(0);",
    ]) {
      const { failure } = await liar(code).run();
      deepEqual([failure?.code, failure?.workersLost], ["MF_MACHINE_LOST", 2], code);
    }
  });

  test("computes beyond its limit, deaf to the engine's question", async () => {
    const { failure } = await liar("for (;;);").run();
    deepEqual([failure?.code, failure?.workersLost], ["MF_CPU_LIMIT", 1]);
  });

  test("sleeps beyond the message's time", async () => {
    equal((await liar("setTimeout(() => {}, 1e6);").run({ timeMs: 50 })).failure?.code, "MF_TIME_LIMIT");
  });

  test("is not there at all", async () => {
    equal((await new FakeHousehold("/nonexistent/machine").run()).failure?.code, "MF_MACHINE_LOST");
    equal((await new FakeHousehold(process.execPath, "-e", "process.exit(3)").run()).failure?.code, "MF_MACHINE_LOST");
    equal((await new FakeHousehold("/a name no system\0 takes").run()).failure?.code, "MF_MACHINE_LOST", "spawn itself throws");
  });
});

test("another platform is refused by name", () => {
  for (const [platform, architecture] of [
    ["linux", "arm64"],
    ["darwin", "x64"],
    ["win32", "x64"],
  ] as const) {
    const fault = platformFault(platform, architecture);
    equal(fault?.code, "MF_PLATFORM");
    match(fault?.message ?? "", new RegExp(`${architecture} ${platform}.*monitor: embedded`));
  }
  equal(platformFault("linux", "x64"), undefined);
});

function childrenOf(pid: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((one) => {
      try {
        return /\) \S (\d+)/.exec(readFileSync(`/proc/${one}/stat`, "latin1"))?.[1] === String(pid);
      } catch {
        return false;
      }
    });
}

describe("the process monitor", { skip: platformFault()?.message ?? false }, () => {
  let images: ReadonlyMap<FlowName, Image>;
  const folder = mkdtempSync(join(tmpdir(), "mayfly-faults-"));
  const image = (name: FlowName): Image => images.get(name) as Image;
  const open: Monitor[] = [];
  const make = (options?: ProcessOptions): Monitor => {
    const monitor = processMonitor(options);
    open.push(monitor);
    return monitor;
  };

  before(async () => {
    images = await buildCaseImages();
    chmodSync(folder, 0o711);
  });
  afterEach(async () => {
    for (const monitor of open.splice(0)) await monitor.close();
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test("runs waiting machines on when their processes are killed", async () => {
    const monitor = make({ workers: 2 });
    const loaded = await monitor.load(image("enrich"));
    const machines = Array.from({ length: 20 }, () => monitor.start(loaded, deliver()));
    const calls = await Promise.all(machines.map(async (machine) => effect(await machine.first, "call").call));
    const killed = childrenOf(process.pid);
    ok(killed.length > 0);
    for (const pid of killed) process.kill(pid, "SIGKILL");
    const outcomes = await Promise.all(machines.map((machine, index) => machine.step(resolve(calls[index] as number, String(index)))));
    deepEqual(
      outcomes.map((outcome) => replyText(outcome)),
      calls.map((_, index) => JSON.stringify({ answer: index })),
    );
    equal(monitor.stats().waitingBytes, 0);
  });

  test("holds a message responsible that runs while its process is killed twice, and no other", async () => {
    const monitor = make({ workers: 1 });
    const loaded = await monitor.load(image("loop"));
    const machine = monitor.start(loaded, deliver({ body: "spin" }), { ...limits, cpuMs: 50_000 });
    const neighbours = Array.from({ length: 30 }, () => monitor.start(loaded, deliver({ body: "x" }), { ...limits, cpuMs: 50_000 }));
    let over = false;
    const outcome = machine.first.finally(() => (over = true));
    // Kills whatever computes: only the spinning machine uses as much as this.
    const killing = setInterval(() => {
      for (const pid of over ? [] : childrenOf(process.pid)) {
        const ns = Number(readFileSync(`/proc/${pid}/schedstat`, "latin1").split(" ")[0]);
        if (ns > 100e6) process.kill(pid, "SIGKILL");
      }
    }, 20);
    const { failure } = await outcome;
    deepEqual([failure?.code, failure?.workersLost], ["MF_MACHINE_LOST", 2]);
    clearInterval(killing);
    for (const neighbour of neighbours) equal(replyText(await neighbour.first), "fine");
  });

  test("answers every other message of the image, however many end their process", async () => {
    const monitor = make({ workers: 2 });
    const loaded = await monitor.load(image("loop"));
    const killers = Array.from({ length: 8 }, () => monitor.start(loaded, deliver({ body: "spin" }), { ...limits, cpuMs: 50_000 }));
    const others = Array.from({ length: 40 }, () => monitor.start(loaded, deliver({ body: "x" }), limits));
    const killing = setInterval(() => {
      for (const pid of childrenOf(process.pid)) {
        const ns = Number(readFileSync(`/proc/${pid}/schedstat`, "latin1").split(" ")[0]);
        if (ns > 60e6) process.kill(pid, "SIGKILL");
      }
    }, 10);
    try {
      for (const { first } of killers) equal((await first).failure?.code, "MF_MACHINE_LOST");
      for (const { first } of others) equal(replyText(await first), "fine");
    } finally {
      clearInterval(killing);
    }
  });

  test("is not held up by a process that takes nothing in", async () => {
    const monitor = make({ workers: 1 });
    const [stopped, other] = [await monitor.load(image("bytes")), await monitor.load(image("echo"))];
    const body = Buffer.alloc(3 * 1024 * 1024, 7);
    await monitor.start(stopped, deliver({ body: "first" })).first;
    const pids = childrenOf(process.pid).filter((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("bytes"));
    equal(pids.length, 1);
    for (const pid of pids) process.kill(pid, "SIGSTOP");
    const held = Array.from({ length: 12 }, () => monitor.start(stopped, deliver({ body })).first);
    for (let i = 0; i < 20; i++) equal(replyText(await monitor.start(other, deliver({ body: "on" })).first), "on");
    for (const pid of pids) process.kill(pid, "SIGCONT");
    for (const { effects } of await Promise.all(held)) {
      const last = effects.at(-1);
      equal(last?.kind === "done" && last.reply?.body.length, body.length);
    }
  });

  test("keeps no two machines in one place after one was ended in a step", async () => {
    const monitor = make({ workers: 1 });
    const loaded = await monitor.load(image("many"));
    const begin = async (): Promise<{ machine: Machine; outcome: StepOutcome }> => {
      const machine = monitor.start(loaded, deliver());
      return { machine, outcome: await machine.first };
    };
    const ended = await begin();
    const step = ended.machine.step(resolve(effect(ended.outcome, "call").call, '{"value":0}'));
    ended.machine.end();
    const [one, other] = [await begin(), await begin()];
    equal((await step).failure?.code, "MF_MACHINE_ENDED");
    for (let round = 0; round < 5; round++)
      for (const each of [other, one])
        each.outcome = await each.machine.step(resolve(effect(each.outcome, "call").call, each === one ? '{"value":1}' : '{"value":100}'));
    deepEqual([replyText(one.outcome), replyText(other.outcome)], ["5", "500"]);
  });

  test("keeps to its number of processes, whatever is loaded", async () => {
    const monitor = make({ workers: 2, processes: 3 });
    const names: readonly FlowName[] = ["echo", "bytes", "counter", "grow", "enrich", "random"];
    const loaded = await Promise.all(names.map((name) => monitor.load(image(name))));
    for (let round = 0; round < 3; round++) {
      const outcomes = await Promise.all(loaded.flatMap((one) => Array.from({ length: 10 }, () => monitor.start(one, deliver()).first)));
      for (const outcome of outcomes)
        ok(outcome.status === "done" || outcome.status === "waiting", outcome.failure?.message ?? outcome.status);
      ok(childrenOf(process.pid).length <= 3, `${childrenOf(process.pid).length} processes`);
    }
  });

  test("lets an image go when it is unloaded and its machines are over", async () => {
    const monitor = make({ folder });
    const loaded = await monitor.load(image("enrich"));
    const machine = monitor.start(loaded, deliver());
    const call = effect(await machine.first, "call").call;
    monitor.unload(loaded);
    equal(monitor.stats().waiting, 1);
    equal(replyText(await machine.step(resolve(call, "1"))), '{"answer":1}');
    equal(monitor.stats().workers, 0);
    deepEqual(
      readdirSync(folder).flatMap((name) => readdirSync(join(folder, name))),
      [],
    );
  });

  test("leaves no process, no descriptor and no file", async () => {
    const descriptors = (): number => readdirSync("/proc/self/fd").length;
    const beforehand = descriptors();
    const monitor = make({ folder });
    const loaded = await monitor.load(image("enrich"));
    const spinning = await monitor.load(image("loop"));
    const waiting = Array.from({ length: 40 }, () => monitor.start(loaded, deliver()));
    await Promise.all(waiting.map(({ first }) => first));
    const running = monitor.start(spinning, deliver({ body: "spin" }), { ...limits, cpuMs: 50_000 });
    await new Promise((done) => setTimeout(done, 20));
    await monitor.close();
    equal((await running.first).failure?.code, "MF_MONITOR_CLOSED");
    equal((await (waiting[0] as (typeof waiting)[0]).step(resolve(1, "1"))).failure?.code, "MF_MONITOR_CLOSED");
    deepEqual(childrenOf(process.pid), []);
    deepEqual(readdirSync(folder), []);
    equal(descriptors(), beforehand);
    await rejects(monitor.load(image("echo")), { code: "MF_MONITOR_CLOSED" });
  });

  test("replays machines that wait when no process can keep them", async () => {
    const monitor = make({ workers: 2, cacheFolder: folder, platform: await testPlatform("testing/untracked.ts") });
    const loaded = await monitor.load(image("many"));
    const machines = Array.from({ length: 6 }, () => monitor.start(loaded, deliver()));
    for (const [index, machine] of machines.entries()) {
      let outcome = await machine.first;
      for (let round = 0; round < 5; round++) {
        equal(monitor.stats().waitingBytes, 0);
        outcome = await machine.step(resolve(effect(outcome, "call").call, `{"value":${index + round}}`));
      }
      equal(replyText(outcome), String(5 * index + 10));
    }
  });

  test("runs every message in a process of its own when it is told to", async () => {
    const monitor = make({ reuse: false });
    const loaded = await monitor.load(image("enrich"));
    const seen = new Set<number>();
    for (let round = 0; round < 5; round++) {
      const machine = monitor.start(loaded, deliver());
      const call = effect(await machine.first, "call").call;
      const busy = monitor.stats().waitingBytes > 0 ? childrenOf(process.pid) : [];
      ok(busy.length > 0);
      equal(replyText(await machine.step(resolve(call, String(round)))), JSON.stringify({ answer: round }));
      equal(monitor.stats().waitingBytes, 0, "its process is on its way out");
      for (const pid of busy) seen.add(pid);
    }
    ok(seen.size >= 5, `${seen.size} processes for 5 messages`);
    equal(monitor.stats().replaced, 0);
  });

  test("keeps its processes out of the terminal's reach: Ctrl-C is for the gateway", async () => {
    const monitor = make();
    await monitor.load(image("echo"));
    const group = (pid: number): string => /\) \S \d+ (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "latin1"))?.[1] ?? "";
    const machines = childrenOf(process.pid).filter((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("mayfly-process-"));
    ok(machines.length > 0);
    for (const pid of machines) equal(group(pid), String(pid));
  });

  test("removes what a monitor left whose process was killed, and nothing of one that lives", async () => {
    const module = pathToFileURL(join(dirname(fileURLToPath(import.meta.url)), "folder.js")).href;
    const leave = `const { makeFolder } = await import(${JSON.stringify(module)}); console.log(makeFolder(${JSON.stringify(folder)})); process.kill(process.pid, "SIGKILL");`;
    const { stdout, signal } = spawnSync(process.execPath, ["--input-type=module", "-e", leave], { encoding: "utf8" });
    equal(signal, "SIGKILL");
    const left = stdout.trim();
    ok(existsSync(left), `${left} was left`);
    const [one, other] = [make({ folder }), make({ folder })];
    equal(existsSync(left), false);
    equal(readdirSync(folder).filter((name) => name.startsWith("mayfly-process-")).length, 2, "the folders of both");
    await Promise.all([one.close(), other.close()]);
  });

  test("says so when the system lets no process run", async () => {
    const tools = await wabt();
    const exits = (code: number): Uint8Array =>
      tools
        .parseWat(
          "exit.wat",
          `(module (import "cpu" "syscall" (func $call (param i64 i64 i64 i64 i64 i64 i64) (result i64))) (memory (export "memory") 1)
            (func (export "interrupt") (result i32) (i32.const 0))
            (func (export "main") (drop (call $call (i64.const 231) (i64.const ${code}) (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0)))))`,
        )
        .toBinary({}).buffer;
    const monitor = make({ folder, cacheFolder: folder, platform: exits(74) });
    await rejects(monitor.load(image("echo")), (error: { code?: string; message: string }) => {
      equal(error.code, "MF_PLATFORM");
      match(error.message, /seccomp filter/);
      return true;
    });
    equal(monitor.stats().workers, 0);
    await monitor.close();
    ok(existsSync(folder));
  });
});
