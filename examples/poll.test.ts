import { deepEqual, equal } from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture, packageRoot } from "#cli";
import { type Downstream, downstream, eventually, type ServedExample, serveExample } from "./testing.ts";

let peer: Downstream;
let example: ServedExample;
let version = 1;
const catalogues: Readonly<Record<number, unknown>> = {
  1: [
    { sku: "DESK-4", name: "Desk", price: 640 },
    { sku: "LAMP-2", name: "Lamp", price: 45.5 },
  ],
  2: [{ sku: "DESK-4", name: "Desk", price: 600 }],
};

before(async () => {
  peer = await downstream(({ path, headers }) => {
    if (path !== "/catalogue") return {};
    const etag = `"v${version}"`;
    return headers["if-none-match"] === etag ? { status: 304 } : { headers: { etag }, json: catalogues[version] };
  });
  example = await serveExample("poll", { CATALOGUE_URL: `${peer.url}/catalogue`, CHANGES_URL: `${peer.url}/changes`, POLL_EVERY: "50ms" });
});
after(async () => {
  await example?.stop();
  await peer?.close();
});

function asked(): number {
  return peer.received.filter(({ path }) => path === "/catalogue").length;
}

test("the flow tests pass", async () => {
  const { code, out } = await capture(["test", join(packageRoot, "examples/poll")]);
  equal(code, 0, out);
});

test("what is new is told once, however often it is polled; then what changed, and what went", async () => {
  const first = (await peer.until("/changes", 2)) as { change: string }[];
  deepEqual(
    first.map(({ change }) => change),
    ["added", "added"],
  );
  const before = asked();
  await eventually("two more polls", () => (asked() >= before + 2 ? true : undefined));
  equal(peer.received.filter(({ path }) => path === "/changes").length, 2);

  version = 2;
  const all = (await peer.until("/changes", 4)) as { change: string; product: { sku: string } }[];
  const later = all.slice(2).map(({ change, product }) => `${change} ${product.sku}`);
  deepEqual(later.sort(), ["changed DESK-4", "removed LAMP-2"]);
});
