import { deepEqual, equal, match } from "node:assert/strict";
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture, packageRoot } from "#cli";
import { type Downstream, downstream, type ServedExample, serveExample } from "./testing.ts";

interface Refusal {
  readonly code: string;
  readonly in: string;
  readonly pointer: string;
  readonly rule: string;
}

const order = { customer: "ada", lines: [{ sku: "LAMP-1", quantity: 2 }] };
let peer: Downstream;
let example: ServedExample;

before(async () => {
  peer = await downstream(({ method, path }) => {
    if (path.startsWith("/stock")) return { json: { "LAMP-1": 5 } };
    if (method === "POST" || path === "/orders/0000000a") return { json: { ...order, id: "0000000a" } };
    return path === "/orders/0000000b" ? { json: { id: 11 } } : { status: 404 };
  });
  example = await serveExample("contract", { WAREHOUSE_URL: `${peer.url}/stock`, ORDERS_URL: `${peer.url}/orders` });
});
after(async () => {
  await example?.stop();
  await peer?.close();
});

function place(body: unknown, query = ""): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return fetch(`${example.url}/v1/orders${query}`, { method: "POST", headers, body: JSON.stringify(body) });
}

test("the flow tests pass, and the types are those of the contract", async () => {
  const { code, out } = await capture(["test", join(packageRoot, "examples/contract")]);
  equal(code, 0, out);
  const folder = await mkdtemp(join(tmpdir(), "mayfly-contract-"));
  try {
    await cp(join(packageRoot, "examples/contract"), folder, { recursive: true });
    const env = { WAREHOUSE_URL: "http://a", ORDERS_URL: "http://b" };
    const written = JSON.parse((await capture(["types", "-c", join(folder, "mayfly.yaml"), "--json"], { env })).out) as {
      written: unknown;
    };
    deepEqual(written.written, [], "run `mayfly types` in examples/contract");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test("an order is placed, a trial is not", async () => {
  const trial = await place(order, "?dry-run=true");
  equal(trial.status, 204);
  const placed = await place(order);
  equal(placed.status, 201);
  const { id, ...rest } = (await placed.json()) as typeof order & { id: string };
  deepEqual([rest, placed.headers.get("location")], [order, `/v1/orders/${id}`]);
  deepEqual(await peer.until("/orders", 1), [{ ...order, id }]);
  const short = await place({ ...order, lines: [{ sku: "LAMP-1", quantity: 6 }] });
  deepEqual([short.status, await short.json()], [409, { missing: ["LAMP-1"] }]);
});

test("a request that breaks the contract reaches neither a flow nor another system", async () => {
  const asked = peer.received.length;
  const refused = await place({ ...order, lines: [{ sku: "lamp", quantity: 2 }] });
  const { code, in: where, pointer, rule } = (await refused.json()) as Refusal;
  deepEqual([refused.status, code, where, pointer, rule], [400, "MF_CONTRACT_REQUEST", "body", "/lines/0/sku", "pattern"]);
  equal((await fetch(`${example.url}/v1/orders/nonsense`)).status, 400);
  equal(peer.received.length, asked);
});

test("an order is shown, and what the order system says wrongly is not", async () => {
  deepEqual(await (await fetch(`${example.url}/v1/orders/0000000a`)).json(), { ...order, id: "0000000a" });
  equal((await fetch(`${example.url}/v1/orders/0000000c`)).status, 404);
  const wrong = await fetch(`${example.url}/v1/orders/0000000b`);
  deepEqual([wrong.status, ((await wrong.json()) as Refusal).code], [500, "MF_CONTRACT_REPLY"]);
});

test("the document is served, with what other files had", async () => {
  const text = await (await fetch(`${example.url}/openapi.json`)).text();
  match(text, /"#\/components\/schemas\/PlacedOrder"/);
  equal(text.includes("schemas.yaml"), false);
  match(await readFile(join(packageRoot, "examples/contract/README.md"), "utf8"), /localhost:8080\/openapi/);
});
