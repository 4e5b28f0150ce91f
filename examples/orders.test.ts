import { deepEqual, equal, match } from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture, packageRoot } from "#cli";
import { type Downstream, downstream, eventually, type ServedExample, serveExample } from "./testing.ts";

const sample = (name: string): Promise<string> => readFile(join(packageRoot, "examples/orders/samples", name), "utf8");

let peer: Downstream;
let example: ServedExample;
let erpStatus = 200;

before(async () => {
  peer = await downstream(({ path, body }) =>
    path === "/erp" ? { status: erpStatus, json: { orderNumber: `A-${(JSON.parse(body) as { id: number }).id}` } } : {},
  );
  example = await serveExample("orders", { ERP_URL: `${peer.url}/erp`, SALES_URL: `${peer.url}/sales` });
});
after(async () => {
  await example?.stop();
  await peer?.close();
});

function post(body: string): Promise<Response> {
  return fetch(`${example.url}/orders`, { method: "POST", headers: { "content-type": "application/json" }, body });
}

test("the flow tests pass", async () => {
  const { code, out } = await capture(["test", join(packageRoot, "examples/orders")]);
  equal(code, 0, out);
});

test("a small order is enriched by the ERP and audited, and goes to nobody else", async () => {
  const response = await post(await sample("small-order.json"));
  equal(response.status, 200);
  deepEqual(await response.json(), { status: "accepted", erp: { orderNumber: "A-7" } });
  deepEqual(
    peer.received.map(({ path }) => path),
    ["/erp"],
  );
  const lines = await eventually("the audit file", async () => {
    const [file] = await readdir(join(example.folder, "audit")).catch(() => []);
    return file === undefined ? undefined : (await readFile(join(example.folder, "audit", file), "utf8")).trim().split("\n");
  });
  deepEqual(
    lines.map((line) => JSON.parse(line) as unknown),
    [{ sku: "PEN-1", qty: 3, price: 2.5 }],
  );
});

test("a big order goes to sales as well", async () => {
  equal((await post(await sample("big-order.json"))).status, 200);
  const [order] = await peer.until("/sales", 1);
  equal((order as { total: number }).total, 1371);
});

test("an order that is not JSON is the caller's fault, with the message's id", async () => {
  const response = await post("{");
  equal(response.status, 400);
  match(response.headers.get("content-type") ?? "", /application\/problem\+json/);
  const problem = (await response.json()) as { code: string; id: string };
  equal(problem.code, "MF_MESSAGE_INVALID");
  match(problem.id, /./);
});

test("when the ERP refuses, its answer is in the reply; nothing else is invented", async () => {
  erpStatus = 409;
  const response = await post(await sample("small-order.json"));
  erpStatus = 200;
  deepEqual(await response.json(), { status: "accepted", erp: { orderNumber: "A-7" } });
});
