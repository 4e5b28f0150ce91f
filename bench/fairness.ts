/** The cost of one hostile flow to the others: the 99th percentile of a quiet flow's replies, idle and beside a hostile flow. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { durations, type Row, sample, say } from "./rows.ts";

/** CPU time of one step of the hostile flow, in milliseconds. */
const stepMs = 200;
const outstanding = 100;
const bin = fileURLToPath(new URL("../../scripts/mayfly.mjs", import.meta.url));

const hostile = `import { flow } from "mayfly";
export default flow({ limits: { cpu: "1h" } }, async (msg, { sleep }) => {
  const kind = msg.headers["mayfly-path-kind"];
  if (kind === "long") { for (let i = 0; i < 4e6; i++) Math.sin(i); }
  if (kind === "waiting") { for (let step = 0; step < 5; step++) { await sleep(1); for (let i = 0; i < 1e6; i++) Math.sin(i); } }
  if (kind === "endless") for (;;);
  return "a";
});`;
const quiet = `import { flow } from "mayfly"; export default flow((msg) => "b");`;
const yaml = `flows:
  hostile: { flow: hostile.ts, key: "json:/none", concurrency: 1000, from: [ { http: { path: "/hostile/:kind", bodyLimit: 8MiB } } ] }
  quiet: { flow: quiet.ts, from: [ { http: { path: /quiet } } ] }
ceilings: { cpu: ${stepMs}ms }
http: { port: 0 }
log: { level: info, format: json }
journal: { memory: true }
`;

async function started(folder: string): Promise<{ readonly child: ChildProcess; readonly url: string }> {
  for (const [name, text] of Object.entries({ "hostile.ts": hostile, "quiet.ts": quiet, "mayfly.yaml": yaml }))
    await writeFile(join(folder, name), text);
  const child = spawn(process.execPath, [bin, "serve"], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (more: string) => (text = (text + more).slice(-10_000)));
  for (;;) {
    const url = /"url":"(http:[^"]+)".*"msg":"ready"/.exec(text)?.[1];
    if (url !== undefined) return { child, url };
    if (child.exitCode !== null) throw new Error(`serve ended: ${text}`);
    await once(child.stdout, "data");
  }
}

async function post(url: string, body: string | Uint8Array = "", headers: Record<string, string> = {}): Promise<void> {
  const response = await fetch(url, { method: "POST", body: body as string, headers });
  await response.arrayBuffer();
}

const nested = gzipSync(`{"x":${"[".repeat(2 ** 20)}${"]".repeat(2 ** 20)}}`);
const attacks: Readonly<Record<string, (url: string) => Promise<void>>> = {
  long: (url) => post(`${url}/hostile/long`),
  waiting: (url) => post(`${url}/hostile/waiting`),
  endless: (url) => post(`${url}/hostile/endless`),
  short: (url) => post(`${url}/hostile/short`),
  bodies: (url) => post(`${url}/hostile/bodies`, nested, { "content-encoding": "gzip" }),
};

/** Milliseconds of the quiet flow's replies, one after the other, while `attack` is kept up. */
async function beside(url: string, attack: ((url: string) => Promise<void>) | undefined, count: number): Promise<number[]> {
  let running = true;
  const attackers = Array.from({ length: attack === undefined ? 0 : outstanding }, async () => {
    while (running) await attack?.(url).catch(() => undefined);
  });
  if (attack !== undefined) await new Promise((done) => setTimeout(done, 1000));
  const all = await durations(count, () => post(`${url}/quiet`));
  running = false;
  await Promise.all(attackers);
  return all;
}

export async function fairnessRows(quick: boolean): Promise<Row[]> {
  const suite = "fairness";
  const folder = await mkdtemp(join(tmpdir(), "mayfly-fairness-"));
  const count = quick ? 80 : 1000;
  const rows: Row[] = [];
  const { child, url } = await started(folder);
  try {
    const idle = sample(await beside(url, undefined, count)).p99;
    rows.push({ suite, name: "a quiet flow's reply, p99, idle", value: idle, unit: "ms" });
    for (const [name, attack] of Object.entries(attacks)) {
      say(`fairness: beside ${outstanding} requests at once to a hostile flow, ${name}`);
      const { p99 } = sample(await beside(url, attack, count));
      const most = 5 * idle + stepMs;
      rows.push({
        suite,
        name: `the same beside ${outstanding} at once to a hostile flow: ${name}`,
        value: p99,
        unit: "ms",
        aim: `at most 5 × idle + one step = ${Math.round(most)} ms`,
        met: p99 <= most,
      });
    }
  } finally {
    child.kill("SIGKILL");
    await rm(folder, { recursive: true, force: true });
  }
  return rows;
}
