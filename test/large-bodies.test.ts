/** Bodies far longer than a machine, read in pieces by a gateway that is served: with its defaults, killed, damaged, replayed. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { createWriteStream } from "node:fs";
import { mkdir, mkdtemp, open, readdir, rename, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { after, afterEach, before, test } from "node:test";
import { capture } from "#cli";
import { type ServedProcess, ServedProcesses } from "./served-process.ts";

const flows: Readonly<Record<string, string>> = {
  count: `export default flow<"out">({ limits: { memory: "16MiB" } }, async (msg, { to }) => {
    let [rows, sum] = [0, 0];
    for await (const row of msg.rows<{ id: string; qty: string }>()) {
      rows++;
      sum += Number(row.qty);
    }
    to.out.send({ rows, sum });
  });`,
  split: `export default flow<"out">({ batch: 500 }, async (msg, { to }) => {
    const ids: number[] = [];
    for await (const row of msg.rows<{ id: string }>()) ids.push(Number(row.id));
    to.out.send({ ids, batch: msg.batch.number });
  });`,
  orders: `export default flow<"out">(async (msg, { to }) => {
    let [orders, lines] = [0, 0];
    for await (const order of msg.elements<{ "@id": string; Line: string[] }>("Order", { arrays: ["Line"] })) {
      orders++;
      lines += order.Line.length;
    }
    to.out.send({ orders, lines });
  });`,
};

const yaml = `flows:
${Object.keys(flows)
  .map(
    (name) => `  ${name}:
    flow: ${name}.ts
    from: [ { file: { dir: inbox/${name}, every: 50ms, stable: 0s } } ]
    to: { out: { http: { url: "\${PEER_URL}/${name}", timeout: 50s }, retry: { backoff: 50ms..100ms } } }
    history: { record: all, sample: 100% }`,
  )
  .join("\n")}
journal: { dir: journal }
deadLetters: { dir: dead }
`;

interface Received {
  readonly path: string;
  readonly key: string;
  readonly body: { readonly ids?: readonly number[]; readonly batch?: number; readonly rows?: number };
}

const received: Received[] = [];
let peer: Server;
let folder: string;
const served = new ServedProcesses();

function serve(): ServedProcess {
  const { port } = peer.address() as AddressInfo;
  return served.start(folder, { PEER_URL: `http://127.0.0.1:${port}` });
}

const until: ServedProcesses["until"] = (check) => served.until(check);

/** Writes a file of so many records, and puts it into a flow's folder when it is whole. */
async function drop(flow: string, name: string, records: Iterable<string>): Promise<void> {
  const dir = join(folder, "inbox", flow);
  await mkdir(dir, { recursive: true });
  await pipeline(Readable.from(records), createWriteStream(join(folder, name)));
  await rename(join(folder, name), join(dir, name));
}

function* rows(count: number): Generator<string> {
  yield "id,name,qty,note\n";
  for (let at = 0; at < count; at += 1000)
    yield Array.from({ length: 1000 }, (_, i) => `${at + i},"Söhne, ""${i}""",${i % 10},some longer note of row ${at + i}\r\n`).join("");
}

before(async () => {
  peer = createServer((incoming, response) => {
    let text = "";
    incoming.setEncoding("utf8").on("data", (part: string) => (text += part));
    incoming.on("end", () => {
      const key = String(incoming.headers["idempotency-key"]);
      received.push({ path: incoming.url ?? "", key, body: JSON.parse(text) as Received["body"] });
      response.writeHead(200).end();
    });
  });
  await new Promise<void>((resolve) => peer.listen(0, "127.0.0.1", resolve));
  folder = await mkdtemp(join(tmpdir(), "mayfly-large-"));
  for (const [name, text] of Object.entries(flows)) await writeFile(join(folder, `${name}.ts`), `import { flow } from "mayfly";\n${text}`);
  await writeFile(join(folder, "mayfly.yaml"), yaml);
});

afterEach(async () => {
  await served.killAll();
  for (const name of ["journal", "dead", "inbox"]) await rm(join(folder, name), { recursive: true, force: true });
  received.length = 0;
});

after(async () => {
  peer.closeAllConnections();
  peer.close();
  await rm(folder, { recursive: true, force: true });
});

test("a CSV of 100 MiB and an XML of 40 MiB are read with the defaults, the one in a machine of 16 MiB", async () => {
  const count = 1_600_000;
  await drop("count", "rows.csv", rows(count));
  const order = (id: number): string => `<Order id="${id}"><Line>${"é".repeat(30)}</Line><Line/><!-- </Order> --></Order>\n`;
  const orders = 300_000;
  await drop(
    "orders",
    "orders.xml",
    (function* (): Generator<string> {
      yield '<?xml version="1.0" encoding="UTF-8"?>\n<Orders>\n';
      for (let at = 0; at < orders; at += 1000) yield Array.from({ length: 1000 }, (_, i) => order(at + i)).join("");
      yield "</Orders>\n";
    })(),
  );
  serve();
  await until(() => received.length === 2);
  const of = (path: string): unknown => received.find((each) => each.path === path)?.body;
  deepEqual(of("/count"), { rows: count, sum: 4.5 * count });
  deepEqual(of("/orders"), { orders, lines: 2 * orders });
});

test("killed again and again while it reads in batches: no row is missing, and none is sent twice", async (t) => {
  const count = 60_000;
  await drop("split", "rows.csv", rows(count));
  let kills = 0;
  for (let seen = 0; kills < 6; kills++) {
    const mayfly = serve();
    await until(() => received.length > seen + 4);
    await mayfly.kill("SIGKILL");
    seen = received.length;
  }
  serve();
  const sent = await until(() => {
    const byKey = new Map(received.map(({ key, body }) => [key, body.ids ?? []]));
    return [...byKey.values()].reduce((sum, { length }) => sum + length, 0) >= count && byKey;
  });
  const ids = [...sent.values()].flat().sort((a, b) => a - b);
  equal(ids.length, count);
  ok(ids.every((id, index) => id === index));
  t.diagnostic(`${kills} kills, ${sent.size} batches, ${received.length - sent.size} delivered again under their keys`);
  await until(async () => (await readdir(join(folder, "journal", "claims"))).length === 0);
});

test("a body that was damaged on the disk is a dead letter, and nothing of it was sent", async () => {
  const config = join(folder, "mayfly.yaml");
  const letters = async (): Promise<unknown[]> => JSON.parse((await capture(["dlq", "ls", "-c", config, "--json"])).out) as unknown[];
  await drop("split", "rows.csv", rows(20_000));
  const first = serve();
  await until(() => received.length > 2);
  await first.kill("SIGKILL");
  const claims = join(folder, "journal", "claims");
  const [name] = await readdir(claims);
  const file = await open(join(claims, name ?? ""), "r+");
  await file.write(Buffer.from("#"), 0, 1, 900_000);
  await file.close();
  const before = new Set(received.map(({ body }) => body.batch));
  serve();
  await until(async () => (await letters()).length === 1);
  const shown = await capture(["dlq", "ls", "-c", config]);
  match(shown.out, /MF_CLAIM_DAMAGED/);
  ok(received.filter(({ body }) => !before.has(body.batch)).length <= 1, "the batch that was committed before the kill, at most");
});

test("its recording names the pieces and is replayed bit for bit with the same file, on its image and on that of its source", async () => {
  await writeFile(join(folder, "copy.csv"), [...rows(60_000)].join(""));
  await writeFile(join(folder, "other.csv"), [...rows(1000)].join(""));
  await drop("count", "rows.csv", rows(60_000));
  const mayfly = serve();
  await until(() => received.length === 1);
  const config = join(folder, "mayfly.yaml");
  const id = await until(async () => {
    const { out } = await capture(["messages", "ls", "-c", config, "--json"]);
    return (JSON.parse(out) as { messages: { id: string }[] }).messages[0]?.id;
  });
  await mayfly.kill("SIGTERM");
  const replay = (...more: string[]): ReturnType<typeof capture> => capture(["replay", id, "-c", config, ...more]);
  match((await replay()).err, /MF_REPLAY_BODY.*read in pieces.*--body FILE, whose SHA-256 is [0-9a-f]{64}/s);
  match((await replay("--body", join(folder, "other.csv"))).err, /MF_REPLAY_BODY.*is not the body that was read/s);
  match((await replay("--body", join(folder, "none.csv"))).err, /MF_REPLAY_BODY.*can't be read/s);
  const same = await replay("--body", join(folder, "copy.csv"));
  equal(same.code, 0, same.out + same.err);
  const source = await replay("--body", join(folder, "copy.csv"), "--flow", join(folder, "count.ts"));
  equal(source.code, 0, source.out + source.err);
});
