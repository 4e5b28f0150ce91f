/** HTTP requests a second with a fresh machine for each, beside a plain node:http handler in process and beside Node-RED. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Server, type Started, startNodeRed } from "./peer-servers.ts";
import { peerFolder } from "./peers.ts";
import { type Row, say } from "./rows.ts";
import { orderText } from "./start.ts";

export interface Load {
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

/** A server that accepts first and works afterwards answers 503 when its queue is full: that does not count, and must be rare. */
const mostRefused = 0.01;

/** Accepted requests among the answered ones: throws if too many were refused. */
function taken(url: string, answered: number, refused: number): number {
  const part = refused / answered;
  if (part > mostRefused) throw new Error(`${url} answered ${(100 * part).toFixed(1)} % of the requests with an error`);
  return 1 - part;
}

function runWrk(url: string, seconds: number, script: string): Load | undefined {
  const { status, stdout } = spawnSync("wrk", ["-t1", "-c16", `-d${seconds}s`, "--latency", "-s", script, url], { encoding: "utf8" });
  if (status !== 0) return undefined;
  const number = (pattern: RegExp): number => Number(pattern.exec(stdout)?.[1] ?? 0);
  const part = taken(url, number(/(\d+) requests in/), number(/Non-2xx or 3xx responses: (\d+)/));
  return { perSecond: number(/Requests\/sec:\s*([\d.]+)/) * part, p99Ms: milliseconds(/^\s+99%\s+(\S+)/m.exec(stdout)?.[1] ?? "") };
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
  const result = JSON.parse(stdout) as { requests: { average: number; total: number }; latency: { p99: number }; non2xx: number };
  return { perSecond: result.requests.average * taken(url, result.requests.total, result.non2xx), p99Ms: result.latency.p99 };
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

/** Loads a URL with sixteen connections: wrk if it is installed, autocannon otherwise. */
export function load(url: string, seconds: number): Load | undefined {
  const script = join(mkdtempSync(join(tmpdir(), "mayfly-wrk-")), "post.lua");
  writeFileSync(script, `wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\nwrk.body = [[${orderText}]]\n`);
  return hasWrk() ? runWrk(url, seconds, script) : runAutocannon(url, seconds);
}

/** Notes why a server is not there, and goes on without it. */
export function orReason(reasons: Map<string, string>, name: string, start: () => Promise<Started>): () => Promise<Server | undefined> {
  return async () => {
    const started = await start();
    if (typeof started !== "string") return started;
    say(`${name}: ${started}`);
    reasons.set(name, started);
    return undefined;
  };
}

/** Requests a server accepted in each round; undefined if it did not start or nothing can load it. */
export type Rounds = readonly Load[] | undefined;

type Start = () => Promise<Server | undefined>;

/** Servers up at once while `use` measures them, one after the other: a server that waits for its turn costs nothing. */
export async function together<T>(starts: readonly Start[], use: (servers: readonly (Server | undefined)[]) => T): Promise<T> {
  const servers: (Server | undefined)[] = [];
  try {
    for (const start of starts) servers.push(await start());
    return use(servers);
  } finally {
    for (const { child } of servers.filter((server) => server !== undefined)) {
      const gone = new Promise((done) => child.once("exit", done));
      if (child.kill("SIGTERM")) await gone;
    }
  }
}

/** All servers loaded in turn, round after round: whatever else the machine does falls on all of them alike. */
export function inTurn(quick: boolean, starts: readonly Start[]): Promise<readonly Rounds[]> {
  const [rounds, seconds] = quick ? [3, 2] : [5, 4];
  return together(starts, (servers) => {
    for (const server of servers) if (server !== undefined) load(server.url, seconds); // warm-up
    const loads = servers.map((): Load[] => []);
    for (let round = 0; round < rounds; round++) {
      say(`round ${round + 1} of ${rounds}`);
      for (const [index, server] of servers.entries()) {
        const taken = server === undefined ? undefined : load(server.url, seconds);
        if (taken !== undefined) loads[index]?.push(taken);
      }
    }
    return loads.map((each) => (each.length === rounds ? each : undefined));
  });
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** One figure of two servers: medians over the rounds, and the median of what each round's ratio was. */
export function beside(
  ours: readonly Load[],
  name: string,
  theirs: readonly Load[],
  of: (each: Load) => number,
  ratio: (ours: Load, theirs: Load) => number,
): { readonly value: number; readonly beside: { readonly name: string; readonly value: number }; readonly ratio: number } {
  return {
    value: median(ours.map(of)),
    beside: { name, value: median(theirs.map(of)) },
    ratio: median(ours.map((each, round) => ratio(each, theirs[round] as Load))),
  };
}

export const rate = (ours: Load, theirs: Load): number => ours.perSecond / theirs.perSecond;
export const tail = (ours: Load, theirs: Load): number => theirs.p99Ms / ours.p99Ms;

export async function servedBy(...values: string[]): Promise<Server> {
  const { child, port } = await startServer(...values);
  child.removeAllListeners("exit");
  return { child, url: `http://127.0.0.1:${port}/orders` };
}

export const noLoad = { value: Number.NaN, unit: "1/s", skipped: "neither wrk nor autocannon is installed" } as const;

/** Accepted with 202, a fresh machine, effects committed: on disk beside in memory. */
export async function durableRows(quick: boolean): Promise<Row[]> {
  const suite = "durable";
  say("durable: on disk and in memory");
  const [durable, memory] = await inTurn(quick, [() => servedBy("forward", "durable"), () => servedBy("forward", "memory")]);
  if (memory === undefined || durable === undefined) return [{ suite, name: "messages a second", ...noLoad }];
  const messages = beside(durable, "in memory", memory, ({ perSecond }) => perSecond, rate);
  return [
    {
      suite,
      name: "messages a second: accepted, run in a fresh machine, effects committed; on disk",
      unit: "1/s",
      ...messages,
      aim: "≥ 0.60×",
      met: messages.ratio >= 0.6,
    },
    { suite, name: "HTTP accept, p99", unit: "ms", ...beside(durable, "in memory", memory, ({ p99Ms }) => p99Ms, tail) },
  ];
}

/** A tenth of the traces exported, with all metrics, beside a gateway without telemetry. The collector takes its share of the processors too. */
export async function telemetryRows(quick: boolean): Promise<Row[]> {
  const suite = "telemetry";
  say("telemetry: with it and without");
  const sink = await servedBy("sink");
  try {
    const collector = new URL(sink.url).origin;
    const [traced, plain] = await inTurn(quick, [() => servedBy("traced", collector), () => servedBy("reply")]);
    if (traced === undefined || plain === undefined) return [{ suite, name: "requests a second", ...noLoad }];
    const requests = beside(traced, "without telemetry", plain, ({ perSecond }) => perSecond, rate);
    return [
      {
        suite,
        name: "requests a second, 10 % of the traces exported",
        unit: "1/s",
        ...requests,
        aim: "≥ 0.95×",
        met: requests.ratio >= 0.95,
      },
      { suite, name: "p99 under load", unit: "ms", ...beside(traced, "without telemetry", plain, ({ p99Ms }) => p99Ms, tail) },
    ];
  } finally {
    sink.child.kill("SIGTERM");
  }
}

export async function httpRows(quick: boolean): Promise<Row[]> {
  const suite = "http";
  say("HTTP: mayfly, plain node:http, mayfly with two workers, Node-RED as installed and without its editor");
  const reasons = new Map<string, string>();
  const [mayfly, plain, double, red, leanRed] = await inTurn(quick, [
    () => servedBy("reply"),
    () => servedBy("plain"),
    () => servedBy("reply", "2"),
    orReason(reasons, "Node-RED", () => startNodeRed(true)),
    orReason(reasons, "Node-RED without its editor", () => startNodeRed(false)),
  ]);
  if (mayfly === undefined || plain === undefined || double === undefined) return [{ suite, name: "requests a second", ...noLoad }];
  const besidePlain = beside(mayfly, "plain node:http, in process", plain, ({ perSecond }) => perSecond, rate);
  const p99 = beside(mayfly, "plain node:http, in process", plain, ({ p99Ms }) => p99Ms, tail);
  const doubled = beside(double, "with the default workers", mayfly, ({ perSecond }) => perSecond, rate);
  const rows: Row[] = [
    {
      suite,
      name: "requests a second, a fresh machine for each",
      unit: "1/s",
      ...besidePlain,
      aim: "≥ 0.50×",
      met: besidePlain.ratio >= 0.5,
    },
    { suite, name: "p99 under load", unit: "ms", ...p99, aim: "≥ 0.50×", met: p99.ratio >= 0.5 },
    { suite, name: "requests a second with two workers", unit: "1/s", ...doubled, aim: "≥ 1×", met: doubled.ratio >= 1 },
  ];
  if (red === undefined)
    return [
      ...rows,
      { suite, name: "beside Node-RED", value: Number.NaN, unit: "1/s", skipped: reasons.get("Node-RED") ?? "nothing could load it" },
    ];
  const besideRed = beside(mayfly, "Node-RED as installed", red, ({ perSecond }) => perSecond, rate);
  rows.push(
    { suite, name: "requests a second", unit: "1/s", ...besideRed, aim: "≥ 5×", met: besideRed.ratio >= 5 },
    { suite, name: "p99 under load", unit: "ms", ...beside(mayfly, "Node-RED as installed", red, ({ p99Ms }) => p99Ms, tail) },
  );
  if (leanRed !== undefined)
    rows.push({
      suite,
      name: "requests a second",
      unit: "1/s",
      ...beside(mayfly, "Node-RED without its editor", leanRed, ({ perSecond }) => perSecond, rate),
    });
  return rows;
}
