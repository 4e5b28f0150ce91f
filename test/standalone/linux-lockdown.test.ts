/**
 * A service whose network module was taken over from the start. A double of that module makes the system call that the settings name, once
 * the service is locked down, or writes wherever it can.
 */
import { equal, match, notEqual, ok } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import wabt from "wabt";
import { packageRoot } from "#cli";
import type { Image } from "#image";
import { netModule } from "#kernel";
import { type Ended, linuxMissing, ServiceFolder } from "./linux-service.ts";
import { freePort } from "../../base/testing/free-port.ts";

const double = `(module
  (import "cpu" "syscall" (func $call (param i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (import "host" "print" (func $print (param i32 i32)))
  (import "host" "off" (func $off (param i32)))
  (import "host" "listen" (func $listen (param i32) (result i32)))
  (import "host" "transmit" (func $transmit (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func $word (param i32) (result i64) (i64.load offset=1024 (i32.shl (local.get 0) (i32.const 3))))
  (func (export "configBuffer") (param i32) (result i32)
    (if (result i32) (i32.eq (local.get 0) (i32.const 64)) (then (i32.const 1024)) (else (i32.const 16384))))
  (func (export "configure") (param i32 i32) (result i32) (i32.const 0))
  (func (export "reaches") (result i32) (i32.wrap_i64 (call $word (i32.const 7))))
  (func (export "start") (drop (call $listen (i32.const 1))))
  (func (export "sayServing") (param i32))
  (func (export "event") (param i32 i32))
  (func (export "nextJob") (result i32)
    (if (result i32) (i64.eq (call $word (i32.const 0)) (i64.const -3)) (then (i32.const 0x7ffffff0)) (else (i32.const 0))))
  (func (export "effectsBuffer") (param i32) (result i32) (i32.const 0))
  (func (export "done") (param i32 i32 i32))
  (func (export "button"))
  (func (export "flush") (result i32) (i32.const 0))
  (func (export "poll") (result i64)
    (if (i64.eq (call $word (i32.const 0)) (i64.const -1)) (then (i64.store offset=0xffffffff (i32.const 0xfffffff0) (i64.const 1))))
    (if (i64.eq (call $word (i32.const 0)) (i64.const -2)) (then
      (i64.store (i32.const 0) (i64.extend_i32_s (call $transmit (i32.wrap_i64 (call $word (i32.const 1))) (i32.const 0) (i32.const 8))))
      (call $print (i32.const 0) (i32.const 8))
      (call $off (i32.const 0))))
    (if (i64.eq (call $word (i32.const 0)) (i64.const -3)) (then (return (i64.const 0))))
    (i64.store (i32.const 0) (call $call (call $word (i32.const 0)) (call $word (i32.const 1)) (call $word (i32.const 2)) (call $word (i32.const 3))
      (call $word (i32.const 4)) (call $word (i32.const 5)) (call $word (i32.const 6))))
    (call $print (i32.const 0) (i32.const 8))
    (call $off (i32.const 0))
    (i64.const 0)))`;

const [engine, frozen, platform, net] = [0x10_0000_0000n, 0x14_0000_0000n, 0x18_0000_0000n, 0x1c_0000_0000n];
const all = 0xffff_ffff_ffff_ffffn;
const flags = 0x80800n;

/** By name: number and arguments. Each is tried in a process of its own. Descriptors: 3 signals, 4 poller, 5 listener. */
const forbidden: Readonly<Record<string, readonly bigint[]>> = {
  "read of standard input": [0n, 0n, platform, 16n],
  "read of signals into the module's memory": [0n, 3n, net, 128n],
  "write to a socket": [1n, 5n, net, 8n],
  open: [2n, 0x400000n, 0n],
  "close of the log": [3n, 1n],
  "close of the poller": [3n, 4n],
  stat: [4n, 0x400000n, net],
  "poll of many": [7n, platform, 2n, 0n],
  "mmap that may be executed": [9n, engine, 0x1000n, 7n, 0x4032n, all, 0n],
  "mmap over the code": [9n, 0x400000n, 0x1000n, 3n, 0x4032n, all, 0n],
  "mmap in the module's window": [9n, net, 0x1000n, 3n, 0x4032n, all, 0n],
  "mprotect of the code": [10n, 0x400000n, 0x1000n, 3n],
  "mprotect of the image's copy": [10n, frozen, 0x1000n, 3n],
  "mprotect that makes code": [10n, engine, 0x1000n, 7n],
  "munmap of the image's copy": [11n, frozen, 0x1000n],
  sigaction: [13n, 27n, 0n, net, 8n],
  ioctl: [16n, 0n, 0x5401n, net],
  pread: [17n, 5n, net, 8n, 0n],
  "madvise that is no giving back": [28n, engine, 0x1000n, 14n],
  dup: [32n, 0n],
  setitimer: [38n, 2n, net, 0n],
  getpid: [39n],
  "a socket, without outlets": [41n, 2n, 1n | flags, 0n],
  "a connection, without outlets": [42n, 5n, platform, 16n],
  "sendto from the engine's memory": [44n, 5n, engine, 16n, 0x4000n],
  "sendto with an address": [44n, 5n, net, 16n, 0x4000n, net, 16n],
  "recvfrom into the engine's memory": [45n, 5n, engine, 16n],
  "recvfrom of the log": [45n, 1n, net, 16n],
  sendmsg: [46n, 5n, net, 0n],
  bind: [49n, 5n, platform, 16n],
  listen: [50n, 5n, 1n],
  "another option of a socket": [54n, 5n, 1n, 2n, platform, 4n],
  clone: [56n, 0x11n, 0n],
  fork: [57n],
  execve: [59n, 0x400000n, 0n, 0n],
  kill: [62n, 1n, 0n],
  ptrace: [101n, 0n],
  setuid: [105n, 0n],
  prctl: [157n, 4n, 1n],
  chroot: [161n, 0x400000n],
  "another clock": [228n, 2n, platform],
  "change of what is watched": [233n, 4n, 3n, 5n, platform],
  openat: [257n, all, 0x400000n, 0n],
  "accept from another socket": [288n, 6n, platform, platform, flags],
  "accept that blocks": [288n, 5n, platform, platform, 0n],
  prlimit: [302n, 0n, 7n, 0n, net],
  process_vm_writev: [311n, 1n, net, 0n, net, 0n, 0n],
  seccomp: [317n, 1n, 0n, 0n],
  "random bytes into the module's memory": [318n, net, 256n, 0n],
  memfd_create: [319n, net, 0n],
  io_uring_setup: [425n, 1n, net],
  clone3: [435n, net, 64n],
  "an unknown number": [9999n],
  "a call of the x32 interface": [0x4000_0000n],
};

describe("a Linux process that serves, and was taken over", { skip: linuxMissing() ?? false, timeout: 240_000 }, () => {
  let folder: ServiceFolder;
  let image: Image;
  let file: string;

  before(async () => {
    folder = await ServiceFolder.create();
    image = await folder.image('import { flow } from "mayfly"; export default flow((msg) => ({ got: msg.text() }));');
    const tools = await wabt();
    const module = tools.parseWat("net.wat", double, { reference_types: true }).toBinary({ write_debug_names: true }).buffer;
    file = await folder.executable(image, {}, { net: module });
  });
  after(() => folder.close());

  let tries = 0;
  async function attempt(words: readonly bigint[], reaches = 0n): Promise<Ended & { readonly result: bigint | undefined }> {
    const settings = Buffer.alloc(64);
    for (const [index, word] of words.entries()) settings.writeBigUInt64LE(BigInt.asUintN(64, word), 8 * index);
    settings.writeBigUInt64LE(reaches, 56);
    const config = join(folder.folder, `call${tries++}`);
    await writeFile(config, settings);
    const child = folder.run(file, ["-p", String(await freePort()), "--config", config]);
    child.process.stdout?.setEncoding("latin1");
    const ended = await child.ended;
    return { ...ended, result: ended.out.length === 8 ? Buffer.from(ended.out, "latin1").readBigInt64LE() : undefined };
  }

  for (const [name, words] of Object.entries(forbidden))
    test(`is killed by ${name}`, async () => {
      const { signal, result, err } = await attempt(words);
      equal(signal, "SIGSYS", `it lived and got ${result} ${err}`);
    });

  test("lives when it makes the calls of the loop: these tests would notice a filter that kills everything", async () => {
    for (const [words, reaches] of [
      [[228n, 1n, platform], 0n],
      [[45n, 5n, net, 16n], 0n],
      [[3n, 77n], 0n],
      [[41n, 2n, 1n | flags, 0n], 1n],
    ] as const) {
      const { code, result, err } = await attempt(words, reaches);
      equal(code, 0, `${words.join(" ")} ${err}`);
      notEqual(result, undefined);
    }
  });

  test("reaches no memory but its own, and no descriptor that is not a socket", async () => {
    const stray = await attempt([-1n]);
    equal(stray.code, 128 + 1, "memory access out of bounds");
    for (const descriptor of [0n, 1n, 3n, 4n, -1n]) equal((await attempt([-2n, descriptor])).result, -9n, `descriptor ${descriptor}`);
    const lies = await attempt([-3n]);
    match(lies.err, /it may have been taken over/);
    equal(lies.code, 1);
  });

  test("the real module has no import but those of the platform", () => {
    const imports = WebAssembly.Module.imports(new WebAssembly.Module(new Uint8Array(netModule("linux"))));
    ok(
      imports.every(({ module }) => module === "host"),
      JSON.stringify(imports),
    );
  });
});

/** The container of STANDALONE.md: its user, and its entry point. */
async function container(): Promise<{ readonly user: string; readonly command: readonly string[] }> {
  const text = await readFile(join(packageRoot, "docs", "STANDALONE.md"), "utf8");
  const block = /^```dockerfile\nFROM scratch\nCOPY app \/app\nUSER (\d+)\nENTRYPOINT (.*)\n```$/m.exec(text);
  ok(block !== null);
  return { user: block[1] ?? "", command: JSON.parse(block[2] ?? "") as string[] };
}

test("it serves as nobody, with nothing but itself in the file system", {
  skip: linuxMissing() ?? false,
  timeout: 120_000,
}, async (context) => {
  if (process.getuid?.() !== 0 || spawnSync("chroot", ["--version"]).status !== 0) return context.skip("chroot is root's");
  const folder = await ServiceFolder.create();
  try {
    const image = await folder.image(
      'import { flow } from "mayfly"; export default flow(async (msg, { sleep }) => { await sleep(20); return { got: msg.text() }; });',
    );
    const scratch = join(folder.folder, "scratch");
    await mkdir(scratch, { mode: 0o755 });
    await copyFile(await folder.executable(image), join(scratch, "app"));
    const port = await freePort();
    const { user, command } = await container();
    const values = [`--userspec=${user}:${user}`, scratch, ...command.map((word) => word.replace("0.0.0.0:8080", `127.0.0.1:${port}`))];
    const service = await folder.run("chroot", values, port, { PATH: process.env["PATH"] ?? "" }).serving();
    const answers = await Promise.all(["a", "b", "c"].map(async (body) => (await service.ask("/", { method: "POST", body })).json()));
    equal(JSON.stringify(answers), '[{"got":"a"},{"got":"b"},{"got":"c"}]');
    equal((await readdir(scratch)).join(), "app");
    equal((await service.stop()).code, 0);
  } finally {
    await folder.close();
  }
});
