import { deepEqual, equal } from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture, packageRoot } from "#cli";
import { type Downstream, downstream, type ServedExample, serveExample } from "./testing.ts";

const secret = "correct horse battery staple";
let peer: Downstream;
let example: ServedExample;
let body: Buffer;

before(async () => {
  peer = await downstream(() => ({}));
  example = await serveExample("webhook", { WEBHOOK_SECRET: secret, PUSHES_URL: `${peer.url}/pushes` });
  body = await readFile(join(packageRoot, "examples/webhook/samples/push.json"));
});
after(async () => {
  await example?.stop();
  await peer?.close();
});

function deliver(id: string, signature: string): Promise<Response> {
  const headers = {
    "content-type": "application/json",
    "x-github-event": "push",
    "x-github-delivery": id,
    "x-hub-signature-256": signature,
  };
  return fetch(`${example.url}/webhook`, { method: "POST", headers, body });
}

const sign = (key: string): string => `sha256=${createHmac("sha256", key).update(body).digest("hex")}`;

test("the flow tests pass", async () => {
  const { code, out } = await capture(["test", join(packageRoot, "examples/webhook")]);
  equal(code, 0, out);
});

test("a delivery with the right signature is passed on", async () => {
  equal((await deliver("d-1", sign(secret))).status, 204);
  deepEqual(await peer.until("/pushes", 1), [{ repository: "acme/shop", branch: "main", commits: 2 }]);
});

test("a wrong, a cut and an empty signature are 401, and nothing is passed on", async () => {
  for (const [index, signature] of [sign("guess"), sign(secret).slice(0, 30), ""].entries()) {
    const response = await deliver(`d-bad-${index}`, signature);
    equal(response.status, 401);
    equal(((await response.json()) as { code: string }).code, "SIGNATURE_INVALID");
  }
  equal(peer.received.filter(({ path }) => path === "/pushes").length, 1);
});

test("a caller cannot bring a secret along", async () => {
  const headers = {
    "x-github-event": "push",
    "x-github-delivery": "d-own",
    "x-hub-signature-256": sign("own"),
    "mayfly-value-secret": "own",
  };
  equal((await fetch(`${example.url}/webhook`, { method: "POST", headers, body })).status, 401);
});

test("a delivery that comes again is not handled again", async () => {
  const again = await deliver("d-1", sign(secret));
  equal(again.headers.get("mayfly-duplicate"), "true");
  equal(peer.received.filter(({ path }) => path === "/pushes").length, 1);
});
