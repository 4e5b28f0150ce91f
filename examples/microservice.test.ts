/** The example, served by the gateway. */
import { deepEqual, equal } from "node:assert/strict";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture, packageRoot } from "#cli";
import { type Answer, type Downstream, downstream, type Received, serveExample } from "./testing.ts";

function answer({ method, path }: Received): Answer {
  if (path === "/items/PEN-1") return { json: { sku: "PEN-1", price: 2.5 } };
  if (path === "/items/BROKEN") return { status: 500 };
  return method === "GET" ? { status: 404 } : { status: 202 };
}

let folder: string;
let peer: Downstream;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-microservice-"));
  await cp(join(packageRoot, "examples/microservice"), folder, { recursive: true });
  peer = await downstream(answer);
});
after(async () => {
  await peer?.close();
  await rm(folder, { recursive: true, force: true });
});

const json = { "content-type": "application/json", "x-api-key": "secret" };
const order = (body: string, headers: Readonly<Record<string, string>> = json): RequestInit => ({ method: "POST", headers, body });

/** Requests of all kinds. */
const requests: readonly (readonly [path: string, init: RequestInit])[] = [
  ["/quotes/PEN-1?quantity=3", {}],
  ["/quotes/PEN-1", { method: "HEAD" }],
  ["/quotes/NONE", {}],
  ["/quotes/BROKEN", {}],
  ["/orders", order('{"sku":"PEN-1","quantity":3}')],
  ["/orders", order('{"sku":"PEN-1","quantity":0}')],
  ["/orders", order('{"sku":"PEN-1","quantity":3}', { ...json, "x-api-key": "guess" })],
  ["/orders", order('{"sku":"PEN-1","quantity":3}', {})],
  ["/orders", order("not JSON")],
  ["/orders", order("x".repeat(70_000))],
  ["/orders", { method: "GET" }],
  ["/nowhere", {}],
];

interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** Ids and dates are new each time. */
const changing = /^(date|location|mayfly-id|connection|keep-alive|content-length)$/;

async function ask(url: string): Promise<readonly Answered[]> {
  const answers: Answered[] = [];
  for (const [path, init] of requests) {
    const response = await fetch(`${url}${path}`, init);
    const text = (await response.text()).replace(/"(id|instance)":"[^"]*"/g, '"$1":"…"');
    answers.push({
      status: response.status,
      headers: Object.fromEntries([...response.headers].filter(([name]) => !changing.test(name))),
      body: text.startsWith("{") ? (JSON.parse(text) as unknown) : text,
    });
  }
  return answers;
}

const environment = (host: string): Readonly<Record<string, string>> => {
  const { port } = new URL(peer.url);
  return { WEB_KEY: "secret", CATALOGUE_URL: `http://${host}:${port}/items`, WAREHOUSE_URL: `http://${host}:${port}/orders` };
};

test("the flow tests pass", async () => {
  const { code, out } = await capture(["test", folder]);
  equal(code, 0, out);
});

test("a gateway serves it", async () => {
  const example = await serveExample("microservice", environment("127.0.0.1"));
  const expected = await ask(example.url);
  await example.stop();
  deepEqual(
    expected.map(({ status }) => status),
    [200, 200, 404, 502, 201, 422, 401, 401, 400, 413, 405, 404],
  );
});
