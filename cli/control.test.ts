/** An operator's commands against a gateway that runs: pause, resume, drain, outlets, queue, images, rollback, and a canary's two sides. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { capture, serve, type Serving } from "#cli";
import { silentLogger } from "#gateway";

const timeout = 60_000;

const source = (version: string): string => `import { flow } from "mayfly";
export default flow<"erp">(async (msg, { to }) => {
  const text = msg.text();
  if (text === "send") to.erp.send({ version: "${version}" });
  if (text === "ask") return await (await to.erp.request({ version: "${version}" })).json();
  return "${version}";
});`;

let folder: string;
let serving: Serving | undefined;
let peerUrl = "";
const peerSaw: string[] = [];
let onPeer: () => void = () => undefined;
const peer = createServer((request, response) => {
  let text = "";
  request.on("data", (piece) => (text += String(piece)));
  request.on("end", () => {
    peerSaw.push(text);
    response.setHeader("content-type", "application/json");
    response.end("{}");
    onPeer();
  });
});

before(async () => {
  await new Promise<void>((done) => peer.listen(0, "127.0.0.1", done));
  peerUrl = `http://127.0.0.1:${(peer.address() as AddressInfo).port}/`;
});
after(() => {
  peer.closeAllConnections();
  peer.close();
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-control-"));
  peerSaw.length = 0;
});
afterEach(async () => {
  await serving?.stop();
  serving = undefined;
  await rm(folder, { recursive: true, force: true });
});

interface Layout {
  readonly image?: string;
  readonly more?: string;
}

async function configure({ image = "", more = "" }: Layout = {}): Promise<void> {
  await writeFile(
    join(folder, "mayfly.yaml"),
    `http: { port: 0 }
drain: 2s
flows:
  orders:
    flow: orders.ts
    ${image}
    key: header:x-key
    concurrency: 2
    from:
      - { http: { path: /orders } }
      - { http: { path: /later, mode: accept } }
    to:
      erp: { http: { url: "${peerUrl}" } }
    ${more}
`,
  );
}

async function start(layout?: Layout): Promise<void> {
  await configure(layout);
  serving = await serve({ file: join(folder, "mayfly.yaml"), port: 0, environment: {}, logger: silentLogger });
}

async function restart(layout?: Layout): Promise<void> {
  await serving?.stop();
  await start(layout);
}

async function post(path: string, body = "", headers: Record<string, string> = {}): Promise<{ status: number; text: string }> {
  const response = await fetch(`${serving?.url ?? ""}${path}`, {
    method: "POST",
    body,
    headers: { "content-type": "text/plain", ...headers },
  });
  return { status: response.status, text: await response.text() };
}

/** Runs a command against the gateway. */
async function mayfly(...values: string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  return await capture([...values, "-c", join(folder, "mayfly.yaml")], { env: {} });
}

async function json<T>(...values: string[]): Promise<T> {
  const { out, err } = await mayfly(...values, "--json");
  ok(out !== "", err);
  return JSON.parse(out) as T;
}

interface QueueJson {
  readonly flows: readonly [
    { readonly state: string; readonly counts: Record<string, number>; readonly outlets: readonly { waiting: number; paused: boolean }[] },
  ];
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((done) => setTimeout(done, 10));
}

test("a paused flow takes and begins nothing, says so everywhere, stays so over a reload and a restart, and goes on", {
  timeout,
}, async () => {
  await writeFile(join(folder, "orders.ts"), source("one"));
  await start();
  equal((await post("/orders")).text, "one");
  const paused = await mayfly("flows", "pause", "orders");
  match(paused.out, /^orders: paused/);
  for (const step of ["at once", "after a reload", "after a restart"]) {
    if (step === "after a reload") await serving?.reload();
    if (step === "after a restart") await restart();
    const refused = await post("/orders");
    equal(refused.status, 503, step);
    match(refused.text, /MF_FLOW_PAUSED/);
    equal((await post("/later")).status, 503, step);
    deepEqual(serving?.gateway.ready(), { ready: true, problems: [], remarks: [], paused: ["flows.orders"] }, step);
    const { text } = { text: await (await fetch(`${serving?.url ?? ""}/metrics`)).text() };
    match(text, /mayfly_flow_paused\{flow="orders"\} 1/);
    match((await mayfly("flows", "ls")).out, /orders +paused/);
  }
  await mayfly("flows", "resume", "orders");
  equal((await post("/orders")).text, "one");
  await restart();
  equal((await post("/orders")).text, "one");
});

test("what was accepted waits while its flow is paused; queue ls shows it, purge makes dead letters of it, dlq retry brings it back", {
  timeout,
}, async () => {
  await writeFile(join(folder, "orders.ts"), source("one"));
  await start();
  await mayfly("outlets", "pause", "orders", "erp");
  // A request to a paused outlet does not count as an attempt: its message rests.
  for (let n = 0; n < 3; n++) equal((await post("/later", "ask", { "x-key": `k${n % 2}` })).status, 202);
  await until(async () => (await json<QueueJson>("queue", "ls")).flows[0].counts["resting"] === 2);
  await mayfly("flows", "pause", "orders"); // what wakes up is queued now, and not begun
  await until(async () => (await json<QueueJson>("queue", "ls", "--flow", "orders")).flows[0].counts["queued"] === 2);
  const queue = await json<QueueJson>("queue", "ls", "--flow", "orders");
  deepEqual({ ...queue.flows[0].counts }, { queued: 2, behind: 1, resting: 0, held: 0, running: 0, settling: 0 });
  const counted = await mayfly("queue", "purge", "orders");
  match(counted.out, /^3 messages of orders wait: add --yes/);
  equal(counted.code, 1);
  equal((await json<QueueJson>("queue", "ls")).flows[0].counts["queued"], 2);
  match((await mayfly("queue", "purge", "orders", "--yes")).out, /^3 messages of orders are dead letters/);
  const letters = await json<{ failure: { code: string } }[]>("dlq", "ls");
  deepEqual(
    letters.map(({ failure }) => failure.code),
    ["MF_MESSAGE_PURGED", "MF_MESSAGE_PURGED", "MF_MESSAGE_PURGED"],
  );
  await mayfly("outlets", "resume", "orders", "erp");
  await mayfly("flows", "resume", "orders");
  await mayfly("dlq", "retry", "--code", "MF_MESSAGE_PURGED");
  await until(async () => peerSaw.length === 3);
});

test("a draining flow finishes what it has and takes nothing", { timeout }, async () => {
  await writeFile(join(folder, "orders.ts"), source("one"));
  await start();
  await mayfly("outlets", "pause", "orders", "erp");
  equal((await post("/later", "ask")).status, 202);
  await until(async () => (await json<QueueJson>("queue", "ls")).flows[0].counts["resting"] === 1);
  match((await mayfly("flows", "drain", "orders")).out, /^orders: draining; 1 pending/);
  equal((await post("/orders")).status, 503);
  await mayfly("outlets", "resume", "orders", "erp");
  await until(async () => (await json<{ flows: [{ pending: number; done: number }] }>("flows", "ls")).flows[0].pending === 0);
  equal(peerSaw.length, 1);
});

test("a paused outlet: sends rest in the outbox over a restart, a caller who waits gets a coded 503, and resume sends at once", {
  timeout,
}, async () => {
  await writeFile(join(folder, "orders.ts"), source("one"));
  await start();
  match((await mayfly("outlets", "pause", "orders", "erp")).out, /^orders\.to\.erp: paused/);
  equal((await post("/orders", "send")).status, 200);
  const asked = await post("/orders", "ask");
  equal(asked.status, 503);
  match(asked.text, /MF_OUTLET_PAUSED/);
  await restart();
  equal((await post("/orders", "send")).status, 200);
  const { outlets } = (await json<QueueJson>("queue", "ls")).flows[0];
  deepEqual([outlets[0]?.waiting, outlets[0]?.paused], [2, true]);
  deepEqual(serving?.gateway.ready().paused, ["flows.orders.to.erp"]);
  equal(peerSaw.length, 0);
  const arrived = new Promise<void>((done) => (onPeer = () => (peerSaw.length === 2 ? done() : undefined)));
  await mayfly("outlets", "resume", "orders", "erp");
  await arrived;
});

interface ImagesJson {
  readonly images: readonly {
    readonly sha256: string;
    readonly flow: string;
    readonly builtBy: string;
    readonly usedBy: readonly string[];
  }[];
}

test("rollback: the flow runs yesterday's image at once and after a restart, until --undo or the next deploy", { timeout }, async () => {
  await writeFile(join(folder, "orders.ts"), source("one"));
  await start();
  const one = (await json<ImagesJson>("images", "ls")).images[0]?.sha256 ?? "";
  await writeFile(join(folder, "orders.ts"), source("two"));
  await serving?.reload();
  equal((await post("/orders")).text, "two");
  const { images } = await json<ImagesJson>("images", "ls", "--flow", "orders");
  deepEqual(
    images.map(({ sha256, usedBy }) => [sha256 === one, usedBy]),
    [
      [false, ["orders"]],
      [true, []],
    ],
  );
  equal(images[0]?.flow, "orders.ts");
  match(
    (await mayfly("rollback", "orders", `sha256:${one.slice(0, 12)}`)).out,
    new RegExp(`^orders runs sha256:${one.slice(0, 12)} instead`),
  );
  equal((await post("/orders")).text, "one");
  await restart();
  equal((await post("/orders")).text, "one");
  await serving?.reload();
  equal((await post("/orders")).text, "one");
  await mayfly("rollback", "orders", "--undo");
  equal((await post("/orders")).text, "two");
  await mayfly("rollback", "orders", `sha256:${one}`);
  await writeFile(join(folder, "orders.ts"), source("three"));
  await serving?.reload();
  equal((await post("/orders")).text, "three");
  await restart();
  equal((await post("/orders")).text, "three");
});

test("a rollback serves a flow whose source no longer builds", { timeout }, async () => {
  await writeFile(join(folder, "orders.ts"), source("one"));
  await start();
  const one = (await json<ImagesJson>("images", "ls")).images[0]?.sha256 ?? "";
  await writeFile(join(folder, "orders.ts"), source("two"));
  await serving?.reload();
  await mayfly("rollback", "orders", `sha256:${one}`);
  await writeFile(join(folder, "orders.ts"), "this is no flow");
  await restart();
  equal((await post("/orders")).text, "one");
});

test("what can't be done says why: a flow or outlet that is not there, an image of another flow or of none", { timeout }, async () => {
  await writeFile(join(folder, "orders.ts"), source("one"));
  await start();
  const one = (await json<ImagesJson>("images", "ls")).images[0]?.sha256 ?? "";
  const cases: readonly (readonly [RegExp, ...string[]])[] = [
    [/MF_FLOW_UNKNOWN.*"order".*orders/s, "flows", "pause", "order"],
    [/MF_OUTLET_UNKNOWN.*"crm"/s, "outlets", "pause", "orders", "crm"],
    [/MF_FLOW_UNKNOWN/, "queue", "purge", "order", "--yes"],
    [/MF_IMAGE_NOT_FOUND/, "rollback", "orders", "sha256:00000000"],
    [/MF_ROLLBACK_REFUSED.*runs .* already/s, "rollback", "orders", `sha256:${one}`],
    [/MF_USAGE/, "rollback", "orders"],
    [/MF_USAGE/, "rollback", "orders", "nonsense"],
  ];
  for (const [pattern, ...values] of cases) {
    const { code, err } = await mayfly(...values);
    equal(code, 2, values.join(" "));
    match(err, pattern);
  }
  equal((await post("/orders")).text, "one");
});

test("a canary: a share of the keys meets the new image, each key always the same one, and both sides are counted", {
  timeout,
}, async () => {
  await writeFile(join(folder, "orders.ts"), source("one"));
  await writeFile(
    join(folder, "orders-2.ts"),
    source("two").replace('if (text === "send")', 'if (text === "bad") throw new Error("worse");\n  if (text === "send")'),
  );
  await start({ image: "image: { new: orders-2.ts, share: 50% }" });
  const met = new Map<string, string>();
  for (let round = 0; round < 2; round++)
    for (let n = 0; n < 40; n++) {
      const { text } = await post("/orders", "", { "x-key": `k${n}` });
      equal(met.get(`k${n}`) ?? text, text, `k${n} met another image`);
      met.set(`k${n}`, text);
    }
  const news = [...met].filter(([, text]) => text === "two");
  ok(news.length > 5 && news.length < 35, `${news.length} of 40 keys`);
  equal((await post("/orders", "bad", { "x-key": news[0]?.[0] ?? "" })).status, 500);
  interface Side {
    readonly side: string;
    readonly done: number;
    readonly failed: number;
  }
  const { flows } = await json<{ flows: [{ canary: { share: number; sides: [Side, Side] } }] }>("flows", "ls");
  const { share, sides } = flows[0].canary;
  equal(share, 0.5);
  deepEqual(
    sides.map(({ side, done, failed }) => [side, done, failed]),
    [
      ["current", 80 - 2 * news.length, 0],
      ["new", 2 * news.length, 1],
    ],
  );
  match((await mayfly("flows", "ls")).out, /50 % of the messages meet a new image/);
  match(
    await (await fetch(`${serving?.url ?? ""}/metrics`)).text(),
    /mayfly_canary_failures_total\{flow="orders",side="new",image="[0-9a-f]{12}",code="[A-Z_]+"\} 1/,
  );
  await configure();
  await serving?.reload();
  equal((await post("/orders", "", { "x-key": news[0]?.[0] ?? "" })).text, "one");
});
