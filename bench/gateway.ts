/** A real `mayfly serve` in a process and a folder of its own, and whoever calls it. */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Agent } from "undici";
import { freePort } from "../base/testing/free-port.ts";

const mayfly = fileURLToPath(new URL("../../scripts/mayfly.mjs", import.meta.url));
const callers = 64;

export interface BenchGateway {
  readonly child: ChildProcess;
  readonly url: string;
  /** Posts JSON; gives the status. */
  post(path: string, body: object): Promise<number>;
  close(): Promise<void>;
}

/** Its journal is on disk, nothing is recorded. `flows`: what stands below `flows:` in mayfly.yaml. */
export async function startGateway(folder: string, flows: string): Promise<BenchGateway> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  writeFileSync(join(folder, "package.json"), "{}");
  writeFileSync(
    join(folder, "mayfly.yaml"),
    `http: { port: ${port} }
journal: { dir: journal }
log: { level: error }
history: { enabled: false }
flows:
  ${flows}
`,
  );
  const child = spawn(process.execPath, [mayfly, "serve", "-c", join(folder, "mayfly.yaml")], { stdio: ["ignore", "ignore", "inherit"] });
  const { post, close } = poster(url, callers);
  const gateway = {
    child,
    url,
    post,
    close: async () => {
      await close();
      await end(child);
    },
  };
  await ready(`${url}/ready`).catch(async (error: unknown) => {
    await gateway.close();
    throw error;
  });
  return gateway;
}

export function resident(child: ChildProcess): number {
  const [, kib = "0"] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8")) ?? [];
  return Number(kib) * 1024;
}

/** User and system time, in the kernel's ticks of 10 ms. */
export function cpuTime(child: ChildProcess): number {
  const stat = readFileSync(`/proc/${child.pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return 10 * (Number(fields[11]) + Number(fields[12]));
}

export async function ready(url: string, init?: RequestInit): Promise<void> {
  for (const untilMs = Date.now() + 60_000; Date.now() < untilMs; ) {
    const answer = await fetch(url, init).catch(() => undefined);
    await answer?.arrayBuffer();
    if (answer?.ok === true) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${url} does not become ready`);
}

export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((done) => child.once("exit", done));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
  await ended;
  clearTimeout(timer);
}

/** Posts JSON over kept connections. */
export function poster(base: string, callers: number): { post(path: string, body: object): Promise<number>; close(): Promise<void> } {
  const agent = new Agent({ connections: callers, pipelining: 1, bodyTimeout: 60_000, headersTimeout: 60_000 });
  return {
    post: async (path, body) => {
      const { statusCode, body: answer } = await agent.request({
        origin: base,
        path,
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      await answer.dump();
      return statusCode;
    },
    close: () => agent.destroy(),
  };
}

/** All orders, by so many callers; a caller begins the next once it is answered. One that is told to come later does. */
export async function callAll(orders: readonly string[], callers: number, call: (order: string) => Promise<number>): Promise<void> {
  let next = 0;
  const caller = async (): Promise<void> => {
    for (let order = orders[next++]; order !== undefined; order = orders[next++])
      for (;;) {
        const status = await call(order);
        if (status < 300) break;
        if (status !== 503) throw new Error(`the answer to a call was ${status}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
  };
  await Promise.all(Array.from({ length: callers }, caller));
}
