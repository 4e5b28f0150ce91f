/**
 * The reference flow as one Linux process that serves by itself, beside a plain node:http handler: from exec to the first reply, beside a program
 * that ends at once; requests a second in turn, round after round; memory of its own. `node dist/bench/linux-service.js` prints it alone.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildImage, writeServiceExecutable } from "#image";
import { plainService } from "#standalone";
import { freePort } from "../base/testing/free-port.ts";
import { beside, inTurn, noLoad, rate, servedBy, tail } from "./http.ts";
import type { Server } from "./peer-servers.ts";
import { durations, percentiles, type Row, say } from "./rows.ts";
import { orderText, referenceFlow } from "./start.ts";

const suite = "standalone";
const by = "Linux process";
/** Longest wait for a first answer. */
const startMs = 10_000;

function started(app: string, port: number): ChildProcess {
  return spawn(app, ["-p", String(port)], { stdio: "ignore", env: {} });
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((done) => child.once("close", () => done()));
}

/** Asks once; resolves to true with the first byte of an answer. */
function ask(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () =>
      socket.write(`POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: ${orderText.length}\r\n\r\n${orderText}`),
    );
    socket.once("data", () => resolve(true)).once("error", () => resolve(false));
    socket.once("data", () => socket.destroy());
  });
}

async function firstAnswer(port: number): Promise<void> {
  const until = performance.now() + startMs;
  while (!(await ask(port))) if (performance.now() > until) throw new Error(`no answer within ${startMs} ms`);
}

async function startRow(app: string, rounds: number): Promise<Row> {
  say("Linux process: first reply, beside a program that ends at once");
  const [replies, ends]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    ends.push(...(await durations(1, () => ended(spawn("/bin/true", [], { stdio: "ignore", env: {} })))));
    const port = await freePort();
    let child: ChildProcess | undefined;
    replies.push(
      ...(await durations(1, () => {
        child = started(app, port);
        return firstAnswer(port);
      })),
    );
    if (child === undefined) continue;
    const gone = ended(child);
    child.kill("SIGKILL");
    await gone;
  }
  const [reply, end] = [percentiles(replies).p50, percentiles(ends).p50];
  const value = reply - end;
  return {
    suite,
    name: `first HTTP reply, p50, beyond /bin/true's start and end (${by})`,
    value,
    unit: "ms",
    beside: { name: "/bin/true", value: end },
    aim: "≤ 2 ms",
    met: value <= 2,
  };
}

/** Memory that is the process's own, in kB, after requests. */
async function memoryRow(app: string): Promise<Row> {
  const port = await freePort();
  const child = started(app, port);
  try {
    await firstAnswer(port);
    for (let count = 0; count < 50; count++) await ask(port);
    const status = await readFile(`/proc/${child.pid}/status`, "utf8");
    const value = Number(/RssAnon:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN);
    return { suite, name: `memory of its own (${by})`, value, unit: "kB", aim: "≤ 400 kB", met: value <= 400 };
  } finally {
    const gone = ended(child);
    child.kill("SIGKILL");
    await gone;
  }
}

async function loadRows(app: string, quick: boolean): Promise<Row[]> {
  say("Linux process: requests a second, beside plain node:http");
  const serveApp = async (): Promise<Server> => {
    const port = await freePort();
    const child = started(app, port);
    await firstAnswer(port);
    return { child, url: `http://127.0.0.1:${port}/orders` };
  };
  const [ours, plain] = await inTurn(quick, [serveApp, () => servedBy("plain")]);
  if (ours === undefined || plain === undefined) return [{ suite, name: "requests a second", ...noLoad }];
  const name = "plain node:http, in process";
  const requests = beside(ours, name, plain, ({ perSecond }) => perSecond, rate);
  const slowest = beside(ours, name, plain, ({ p99Ms }) => p99Ms, tail);
  return [
    {
      suite,
      name: `requests a second, a fresh machine for each, 16 connections (${by})`,
      unit: "1/s",
      ...requests,
      aim: "≥ 1.1×",
      met: requests.ratio >= 1.1,
    },
    { suite, name: `p99 under load (${by})`, unit: "ms", ...slowest, aim: "≤ node:http's", met: slowest.ratio >= 1 },
  ];
}

export async function linuxServiceRows(quick: boolean): Promise<Row[]> {
  if (process.platform !== "linux" || process.arch !== "x64")
    return [{ suite, name: by, value: Number.NaN, unit: "", skipped: "it runs on x86-64 Linux only" }];
  const folder = await mkdtemp(join(tmpdir(), "mayfly-linux-"));
  try {
    const { image } = await buildImage(referenceFlow, { check: false });
    const bytes = writeServiceExecutable(image, plainService(image, "linux"));
    const app = join(folder, "app");
    await writeFile(app, bytes, { mode: 0o755 });
    const size: Row = {
      suite,
      name: `size of the ELF (${by})`,
      value: bytes.length / 1e6,
      unit: "MB",
      aim: "≤ 3 MB",
      met: bytes.length <= 3e6,
    };
    return [await startRow(app, quick ? 20 : 100), ...(await loadRows(app, quick)), await memoryRow(app), size];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const row of await linuxServiceRows(process.argv.includes("--quick"))) console.log(JSON.stringify(row));
  process.exit(0);
}
