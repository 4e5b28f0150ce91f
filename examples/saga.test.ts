import { deepEqual, equal, match, ok } from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture, packageRoot } from "#cli";
import { type Downstream, downstream, type ServedExample, serveExample } from "./testing.ts";

const folder = join(packageRoot, "examples/saga");

let peer: Downstream;
let example: ServedExample;
before(async () => {
  peer = await downstream();
  const { url } = peer;
  example = await serveExample("saga", { STOCK_URL: `${url}/stock`, BILLING_URL: `${url}/billing`, MAIL_URL: `${url}/mail` });
});
after(async () => {
  await example?.stop();
  await peer?.close();
});

test("the flow tests pass", async () => {
  const { code, out } = await capture(["test", folder]);
  equal(code, 0, out);
});

test("explored, the saga breaks no rule; its faulty variant breaks one, which is found in less than five seconds", async () => {
  const sound = await capture(["explore", join(folder, "flows/saga.ts")]);
  equal(sound.code, 0, sound.out);
  match(sound.out, /all within the bounds/);
  const faulty = await capture(["explore", join(folder, "faulty/saga.ts"), "--seconds", "5", "--json"]);
  equal(faulty.code, 1, faulty.out);
  const { violations } = JSON.parse(faulty.out) as { violations: { rule: string; schedule: string }[] };
  deepEqual(
    violations.map(({ rule }) => rule),
    ["released or billed, never both"],
  );
  ok((violations[0]?.schedule.split(" ").length ?? 99) <= 7, violations[0]?.schedule);
});

test("served: an order sleeps until its payment comes, and is billed; an early payment is kept for its order", async () => {
  const order = await readFile(join(folder, "samples/order.json"), "utf8");
  equal((await fetch(`${example.url}/orders`, { method: "POST", body: order })).status, 202);
  deepEqual(await peer.until("/mail", 1), [{ order: "4711", text: "please pay" }]);
  equal((await fetch(`${example.url}/payments/4711`, { method: "POST", body: '{"amount":120}' })).status, 202);
  deepEqual(await peer.until("/billing", 1), [{ order: "4711", paid: 120 }]);

  equal((await fetch(`${example.url}/payments/4712`, { method: "POST", body: '{"amount":7}' })).status, 202);
  const later = { ...(JSON.parse(order) as object), id: "4712" };
  equal((await fetch(`${example.url}/orders`, { method: "POST", body: JSON.stringify(later) })).status, 202);
  deepEqual((await peer.until("/billing", 2))[1], { order: "4712", paid: 7 });
  equal(peer.received.filter(({ path }) => path === "/stock").length, 2, "no request is repeated by a wake");
});
