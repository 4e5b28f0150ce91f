/** Traps in a machine's process, kind by kind; and starts that the system refuses, call by call. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import wabt from "wabt";
import type { FlowLimits } from "#abi";
import { compileModule, decodeModule, linkProgram, type TrapKind, trapKinds, writeExecutable } from "#compiler";
import type { Image } from "#image";
import { buildCaseImages, deliver } from "../monitor.case.ts";
import { platformFault, processMonitor } from "./process.ts";
import { Workshop } from "./testing/platforms.ts";
import { AnswerReader, type Answer, startFaults } from "./wire.ts";

const limits: FlowLimits = { memoryBytes: 16 * 1024 ** 2, cpuMs: 1000, timeMs: 60_000, sends: 100, logBytes: 1000 };
const pageBytes = 65_536;
const firstKind = 256; // pages of the memory limit that ask for the first kind

/** By kind, what meets it. `unbound import called` needs a program that was linked with one missing: no image's is. */
const trapping: Readonly<Record<Exclude<TrapKind, "unbound import called">, string>> = {
  unreachable: "(unreachable)",
  "memory access out of bounds": "(drop (i32.load offset=70000 (local.get 0)))",
  "table access out of bounds": "(drop (table.get 0 (i32.add (local.get 0) (i32.const 100))))",
  "undefined element": "(call_indirect (type $void) (i32.add (local.get 0) (i32.const 100)))",
  "uninitialized element": "(call_indirect (type $void) (i32.const 0))",
  "indirect call type mismatch": "(drop (call_indirect (type $other) (f64.const 0) (i32.const 1)))",
  "integer divide by zero": "(drop (i32.div_u (local.get 0) (i32.const 0)))",
  "integer overflow": "(drop (i32.div_s (i32.const -2147483648) (i32.const -1)))",
  "invalid conversion to integer": "(drop (i32.trunc_f64_s (f64.const nan)))",
  "stack exhausted": "(call $deep)",
  "machine fault": "(call $halt)",
};
const kinds = Object.keys(trapping) as (keyof typeof trapping)[];

const systemCall = `(import "cpu" "syscall" (func $call (param i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (import "cpu" "address" (func $address (param i32) (result i64)))`;
const none = (count: number): string => "(i64.const 0) ".repeat(count);

/** A platform that greets, and traps at its first request in the way that the request's memory limit asks for. */
const platformText = `(module
  ${systemCall}
  (import "cpu" "hlt" (func $halt))
  (type $void (func)) (type $other (func (param f64) (result f64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "MFAN\\ff\\ff\\ff\\ff")
  (table 2 funcref) (elem (i32.const 1) $nothing)
  (func $nothing)
  (func $deep (call $deep) (call $nothing))
  ${kinds.map((kind, index) => `(func $trap${index} (param i32) ${trapping[kind]})`).join("\n  ")}
  (func (export "interrupt") (result i32) (i32.const 0))
  (func (export "main") (local $kind i32)
    (drop (call $call (i64.const 1) (i64.const 1) (call $address (i32.const 0)) (i64.const 32) ${none(3)}))
    (drop (call $call (i64.const 0) (i64.const 0) (call $address (i32.const 64)) (i64.const 4096) ${none(3)}))
    (local.set $kind (i32.sub (i32.load (i32.const 80)) (i32.const ${firstKind})))
    ${kinds.map((_, index) => `(if (i32.eq (local.get $kind) (i32.const ${index})) (then (call $trap${index} (local.get $kind))))`).join("\n    ")}))`;

/**
 * Starts the program named in its data under a filter that answers one system call with EPERM: the system as it would be without it.
 * The filter is struct sock_filter { u16 code; u8 true; u8 false; u32 value }: load the number, compare, and one of two answers.
 */
function refusing(number: number, file: string): string {
  const word = (value: number): string => [0, 8, 16, 24].map((by) => `\\${((value >>> by) & 0xff).toString(16).padStart(2, "0")}`).join("");
  const filter = [0x20, 0, 0x01_00_0015, number, 0x06, 0x0005_0001, 0x06, 0x7fff_0000].map(word).join("");
  return `(module
    ${systemCall}
    (memory 1)
    (data (i32.const 0) "${filter}")
    (data (i32.const 64) "\\04")
    (data (i32.const 128) "${file}\\00")
    (func (export "main")
      (i64.store (i32.const 72) (call $address (i32.const 0)))
      (drop (call $call (i64.const 157) (i64.const 38) (i64.const 1) ${none(4)}))
      (if (i64.ne (call $call (i64.const 317) (i64.const 1) (i64.const 0) (call $address (i32.const 64)) ${none(3)}) (i64.const 0)) (then (unreachable)))
      (i64.store (i32.const 96) (call $address (i32.const 128)))
      (drop (call $call (i64.const 59) (call $address (i32.const 128)) (call $address (i32.const 96)) (call $address (i32.const 104)) ${none(3)}))
      (unreachable)))`;
}

/** By exit code, the call whose refusal leads to it. */
const refused: Readonly<Record<number, readonly [name: string, number: number]>> = {
  71: ["prlimit64", 302],
  72: ["close_range", 436],
  73: ["mprotect", 10],
  74: ["seccomp", 317],
};

describe("a machine process", { skip: platformFault()?.message ?? false }, () => {
  const workshop = new Workshop();
  let image: Image;
  let binary: (text: string) => Uint8Array;

  before(async () => {
    image = (await buildCaseImages()).get("echo") as Image;
    const tools = await wabt();
    binary = (text) => tools.parseWat("t.wat", text, { reference_types: true }).toBinary({ write_debug_names: true }).buffer;
  });
  after(() => workshop.close());

  test("that traps fails its message with the kind and the function", async () => {
    const missing = trapKinds.filter((kind) => !(kind in trapping));
    deepEqual(missing, ["unbound import called"]);
    const monitor = processMonitor({ workers: 1, cacheFolder: workshop.folder, platform: binary(platformText) });
    try {
      const loaded = await monitor.load(image);
      for (const [index, kind] of kinds.entries()) {
        const outcome = await monitor.start(loaded, deliver(), { ...limits, memoryBytes: (firstKind + index) * pageBytes }).first;
        equal(outcome.failure?.code, "MF_MACHINE_TRAP", kind);
        match(outcome.failure?.message ?? "", new RegExp(`\\(${kind} in platform\\.(trap${index}|deep|cpu\\.hlt)\\)`));
      }
      equal(monitor.stats().replaced, kinds.length);
    } finally {
      await monitor.close();
    }
  });

  async function startWithout(number: number): Promise<{ readonly code: number | null; readonly greeting: Answer | undefined }> {
    const file = workshop.executable(image);
    const program = linkProgram([{ name: "launcher", code: compileModule(decodeModule(binary(refusing(number, file)))) }], {
      platform: "linux",
      entry: { module: "launcher", name: "main" },
    });
    const launcher = join(workshop.folder, `launcher-${number}`);
    writeFileSync(launcher, writeExecutable(program));
    chmodSync(launcher, 0o755);
    return new Promise((resolve, reject) => {
      let greeting: Answer | undefined;
      const reader = new AnswerReader();
      const child = spawn(launcher, [], { stdio: ["pipe", "pipe", "inherit"], env: {} });
      child.stdin.on("error", () => undefined);
      child.stdin.end();
      child.stdout.on("data", (piece: Buffer) =>
        reader.push(piece, (answer) => {
          greeting = answer;
          return true;
        }),
      );
      child.on("error", reject).on("close", (code) => resolve({ code, greeting }));
    });
  }

  for (const [code, [name, number]] of Object.entries(refused)) {
    test(`does not serve where ${name} is refused, and its exit code says so`, async () => {
      const ended = await startWithout(number);
      equal(ended.code, Number(code));
      equal(ended.greeting, undefined);
      ok(startFaults[Number(code)] !== undefined);
    });
  }

  test("serves where /proc can't be opened, and says that nothing is tracked", async () => {
    const { code, greeting } = await startWithout(2);
    equal(code, 0);
    equal(greeting?.status, "missing");
  });

  test("serves where nothing it needs is refused: these tests would notice a launcher that breaks it", async () => {
    const { code, greeting } = await startWithout(9999);
    equal(code, 0);
    equal(greeting?.status, "complete");
  });
});
