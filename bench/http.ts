/** HTTP requests a second with a fresh machine for each, beside a plain node:http handler in process and beside Node-RED. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { peerFolder } from "./peers.ts";
import { type Row, say } from "./rows.ts";
import { orderText, transformSource } from "./start.ts";

interface Load {
  readonly perSecond: number;
  readonly p99Ms: number;
}

const servers = fileURLToPath(new URL("./servers.js", import.meta.url));

/** Starts a server that prints its port. */
function startServer(...values: string[]): Promise<{ readonly child: ChildProcess; readonly port: number }> {
  return new Promise((done, failed) => {
    const child = spawn(process.execPath, [servers, ...values], { stdio: ["ignore", "pipe", "inherit"] });
    child.stdout.setEncoding("utf8").once("data", (text: string) => done({ child, port: Number(text) }));
    child.once("exit", (code) => failed(new Error(`the server ended with ${code}`)));
  });
}

function milliseconds(text: string): number {
  const [, value, unit] = /([\d.]+)(us|ms|s)/.exec(text) ?? [];
  return Number(value) * (unit === "us" ? 0.001 : unit === "s" ? 1000 : 1);
}

function runWrk(url: string, seconds: number, script: string): Load | undefined {
  const { status, stdout } = spawnSync("wrk", ["-t1", "-c16", `-d${seconds}s`, "--latency", "-s", script, url], { encoding: "utf8" });
  if (status !== 0) return undefined;
  const bad = /Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1];
  if (bad !== undefined) throw new Error(`${url} answered ${bad} requests with an error`);
  return { perSecond: Number(/Requests\/sec:\s*([\d.]+)/.exec(stdout)?.[1]), p99Ms: milliseconds(/99%\s+(\S+)/.exec(stdout)?.[1] ?? "") };
}

function runAutocannon(url: string, seconds: number): Load | undefined {
  const home = peerFolder("autocannon");
  if (home === undefined) return undefined;
  const values = [
    join(home, "node_modules/autocannon/autocannon.js"),
    "-c16",
    `-d${seconds}`,
    "-mPOST",
    "-H",
    "content-type: application/json",
    `-b${orderText}`,
    "--json",
    url,
  ];
  const { status, stdout, stderr } = spawnSync(process.execPath, values, { encoding: "utf8", maxBuffer: 1 << 26 });
  if (status !== 0) throw new Error(`autocannon ended with ${status}: ${stderr.trim().split("\n").at(-1) ?? ""}`);
  const result = JSON.parse(stdout) as { requests: { average: number }; latency: { p99: number }; non2xx: number };
  if (result.non2xx > 0) throw new Error(`${url} answered ${result.non2xx} requests with an error`);
  return { perSecond: result.requests.average, p99Ms: result.latency.p99 };
}

let wrkFound: boolean | undefined;

/** wrk, installed from Debian's packages where that is possible: a load generator in JavaScript takes the processor from what it measures. */
function hasWrk(): boolean {
  const runs = (): boolean => spawnSync("wrk", ["-v"]).error === undefined;
  if (wrkFound === undefined && !runs() && process.getuid?.() === 0) {
    say("installing wrk");
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    for (const values of [["update"], ["install", "-y", "--no-install-recommends", "wrk"]])
      spawnSync("apt-get", values, { env, stdio: "ignore", timeout: 180_000 });
  }
  return (wrkFound ??= runs());
}

/** Loads a URL with sixteen connections: wrk where it is to be had, autocannon otherwise. */
function load(url: string, seconds: number): Load | undefined {
  const script = join(mkdtempSync(join(tmpdir(), "mayfly-wrk-")), "post.lua");
  writeFileSync(script, `wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\nwrk.body = [[${orderText}]]\n`);
  return hasWrk() ? runWrk(url, seconds, script) : runAutocannon(url, seconds);
}

async function loaded(
  seconds: number,
  start: () => Promise<{ readonly child: ChildProcess; readonly url: string } | undefined>,
): Promise<Load | undefined> {
  const server = await start();
  if (server === undefined) return undefined;
  server.child.removeAllListeners("exit");
  try {
    load(server.url, Math.max(1, Math.ceil(seconds / 3))); // warm-up
    return load(server.url, seconds);
  } finally {
    const gone = new Promise((done) => server.child.once("exit", done));
    server.child.kill("SIGTERM");
    await gone;
  }
}

function freePort(): Promise<number> {
  return new Promise((done) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => done(port));
    });
  });
}

async function startNodeRed(): Promise<{ readonly child: ChildProcess; readonly url: string } | undefined> {
  const home = peerFolder("node-red");
  if (home === undefined) return undefined;
  const folder = mkdtempSync(join(tmpdir(), "mayfly-red-"));
  const port = await freePort();
  const code = `const transform = ${transformSource}; msg.payload = transform(JSON.stringify(msg.payload)); msg.headers = { "content-type": "application/json" }; return msg;`;
  const flows = [
    { id: "t", type: "tab", label: "bench" },
    {
      id: "i",
      type: "http in",
      z: "t",
      name: "",
      url: "/orders",
      method: "post",
      upload: false,
      swaggerDoc: "",
      x: 1,
      y: 1,
      wires: [["f"]],
    },
    { id: "f", type: "function", z: "t", name: "", func: code, outputs: 1, x: 2, y: 1, wires: [["o"]] },
    { id: "o", type: "http response", z: "t", name: "", x: 3, y: 1, wires: [] },
  ];
  writeFileSync(join(folder, "flows.json"), JSON.stringify(flows));
  writeFileSync(
    join(folder, "settings.js"),
    `module.exports = { uiPort: ${port}, uiHost: "127.0.0.1", httpAdminRoot: false, flowFile: "flows.json", userDir: ${JSON.stringify(folder)}, logging: { console: { level: "off" } }, telemetry: { enabled: false } };`,
  );
  const child = spawn(process.execPath, [join(home, "node_modules/node-red/red.js"), "-u", folder, "-s", join(folder, "settings.js")], {
    stdio: "ignore",
  });
  const url = `http://127.0.0.1:${port}/orders`;
  for (let tries = 0; tries < 100; tries++) {
    const answer = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: orderText }).catch(
      () => undefined,
    );
    if (answer?.ok === true) return { child, url };
    await new Promise((done) => setTimeout(done, 200));
  }
  child.kill("SIGKILL");
  say("Node-RED did not come up");
  return undefined;
}

async function servedBy(...values: string[]): Promise<{ readonly child: ChildProcess; readonly url: string }> {
  const { child, port } = await startServer(...values);
  return { child, url: `http://127.0.0.1:${port}/orders` };
}

/** Accepted with 202, a fresh machine, effects committed: on disk beside in memory. */
export async function durableRows(quick: boolean): Promise<Row[]> {
  const suite = "durable";
  const seconds = quick ? 3 : 8;
  say("durable: in memory");
  const memory = await loaded(seconds, () => servedBy("forward", "memory"));
  say("durable: on disk");
  const durable = await loaded(seconds, () => servedBy("forward", "durable"));
  if (memory === undefined || durable === undefined)
    return [{ suite, name: "messages a second", value: Number.NaN, unit: "1/s", skipped: "neither wrk nor autocannon is to be had" }];
  return [
    {
      suite,
      name: "messages a second: accepted, run in a fresh machine, effects committed; on disk",
      value: durable.perSecond,
      unit: "1/s",
      beside: { name: "in memory", value: memory.perSecond },
      ratio: durable.perSecond / memory.perSecond,
      aim: "≥ 0.60×",
      met: durable.perSecond >= 0.6 * memory.perSecond,
    },
    {
      suite,
      name: "HTTP accept, p99",
      value: durable.p99Ms,
      unit: "ms",
      beside: { name: "in memory", value: memory.p99Ms },
      ratio: memory.p99Ms / durable.p99Ms,
    },
  ];
}

export async function httpRows(quick: boolean): Promise<Row[]> {
  const suite = "http";
  const seconds = quick ? 3 : 8;
  const ours = (workers?: number) => () => servedBy("reply", ...(workers === undefined ? [] : [String(workers)]));
  say("HTTP: plain node:http");
  const plain = await loaded(seconds, () => servedBy("plain"));
  say("HTTP: mayfly");
  const mayfly = await loaded(seconds, ours());
  const single = await loaded(seconds, ours(1));
  say("HTTP: Node-RED");
  const red = await loaded(seconds, startNodeRed);
  if (mayfly === undefined || plain === undefined || single === undefined)
    return [{ suite, name: "requests a second", value: Number.NaN, unit: "1/s", skipped: "neither wrk nor autocannon is to be had" }];
  const rows: Row[] = [
    {
      suite,
      name: "requests a second, a fresh machine for each",
      value: mayfly.perSecond,
      unit: "1/s",
      beside: { name: "plain node:http, in process", value: plain.perSecond },
      ratio: mayfly.perSecond / plain.perSecond,
      aim: "≥ 0.50×",
      met: mayfly.perSecond >= plain.perSecond / 2,
    },
    {
      suite,
      name: "p99 under load",
      value: mayfly.p99Ms,
      unit: "ms",
      beside: { name: "plain node:http, in process", value: plain.p99Ms },
      ratio: plain.p99Ms / mayfly.p99Ms,
    },
    {
      suite,
      name: "requests a second with one worker",
      value: single.perSecond,
      unit: "1/s",
      beside: { name: "with the default workers", value: mayfly.perSecond },
      ratio: single.perSecond / mayfly.perSecond,
    },
  ];
  if (red === undefined)
    return [
      ...rows,
      { suite, name: "beside Node-RED", value: Number.NaN, unit: "1/s", skipped: "Node-RED can't be installed or started here" },
    ];
  return [
    ...rows,
    {
      suite,
      name: "requests a second",
      value: mayfly.perSecond,
      unit: "1/s",
      beside: { name: "Node-RED", value: red.perSecond },
      ratio: mayfly.perSecond / red.perSecond,
      aim: "≥ 5×",
      met: mayfly.perSecond >= 5 * red.perSecond,
    },
    {
      suite,
      name: "p99 under load",
      value: mayfly.p99Ms,
      unit: "ms",
      beside: { name: "Node-RED", value: red.p99Ms },
      ratio: red.p99Ms / mayfly.p99Ms,
    },
  ];
}
