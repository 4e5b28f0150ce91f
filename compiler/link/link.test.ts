import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import wabt from "wabt";
import { fromUtf8, toUtf8 } from "#base";
import {
  cachedProgram,
  compileModule,
  decodeModule,
  functionAt,
  type LinkedProgram,
  linkProgram,
  type Program,
  type ProgramOptions,
  parseTrapRecord,
  writeExecutable,
  type ExecutableOptions,
} from "#compiler";

const tools = await wabt();
const features = { bulk_memory: true, multi_value: true, reference_types: true, sign_extension: true };
const binary = (text: string): Uint8Array => tools.parseWat("test.wat", text, features).toBinary({ write_debug_names: true }).buffer;
const runs = process.platform === "linux" && process.arch === "x64";

/** A platform layer in miniature: a memory of its own, system calls, and an engine it calls. */
const layer = `(module
  (import "cpu" "syscall" (func $syscall (param i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (import "cpu" "address" (func $address (param i32) (result i64)))
  (import "symbol" "memory.engine.base" (func $engine (result i64)))
  (import "mmio" "read8" (func $read8 (param i64) (result i32)))
  (import "engine" "sum" (func $sum (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i64) (result i32 i64)))
  (memory 1)
  (data (i32.const 64) "sum ")
  (func $write (param $from i32) (param $bytes i32)
    (drop (call $syscall (i64.const 1) (i64.const 1) (call $address (local.get $from)) (i64.extend_i32_u (local.get $bytes)) (i64.const 0) (i64.const 0) (i64.const 0))))
  (func (export "main") (local $low i32) (local $high i64)
    (i32.store8 (i32.const 68) (call $read8 (i64.add (call $engine) (i64.const 5))))
    (call $sum (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5) (i32.const 6) (i32.const 7) (i32.const 8) (i32.const 9) (i64.const 20))
    (local.set $high)
    (local.set $low)
    (i32.store8 (i32.const 69) (local.get $low))
    (i32.store8 (i32.const 70) (i32.wrap_i64 (local.get $high)))
    (call $write (i32.const 64) (i32.const 7))))`;

const engine = `(module (memory (export "memory") 1) (global $offset (mut i32) (i32.const 0)) (data (i32.const 5) "!")
  (func (export "sum") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i64) (result i32 i64)
    (i32.add (i32.add (i32.load8_u (i32.const 5)) (local.get 8)) (global.get $offset)) (i64.add (local.get 9) (i64.extend_i32_u (local.get 7)))))`;

function build(layerText: string, options: Partial<ProgramOptions> = {}): LinkedProgram {
  return linkProgram(
    [
      { name: "engine", code: compileModule(decodeModule(binary(engine))) },
      { name: "layer", code: compileModule(decodeModule(binary(layerText))) },
    ],
    { platform: "linux", entry: { module: "layer", name: "main" }, ...options },
  );
}

function run(
  program: Program,
  options: ExecutableOptions = {},
): { readonly status: number | null; readonly out: Buffer; readonly err: Buffer } {
  const folder = mkdtempSync(join(tmpdir(), "mayfly-link-"));
  try {
    const file = join(folder, "program");
    writeFileSync(file, writeExecutable(program, options));
    chmodSync(file, 0o755);
    const { status, stdout, stderr } = spawnSync(file, []);
    return { status, out: stdout, err: stderr };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("modules with memories of their own call each other, and the platform layer calls Linux", { skip: !runs }, () => {
  const { status, out } = run(build(layer));
  equal(out.toString(), "sum !*\x1c");
  equal(status, 0);
});

test("memory and globals are given when the executable is written", { skip: !runs }, () => {
  const bytes = new Uint8Array(2 * 65536);
  bytes[5] = 0x3f;
  bytes[70_000] = 1;
  const { out } = run(build(layer), { memories: [{ module: "engine", bytes }], globals: [{ module: "engine", index: 0, value: 2n }] });
  equal(out.toString(), "sum ?J\x1c");
});

test("a trap ends the process with its kind and function", { skip: !runs }, () => {
  const cases = [
    ["unreachable", "(unreachable)"],
    ["integer divide by zero", "(drop (i64.div_s (i64.const 1) (i64.const 0)))"],
    ["memory access out of bounds", "(drop (i32.load (i32.const 65533)))"],
    ["memory access out of bounds", "(i64.store offset=4294967295 (i32.const -1) (i64.const 1))"],
    ["stack exhausted", "(call $trap)"],
    ["memory access out of bounds", "(memory.fill (i32.const 65530) (i32.const 1) (i32.const 7))"],
  ] as const;
  for (const [kind, code] of cases) {
    const program = build(`(module (memory 1) (func $trap (export "inner") ${code}) (func (export "main") (call $trap)))`);
    const { status, err } = run(program);
    const record = parseTrapRecord(err);
    equal(record?.kind, kind);
    match(functionAt(program, record?.rip ?? 0n), /layer\.(trap|inner)/);
    ok((status ?? 0) >= 128);
  }
});

test("output is deterministic, and what the binutils read in it is what was meant", (t) => {
  const first = writeExecutable(build(layer));
  deepEqual(writeExecutable(build(layer)), first);
  if (spawnSync("objdump", ["--version"]).status !== 0) return t.skip("objdump is not installed");
  const folder = mkdtempSync(join(tmpdir(), "mayfly-link-"));
  try {
    const file = join(folder, "program");
    writeFileSync(file, first);
    const listing = spawnSync("objdump", ["-p", "-t", file], { encoding: "utf8" }).stdout;
    match(listing, /LOAD.*\n.*flags r-x/);
    equal(/flags rwx/.test(listing), false);
    match(listing, /F \.text\s+[0-9a-f]+ engine\.sum/);
    match(listing, /layer\.main/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("start functions run before the entry when they are asked for", { skip: !runs }, () => {
  const text = `(module (memory 1) (global $g (mut i32) (i32.const 0)) (func $start (global.set $g (i32.const 1))) (start $start)
    (func (export "main") (if (global.get $g) (then (unreachable)))))`;
  equal(run(build(text)).status, 0);
  equal(parseTrapRecord(run(build(text, { start: ["layer"] })).err)?.kind, "unreachable");
  throws(() => build(text, { start: ["engine"] }), { code: "MF_LINK_ENTRY" });
});

test("a program for bare metal begins at its entry, with its memory where it was told", () => {
  const program = build(`(module (memory 2) (data (i32.const 8) "x") (func (export "main") (drop (memory.grow (i32.const 1)))))`, {
    platform: "bare",
    baseAddress: 0x100000,
    memoryBase: (name) => (name === "layer" ? 0n : 0x10_0000_0000n),
    memoryPages: () => 16,
  });
  equal(program.entry, program.linked.addresses.get("runtime.entry"));
  equal(program.memories.find((m) => m.module === "layer")?.base, 0n);
  const elf = writeExecutable(program, { physicalAddress: (name) => (name === "engine" ? 0x800000n : 0x200000n) });
  equal(new DataView(elf.buffer).getUint16(18, true), 62);
});

test("what does not fit together is refused with a code", () => {
  const missing = `(module (import "engine" "nothing" (func)) (func (export "main")))`;
  throws(() => build(missing), { code: "MF_LINK_MISSING" });
  build(missing, { missing: "trap" });
  throws(() => build(`(module (import "engine" "sum" (func)) (func (export "main")))`), { code: "MF_LINK_INCOMPATIBLE" });
  throws(() => build(`(module (import "cpu" "fly" (func)) (func (export "main")))`), { code: "MF_LINK_INTRINSIC" });
  throws(() => build(`(module (func (export "other")))`), { code: "MF_LINK_ENTRY" });
  throws(() => writeExecutable(build(layer), { memories: [{ module: "engine", bytes: new Uint8Array(5) }] }), { code: "MF_LINK_LIMIT" });
  equal(parseTrapRecord(toUtf8("MFTRAP, it says, and lies about it")), undefined);
});

test("a cached program is the linked one, and a damaged cache entry is made again", () => {
  const folder = mkdtempSync(join(tmpdir(), "mayfly-cache-"));
  try {
    const sources = [
      { name: "engine", bytes: binary(engine) },
      { name: "layer", bytes: binary(layer) },
    ];
    const options: ProgramOptions = { platform: "linux", entry: { module: "layer", name: "main" } };
    const expected = writeExecutable(build(layer));
    deepEqual(writeExecutable(cachedProgram(folder, sources, options)), expected);
    deepEqual(writeExecutable(cachedProgram(folder, sources, options)), expected);
    const [file] = readdirSync(folder);
    truncateSync(join(folder, file as string), 100);
    deepEqual(writeExecutable(cachedProgram(folder, sources, options)), expected);
    equal(readdirSync(folder).length, 1);
    ok(fromUtf8(expected.subarray(1, 4)) === "ELF");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
