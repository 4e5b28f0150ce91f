import { equal } from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture, packageRoot } from "#cli";
import { type Downstream, downstream, type ServedExample, serveExample } from "./testing.ts";

let peer: Downstream;
let example: ServedExample;

before(async () => {
  peer = await downstream();
  example = await serveExample("invoices", { ACCOUNTING_URL: `${peer.url}/invoices`, ACCOUNTING_TOKEN: "t-1" });
});
after(async () => {
  await example?.stop();
  await peer?.close();
});

async function post(name: string, id: string): Promise<Response> {
  const body = await readFile(join(packageRoot, "examples/invoices/samples", name));
  return await fetch(`${example.url}/invoices`, {
    method: "POST",
    headers: { "content-type": "application/xml", "idempotency-key": id },
    body,
  });
}

test("the flow tests pass", async () => {
  const { code, out } = await capture(["test", join(packageRoot, "examples/invoices")]);
  equal(code, 0, out);
});

test("an invoice arrives as JSON, with the token from the environment", async () => {
  equal((await post("invoice.xml", "i-1")).status, 200);
  const [invoice] = await peer.until("/invoices", 1);
  equal((invoice as { seller: { name: string } }).seller.name, "Büro & Licht Handels GmbH");
  equal(peer.received[0]?.headers.authorization, "Bearer t-1");
});

test("the same invoice again is answered, and not booked again", async () => {
  const again = await post("invoice.xml", "i-1");
  equal(again.headers.get("mayfly-duplicate"), "true");
  equal(((await again.json()) as { number: string }).number, "RE-2026-00417");
  equal(peer.received.length, 1);
});

test("an invoice that does not add up is 422 and goes nowhere", async () => {
  const response = await post("wrong-sum.xml", "i-2");
  equal(response.status, 422);
  equal(((await response.json()) as { code: string }).code, "INVOICE_INVALID");
  equal(peer.received.length, 1);
});
