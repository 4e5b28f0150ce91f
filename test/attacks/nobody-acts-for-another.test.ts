/**
 * Nobody reads, injects or answers for another: the admin endpoints behind a careless proxy, and ids that name somebody else's request,
 * tried on a real `serve`.
 */
import { deepEqual, equal, match, notEqual } from "node:assert/strict";
import { lstat, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, request as httpRequest, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture, serve, type Serving } from "#cli";
import { silentLogger } from "#gateway";

const orders = `import { flow } from "mayfly";
export default flow(async (msg, { to }) => {
  if (msg.text() === "die") throw new Error("no");
  const answer = await to.erp.request(msg.text());
  return { for: msg.text(), erp: answer.text() };
});
`;

let folder: string;
let serving: Serving;
let erp: Server;
let proxy: Server;
/** Idempotency keys the ERP has seen; one it knows is answered and not carried out again. */
const keys = new Map<string, string>();

before(async () => {
  erp = createServer((request, response) => {
    let body = "";
    request.on("data", (part) => (body += String(part)));
    request.on("end", () => {
      const key = String(request.headers["idempotency-key"]);
      if (!keys.has(key)) keys.set(key, body);
      response.end(`made of ${keys.get(key)}`);
    });
  });
  await new Promise<void>((done) => erp.listen(0, "127.0.0.1", done));
  folder = await mkdtemp(join(tmpdir(), "mayfly-nobody-"));
  await writeFile(join(folder, "orders.ts"), orders);
  await writeFile(
    join(folder, "mayfly.yaml"),
    `flows:
  orders:
    flow: orders.ts
    retry: { attempts: 1 }
    dedup: { window: 1h }
    from:
      - http: { path: /private, auth: { bearer: token } }
      - http: { path: /public }
    to: { erp: { http: { url: "http://127.0.0.1:${(erp.address() as AddressInfo).port}" } } }
journal: { dir: journal }
`,
  );
  serving = await serve({ file: join(folder, "mayfly.yaml"), port: 0, environment: {}, logger: silentLogger });
  // As nginx's plain proxy_pass: the host is the upstream's own name, all other headers are the caller's.
  proxy = createServer((request, response) => {
    const to = httpRequest(`${serving.url}${request.url}`, {
      method: request.method ?? "GET",
      headers: { ...request.headers, host: "localhost" },
    });
    to.on("response", (answer: IncomingMessage) => {
      response.writeHead(answer.statusCode ?? 500);
      answer.pipe(response);
    });
    request.pipe(to);
  });
  await new Promise<void>((done) => proxy.listen(0, "127.0.0.1", done));
});

after(async () => {
  await serving?.stop();
  for (const server of [erp, proxy]) {
    server.closeAllConnections();
    server.close();
  }
  await rm(folder, { recursive: true, force: true });
});

async function post(path: string, body: string, headers: Record<string, string> = {}): Promise<readonly [number, string]> {
  const response = await fetch(`${serving.url}${path}`, { method: "POST", body, headers });
  return [response.status, await response.text()];
}

test("a stranger behind a proxy reads no dead letter, injects no message and learns nothing of the flows", async () => {
  equal((await post("/public", "die", { authorization: "Bearer hers" }))[0], 500);
  const at = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const headers = { "mayfly-admin": "1", "x-forwarded-host": "localhost", authorization: "Bearer " };
  for (const [method, path] of [
    ["GET", "/-/flows"],
    ["GET", "/-/dead-letters?limit=abc"],
    ["POST", "/-/flows/orders/messages"],
    ["GET", "//-/flows"],
    ["GET", "/%2d/flows"],
  ] as const)
    equal((await fetch(`${at}${path}`, { method, headers })).status, 404, path);
  deepEqual(await (await fetch(`${at}/ready`, { headers })).json(), { ready: true });
});

test("the command line reaches the gateway through a socket that is its user's alone", async () => {
  const config = join(folder, "mayfly.yaml");
  const { mode } = await lstat(join(folder, "journal", "admin.sock"));
  equal((mode & 0o777).toString(8), "600");
  const listed = await capture(["dlq", "ls", "--gateway", `unix:${join(folder, "journal", "admin.sock")}`, "--json"]);
  const [letter] = JSON.parse(listed.out) as { headers: Record<string, string> }[];
  equal(letter?.headers["authorization"], undefined);
  equal((await capture(["send", "orders", "-m", "-", "-c", config], { stdin: "ours" })).code, 0);
});

test("a reply stays with its caller and route, and an order is never dropped for another's id", async () => {
  const key = { "idempotency-key": "order-1" };
  const [status, reply] = await post("/private", "hers", { ...key, authorization: "Bearer token" });
  deepEqual([status, JSON.parse(reply)], [200, { for: "hers", erp: "made of hers" }]);
  const [other, stranger] = await post("/public", "hers", key);
  deepEqual([other, JSON.parse(stranger)], [200, { for: "hers", erp: "made of hers" }]);
  equal(keys.size, 3, "each of the three had a key of its own"); // the command line's, hers, the stranger's
  deepEqual(
    [(await post("/public", "mine", key))[0], (await post("/private", "mine", { ...key, authorization: "Bearer token" }))[0]],
    [422, 422],
  );
  // First at the ERP with the id that the victim will use: what the victim orders is made all the same.
  await post("/public", "forged", { "idempotency-key": "order-2" });
  const [, made] = await post("/private", "wanted", { "idempotency-key": "order-2", authorization: "Bearer token" });
  match(made, /made of wanted/);
});

test("an id the gateway made can't be claimed", async () => {
  const response = await fetch(`${serving.url}/public`, { method: "POST", body: "first" });
  const id = response.headers.get("mayfly-message-id") ?? "";
  const again = await fetch(`${serving.url}/public`, { method: "POST", body: "second", headers: { "idempotency-key": id } });
  equal(again.status, 200);
  notEqual(again.headers.get("mayfly-message-id"), id);
});
