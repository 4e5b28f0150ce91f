/**
 * Servers of others that do the reference flow's transform, each as its users run it: frameworks of Node, workerd, Benthos, Camel, Node-RED. They
 * are installed into bench/peers; their sources are in bench/foreign. Where one can't be had, the reason is given.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../base/testing/free-port.ts";
import { peerFolder, peersFolder } from "./peers.ts";
import { say } from "./rows.ts";
import { orderText, transformSource } from "./start.ts";

export interface Server {
  readonly child: ChildProcess;
  readonly url: string;
}

/** A server, or the reason for its absence. */
export type Started = Server | string;

const foreign = fileURLToPath(new URL("../../bench/foreign/", import.meta.url));
const installMs = 600_000;

interface Command {
  readonly program: string;
  readonly values: readonly string[];
  readonly port: number;
  readonly folder?: string;
}

/** Waits until it answers an order. */
async function serve(name: string, { program, values, port, folder }: Command): Promise<Started> {
  const child = spawn(program, values, { cwd: folder, stdio: "ignore", env: { ...process.env, PORT: String(port) } });
  let failure: string | undefined;
  child.once("error", (error) => (failure = error.message));
  child.once("exit", (code) => (failure ??= `it ended with ${code}`));
  const url = `http://127.0.0.1:${port}/orders`;
  for (let tries = 0; tries < 150 && failure === undefined; tries++) {
    const init = { method: "POST", headers: { "content-type": "application/json" }, body: orderText };
    const answer = await fetch(url, init).then(
      async (response) => (response.ok ? await response.text() : undefined),
      () => undefined,
    );
    if (answer?.includes("ADA LOVELACE") === true) return { child, url };
    await new Promise((done) => setTimeout(done, 200));
  }
  child.kill("SIGKILL");
  return `${name} did not come up${failure === undefined ? "" : `: ${failure}`}`;
}

/** The transform for a server that has parsed the order, and writes the reply as JSON. */
const routed = `(order) => {
  const total = order.lines.reduce((sum, line) => sum + line.qty * line.price, 0);
  return { id: order.id, total, name: order.customer.name.toUpperCase(), route: total > 1000 ? "big" : "small" };
}`;

async function startNode(name: "fastify" | "hono", source: string): Promise<Started> {
  const home = peerFolder(name);
  if (home === undefined) return `${name} can't be installed here`;
  const file = join(home, "orders.mjs");
  writeFileSync(file, source);
  return serve(name, { program: process.execPath, values: [file], port: await freePort() });
}

export function startFastify(): Promise<Started> {
  return startNode(
    "fastify",
    `import fastify from "fastify";
const app = fastify();
const routed = ${routed};
app.post("/orders", (request, reply) => reply.send(routed(request.body)));
await app.listen({ port: Number(process.env.PORT) });
`,
  );
}

export function startHono(): Promise<Started> {
  return startNode(
    "hono",
    `import { serve } from "@hono/node-server";
import { Hono } from "hono";
const app = new Hono();
const routed = ${routed};
app.post("/orders", async (context) => context.json(routed(await context.req.json())));
serve({ fetch: app.fetch, port: Number(process.env.PORT), hostname: "127.0.0.1" });
`,
  );
}

/** workerd's program lies in a package for each system. */
async function startWorkerd(configuration: string, ...flags: readonly string[]): Promise<Started> {
  const home = peerFolder("workerd");
  if (home === undefined) return "workerd can't be installed here";
  const program = join(home, "node_modules/@cloudflare/workerd-linux-64/bin/workerd");
  if (!existsSync(program)) return "workerd has no program for this system in its package";
  cpSync(join(foreign, "workerd"), home, { recursive: true });
  writeFileSync(
    join(home, "orders.js"),
    `const transform = ${transformSource};
export default {
  async fetch(request) {
    return new Response(transform(await request.text()), { headers: { "content-type": "application/json" } });
  },
};
`,
  );
  const port = await freePort();
  const values = ["serve", ...flags, join(home, configuration), `--socket-addr=http=127.0.0.1:${port}`];
  return serve("workerd", { program, values, port });
}

/** One isolate for all requests. */
export function startSharedWorkerd(): Promise<Started> {
  return startWorkerd("shared.capnp");
}

/** A fresh isolate for each request. */
export function startFreshWorkerd(): Promise<Started> {
  return startWorkerd("fresh.capnp", "--experimental");
}

/** The last line of a command that failed; undefined if it went well. */
function failureOf(program: string, values: readonly string[], folder: string): string | undefined {
  const { status, error, stderr, stdout } = spawnSync(program, values, { cwd: folder, encoding: "utf8", timeout: installMs });
  if (error !== undefined) return error.message;
  return status === 0 ? undefined : `${program} ended with ${status}: ${`${stdout}${stderr}`.trim().split("\n").at(-1) ?? ""}`;
}

/** Builds a program of bench/foreign in bench/peers, once. `undefined`: it is there. */
export function buildForeign(name: string, product: string, commands: readonly (readonly [string, ...string[]])[]): string | undefined {
  const home = join(peersFolder, name);
  if (existsSync(join(home, product))) return undefined;
  const [[tool = ""] = []] = commands;
  if (spawnSync(tool, ["--help"]).error !== undefined) return `${tool} is not installed here, which builds it`;
  say(`building ${name} in bench/peers`);
  cpSync(join(foreign, name), home, { recursive: true });
  for (const [program, ...values] of commands) {
    const failure = failureOf(program, values, home);
    if (failure !== undefined) return `it can't be built here: ${failure}`;
  }
  return undefined;
}

const benthosVersion = "v4.60.0";

export async function startBenthos(): Promise<Started> {
  const parts = ["service", "components/io", "components/pure"];
  const failure = buildForeign("benthos", "benthos", [
    ["go", "mod", "init", "mayfly-peer/benthos"],
    ["go", "get", ...parts.map((part) => `github.com/redpanda-data/benthos/v4/public/${part}@${benthosVersion}`)],
    ["go", "build", "-o", "benthos", "."],
  ]);
  if (failure !== undefined) return failure;
  const home = join(peersFolder, "benthos");
  return serve("Benthos", { program: join(home, "benthos"), values: ["-c", join(foreign, "benthos/orders.yaml")], port: await freePort() });
}

export async function startCamel(): Promise<Started> {
  const failure = buildForeign("camel", "target/lib", [
    ["mvn", "-q", "-B", "package"],
    ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=target/lib"],
  ]);
  if (failure !== undefined) return failure;
  const port = await freePort();
  const folder = join(peersFolder, "camel");
  return serve("Camel", {
    program: "java",
    values: ["-cp", "target/orders-1.jar:target/lib/*", "peer.Orders", String(port)],
    port,
    folder,
  });
}

/**
 * Node-RED with a flow of three nodes. As it is installed it serves its editor on the same port, in front of the flow's route; with the
 * editor off and its log silent it answers half as many requests again, and is what a careful operator would run.
 */
export async function startNodeRed(editor: boolean): Promise<Started> {
  const home = peerFolder("node-red");
  if (home === undefined) return "Node-RED can't be installed here";
  const folder = mkdtempSync(join(tmpdir(), "mayfly-red-"));
  const port = await freePort();
  const code = `const transform = ${transformSource}; msg.payload = transform(JSON.stringify(msg.payload)); msg.headers = { "content-type": "application/json" }; return msg;`;
  const node = { z: "t", name: "", x: 1, y: 1 };
  const flows = [
    { id: "t", type: "tab", label: "bench" },
    { ...node, id: "i", type: "http in", url: "/orders", method: "post", upload: false, swaggerDoc: "", wires: [["f"]] },
    { ...node, id: "f", type: "function", func: code, outputs: 1, wires: [["o"]] },
    { ...node, id: "o", type: "http response", wires: [] },
  ];
  writeFileSync(join(folder, "flows.json"), JSON.stringify(flows));
  const values = [join(home, "node_modules/node-red/red.js"), "-u", folder, "-p", String(port)];
  values.push("-D", "uiHost=127.0.0.1", "-D", "telemetry.enabled=false");
  if (!editor) {
    writeFileSync(join(folder, "lean.js"), 'module.exports = { httpAdminRoot: false, logging: { console: { level: "off" } } };');
    values.push("-s", join(folder, "lean.js"));
  }
  return serve("Node-RED", { program: process.execPath, values: [...values, "flows.json"], port });
}
