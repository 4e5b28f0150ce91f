/** The example by the gateway, by a microVM and by a Linux process: all give the same answers. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { spawn } from "node:child_process";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture, type Captured, packageRoot } from "#cli";
import { freePort } from "../base/testing/free-port.ts";
import { qemuMissing } from "../monitors/qemu/testing/guests.ts";
import { linuxMissing, LinuxService } from "../test/standalone/linux-service.ts";
import { type Answer, type Downstream, downstream, eventually, type Received, serveExample } from "./testing.ts";

const skip = qemuMissing() ?? false;

function answer({ method, path }: Received): Answer {
  if (path === "/items/PEN-1") return { json: { sku: "PEN-1", price: 2.5 } };
  if (path === "/items/BROKEN") return { status: 500 };
  return method === "GET" ? { status: 404 } : { status: 202 };
}

let folder: string;
let peer: Downstream;
/** Holds back the catalogue's next answer. */
let hold: (() => Promise<void>) | undefined;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-microservice-"));
  await cp(join(packageRoot, "examples/microservice"), folder, { recursive: true });
  peer = await downstream(answer, () => hold?.());
});
after(async () => {
  await peer?.close();
  await rm(folder, { recursive: true, force: true });
});

const json = { "content-type": "application/json", "x-api-key": "secret" };
const order = (body: string, headers: Readonly<Record<string, string>> = json): RequestInit => ({ method: "POST", headers, body });

type Requests = readonly (readonly [path: string, init: RequestInit])[];

/** Requests for which the flow asks its outlets. */
const asking: Requests = [
  ["/quotes/PEN-1?quantity=3", {}],
  ["/quotes/PEN-1", { method: "HEAD" }],
  ["/quotes/NONE", {}],
  ["/quotes/BROKEN", {}],
  ["/orders", order('{"sku":"PEN-1","quantity":3}')],
];

/** Others that both must answer alike. */
const plain: Requests = [
  ["/orders", order('{"sku":"PEN-1","quantity":0}')],
  ["/orders", order('{"sku":"PEN-1","quantity":3}', { ...json, "x-api-key": "guess" })],
  ["/orders", order('{"sku":"PEN-1","quantity":3}', {})],
  ["/orders", order("not JSON")],
  ["/orders", order("x".repeat(70_000))],
  ["/orders", { method: "GET" }],
  ["/nowhere", {}],
];

interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** Ids and dates are new each time. */
const changing = /^(date|location|mayfly-message-id|connection|keep-alive|content-length)$/;

async function ask(url: string, requests: Requests): Promise<readonly Answered[]> {
  const answers: Answered[] = [];
  for (const [path, init] of requests) {
    const response = await fetch(`${url}${path}`, init);
    const text = (await response.text()).replace(/"(id|instance)":"[^"]*"/g, '"$1":"…"');
    answers.push({
      status: response.status,
      headers: Object.fromEntries([...response.headers].filter(([name]) => !changing.test(name))),
      body: text.startsWith("{") ? (JSON.parse(text) as unknown) : text,
    });
  }
  return answers;
}

interface Expected {
  readonly asked: readonly Answered[];
  readonly plain: readonly Answered[];
}

let known: Promise<Expected> | undefined;

/** The gateway's answers. */
function expectedAnswers(): Promise<Expected> {
  known ??= (async () => {
    const example = await serveExample("microservice", environment("127.0.0.1"));
    const answers = { asked: await ask(example.url, asking), plain: await ask(example.url, plain) };
    await example.stop();
    deepEqual(
      [...answers.asked, ...answers.plain].map(({ status }) => status),
      [200, 200, 404, 502, 201, 422, 401, 401, 400, 413, 405, 404],
    );
    return answers;
  })();
  return known;
}

/** Asks a service as the gateway was asked; one order reaches the warehouse. */
async function checkAnswers(url: string, expected: Expected): Promise<void> {
  const sent = peer.received.length;
  deepEqual(await ask(url, asking), expected.asked);
  deepEqual(await ask(url, plain), expected.plain);
  const delivered = peer.received.slice(sent).filter(({ method }) => method === "POST");
  deepEqual(
    delivered.map(({ path, body }) => [path, (JSON.parse(body) as { total: number }).total]),
    [["/orders", 7.5]],
  );
}

const environment = (host: string): Readonly<Record<string, string>> => {
  const { port } = new URL(peer.url);
  return { WEB_KEY: "secret", CATALOGUE_URL: `http://${host}:${port}/items`, WAREHOUSE_URL: `http://${host}:${port}/orders` };
};

test("the flow tests pass", async () => {
  const { code, out } = await capture(["test", folder]);
  equal(code, 0, out);
});

test("a gateway and a microVM give the same answers; the microVM has its life shown, and ends when it is told", {
  skip,
  timeout: 180_000,
}, async () => {
  const expected = await expectedAnswers();
  const elf = join(folder, "app.elf");
  const built = await capture(["build", "--target", "microvm", "-c", join(folder, "mayfly.yaml"), "-o", elf, "--no-check"]);
  equal(built.code, 0, built.err);
  const env = { XDG_STATE_HOME: join(folder, "state"), ...environment("10.0.2.2") };
  const run = (...values: string[]): Promise<Captured> => capture(values, { env });
  const port = await freePort();
  const up = await run("up", elf, "-p", `${port}:80`, "--detach", "--json");
  equal(up.code, 0, up.err);
  try {
    const url = `http://127.0.0.1:${port}`;
    await checkAnswers(url, expected);
    equal((await fetch(`${url}/healthz`)).status, 200);
    match(await (await fetch(`${url}/metrics`)).text(), /^mayfly_\w+\{.*flow="shop".*\} \d+$/m);
    match((await run("logs", "shop")).out, /"order placed"/);
    const logged = JSON.parse((await run("logs", "shop", "--json")).out) as {
      readonly running: boolean;
      readonly lines: readonly string[];
    };
    ok(logged.running && logged.lines.some((line) => line.includes("order placed")));
    const { machines } = JSON.parse((await run("ps", "--json")).out) as {
      readonly machines: readonly { readonly name: string; readonly running: boolean }[];
    };
    deepEqual(
      machines.map(({ name, running }) => [name, running]),
      [["shop", true]],
    );
    match((await run("up", elf, "-p", `${await freePort()}:80`)).err, /MF_MICROVM_NAME/);
  } finally {
    equal((await run("stop", "shop")).out, "shop stopped\n");
  }
  await eventually("the port to be free", async () =>
    (await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined)) === undefined ? true : undefined,
  );
  ok((await run("ps")).out.startsWith("no microVM"));
});

test("in the foreground Ctrl-C finishes the request under way, then it ends", {
  skip,
  timeout: 120_000,
}, async () => {
  const port = await freePort();
  const values = ["up", join(folder, "app.elf"), "-p", `${port}:80`];
  const env = { ...process.env, XDG_STATE_HOME: join(folder, "state"), ...environment("10.0.2.2") };
  const child = spawn(process.execPath, [join(packageRoot, "scripts/mayfly.mjs"), ...values], { env, stdio: ["ignore", "pipe", "pipe"] });
  let [out, err] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
  const ended = new Promise<number | null>((done) => child.once("close", done));
  try {
    await eventually("its address", () => (err.includes(`http://127.0.0.1:${port}/`) ? true : undefined));
    let release = (): void => undefined;
    const held = new Promise<void>((done) => (release = done));
    const asked = new Promise<void>((done) => (hold = () => (done(), held)));
    const quote = fetch(`http://127.0.0.1:${port}/quotes/PEN-1`);
    await asked;
    child.kill("SIGINT");
    await eventually("it to drain", () => (out.includes('"msg":"stopping"') ? true : undefined));
    release();
    equal((await quote).status, 200);
    equal(await ended, 0, err);
  } finally {
    hold = undefined;
    child.kill("SIGKILL");
  }
});

test("a gateway and a Linux process give the same answers", { skip: linuxMissing() ?? false, timeout: 180_000 }, async () => {
  const expected = await expectedAnswers();
  const app = join(folder, "app");
  const built = await capture(["build", "--target", "linux", "--serve", "-c", join(folder, "mayfly.yaml"), "-o", app, "--no-check"]);
  equal(built.code, 0, built.err);
  const port = await freePort();
  const service = await new LinuxService(app, ["-p", String(port)], port, environment("127.0.0.1")).serving();
  try {
    const url = `http://127.0.0.1:${port}`;
    await checkAnswers(url, expected);
    match(service.out, /"order placed"/);
  } finally {
    const { code, err } = await service.stop();
    deepEqual([code, err], [0, ""]);
  }
});
