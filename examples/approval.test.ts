import { deepEqual, equal, match } from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture, packageRoot } from "#cli";
import { type Downstream, downstream, type ServedExample, serveExample } from "./testing.ts";

const folder = join(packageRoot, "examples/approval");

let peer: Downstream;
let example: ServedExample;
before(async () => {
  peer = await downstream();
  const { url } = peer;
  const urls = { BANK_URL: `${url}/bank`, FINANCE_URL: `${url}/finance`, REQUESTER_URL: `${url}/requester` };
  example = await serveExample("approval", { PUBLIC_URL: "https://mayfly.example.com", ...urls });
});
after(async () => {
  await example?.stop();
  await peer?.close();
});

test("the flow tests pass, and explored it breaks no rule", async () => {
  const { code, out } = await capture(["test", folder]);
  equal(code, 0, out);
  const explored = await capture(["explore", join(folder, "flows/payout.ts")]);
  equal(explored.code, 0, explored.out);
  match(explored.out, /all within the bounds/);
});

test("served: the question goes out with a link, whose page shows what each answer would send; the answer is carried out", async () => {
  const large = await readFile(join(folder, "samples/large.json"), "utf8");
  equal((await fetch(`${example.url}/payouts`, { method: "POST", body: large })).status, 202);
  const [asked] = (await peer.until("/finance", 1)) as { question: string; link: string }[];
  equal(asked?.question, "Pay 4000.00 € to Ada?");
  const page = `${example.url}${new URL(asked.link).pathname}`;
  const text = await (await fetch(page)).text();
  match(text, /<bdi>bank<\/bdi>/);
  match(text, /&quot;cents&quot;: 400000/);
  equal(peer.received.filter(({ path }) => path === "/bank").length, 0, "a preview sends nothing");
  equal((await fetch(page, { method: "POST", body: new URLSearchParams({ option: "pay", by: "Grace" }) })).status, 200);
  deepEqual(await peer.until("/bank", 1), [{ payee: "Ada", cents: 400_000, reference: "p-1" }]);
  deepEqual(await peer.until("/requester", 1), [{ id: "p-1", status: "paid" }]);
});
