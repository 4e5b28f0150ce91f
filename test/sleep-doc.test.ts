/** docs/SLEEP.md: its flows are built and served as they stand there, over a restart, and its table of what is repeated is tried. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { packageRoot, serve, type Serving } from "#cli";
import { silentLogger } from "#gateway";

interface Arrival {
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly idempotencyKey: string;
}

/** For the table of what is repeated. */
const repeats = `import { fail, flow } from "mayfly";
export default flow<"ask" | "tell">(async (msg, { to, wait, state, values }) => {
  const before = crypto.randomUUID();
  const beganAt = Date.now();
  await to.ask.request({ when: "before" });
  to.tell.send({ when: "before" });
  state.set("news", "mine");
  const signal = await wait("go", { key: msg.key });
  if (signal === undefined) return;
  const after = crypto.randomUUID();
  to.tell.send({ when: "lost or not", attempt: msg.attempt });
  const { status } = await to.ask.request({ when: "after", before, beganAt, after, attempt: msg.attempt, news: state.get("news"), setting: values.setting });
  if (status !== 200) fail("no", { code: "NOT_NOW" });
  to.tell.send({ when: "end", signal: signal.json() });
});
`;

const extra = `  repeats:
    flow: flows/repeats.ts
    key: json:/key
    values: { setting: "\${SETTING}" }
    retry: { attempts: 3, backoff: 1ms..2ms }
    from: [ { http: { path: /repeats, mode: accept } } ]
    to:
      ask: { http: { url: "\${PEER_URL}/ask" }, retry: { attempts: 1 } }
      tell: { http: { url: "\${PEER_URL}/tell" } }
`;

const arrivals: Arrival[] = [];
let failures = 0;
let peer: Server;
let folder = "";
let serving: Serving;
let text = "";

before(async () => {
  peer = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const body = JSON.parse(Buffer.concat(parts).toString()) as Arrival["body"];
      arrivals.push({ path: request.url ?? "", body, idempotencyKey: String(request.headers["idempotency-key"]) });
      const fails = body["when"] === "after" && failures-- > 0;
      response.writeHead(fails ? 500 : 200).end();
    });
  });
  await new Promise<void>((resolve) => peer.listen(0, "127.0.0.1", resolve));
  folder = await mkdtemp(join(tmpdir(), "mayfly-sleep-doc-"));
  text = await readFile(join(packageRoot, "docs/SLEEP.md"), "utf8");
  const files = new Map([...text.matchAll(/```ts\n\/\/ (\S+)\n([\s\S]*?)```/g)].map(([, path = "", code = ""]) => [path, code]));
  files.set("flows/repeats.ts", repeats).set("package.json", "{}");
  const blocks = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, block = ""]) => block);
  const flows = blocks.filter((block) => /^(?:flows:| )/.test(block));
  files.set("mayfly.yaml", [...flows, extra, ...blocks.filter((block) => !flows.includes(block))].join(""));
  for (const [path, code] of files) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), code);
  }
  serving = await start("first");
});

after(async () => {
  await serving?.stop();
  peer?.closeAllConnections();
  peer?.close();
  if (folder !== "") await rm(folder, { recursive: true, force: true });
});

function start(setting: string): Promise<Serving> {
  const environment = { PEER_URL: `http://127.0.0.1:${(peer.address() as AddressInfo).port}`, SETTING: setting };
  return serve({ file: join(folder, "mayfly.yaml"), port: 0, environment, logger: silentLogger });
}

async function post(path: string, body: unknown): Promise<void> {
  const response = await fetch(`${serving.url}${path}`, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
  });
  equal(response.status, 202, await response.text());
}

/** The first of a flow's sleeping messages that fits, once there is one. */
async function asleep(
  flow: string,
  fits: (sleeper: { readonly waits: readonly { name: string }[]; readonly id: string }) => boolean = () => true,
): Promise<string> {
  for (;;) {
    const { sleepers } = await serving.gateway.sleepers.list({ flow, most: 100 });
    const found = sleepers.find((each) => each.state === "asleep" && fits(each));
    if (found !== undefined) return found.id;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function arrived(path: string, fits: (body: Arrival["body"]) => boolean, count = 1): Promise<readonly Arrival[]> {
  for (;;) {
    const found = arrivals.filter((each) => each.path === path && fits(each.body));
    if (found.length >= count) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test("the saga of SLEEP.md: paid over a restart, with one reservation; released when its time is over", { timeout: 60_000 }, async () => {
  await post("/orders", { id: "o1", lines: [{ sku: "a", qty: 1 }] });
  await arrived("/mail", ({ order }) => order === "o1");
  await asleep("saga");
  await serving.stop();
  serving = await start("first");
  await post("/payments/o1", { amount: 12 });
  const id = await asleep("saga", ({ waits }) => waits.length === 0);
  await serving.gateway.sleepers.wake(id);
  const [billed] = await arrived("/billing", ({ order }) => order === "o1");
  deepEqual(billed?.body, { order: "o1", paid: 12 });
  equal(arrivals.filter(({ path }) => path === "/stock").length, 1);
  await post("/orders", { id: "o2", lines: [] });
  await serving.gateway.sleepers.wake(await asleep("saga"));
  await arrived("/stock", ({ release }) => release !== undefined);
  equal(arrivals.filter(({ path }) => path === "/billing").length, 1);
});

test("the question of SLEEP.md: what arrives has the members that are shown, and its link leads to an answer", {
  timeout: 60_000,
}, async () => {
  await post("/payouts", { payee: "Ada", cents: 400_000 });
  const [asked] = await arrived("/finance", () => true);
  const shown = JSON.parse(/```json\n([\s\S]*?)```/.exec(text)?.[1] ?? "") as Record<string, unknown>;
  deepEqual(Object.keys(asked?.body ?? {}), Object.keys(shown));
  deepEqual([asked?.body["question"], asked?.body["options"]], [shown["question"], shown["options"]]);
  const link = new URL(String(asked?.body["link"]));
  ok(link.href.startsWith(String(shown["link"]).replace("…", "")));
  await serving.stop();
  serving = await start("first");
  const page = await (await fetch(`${serving.url}${link.pathname}`)).text();
  match(page, /Sends to <bdi>bank<\/bdi>/, "a link outlives a restart");
  const answer = await fetch(`${serving.url}${link.pathname}`, { method: "POST", body: new URLSearchParams({ option: "pay" }) });
  equal(answer.status, 200);
  deepEqual((await arrived("/bank", () => true))[0]?.body, { payee: "Ada", cents: 400_000 });
});

test("the subscription of SLEEP.md: month after month in fresh machines, until it is cancelled", { timeout: 60_000 }, async () => {
  await post("/subscriptions", { customer: "Ada" });
  for (const month of [1, 2, 3]) {
    await arrived("/billing", (body) => body["month"] === month);
    const id = await asleep("subscription");
    if (month < 3) await serving.gateway.sleepers.wake(id);
  }
  const { transactions } = await serving.gateway.sleepers.show(await asleep("subscription"));
  equal(transactions, 1, "its machine has lived for one month");
  await post("/cancellations/Ada", {});
  for (;;) {
    const { sleepers } = await serving.gateway.sleepers.list({ flow: "subscription", most: 1 });
    if (sleepers.length === 0) break;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  equal(arrivals.filter(({ body }) => body["month"] !== undefined).length, 3);
});

test("what SLEEP.md says of a failure after a wait: what is repeated, and what is not", { timeout: 60_000 }, async () => {
  await post("/repeats", { key: "k" });
  await arrived("/tell", ({ when }) => when === "before");
  await asleep("repeats");
  await serving.stop();
  serving = await start("second");
  failures = 2;
  const signal = { flow: "repeats", name: "go", key: "k", source: "api", headers: {}, contentType: "application/json" };
  const outcome = await serving.gateway.sleepers.signal({ ...signal, body: new TextEncoder().encode('{"n":7}') });
  ok(outcome.status === "kept" && outcome.waiting, JSON.stringify(outcome));
  const [end] = await arrived("/tell", ({ when }) => when === "end");
  deepEqual(end?.body["signal"], { n: 7 }, "the signal was given again");

  const asked = arrivals.filter(({ path }) => path === "/ask");
  equal(asked.filter(({ body }) => body["when"] === "before").length, 1, "a request before the wait is made once");
  const again = asked.filter(({ body }) => body["when"] === "after");
  deepEqual(
    again.map(({ body }) => body["attempt"]),
    [1, 2, 3],
    "attempts count within the transaction",
  );
  equal(new Set(again.map(({ idempotencyKey }) => idempotencyKey)).size, 1, "one idempotency key for all attempts");
  for (const name of ["before", "beganAt", "after"])
    equal(new Set(again.map(({ body }) => body[name])).size, 1, `${name} is the same in each`);
  equal(again[0]?.body["setting"], "first", "values are those of when the message began");
  equal(again[0]?.body["news"], "mine");
  deepEqual(
    arrivals.filter(({ path }) => path === "/tell").map(({ body }) => [body["when"], body["attempt"]]),
    [
      ["before", undefined],
      ["lost or not", 3],
      ["end", undefined],
    ],
    "nothing of a failed attempt left",
  );
});

test("what SLEEP.md says of a dead letter: it goes on from the wait, with its signal", { timeout: 60_000 }, async () => {
  arrivals.length = 0;
  await post("/repeats", { key: "dead" });
  await asleep("repeats");
  failures = 3;
  const body = new TextEncoder().encode('{"n":8}');
  await serving.gateway.sleepers.signal({
    ...{ flow: "repeats", name: "go", key: "dead", source: "api", headers: {}, contentType: "application/json", body },
  });
  const letter = await deadLetter("repeats");
  await serving.gateway.retryDeadLetter(letter);
  const [end] = await arrived("/tell", ({ when }) => when === "end");
  deepEqual(end?.body["signal"], { n: 8 });
  const asked = arrivals.filter(({ path }) => path === "/ask").map(({ body: each }) => each["when"]);
  deepEqual(asked, ["before", "after", "after", "after", "after"]);
});

async function deadLetter(flow: string): Promise<string> {
  for (;;) {
    const folderOfFlow = join(folder, ".mayfly", "dead-letters", flow);
    const name = (await readdir(folderOfFlow).catch(() => [])).find((each) => each.endsWith(".json"));
    if (name !== undefined) return `${flow}/${name.slice(0, -".json".length)}`;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
