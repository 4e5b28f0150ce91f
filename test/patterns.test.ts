/** docs/PATTERNS.md: every flow in it is built, served from its own mayfly.yaml and fed. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { packageRoot, serve, type Serving } from "#cli";
import { silentLogger } from "#gateway";

/** Bodies the peer got, by path; what was PUT under /store is given back on GET. */
const received = new Map<string, string[]>();
const stored = new Map<string, string>();
let failStore = 0;
let peer: Server;
let folder: string;
let serving: Serving;

const usedNonces = new Set<string>();

/** A SOAP service that takes each UsernameToken once, and only from `erp`. */
function stock(body: string): { status: number; body: string } {
  const element = (name: string): string => new RegExp(`<${name}[^>]*>([^<]*)</${name}>`).exec(body)?.[1] ?? "";
  const [nonce, created] = [element("wsse:Nonce"), element("wsu:Created")];
  const digest = createHash("sha1").update(Buffer.from(nonce, "base64")).update(`${created}s3cret`).digest("base64");
  const isGood = element("wsse:Password") === digest && element("wsse:Username") === "erp" && !usedNonces.has(nonce);
  usedNonces.add(nonce);
  const envelope = (inner: string): string =>
    `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>${inner}</s:Body></s:Envelope>`;
  if (!isGood) return { status: 500, body: envelope("<s:Fault><faultcode>s:Client</faultcode><faultstring>who?</faultstring></s:Fault>") };
  const isKnown = element("Sku") === "a";
  return isKnown
    ? { status: 200, body: envelope('<Stock xmlns="urn:stock"><Quantity>7</Quantity></Stock>') }
    : { status: 200, body: envelope("<s:Fault><faultcode>s:Client</faultcode><faultstring>unknown article</faultstring></s:Fault>") };
}

function answer(method: string, path: string, body: string): { status: number; body: string } {
  if (path.startsWith("/customers/")) return path.endsWith("/7") ? { status: 200, body: '{"name":"Ada"}' } : { status: 404, body: "" };
  if (path === "/soap") return stock(body);
  if (path.startsWith("/store/") && method === "PUT") {
    if (failStore-- > 0) return { status: 503, body: "" };
    stored.set(path, body);
    return { status: 201, body: "" };
  }
  if (path.startsWith("/store/")) return stored.has(path) ? { status: 200, body: stored.get(path) ?? "" } : { status: 404, body: "" };
  const bodies = received.get(path) ?? [];
  received.set(path, [...bodies, body]);
  return { status: 200, body: "" };
}

before(async () => {
  peer = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const { status, body } = answer(request.method ?? "", request.url ?? "", Buffer.concat(parts).toString());
      response.writeHead(status).end(body);
    });
  });
  await new Promise<void>((resolve) => peer.listen(0, "127.0.0.1", resolve));
  folder = await mkdtemp(join(tmpdir(), "mayfly-patterns-"));
  const text = await readFile(join(packageRoot, "docs/PATTERNS.md"), "utf8");
  for (const [, path = "", code = ""] of text.matchAll(/```ts\n\/\/ (\S+)\n([\s\S]*?)```/g)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), code);
  }
  const yaml = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1] ?? "").join("");
  await writeFile(join(folder, "mayfly.yaml"), `flows:\n${yaml}`);
  const environment = { PEER_URL: `http://127.0.0.1:${(peer.address() as AddressInfo).port}` };
  serving = await serve({ file: join(folder, "mayfly.yaml"), port: 0, environment, logger: silentLogger });
});

after(async () => {
  await serving?.stop();
  peer?.closeAllConnections();
  peer?.close();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

async function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return await fetch(`${serving.url}${path}`, {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    headers: { "content-type": "application/json", ...headers },
  });
}

/** Bodies under `path`, once there are so many. */
async function arrived(path: string, count: number): Promise<unknown[]> {
  for (;;) {
    const bodies = received.get(path) ?? [];
    if (bodies.length >= count) return bodies.map((body) => JSON.parse(body) as unknown);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test("filter: only what is wanted goes on", async () => {
  for (const status of ["open", "paid", "lost"]) equal((await post("/filter", { status })).status, 202);
  deepEqual(await arrived("/paid", 1), [{ status: "paid" }]);
});

test("content-based router: the country decides", async () => {
  for (const country of ["DE", "FR"]) await post("/router", { country });
  deepEqual([await arrived("/domestic", 1), await arrived("/abroad", 1)], [[{ country: "DE" }], [{ country: "FR" }]]);
});

test("recipient list: all who are named, or nobody", async () => {
  equal((await post("/recipients", { tell: ["sales", "nobody"], text: "x" })).status, 422);
  equal((await post("/recipients", { tell: ["sales", "finance"], text: "hello" })).status, 204);
  deepEqual(
    [await arrived("/sales", 1), await arrived("/finance", 1), received.get("/stock")],
    [[{ text: "hello" }], [{ text: "hello" }], undefined],
  );
});

test("splitter of a long file: every row once, over several batches", async () => {
  const text = `sku,qty\n${Array.from({ length: 1200 }, (_, i) => `s${i},${i}\n`).join("")}`;
  equal((await post("/pricelist", text, { "content-type": "text/csv" })).status, 202);
  const rows = (await arrived("/articles", 1200)) as { sku: string; qty: number }[];
  deepEqual(
    rows.map(({ qty }) => qty).sort((a, b) => a - b),
    Array.from({ length: 1200 }, (_, i) => i),
  );
});

test("splitter: one for each part, in order per article", async () => {
  await post("/splitter", {
    id: 5,
    lines: [
      { sku: "a", qty: 1 },
      { sku: "a", qty: 2 },
      { sku: "b", qty: 3 },
    ],
  });
  const lines = (await arrived("/lines", 3)) as { sku: string; qty: number }[];
  deepEqual(
    lines.filter((line) => line.sku === "a").map((line) => line.qty),
    [1, 2],
  );
});

test("aggregator: three lines make one message, though they come at once", async () => {
  await Promise.all(["1", "2", "3", "4", "5", "6"].map((line) => post("/aggregator", line)));
  const batches = (await arrived("/batches", 2)) as { lines: string[] }[];
  deepEqual(
    batches.map((batch) => batch.lines.length),
    [3, 3],
  );
  deepEqual(batches.flatMap((batch) => batch.lines).sort(), ["1", "2", "3", "4", "5", "6"]);
});

test("content enricher: what the message lacks is asked for", async () => {
  equal((await post("/enricher", { customer: 8 })).status, 502);
  equal((await post("/enricher", { customer: 7 })).status, 204);
  deepEqual(await arrived("/enriched", 1), [{ customer: { name: "Ada" } }]);
});

test("SOAP: a service that checks the UsernameToken answers, and its fault is told", async () => {
  for (const turn of [1, 2]) deepEqual(await (await post("/stock", { sku: "a" })).json(), { sku: "a", quantity: 7 }, `turn ${turn}`);
  const unknown = await post("/stock", { sku: "b" });
  deepEqual([unknown.status, ((await unknown.json()) as { code: string }).code], [502, "STOCK_FAULT"]);
});

test("wire tap: a copy beside the message", async () => {
  await post("/tap", { a: 1 });
  deepEqual(await arrived("/next", 1), [{ a: 1 }]);
  let tapped = "";
  while (tapped === "") {
    tapped = await readFile(join(folder, "tapped/tap.log"), "utf8").catch(() => "");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  equal(tapped, '{"a":1}\n');
});

test("throttle: everything arrives, at the outlet's pace", async () => {
  await Promise.all(Array.from({ length: 60 }, (_, n) => post("/throttle", { n })));
  equal((await arrived("/slow", 60)).length, 60);
});

test("resequencer: out in the order of the numbers, duplicates gone", async () => {
  for (const seq of [3, 1, 1, 5, 2, 4, 2]) await post("/resequencer", { stream: "s", seq });
  deepEqual(
    ((await arrived("/ordered", 5)) as { seq: number }[]).map((each) => each.seq),
    [1, 2, 3, 4, 5],
  );
  equal(received.get("/ordered")?.length, 5);
});

test("idempotent receiver: counted once, answered every time", async () => {
  const count = async (id: string): Promise<unknown> =>
    await (await post("/counter", "x", { "x-account": "a", "idempotency-key": id })).json();
  deepEqual(
    [await count("1"), await count("2"), await count("1"), await count("2"), await count("3")],
    [{ count: 1 }, { count: 2 }, { count: 1 }, { count: 2 }, { count: 3 }],
  );
  const many = await Promise.all(
    Array.from({ length: 20 }, (_, n) =>
      post("/counter", "x", { "x-account": "b", "idempotency-key": `b${n % 10}` }).then(
        (response) => response.json() as Promise<{ count: number }>,
      ),
    ),
  );
  equal(Math.max(...many.map((each) => each.count)), 10);
});

test("claim check: a large body goes where its type says, as it came; a small one as ever", async () => {
  const large = "0123456789abcdef".repeat(20_000);
  const upload = async (body: string, type: string): Promise<string> =>
    ((await (await post("/uploads", body, { "content-type": type })).json()) as { id: string }).id;
  const ids = [await upload(large, "video/mp4"), await upload(large, "text/plain"), await upload("small", "video/mp4")];
  const entries = (await arrived("/catalogue", 3)) as { id: string; bytes: number; sha256?: string }[];
  const sha256 = createHash("sha256").update(large).digest("hex");
  deepEqual(
    ids.map((id) => entries.find((entry) => entry.id === id)).map((entry) => [entry?.bytes, entry?.sha256]),
    [
      [320_000, sha256],
      [320_000, sha256],
      [5, undefined],
    ],
  );
  while ((received.get("/videos") ?? []).length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
  deepEqual(received.get("/videos")?.sort(), [large, "small"]);
  let stored = "";
  while (stored === "") {
    stored = await readFile(join(folder, "documents", ids[1] ?? ""), "utf8").catch(() => "");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  equal(stored, large);
});

test("claim check with an external store: only the ticket travels, also when the store is down for a moment", async () => {
  failStore = 1;
  await post("/checkin", "three short words", { "content-type": "text/plain" });
  const [report] = (await arrived("/reports", 1)) as { ticket: string; words: number }[];
  equal(report?.words, 3);
  ok(stored.has(`/store/${report?.ticket}`));
});

/** The sleeping message of a flow, once there is one. */
async function asleep(flow: string): Promise<string> {
  for (;;) {
    const { sleepers } = await serving.gateway.sleepers.list({ flow, most: 1 });
    if (sleepers[0]?.state === "asleep") return sleepers[0].id;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test("process manager: what is paid is shipped, what is not is released, and stock is asked once for each", async () => {
  await post("/fulfilment", { order: "o1", lines: ["a"] });
  await asleep("fulfilment");
  equal((await post("/fulfilment/o1/payment", { cents: 1200 })).status, 202);
  deepEqual(await arrived("/shipping", 1), [{ ship: "o1", paid: 1200 }]);
  await post("/fulfilment", { order: "o2", lines: ["b"] });
  await serving.gateway.sleepers.wake(await asleep("fulfilment"));
  deepEqual(await arrived("/reservations", 3), [{ reserve: ["a"] }, { reserve: ["b"] }, { release: ["b"] }]);
});

test("scatter-gather: who answers in time counts, also before the flow has fallen asleep", async () => {
  await post("/quotes", { sku: "a" });
  const asked = (await arrived("/suppliers", 3)) as { key: string }[];
  const offer = (name: string, cents: number): Promise<Response> =>
    post("/offers", { key: asked.find(({ key }) => key.endsWith(`/${name}`))?.key, cents });
  equal((await offer("west", 900)).status, 202);
  equal((await offer("north", 950)).status, 202);
  for (;;) {
    const { waits } = await serving.gateway.sleepers.show(await asleep("quotes"));
    if (waits.length === 1) break;
  }
  await serving.gateway.sleepers.wake(await asleep("quotes"));
  deepEqual(await arrived("/best", 1), [{ offers: 2, best: { from: "west", cents: 900 } }]);
});

test("delayer: not before its date", async () => {
  const notBefore = new Date(Date.now() + 300).toISOString();
  await post("/delayer", { notBefore });
  deepEqual(await arrived("/later", 1), [{ notBefore }]);
  ok(Date.now() >= Date.parse(notBefore));
});

test("scheduled digest: what came while it slept is in it", async () => {
  await post("/digest", { customer: "Ada", text: "first" });
  const id = await asleep("digest");
  const { sleeps } = await serving.gateway.sleepers.show(id);
  equal(new Date(sleeps[0] ?? 0).getUTCHours(), 7);
  for (const text of ["second", "third"]) await post("/digest", { customer: "Ada", text });
  await done("digest", 2);
  await serving.gateway.sleepers.wake(id);
  deepEqual(await arrived("/digests", 1), [{ customer: "Ada", news: ["first", "second", "third"] }]);
});

/** Waits until so many messages of the flow were completed. */
async function done(flow: string, count: number): Promise<void> {
  for (;;) {
    const families = await serving.gateway.measurements();
    const metric = families.find(({ name }) => name === "mayfly_flow_done_total") as
      | { readonly values: readonly { readonly value: number; readonly labels: Readonly<Record<string, unknown>> }[] }
      | undefined;
    if ((metric?.values.find(({ labels }) => labels["flow"] === flow)?.value ?? 0) >= count) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
