/** A stranger's function called from a program, each call in a machine of its own, beside other ways to get a fresh world for each call. */
import { Worker } from "node:worker_threads";
import { collectGarbage } from "#base";
import { sandbox } from "#embed";
import { type Peer, peerModule } from "./peers.ts";
import { durations, type Row, type Sample, sample, say } from "./rows.ts";

const suite = "embed";
const code = "(x) => x * 2";
/** Calls under way at once, where a rate is measured. */
const atOnce = 32;

/** A fresh world, one call in it, and its end. */
type FreshCall = (value: number) => unknown;

interface IsolatedContext {
  evalClosureSync(code: string, values: unknown[], options: object): number;
  release(): void;
}

interface IsolatedVm {
  readonly Isolate: new (options: { memoryLimit: number }) => { createContextSync(): IsolatedContext; dispose(): void };
}

async function isolated(): Promise<Record<string, FreshCall> | undefined> {
  const loaded = (await peerModule("isolated-vm")) as ({ default?: IsolatedVm } & Partial<IsolatedVm>) | undefined;
  const Isolate = loaded?.default?.Isolate ?? loaded?.Isolate;
  if (Isolate === undefined) return undefined;
  const shared = new Isolate({ memoryLimit: 16 });
  const callIn = (context: IsolatedContext, value: number): number => context.evalClosureSync(`return (${code})($0)`, [value], {});
  return {
    "a fresh isolate of isolated-vm": (value) => {
      const isolate = new Isolate({ memoryLimit: 16 });
      callIn(isolate.createContextSync(), value);
      isolate.dispose();
    },
    "a fresh context of isolated-vm": (value) => {
      const context = shared.createContextSync();
      callIn(context, value);
      context.release();
    },
  };
}

interface QuickJs {
  getQuickJS(): Promise<{ evalCode(code: string): unknown }>;
}

async function quickJs(): Promise<Record<string, FreshCall> | undefined> {
  const loaded = (await peerModule("quickjs-emscripten")) as QuickJs | undefined;
  if (loaded === undefined) return undefined;
  const engine = await loaded.getQuickJS();
  return { "a fresh context of quickjs-emscripten": (value) => engine.evalCode(`(${code})(${value})`) };
}

function worker(): Record<string, FreshCall> {
  const script = `const { parentPort, workerData } = require("node:worker_threads"); parentPort.postMessage((${code})(workerData));`;
  return {
    "a fresh worker thread": (value) =>
      new Promise((done, failed) => new Worker(script, { eval: true, workerData: value }).once("message", done).once("error", failed)),
  };
}

async function perSecond(call: (value: number) => Promise<number>, count: number): Promise<number> {
  let left = count;
  const started = performance.now();
  const some = async (): Promise<void> => {
    while (left-- > 0) await call(left);
  };
  await Promise.all(Array.from({ length: atOnce }, some));
  return (count * 1000) / (performance.now() - started);
}

async function besideRows(mine: Sample, quick: boolean): Promise<Row[]> {
  const rows: Row[] = [];
  const peers: readonly (readonly [Peer | undefined, () => Promise<Record<string, FreshCall> | undefined> | Record<string, FreshCall>])[] =
    [
      ["isolated-vm", isolated],
      ["quickjs-emscripten", quickJs],
      [undefined, worker],
    ];
  for (const [peer, open] of peers) {
    const calls = await open();
    if (calls === undefined)
      rows.push({ suite, name: `p50 beside ${peer}`, value: Number.NaN, unit: "ms", skipped: `${peer} can't be installed here` });
    for (const [name, call] of Object.entries(calls ?? {})) {
      const theirs = sample(await durations(quick ? 60 : 300, call));
      const ratio = theirs.p50 / mine.p50;
      const row: Row = {
        suite,
        name: "a call in a fresh machine, p50",
        value: mine.p50,
        unit: "ms",
        beside: { name, value: theirs.p50 },
        ratio,
      };
      rows.push(name.includes("isolate of") ? { ...row, aim: "≥ 50×", met: ratio >= 50 } : row);
    }
  }
  return rows;
}

/** Memory of one more function that nobody calls: its image and its place in the monitor. */
async function idleBytes(count: number): Promise<number> {
  const all = [await sandbox(code, { workers: 1 })];
  collectGarbage();
  const before = process.memoryUsage();
  for (let index = 0; index < count; index++) all.push(await sandbox(`(x) => x * 2 + ${index}`, { workers: 1 }));
  collectGarbage();
  const after = process.memoryUsage();
  await Promise.all(all.map((own) => own.close()));
  return (after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers) / count;
}

export async function embedRows(quick: boolean): Promise<Row[]> {
  say("a stranger's function, a fresh machine per call");
  const own = await sandbox<[number], number>(code, { workers: 1 });
  const count = quick ? 4_000 : 20_000;
  await perSecond(own, count); // warm
  const rate = await perSecond(own, count);
  const mine = sample(await durations(count, (index) => own(index)));
  await own.close();
  const idle = await idleBytes(quick ? 5 : 50);
  return [
    { suite, name: "calls a second, one worker", value: rate, unit: "/s", aim: "≥ 50,000/s", met: rate >= 50_000 },
    { suite, name: "a call in a fresh machine, p50", value: mine.p50, unit: "ms", aim: "≤ 0.02 ms", met: mine.p50 <= 0.02 },
    { suite, name: "a call in a fresh machine, p99", value: mine.p99, unit: "ms" },
    { suite, name: "memory of one more idle function", value: idle / 1024, unit: "KiB" },
    ...(await besideRows(mine, quick)),
  ];
}
