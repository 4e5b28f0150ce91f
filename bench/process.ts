/**
 * The reference flow as a Linux process: from exec to the first reply, through the process monitor, and what a process holds.
 * `node dist/bench/process.js` prints it alone.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { encodeEvent } from "#abi";
import { buildImage, type Image, linuxExecutable, linuxProgram } from "#image";
import { embeddedMonitor, type Monitor, processMonitor } from "#monitors";
import { durations, type Row, type Sample, sample, say } from "./rows.ts";
import { deliverOrder, referenceFlow } from "./start.ts";

const suite = "process";

/** A request to start a machine, as monitors/process/wire.ts has it. */
function startRequest(): Buffer {
  const frame = encodeEvent(deliverOrder());
  const header = Buffer.alloc(32);
  for (const [index, word] of [0x5152464d, 1, 0, frame.length, 256, 500, 0xffff_ffff, 0].entries()) header.writeUInt32LE(word, 4 * index);
  return Buffer.concat([header, frame]);
}

function execOnce(file: string, input: Buffer): void {
  const { status, signal, stdout } = spawnSync(file, [], { input, env: {}, stdio: ["pipe", "pipe", "ignore"] });
  if (status !== 0) throw new Error(`${file} ended with ${signal ?? status}`);
  if (file !== "/bin/true" && stdout.length <= 64) throw new Error(`${file} did not answer`);
}

/** Both in turn, so that both meet the same disturbance. */
function execRows(file: string, count: number): Row[] {
  const input = startRequest();
  const mine: number[] = [];
  const theirs: number[] = [];
  for (let i = 0; i < count; i++) {
    for (const [program, all] of [
      [file, mine],
      ["/bin/true", theirs],
    ] as const) {
      const started = performance.now();
      execOnce(program, input);
      all.push(performance.now() - started);
    }
  }
  const [own, peer] = [sample(mine), sample(theirs)];
  const over = own.p50 - peer.p50;
  return [
    {
      suite,
      name: "exec → first reply → exit of a fresh process, p50",
      value: own.p50,
      unit: "ms",
      beside: { name: "/bin/true, started the same way", value: peer.p50 },
      ratio: peer.p50 / own.p50,
    },
    { suite, name: "… over /bin/true", value: over, unit: "ms", aim: "≤ 1.5 ms", met: over <= 1.5 },
  ];
}

/** Messages a second, 64 at a time. */
async function crowded(one: () => Promise<void>, count: number): Promise<number> {
  let left = count;
  const started = performance.now();
  await Promise.all(
    Array.from({ length: 64 }, async () => {
      while (left-- > 0) await one();
    }),
  );
  return count / ((performance.now() - started) / 1000);
}

async function runner(monitor: Monitor, image: Image): Promise<() => Promise<void>> {
  const loaded = await monitor.load(image);
  return async () => {
    const { status } = await monitor.start(loaded, deliverOrder()).first;
    if (status !== "done") throw new Error("the reference flow failed");
  };
}

interface Through {
  readonly serial: Sample;
  readonly perSecond: number;
}

/** Several monitors in turn, so that all meet the same disturbance. */
async function through(monitors: readonly Monitor[], image: Image, rounds: number, perRound: number): Promise<Through[]> {
  const runners = await Promise.all(monitors.map((monitor) => runner(monitor, image)));
  const all = runners.map((one) => ({ one, serial: [] as number[], rates: [] as number[] }));
  for (let round = 0; round < rounds; round++) {
    for (const { one, serial, rates } of all) {
      serial.push(...(await durations(perRound / 4, one)));
      rates.push(await crowded(one, perRound));
    }
  }
  return all.map(({ serial, rates }) => ({ serial: sample(serial), perSecond: sample(rates).p50 }));
}

/** Private and shared kilobytes of the processes that run `name`; undefined where the system does not tell this user. */
function residentKilobytes(name: string): { readonly privately: number; readonly shared: number } | undefined {
  const found: { privately: number; shared: number }[] = [];
  for (const pid of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      if (!readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(`/${name}-`)) continue;
      const text = readFileSync(`/proc/${pid}/smaps_rollup`, "latin1");
      const field = (key: string): number => Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0);
      found.push({ privately: field("Private_Clean") + field("Private_Dirty"), shared: field("Shared_Clean") + field("Shared_Dirty") });
    } catch {
      // Gone meanwhile, or not told.
    }
  }
  return found.sort((a, b) => b.privately - a.privately)[0];
}

async function monitorRows(image: Image, quick: boolean): Promise<Row[]> {
  const workers = availableParallelism();
  const [mine, theirs] = [processMonitor({ workers }), embeddedMonitor({ workers })];
  const [own, peer] = (await through([mine, theirs], image, 8, quick ? 1000 : 5000)) as [Through, Through];
  const memory = residentKilobytes(image.manifest.name);
  await Promise.all([mine.close(), theirs.close()]);
  const fresh = processMonitor({ workers, reuse: false });
  const alone = sample(await durations(quick ? 100 : 400, await runner(fresh, image)));
  await fresh.close();
  const rows: Row[] = [
    {
      suite,
      name: `fresh machines a second, ${workers} workers, 64 at a time`,
      value: own.perSecond,
      unit: "messages/s",
      beside: { name: "embedded monitor", value: peer.perSecond },
      ratio: own.perSecond / peer.perSecond,
    },
    {
      suite,
      name: "fresh machine → reply, one at a time, p50",
      value: own.serial.p50,
      unit: "ms",
      beside: { name: "embedded monitor", value: peer.serial.p50 },
      ratio: peer.serial.p50 / own.serial.p50,
    },
    {
      suite,
      name: "… with the memory put back, beside a process for every message",
      value: own.serial.p50,
      unit: "ms",
      beside: { name: "process for every message", value: alone.p50 },
      ratio: alone.p50 / own.serial.p50,
    },
  ];
  const name = "private memory of a process, among others of its image";
  if (memory === undefined) rows.push({ suite, name, value: Number.NaN, unit: "KB", skipped: "only root may see it" });
  else {
    rows.push({ suite, name, value: memory.privately, unit: "KB", aim: "≤ 1,024 KB", met: memory.privately <= 1024 });
    rows.push({ suite, name: "shared memory of a process", value: memory.shared, unit: "KB" });
  }
  return rows;
}

export async function processRows(quick: boolean): Promise<Row[]> {
  if (process.platform !== "linux" || process.arch !== "x64")
    return [{ suite, name: "processes", value: Number.NaN, unit: "ms", skipped: "this is not x86-64 Linux" }];
  const folder = mkdtempSync(join(tmpdir(), "mayfly-bench-"));
  try {
    say("process: compiling the engine");
    const { image } = await buildImage(referenceFlow, { check: false });
    const compiled = performance.now();
    linuxProgram({ cacheFolder: folder });
    const compileMs = performance.now() - compiled;
    const linked = sample(await durations(quick ? 8 : 40, () => linuxExecutable(image, { cacheFolder: folder }))).p50;
    const file = join(folder, "reference");
    writeFileSync(file, linuxExecutable(image, { cacheFolder: folder }), { mode: 0o755 });
    const rows: Row[] = [
      { suite, name: "engine → machine code, cold", value: compileMs / 1000, unit: "s", aim: "≤ 3 s", met: compileMs <= 3000 },
      { suite, name: "image → executable, engine compiled already", value: linked, unit: "ms", aim: "≤ 50 ms", met: linked <= 50 },
      { suite, name: "executable", value: statSync(file).size / 1000, unit: "kB" },
    ];
    say("process: exec");
    rows.push(...execRows(file, quick ? 60 : 300));
    say("process: monitor");
    rows.push(...(await monitorRows(image, quick)));
    return rows;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const { name, value, unit, beside, ratio, aim, met, skipped } of await processRows(process.argv.includes("--quick"))) {
    const peer =
      beside === undefined ? "" : `, ${beside.name}: ${beside.value.toPrecision(4)} ${unit} → ${(ratio ?? Number.NaN).toFixed(2)}×`;
    const wanted = aim === undefined ? "" : `   [aim ${aim}: ${met === true ? "met" : "missed"}]`;
    console.log(skipped === undefined ? `${name}: ${value.toPrecision(4)} ${unit}${peer}${wanted}` : `${name}: skipped, ${skipped}`);
  }
  process.exit(0); // the bundler's service would keep it waiting
}
