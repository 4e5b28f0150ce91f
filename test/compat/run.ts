/** Runs a job in Node and in a machine, and compares. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { defaultFlowLimits } from "#abi";
import { fromUtf8 } from "#base";
import { buildImage } from "#image";
import { embeddedMonitor, type Monitor } from "#monitors";
import { driveMachine, type StubAnswer } from "#replay";
import type { Job } from "./job.ts";
import { compatLimits } from "./limits.ts";

export interface Verdict {
  readonly package: string;
  /** Reason of the failure; undefined after a success. */
  readonly why: string | undefined;
  readonly imageBytes: number;
  /** CPU time of the fastest run after the first, in a machine and in Node. */
  readonly machineMs: number;
  readonly nodeMs: number;
}

interface Run {
  readonly json: string;
  readonly ms: number;
}

const limits = { ...defaultFlowLimits, ...compatLimits.machine };
const noAnswer: StubAnswer = { error: { code: "MF_OUTLET_UNANSWERED", message: "nothing answers here" }, delayMs: 0 };
const timeMs = Date.UTC(2026, 0, 1);

/** Runs once to warm up, then again; the fastest run counts. */
async function fastest(run: () => Promise<Run>): Promise<Run> {
  const first = await run();
  let { ms } = first;
  for (let round = 0; round < compatLimits.warmRuns; round++) ms = Math.min(ms, (await run()).ms);
  return { json: first.json, ms };
}

function within<T>(work: Promise<T>): Promise<T> {
  return new Promise((done, failed) => {
    const timer = setTimeout(() => failed(new Error(`no end after ${compatLimits.nodeMs} ms`)), compatLimits.nodeMs);
    work.then(done, failed).finally(() => clearTimeout(timer));
  });
}

async function runInNode({ imports, code }: Job, file: string): Promise<Run> {
  await writeFile(file, `${imports}\nexport default async () => {\n${code}\n};\n`);
  const { default: run } = (await import(pathToFileURL(file).href)) as { default: () => Promise<unknown> };
  return await fastest(async () => {
    const started = performance.now();
    const value = await within(run());
    return { ms: performance.now() - started, json: JSON.stringify(value) ?? "undefined" };
  });
}

async function runInMachine({ imports, code }: Job, file: string, monitor: Monitor): Promise<Run & { readonly imageBytes: number }> {
  const flow = `import { flow } from "mayfly";\n${imports}\nconst run = async () => {\n${code}\n};`;
  await writeFile(file, `${flow}\nexport default flow(async () => JSON.stringify(await run()) ?? "undefined");\n`);
  const { image } = await buildImage(file, { check: false });
  const loaded = await monitor.load(image);
  const stimulus = {
    ...{ id: "m", source: "compat", attempt: 1, key: undefined, headers: {}, body: new Uint8Array(0), state: undefined },
    ...{ seed: new Uint8Array(32).fill(7), timeMs },
  };
  const run = await fastest(async () => {
    const { reply, failure, timings } = await driveMachine(monitor, loaded, { limits, stimulus, stub: () => noAnswer });
    if (failure !== undefined) throw new Error(`${failure.code}: ${failure.message}`);
    return { ms: timings.cpuMs, json: fromUtf8(reply?.body ?? new Uint8Array(0)) };
  });
  return { ...run, imageBytes: image.bytes.length };
}

function difference(machine: string, node: string): string {
  let at = 0;
  while (at < node.length && machine[at] === node[at]) at++;
  const around = (text: string): string => text.slice(Math.max(0, at - 20), at + 60);
  return `gives …${around(machine)}…, Node …${around(node)}…`;
}

const oneLine = (error: unknown): string =>
  String((error as Error | undefined)?.message ?? error)
    .replace(/\S*\/node_modules\//g, "")
    .replace(/\s+/g, " ")
    .slice(0, compatLimits.whyCharacters);

/** Runs a job in `folder`, which has its package installed. */
export async function runJob(job: Job, folder: string, monitor: Monitor): Promise<Verdict> {
  const file = join(folder, job.package.replace(/[^a-z0-9]+/gi, "-"));
  const verdict = { package: job.package, why: undefined, imageBytes: 0, machineMs: 0, nodeMs: 0 };
  let node: Run;
  try {
    node = await runInNode(job, `${file}.node.mjs`);
  } catch (error) {
    return { ...verdict, why: `does not run in Node: ${oneLine(error)}` };
  }
  try {
    const machine = await runInMachine(job, `${file}.flow.js`, monitor);
    const why = machine.json === node.json ? undefined : difference(machine.json, node.json);
    return { package: job.package, why, imageBytes: machine.imageBytes, machineMs: machine.ms, nodeMs: node.ms };
  } catch (error) {
    return { ...verdict, nodeMs: node.ms, why: oneLine(error) };
  }
}

/** Runs jobs one after the other; `each` is told every verdict. */
export async function runJobs(
  jobs: readonly Job[],
  folder: string,
  each: (verdict: Verdict) => void = () => undefined,
): Promise<Verdict[]> {
  const monitor = embeddedMonitor({ workers: 1 });
  try {
    const verdicts: Verdict[] = [];
    for (const job of jobs) {
      const verdict = await runJob(job, folder, monitor);
      verdicts.push(verdict);
      each(verdict);
    }
    return verdicts;
  } finally {
    await monitor.close();
  }
}
