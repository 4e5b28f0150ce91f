/** Bodies of the sizes that documents promise, through a real `serve`. */
import { deepEqual, equal } from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { serve, type Serving } from "#cli";
import { silentLogger } from "#gateway";

const mib = 2 ** 20;

const flowText = `import { flow } from "mayfly";
export default flow<"peer">(async (msg, { to }) => {
  switch (msg.headers["x-do"]) {
    case "bytes": return { n: msg.bytes.length };
    case "text": return { n: msg.text().length };
    case "json": return { n: msg.json<unknown[]>().length };
    case "csv": return { n: msg.csv().length };
    case "send": return void to.peer.send(msg);
    case "ask": return (await to.peer.request(msg)).text();
    case "nothing": return;
    default: return msg;
  }
});
`;

let folder: string;
let serving: Serving;
let peer: Server;
/** Bodies the peer got, by their hash. */
const arrived: string[] = [];

const hashOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

before(async () => {
  peer = createServer((request, response) => {
    const hash = createHash("sha256");
    request.on("data", (part: Buffer) => hash.update(part));
    request.on("end", () => {
      arrived.push(hash.digest("hex"));
      response.end("taken");
    });
  });
  await new Promise<void>((done) => peer.listen(0, "127.0.0.1", done));
  folder = await mkdtemp(join(tmpdir(), "mayfly-sizes-"));
  await writeFile(join(folder, "sizes.ts"), flowText);
  const to = `to: { peer: { http: { url: "http://127.0.0.1:${(peer.address() as AddressInfo).port}" } } }`;
  await writeFile(
    join(folder, "mayfly.yaml"),
    `flows:
  default:
    flow: sizes.ts
    from: [ { http: { path: /default } }, { http: { path: /accept, mode: accept } } ]
    ${to}
  patient:
    flow: sizes.ts
    limits: { cpu: 10s }
    from: [ { http: { path: /patient } } ]
    ${to}
  raised:
    flow: sizes.ts
    limits: { memory: 256MiB, cpu: 10s }
    from: [ { http: { path: /raised, bodyLimit: 64MiB } } ]
    ${to}
journal: { dir: journal }
`,
  );
  serving = await serve({ file: join(folder, "mayfly.yaml"), port: 0, environment: {}, logger: silentLogger });
});

after(async () => {
  await serving?.stop();
  peer.closeAllConnections();
  peer.close();
  await rm(folder, { recursive: true, force: true });
});

async function post(path: string, what: string, body: Uint8Array): Promise<{ status: number; body: Buffer }> {
  const response = await fetch(`${serving.url}${path}`, { method: "POST", body, headers: { "x-do": what, "content-type": "text/plain" } });
  return { status: response.status, body: Buffer.from(await response.arrayBuffer()) };
}

async function count(path: string, what: string, body: string): Promise<unknown> {
  const { status, body: reply } = await post(path, what, Buffer.from(body));
  equal(status, 200, reply.toString());
  return (JSON.parse(reply.toString()) as { n: number }).n;
}

function repeated(row: string, bytes: number): string {
  return row.repeat(Math.floor(bytes / Buffer.byteLength(row)));
}

test("no reply is 204, or 202 with the id where the message is only accepted", async () => {
  const none = await post("/default", "nothing", Buffer.from("x"));
  deepEqual([none.status, none.body.length], [204, 0]);
  const accepted = await post("/accept", "nothing", Buffer.from("x"));
  equal(accepted.status, 202);
  equal((JSON.parse(accepted.body.toString()) as { status: string }).status, "accepted");
});

test("a default machine reads the longest body that HTTP takes by default as bytes, text and JSON", async () => {
  const most = 8 * mib;
  equal(await count("/default", "bytes", "x".repeat(most)), most);
  equal(await count("/default", "text", "ü".repeat(most / 2)), most / 2);
  const order = '{"id":100001,"name":"Customer 17","street":"Long Street 5","amount":13.5},';
  const orders = repeated(order, most - 3);
  equal(await count("/default", "json", `[${orders}0]`), orders.length / order.length + 1);
  const rows = repeated("100001,Customer 17,Long Street 5,13.5,2026-01-10\n", mib / 2);
  equal(await count("/default", "csv", `id,name,street,amount,date\n${rows}`), rows.split("\n").length - 1);
  equal((await post("/default", "", Buffer.alloc(most, "x"))).body.length, most);
  equal((await post("/default", "", Buffer.alloc(most + 1, "x"))).status, 413);
});

test("a default machine has the memory for 6 MiB of CSV, given the time", async () => {
  const rows = repeated("100001,Customer 17,Long Street 5,13.5,2026-01-10\n", 6 * mib);
  equal(await count("/patient", "csv", `id,name,street,amount,date\n${rows}`), rows.split("\n").length - 1);
});

test("with raised limits a body of 60 MiB is read, sent on, asked with and replied, byte for byte", async () => {
  const body = Buffer.alloc(60 * mib, createHash("sha512").update("seed").digest("base64"));
  const { status, body: reply } = await post("/raised", "", body);
  equal(status, 200);
  equal(hashOf(reply), hashOf(body));
  equal(await count("/raised", "text", body.toString("latin1")), body.length);
  equal((await post("/raised", "ask", body)).body.toString(), "taken");
  equal((await post("/raised", "send", body)).status, 204);
  for (const endMs = Date.now() + 60_000; arrived.length < 2 && Date.now() < endMs; ) await new Promise((done) => setTimeout(done, 20));
  deepEqual(arrived, [hashOf(body), hashOf(body)]);
});
