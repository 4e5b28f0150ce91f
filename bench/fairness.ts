/** The cost of one hostile flow to the others: the 99th percentile of a quiet flow's replies, idle and beside a hostile flow. */
import { type ChildProcess, spawn } from "node:child_process";
import { once, setMaxListeners } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { type Monitor, probeQemu } from "#monitors";
import { durations, percentiles, type Row, type Sample, say } from "./rows.ts";

/** Wall time of one long step of the hostile flow on a core of its own, about, in milliseconds. */
const stepMs = 250;
/** Time for one attack, in milliseconds: as many replies are measured as come meanwhile, up to a number. */
const quickMs = 10_000;
const fullMs = 60_000;
const bin = fileURLToPath(new URL("../../scripts/mayfly.mjs", import.meta.url));

const hostile = `import { flow } from "mayfly";
const burn = (rounds: number) => { for (let i = 0; i < rounds; i++) Math.sin(i); };
export default flow({ limits: { cpu: "1h" } }, async (msg, { sleep }) => {
  const kind = msg.headers["mayfly-path-kind"];
  if (kind === "long") burn(5e6);
  if (kind === "waiting") for (let step = 0; step < 5; step++) { await sleep(1); burn(1e6); }
  if (kind === "endless") for (;;);
  return "a";
});`;
const quiet = `import { flow } from "mayfly"; export default flow((msg) => "b");`;
const yaml = (monitor: Monitor["name"]): string => `flows:
  hostile: { flow: hostile.ts, key: "json:/none", concurrency: 1000, from: [ { http: { path: "/hostile/:kind", bodyLimit: 8MiB } } ] }
  quiet: { flow: quiet.ts, from: [ { http: { path: /quiet } } ] }
ceilings: { cpu: 10s }
http: { port: 0 }
log: { level: info, format: json }
journal: { memory: true }
monitor: ${monitor}
`;

/** `mayfly serve` with both flows. */
async function started(folder: string): Promise<{ readonly child: ChildProcess; readonly url: string }> {
  const child = spawn(process.execPath, [bin, "serve"], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (more: string) => (text = (text + more).slice(-10_000)));
  for (;;) {
    const url = /"url":"(http:[^"]+)".*"msg":"ready"/.exec(text)?.[1];
    if (url !== undefined) return { child, url };
    if (child.exitCode !== null) throw new Error(`serve ended: ${text}`);
    await Promise.race([once(child.stdout, "data"), once(child, "exit")]);
  }
}

interface Post {
  readonly body?: Uint8Array;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
}

async function post(url: string, options: Post = {}): Promise<void> {
  const response = await fetch(url, { method: "POST", ...options } as RequestInit);
  await response.arrayBuffer();
}

interface Attack {
  readonly name: string;
  readonly outstanding: number;
  readonly path: string;
  readonly request?: Post;
  /** Also where machines are processes, and the system's scheduler does most of it. */
  readonly everywhere?: boolean;
}

const nested = gzipSync(`{"x":${"[".repeat(2 ** 20)}${"]".repeat(2 ** 20)}}`);
const bodies: Post = { body: nested, headers: { "content-encoding": "gzip" } };
const attacks: readonly Attack[] = [
  ...[10, 50, 100].map((outstanding) => ({
    name: `${outstanding} steps of ${stepMs} ms at once`,
    outstanding,
    path: "long",
    everywhere: outstanding === 10,
  })),
  { name: "50 machines that wait between steps of 50 ms", outstanding: 50, path: "waiting" },
  { name: "5 endless loops", outstanding: 5, path: "endless", everywhere: true },
  { name: "10 bodies of 2 MiB in gzip at once, with key: json:", outstanding: 10, path: "bodies", request: bodies },
  { name: "100 short messages at once, from the same process", outstanding: 100, path: "short" },
];

/** Why a monitor can't be attacked here. */
async function missing(monitor: Monitor["name"]): Promise<string | undefined> {
  if (monitor === "embedded") return undefined;
  if (process.platform !== "linux" || process.arch !== "x64") return "it runs on x86-64 Linux";
  return monitor === "qemu"
    ? probeQemu().then(
        () => undefined,
        (error: Error) => error.message,
      )
    : undefined;
}

/** Milliseconds of the quiet flow's replies, one after the other, beside an attack, if any, on a gateway of their own. */
async function beside(folder: string, attack: Attack | undefined, quick: boolean): Promise<Sample> {
  const { child, url } = await started(folder);
  const over = new AbortController();
  setMaxListeners(0, over.signal);
  try {
    for (let n = 0; n < 50; n++) await post(`${url}/quiet`);
    for (let n = 0; n < (attack?.outstanding ?? 0); n++) void keepUp(`${url}/hostile/${attack?.path}`, attack?.request, over.signal);
    if (attack !== undefined) await new Promise((done) => setTimeout(done, 1000));
    const all: number[] = [];
    const endMs = performance.now() + (quick ? quickMs : fullMs);
    const most = quick ? 200 : 2000;
    while (all.length < most && performance.now() < endMs) all.push(...(await durations(1, () => post(`${url}/quiet`))));
    return percentiles(all);
  } finally {
    over.abort();
    child.kill("SIGKILL");
    await once(child, "exit");
  }
}

/** Sends one request after the other until it is told to stop. */
async function keepUp(url: string, request: Post | undefined, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) await post(url, { ...request, signal }).catch(() => new Promise((done) => setTimeout(done, 20)));
}

export async function fairnessRows(quick: boolean): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-fairness-"));
  const rows: Row[] = [];
  try {
    for (const [name, text] of Object.entries({ "hostile.ts": hostile, "quiet.ts": quiet })) await writeFile(join(folder, name), text);
    for (const monitor of ["embedded", "process", "qemu"] as const) {
      const why = await missing(monitor);
      if (why !== undefined) say(`fairness: without the ${monitor} monitor: ${why}`);
      else rows.push(...(await monitorRows(folder, monitor, quick)));
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return rows;
}

async function monitorRows(folder: string, monitor: Monitor["name"], quick: boolean): Promise<Row[]> {
  const suite = "fairness";
  await writeFile(join(folder, "mayfly.yaml"), yaml(monitor));
  const rows: Row[] = [];
  const idle = await beside(folder, undefined, quick);
  rows.push({ suite, name: `${monitor}: a quiet flow's reply, idle: p50`, value: idle.p50, unit: "ms" });
  rows.push({ suite, name: `${monitor}: a quiet flow's reply, idle: p99`, value: idle.p99, unit: "ms" });
  const most = 5 * idle.p99 + stepMs;
  for (const attack of attacks) {
    if (monitor !== "embedded" && attack.everywhere !== true) continue;
    say(`fairness: ${monitor}, beside ${attack.name} of a hostile flow`);
    const { p50, p99 } = await beside(folder, attack, quick);
    rows.push({ suite, name: `${monitor}, beside ${attack.name}: p50`, value: p50, unit: "ms" });
    const aim = `at most 5 × idle + one step = ${Math.round(most)} ms`;
    rows.push({ suite, name: `${monitor}, beside ${attack.name}: p99`, value: p99, unit: "ms", aim, met: p99 <= most });
  }
  return rows;
}
