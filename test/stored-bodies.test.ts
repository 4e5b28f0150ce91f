/** Stored bodies in a gateway that is served: far longer than the memory they pass through, and kept or removed when something fails. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { createServer, request, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { after, afterEach, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { capture } from "#cli";
import { type ServedProcess, ServedProcesses } from "./served-process.ts";

const mib = 2 ** 20;

const flowText = `import { fail, flow } from "mayfly";
export default flow<"peer" | "files" | "next">(async (msg, { to }) => {
  const bytes = msg.headers["mayfly-claim-bytes"];
  if (msg.headers["x-do"] === "read") return msg.text();
  if (msg.headers["x-do"] === "die") fail("no", { code: "NO", retry: false });
  if (msg.headers["x-do"] === "next") to.next.send(msg);
  else if (msg.headers["x-do"] === "ask") return (await to.peer.request(msg, { method: "PUT", path: "/asked" })).status;
  else {
    to.peer.send(msg);
    to.files.send(msg);
  }
  return { bytes, sha256: msg.headers["mayfly-claim-sha256"] };
});`;
const yaml = (more: string): string => `flows:
  big:
    flow: big.ts
    claimCheck: 64KiB
    from:
      - http: { path: /big, bodyLimit: 1GiB }
      - http: { path: /accept, mode: accept, bodyLimit: 1GiB }
      - file: { dir: inbox, every: 50ms, stable: 50ms, maxSize: 1GiB }
    to:
      peer: { http: { url: "\${PEER_URL}", timeout: 50s }, retry: { backoff: 100ms..200ms } }
      files: { file: { dir: out, name: "{id}" } }
      next: { flow: { name: small } }
  small:
    flow: small.ts
    from: [ { flow: {} } ]
    to: { files: { file: { dir: out, name: "small-{id}" } } }
deadLetters: { dir: dead }
${more}`;

interface Received {
  readonly path: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly sha256: string;
}

const received: Received[] = [];
/** Requests whose body is read no further than its beginning, while this is set. */
let stall: (() => void) | undefined;
let peer: Server;
let folder: string;
/** Longest time of one request. */
const patienceMs = 60_000;
const served = new ServedProcesses();

function serve(): ServedProcess {
  const { port } = peer.address() as AddressInfo;
  return served.start(folder, { PEER_URL: `http://127.0.0.1:${port}` });
}

const until: ServedProcesses["until"] = (check) => served.until(check);

/** So many bytes, different in each place, never all in memory; and their hash. */
function stream(bytes: number): { readonly body: Readable; readonly sha256: () => string } {
  const hash = createHash("sha256");
  const pieces = function* (): Generator<Buffer> {
    for (let at = 0; at < bytes; at += mib) {
      const piece = Buffer.alloc(Math.min(mib, bytes - at), createHash("sha256").update(String(at)).digest());
      hash.update(piece);
      yield piece;
    }
  };
  return { body: Readable.from(pieces()), sha256: () => hash.digest("hex") };
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer);
  return hash.digest("hex");
}

function send(url: string, body: Readable, headers: Readonly<Record<string, string>> = {}): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sending = request(url, { method: "POST", headers, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => (text += part));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sending.on("error", reject);
    sending.setTimeout(patienceMs, () => sending.destroy(new Error("no answer")));
    body.pipe(sending);
  });
}

const stored = async (): Promise<string[]> => await readdir(join(folder, "journal", "claims")).catch(() => []);
const outFiles = async (): Promise<string[]> =>
  (await readdir(join(folder, "out")).catch(() => [])).filter((name) => !name.startsWith("."));

async function project(more = "journal: { dir: journal }\n"): Promise<void> {
  await writeFile(join(folder, "big.ts"), flowText);
  await writeFile(
    join(folder, "small.ts"),
    `import { flow } from "mayfly";\nexport default flow<"files">((msg, { to }) => to.files.send(msg));`,
  );
  await writeFile(join(folder, "mayfly.yaml"), yaml(more));
}

before(async () => {
  peer = createServer((incoming, response) => {
    const hash = createHash("sha256");
    incoming.on("data", (part: Buffer) => {
      hash.update(part);
      if (stall === undefined) return;
      incoming.pause();
      stall();
    });
    incoming.on("end", () => {
      received.push({ path: incoming.url ?? "", headers: incoming.headers, sha256: hash.digest("hex") });
      response.writeHead(200).end();
    });
    incoming.on("error", () => undefined);
  });
  peer.requestTimeout = 0;
  await new Promise<void>((resolve) => peer.listen(0, "127.0.0.1", resolve));
  folder = await mkdtemp(join(tmpdir(), "mayfly-claims-"));
});

afterEach(async () => {
  stall = undefined;
  await served.killAll();
  for (const name of ["journal", "dead", "out", "inbox"]) await rm(join(folder, name), { recursive: true, force: true });
  received.length = 0;
});

after(async () => {
  peer.closeAllConnections();
  peer.close();
  await rm(folder, { recursive: true, force: true });
});

test("200 MiB go from HTTP to HTTP and to a file, byte for byte, through a fraction of that memory, and are gone afterwards", async (t) => {
  await project();
  const mayfly = serve();
  const url = await mayfly.url();
  // V8 lets 64 MiB of buffers pile up before it collects them: a first body takes the process there, held or not.
  // A process that holds bodies needs another 100 MiB for the second.
  await send(`${url}/big`, stream(100 * mib).body);
  await until(async () => received.length === 1 && (await outFiles()).length === 1);
  const before = await mayfly.peakBytes();
  const bytes = 200 * mib;
  const { body, sha256 } = stream(bytes);
  const { status, text } = await send(`${url}/big`, body, { "content-type": "video/mp4", "mayfly-claim": "forged" });
  equal(status, 200, text);
  const expected = sha256();
  deepEqual(JSON.parse(text), { bytes: String(bytes), sha256: expected });
  await until(async () => received.length === 2 && (await outFiles()).length === 2);
  const grown = (await mayfly.peakBytes()) - before;
  t.diagnostic(`peak memory ${Math.round(before / mib)} MiB before, ${Math.round(grown / mib)} MiB more with a body of ${bytes / mib} MiB`);
  ok(grown < bytes / 3, `${grown} bytes more`);
  const [, second] = received;
  ok(second !== undefined);
  const { headers, sha256: arrived } = second;
  equal(arrived, expected);
  equal(headers["content-length"], String(bytes));
  equal(headers["content-type"], "video/mp4");
  deepEqual(
    Object.keys(headers).filter((name) => name.includes("claim")),
    [],
  );
  const hashes = await Promise.all((await outFiles()).map((name) => hashOf(join(folder, "out", name))));
  ok(hashes.includes(expected));
  await until(async () => (await stored()).length === 0);
});

test("a file over the threshold and one that came compressed take the same way; a request is answered; another flow gets the stored body", async () => {
  await project();
  const mayfly = serve();
  const url = await mayfly.url();
  const { body, sha256 } = stream(5 * mib);
  await mkdir(join(folder, "inbox"), { recursive: true });
  await pipeline(body, createWriteStream(join(folder, "inbox", "a.tmp")));
  await rename(join(folder, "inbox", "a.tmp"), join(folder, "inbox", "a.bin"));
  const expected = sha256();
  await until(() => received.length === 1);
  equal(received[0]?.sha256, expected);
  const whole = Buffer.alloc(3 * mib, "compressible ");
  const sum = createHash("sha256").update(whole).digest("hex");
  const compressed = await send(`${url}/big`, Readable.from([gzipSync(whole)]), { "content-encoding": "gzip", "x-do": "ask" });
  equal(compressed.text, "200");
  deepEqual([received[1]?.path, received[1]?.sha256], ["/asked", sum]);
  equal((await send(`${url}/accept`, Readable.from([whole]), { "x-do": "next" })).status, 202);
  const name = await until(async () => (await outFiles()).find((each) => each.startsWith("small-")));
  equal(await hashOf(join(folder, "out", name)), sum);
  const bomb = await send(`${url}/big`, Readable.from([gzipSync(whole).subarray(0, 500)]), { "content-encoding": "gzip" });
  match(`${bomb.status} ${bomb.text}`, /^400 .*MF_BODY_ENCODING/);
  const read = await send(`${url}/big`, Readable.from([whole]), { "x-do": "read" });
  match(`${read.status} ${read.text}`, /^500 .*MF_BODY_CLAIMED/);
});

test("killed while it sends: after the restart the body arrives whole, and nothing of it is left", async () => {
  await project();
  const first = serve();
  const begun = new Promise<void>((done) => (stall = done));
  const { body, sha256 } = stream(40 * mib);
  equal((await send(`${await first.url()}/accept`, body)).status, 202);
  await begun;
  await until(async () => (await outFiles()).length === 1);
  await first.kill("SIGKILL");
  equal((await stored()).length, 1);
  stall = undefined;
  await serve().url();
  await until(() => received.length >= 1);
  equal(received[0]?.sha256, sha256());
  await until(async () => (await stored()).length === 0);
});

test("a client that leaves midway leaves nothing behind", async () => {
  await project();
  const url = new URL(await serve().url());
  const socket = connect(Number(url.port), url.hostname);
  socket.write(`POST /big HTTP/1.1\r\nhost: x\r\ncontent-length: ${10 * mib}\r\n\r\n`);
  socket.write(Buffer.alloc(2 * mib));
  await until(async () => (await stored()).length === 1);
  socket.destroy();
  await until(async () => (await stored()).length === 0);
  equal(received.length, 0);
});

test("a disk that is full: 503 and nothing left of it, and once there is room the same body is taken", {
  skip: process.getuid?.() !== 0 && "needs root to mount a tmpfs",
}, async (t) => {
  await project("journal: { dir: journal }\n");
  const disk = join(folder, "journal", "claims");
  await mkdir(disk, { recursive: true });
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=8m", "mayfly-claims", disk], { encoding: "utf8" });
  if (mounted.status !== 0) return t.skip(`cannot mount a tmpfs: ${mounted.stderr}`);
  try {
    const mayfly = serve();
    const url = await mayfly.url();
    await writeFile(join(disk, "filler"), Buffer.alloc(4 * mib));
    const refused = await send(`${url}/big`, stream(6 * mib).body);
    match(`${refused.status} ${refused.text}`, /^503 .*MF_CLAIMS_FULL/);
    deepEqual(await stored(), ["filler"]);
    await rm(join(disk, "filler"));
    equal((await send(`${url}/big`, stream(6 * mib).body)).status, 200);
    await until(() => received.length === 1);
    await mayfly.kill("SIGTERM");
  } finally {
    spawnSync("umount", ["-l", disk], { stdio: "ignore" });
  }
});

test("a dead letter keeps the body: shown, exported, retried; dropped, it is swept", async () => {
  await project();
  const mayfly = serve();
  const url = await mayfly.url();
  const { body, sha256 } = stream(3 * mib);
  equal((await send(`${url}/accept`, body, { "x-do": "die" })).status, 202);
  const expected = sha256();
  const config = join(folder, "mayfly.yaml");
  const list = async (): Promise<{ id: string; bodyBytes: number }[]> =>
    JSON.parse((await capture(["dlq", "ls", "-c", config, "--json"])).out) as { id: string; bodyBytes: number }[];
  const [letter] = await until(async () => ((await list()).length === 1 ? await list() : undefined));
  const id = letter?.id ?? "";
  equal(letter?.bodyBytes, 3 * mib);
  const shown = await capture(["dlq", "show", id, "-c", config]);
  match(shown.out, new RegExp(`body 3\\.0 MiB\\n {2}in the body store, SHA-256 ${expected}`));
  for (const [to, more] of [
    ["exported", []],
    ["fetched", ["--gateway", `unix:${join(folder, "journal", "admin.sock")}`]],
  ] as const) {
    const written = await capture(["dlq", "export", id, "-o", join(folder, "out", to), "-c", config, ...more]);
    equal(written.code, 0, written.err);
    equal(await hashOf(join(folder, "out", to, `${id}.body`)), expected);
  }
  const again = await capture(["dlq", "retry", id, "-c", config]);
  equal(again.code, 1, "it dies again, and that is told");
  match(again.out, new RegExp(`${id}: dead NO: no\n0 retried, 1 failed`));
  const [second] = await until(async () => ((await list())[0]?.id !== id && (await list()).length === 1 ? await list() : undefined));
  equal((await stored()).length, 1);
  equal((await capture(["dlq", "drop", second?.id ?? "", "-c", config])).code, 0);
  await mayfly.kill("SIGTERM");
  await serve().url();
  await until(async () => (await stored()).length === 0);
});
