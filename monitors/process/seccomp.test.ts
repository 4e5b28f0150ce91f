/** A machine that is compromised reaches nothing: every system call the loop does not need kills it, and its code cannot be written. */
import { equal, notEqual, ok } from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { linuxProgram } from "#image";
import { buildCaseImages } from "../monitor.case.ts";
import { platformFault } from "./process.ts";
import { RawProcess, testPlatform, Workshop } from "./testing/platforms.ts";

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Result of the call, if the process survived it. */
  readonly result: bigint | undefined;
}

const poke = 0xffff_ffffn;
const engine = 0x10_0000_0000n;
const frozen = 0x14_0000_0000n;
const minusOne = 0xffff_ffff_ffff_ffffn;

/** By name: number and arguments. Each is tried in a process of its own. */
const forbidden: Readonly<Record<string, readonly bigint[]>> = {
  "read from another descriptor": [0n, 3n, engine, 16n],
  "read from standard error": [0n, 2n, engine, 16n],
  "write to another descriptor": [1n, 3n, engine, 16n],
  "write to the input": [1n, 0n, engine, 16n],
  open: [2n, 0x400000n, 0n],
  close: [3n, 0n],
  stat: [4n, 0x400000n, engine],
  poll: [7n, engine, 0n, 0n],
  "mmap that may be executed": [9n, engine, 0x1000n, 7n, 0x4032n, minusOne, 0n],
  "mmap over the code": [9n, 0x400000n, 0x1000n, 3n, 0x4032n, minusOne, 0n],
  "mmap over the image's copy": [9n, frozen, 0x1000n, 3n, 0x4032n, minusOne, 0n],
  "mmap of a file": [9n, engine, 0x1000n, 3n, 0x12n, 3n, 0n],
  "mmap that is shared": [9n, engine, 0x1000n, 3n, 0x4031n, minusOne, 0n],
  mprotect: [10n, 0x400000n, 0x1000n, 7n],
  "munmap of the code": [11n, 0x400000n, 0x1000n],
  "munmap of the image's copy": [11n, frozen, 0x1000n],
  brk: [12n, 0n],
  sigaction: [13n, 11n, 0n, engine, 8n],
  ioctl: [16n, 0n, 0x5401n, engine],
  "pread of another descriptor": [17n, 0n, engine, 8n, 0n],
  "madvise that is no giving back": [28n, engine, 0x1000n, 14n],
  "madvise on the code": [28n, 0x400000n, 0x1000n, 4n],
  dup: [32n, 0n],
  getpid: [39n],
  socket: [41n, 1n, 1n, 0n],
  sendmsg: [46n, 1n, engine, 0n],
  clone: [56n, 0x11n, 0n],
  fork: [57n],
  vfork: [58n],
  execve: [59n, 0x400000n, 0n, 0n],
  kill: [62n, 1n, 0n],
  ptrace: [101n, 0n],
  prctl: [157n, 4n, 1n],
  "another clock": [228n, 0n, engine],
  openat: [257n, minusOne, 0x400000n, 0n],
  prlimit: [302n, 0n, 7n, 0n, engine],
  process_vm_writev: [311n, 1n, engine, 0n, engine, 0n, 0n],
  seccomp: [317n, 1n, 0n, 0n],
  memfd_create: [319n, engine, 0n],
  userfaultfd: [323n, 0n],
  io_uring_setup: [425n, 1n, engine],
  clone3: [435n, engine, 64n],
  "an unknown number": [9999n],
  "a call of the x32 interface": [0x4000_0000n],
};

describe("a compromised machine process", { skip: platformFault()?.message ?? false }, () => {
  const workshop = new Workshop();
  let file = "";

  before(async () => {
    const images = await buildCaseImages();
    const image = images.get("echo");
    ok(image !== undefined);
    file = workshop.executable(image, await testPlatform("testing/hostile.ts"));
  });
  after(() => workshop.close());

  function attempt(words: readonly bigint[]): Promise<Ended> {
    const request = Buffer.alloc(56);
    for (const [index, word] of words.entries()) request.writeBigUInt64LE(BigInt.asUintN(64, word), 8 * index);
    return new Promise((resolve, reject) => {
      const child = spawn(file, [], { stdio: ["pipe", "pipe", "ignore"], env: { SECRET: "x" } });
      const said: Buffer[] = [];
      child.stdin.on("error", () => undefined);
      child.stdout.on("data", (piece: Buffer) => said.push(piece));
      child.on("error", reject).on("close", (code, signal) => {
        const all = Buffer.concat(said);
        resolve({ code, signal, result: all.length === 8 ? all.readBigInt64LE() : undefined });
      });
      child.stdin.end(request);
    });
  }

  for (const [name, words] of Object.entries(forbidden)) {
    test(`is killed by ${name}`, async () => {
      const { signal, result } = await attempt(words);
      equal(signal, "SIGSYS", `it lived and got ${result}`);
    });
  }

  test("lives when it makes the calls of the loop: these tests would notice a filter that kills everything", async () => {
    for (const words of [
      [9n, engine + 0x1000_0000n, 0x1000n, 3n, 0x4032n, minusOne, 0n],
      [11n, engine + 0x1000_0000n, 0x1000n],
      [28n, engine, 0x1000n, 4n],
      [228n, 2n, engine],
    ]) {
      const { code, result } = await attempt(words);
      equal(code, 0, String(words));
      notEqual(result, undefined);
      ok((result as bigint) >= 0n, `call ${words[0]} gave ${result}`);
    }
  });

  test("can write its own memory, not its code, its constants or the image's copy", async () => {
    equal((await attempt([poke, engine, 1n])).code, 0);
    const segments = linuxProgram({ cacheFolder: workshop.folder, platform: await testPlatform("testing/hostile.ts") }).linked.segments;
    for (const name of ["text", "rodata"]) {
      const segment = segments.find((one) => one.name === name);
      ok(segment !== undefined);
      const { code, result } = await attempt([poke, BigInt(segment.address), 0n]);
      ok(code !== null && code >= 128, `${name} was written: exit code ${code}`);
      equal(result, undefined);
    }
    const { code } = await attempt([poke, frozen, 0n]);
    ok(code !== null && code >= 128, `the image's copy was written: exit code ${code}`);
  });
});

/** Field of /proc/PID/status. */
function statusField(pid: number, name: string): string {
  const line = readFileSync(`/proc/${pid}/status`, "utf8")
    .split("\n")
    .find((one) => one.startsWith(`${name}:`));
  return line?.slice(name.length + 1).trim() ?? "";
}

test("a machine process has no privileges, no descriptors but its own, and no limits to spare", {
  skip: platformFault()?.message ?? false,
}, async (context) => {
  const workshop = new Workshop();
  const image = (await buildCaseImages()).get("echo");
  ok(image !== undefined);
  const one = new RawProcess(workshop.executable(image));
  try {
    await one.next();
    const pid = one.process.pid as number;
    equal(statusField(pid, "NoNewPrivs"), "1");
    equal(statusField(pid, "Seccomp"), "2");
    equal(readFileSync(`/proc/${pid}/oom_score_adj`, "utf8").trim(), "1000", "when memory runs out it goes first");
    const limits = readFileSync(`/proc/${pid}/limits`, "utf8");
    for (const name of ["Max core file size", "Max processes", "Max open files"]) ok(new RegExp(`${name}\\s+0\\s+0`).test(limits), limits);
    if (process.getuid?.() !== 0) return context.diagnostic("descriptors and environment of another process are root's to see");
    const descriptors = readdirSync(`/proc/${pid}/fd`).map(Number);
    equal(Math.max(...descriptors), 3, "standard streams and the page map");
    equal(readFileSync(`/proc/${pid}/environ`).length, 0);
  } finally {
    await one.end();
    workshop.close();
  }
});
