import { deepEqual, equal, match } from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Cart, priceService } from "./embed/service.ts";

const app = priceService({ ordersOf: (customer) => Promise.resolve(customer === "acme" ? 12 : 1) });
let url: string;

before(async () => {
  url = await app.listen({ port: 0, host: "127.0.0.1" });
});
after(() => app.close());

const cart: Cart = { lines: [{ sku: "a", quantity: 2, cents: 500 }] };

const put = (customer: string, rule: string): Promise<Response> =>
  fetch(`${url}/customers/${customer}/rule`, { method: "PUT", body: rule, headers: { "content-type": "text/plain" } });

async function price(customer: string): Promise<Record<string, unknown>> {
  const init = { method: "POST", body: JSON.stringify(cart), headers: { "content-type": "application/json" } };
  return (await (await fetch(`${url}/customers/${customer}/price`, init)).json()) as Record<string, unknown>;
}

test("a customer's rule gives the discount, and may be replaced", async () => {
  deepEqual(await price("acme"), { cents: 1000 });
  equal((await put("acme", "async (cart, me) => (await orders(me)) > 10 ? 15 : 0")).status, 201);
  deepEqual(await price("acme"), { cents: 850, percent: 15 });
  equal((await put("acme", "({ lines }: { lines: unknown[] }) => lines.length")).status, 201);
  deepEqual(await price("acme"), { cents: 990, percent: 1 });
  equal((await put("small", "async () => await orders('acme')")).status, 201);
  deepEqual(await price("small"), { cents: 1000, percent: 0 });
});

test("a rule that does not compile is refused with its place, and the one before stays", async () => {
  await put("other", "() => 10");
  const refused = await put("other", "() =>\n  10 +");
  equal(refused.status, 422);
  match(((await refused.json()) as { detail: string }).detail, /^function\.ts:\d+:\d+: /);
  deepEqual(await price("other"), { cents: 900, percent: 10 });
});

test("a hostile rule costs its own customer the discount", async () => {
  for (const [rule, code] of [
    ["() => { for (;;); }", "MF_CPU_LIMIT"],
    ["() => { const all = []; for (;;) all.push(new Uint8Array(100_000)); }", "MF_MEMORY_LIMIT"],
    ["(cart) => cart.lines[7].cents", "MF_FLOW_THREW"],
  ] as const) {
    await put("evil", rule);
    const [evil, good] = await Promise.all([price("evil"), price("other")]);
    equal(evil["cents"], 1000);
    equal((evil["rule"] as { code: string }).code, code);
    deepEqual(good, { cents: 900, percent: 10 });
  }
  await put("evil", "() => 1e308");
  deepEqual(await price("evil"), { cents: 700, percent: 30 });
});
