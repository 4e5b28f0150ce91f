import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";
import { prng } from "#base";
import { type Backend } from "../compile.ts";
import { compareModules, type Subject } from "./compare.ts";
import { generateModule } from "./generate.ts";

/**
 * `npm run fuzz:compiler -- [--seed N] [--count N] [--binaryen N] [--backend baseline|optimising]`
 * Differential fuzzing against V8: `count` modules of our generator, then `binaryen` ones of wasm-opt's. Failures are kept in compiler/fuzz/corpus.
 */

/** The log of binaryen's fuzzer: a running hash per type, the same module under V8 and natively. */
export const loggerText = `(module (global $h (mut i64) (i64.const 7))
  (func $mix (param i64) (global.set $h (i64.add (i64.mul (global.get $h) (i64.const 31)) (local.get 0))))
  (func (export "log-i32") (param i32) (call $mix (i64.extend_i32_s (local.get 0))))
  (func (export "log-i64") (param i64) (call $mix (local.get 0)))
  (func (export "log-f32") (param f32) (if (f32.eq (local.get 0) (local.get 0)) (then (call $mix (i64.extend_i32_u (i32.reinterpret_f32 (local.get 0)))))))
  (func (export "log-f64") (param f64) (if (f64.eq (local.get 0) (local.get 0)) (then (call $mix (i64.reinterpret_f64 (local.get 0)))))))`;

/** Failures of one run that go to the corpus: one fault often shows in many modules. */
const mostKept = 5;

const features = [
  "-mvp",
  "--enable-mutable-globals",
  "--enable-sign-ext",
  "--enable-nontrapping-float-to-int",
  "--enable-bulk-memory",
  "--enable-multivalue",
];

function binaryenModule(seed: number, folder: string): Uint8Array | undefined {
  const tool = join(createRequire(import.meta.url).resolve("binaryen/package.json"), "..", "bin", "wasm-opt");
  const random = prng(seed);
  writeFileSync(
    join(folder, "seed"),
    Uint8Array.from({ length: 600 + random.below(6000) }, () => random.below(256)),
  );
  const args = [tool, join(folder, "seed"), "-ttf", ...features, "--denan", "--no-fuzz-oob", "-o", join(folder, "out.wasm")];
  const run = spawnSync(process.execPath, args, { timeout: 60_000 });
  return run.status === 0 ? new Uint8Array(readFileSync(join(folder, "out.wasm"))) : undefined;
}

async function logger(): Promise<Uint8Array> {
  const wabt = (await import("wabt")).default;
  return (await wabt()).parseWat("log.wat", loggerText).toBinary({}).buffer;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: "string", default: String(Date.now() % 2 ** 31) },
      count: { type: "string", default: "2000" },
      binaryen: { type: "string", default: "20" },
      backend: { type: "string", default: "optimising" },
    },
  });
  const seed = Number(values.seed);
  const backend = values.backend as Backend;
  const corpus = join(process.cwd(), "compiler", "fuzz", "corpus");
  console.log(`seed ${seed}, backend ${backend}`);
  let failures = 0;
  const judge = async (subjects: readonly Subject[], host?: Uint8Array): Promise<void> => {
    for (const { subject, what } of await compareModules(subjects, backend, host)) {
      failures++;
      console.log(`${subject.label}: ${what}`);
      mkdirSync(corpus, { recursive: true });
      if (failures <= mostKept && subject.bytes.length < 8192)
        writeFileSync(join(corpus, `${subject.label.replaceAll(" ", "-")}.wasm`), subject.bytes);
    }
  };
  const batch = 50;
  for (let done = 0; done < Number(values.count); done += batch) {
    const size = Math.min(batch, Number(values.count) - done);
    await judge(Array.from({ length: size }, (_, i) => ({ label: `seed ${seed + done + i}`, bytes: generateModule(seed + done + i) })));
    if (done % 1000 === 0) console.log(`${done + size} modules, ${failures} differences`);
  }
  const folder = mkdtempSync(join(tmpdir(), "mayfly-fuzz-"));
  try {
    const host = await logger();
    let made = 0;
    for (let i = 0; i < Number(values.binaryen); i++) {
      const bytes = binaryenModule(seed + i, folder);
      if (bytes === undefined) continue;
      made++;
      await judge([{ label: `binaryen ${seed + i}`, bytes }], host);
    }
    console.log(`${values.count} modules of our own and ${made} of binaryen's, ${failures} differences`);
  } finally {
    rmSync(folder, { recursive: true });
  }
  process.exitCode = failures === 0 ? 0 : 1;
}

await main();
