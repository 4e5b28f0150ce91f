/** Stored bodies in a gateway whose flows are scripts: the flows that may name them, the form outlets get, and failures of missing or damaged ones. */
import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { test } from "node:test";
import { brotliCompressSync, gzipSync } from "node:zlib";
import type { Effect, Event } from "#abi";
import type { DeadLetter } from "../journal/dead-letters.ts";
import { gatewayLimits } from "../contract/limits.ts";
import { type Rig, until, withGateway } from "../testing/rig.ts";
import { done, request, type Script, send } from "../testing/scripted.ts";
import { BodyStore } from "./store.ts";

const body = Buffer.alloc(300_000, "a large body ");
const sha256 = createHash("sha256").update(body).digest("hex");

/** The kernel's effect for `to.NAME.send(msg)`. */
function forward(outlet: string, event: Event, storedBody = headersOf(event)["mayfly-claim"]): Effect {
  return {
    kind: "send",
    outlet,
    key: undefined,
    contentType: "x/y",
    headersJson: JSON.stringify({ "mayfly-claim": storedBody }),
    body: Buffer.alloc(0),
  };
}

function headersOf(event: Event): Record<string, string> {
  return event.kind === "deliver" ? (JSON.parse(event.headersJson) as Record<string, string>) : {};
}

interface StoreRig extends Rig {
  readonly bodyStore: BodyStore;
  readonly bodiesDir: string;
}

async function withStore(yaml: string, scripts: Readonly<Record<string, Script>>, run: (rig: StoreRig) => Promise<void>): Promise<void> {
  const bodiesDir = join(await mkdtemp(join(tmpdir(), "mayfly-claims-")), "claims");
  const bodyStore = new BodyStore(bodiesDir);
  try {
    await withGateway(yaml, scripts, (rig) => run({ ...rig, bodyStore, bodiesDir }), { ports: { bodyStore } });
  } finally {
    await rm(join(bodiesDir, ".."), { recursive: true, force: true });
  }
}

async function post(url: string, what: Uint8Array = body, headers: Record<string, string> = {}): Promise<{ status: number; text: string }> {
  const response = await fetch(url, { method: "POST", body: what as unknown as ArrayBuffer, headers });
  return { status: response.status, text: await response.text() };
}

async function letters({ deadLetters }: Rig): Promise<DeadLetter[]> {
  const all: DeadLetter[] = [];
  for await (const letter of deadLetters.list()) all.push(letter);
  return all;
}

const one = (to: string): string => `flows:
  f:
    image: f.mfi
    claimCheck: 100KB
    from: [ { http: { path: /f, bodyLimit: 400KB } } ]
    to: { out: { ${to}, retry: { backoff: 1ms..2ms } } }
    retry: { attempts: 1 }
`;

test("a body over the threshold comes as three headers, one at it as a body; what a sender says of stored bodies is not heard", async () => {
  const yaml = `${one("log: {}")}    key: body\n`;
  await withStore(yaml, { f: () => [done()] }, async ({ url, runner, gateway, bodiesDir }) => {
    const forged = { "mayfly-claim": "x".repeat(22), "mayfly-claim-bytes": "5", "mayfly-claim-sha256": "0", "x-own": "1" };
    equal((await post(`${url}/f`, body, forged)).status, 204);
    equal((await post(`${url}/f`, body.subarray(0, 100_000), forged)).status, 204);
    equal((await gateway.inject("f", { body, headers: forged, wait: true })).status, "done");
    const [large, small, injected] = runner.delivered;
    ok(large !== undefined && small !== undefined && injected !== undefined);
    const { "mayfly-claim": id = "", "mayfly-claim-bytes": bytes, "mayfly-claim-sha256": hash } = headersOf(large);
    deepEqual([large.body.length, bytes, hash, large.key], [0, "300000", sha256, sha256]);
    deepEqual(await readdir(bodiesDir), [id]);
    for (const event of [small, injected])
      deepEqual(
        Object.keys(headersOf(event)).filter((name) => name.startsWith("mayfly-claim")),
        [],
      );
    deepEqual([small.body.length, injected.body.length], [100_000, 300_000]);
  });
});

test("bodyLimit counts before and after decompression, and what does not unfold is refused, with nothing left of it", async () => {
  await withStore(one("log: {}"), { f: () => [done()] }, async ({ url, runner, bodiesDir }) => {
    const big = Buffer.alloc(1_000_000);
    const gzip = { "content-encoding": "gzip" };
    for (const [what, headers, status] of [
      [big, {}, 413],
      [gzipSync(big), gzip, 413],
      [gzipSync(body).subarray(0, 300), gzip, 400],
      [body, gzip, 400],
      [body, { "content-encoding": "zstd" }, 415],
    ] as const)
      equal((await post(`${url}/f`, what, headers)).status, status);
    deepEqual(await readdir(bodiesDir).catch(() => []), []);
    equal(runner.delivered.length, 0);
    equal((await post(`${url}/f`, brotliCompressSync(body), { "content-encoding": "br" })).status, 204);
    equal(headersOf(runner.delivered[0] as Event)["mayfly-claim-sha256"], sha256);
  });
});

test("a machine that names another message's body is refused, in a send and in a request; its own with a body beside it too", async () => {
  let stolen = "";
  let how = "send";
  const script: Script = (event) => {
    if (event.kind === "resolve") return [done(event.error?.code ?? "answered")];
    if (how === "none") return [done()];
    const storedBody = how === "both" ? headersOf(event)["mayfly-claim"] : stolen;
    const headersJson = JSON.stringify({ "mayfly-claim": storedBody });
    if (how === "request") return [{ ...(request(0, "out") as Effect & { kind: "call" }), headersJson }];
    return [{ ...(send("out", how === "both" ? "x" : "") as Effect & { kind: "send" }), headersJson }, done()];
  };
  await withStore(one(`http: { url: "http://127.0.0.1:9" }`), { f: script }, async (rig) => {
    how = "none";
    await post(`${rig.url}/f`);
    stolen = headersOf(rig.runner.delivered[0] as Event)["mayfly-claim"] ?? "";
    equal(stolen.length, 22);
    how = "send";
    for (const what of [body, Buffer.from("small")]) match((await post(`${rig.url}/f`, what)).text, /MF_CLAIM_FORBIDDEN/);
    how = "both";
    match((await post(`${rig.url}/f`)).text, /MF_CLAIM_FORBIDDEN/);
    how = "request";
    match((await post(`${rig.url}/f`)).text, /^MF_CLAIM_FORBIDDEN$/);
    equal(rig.journal.stats().outbox, 0);
  });
});

test("an outlet that can't stream gets the body whole, up to a limit; beyond it the send is a dead letter at once", async () => {
  const yaml = one('file: { dir: "lines", name: all, append: true }').replace("400KB", "20MiB");
  await withStore(yaml, { f: (event) => [forward("out", event), done()] }, async (rig) => {
    await post(`${rig.url}/f`);
    const lines = join(rig.dir, "lines", "all");
    await until(async () => (await readFile(lines).catch(() => Buffer.alloc(0))).length > 0);
    equal(Buffer.compare(await readFile(lines), Buffer.concat([body, Buffer.from("\n")])), 0);
    await post(`${rig.url}/f`, Buffer.alloc(gatewayLimits.bodyLoadBytes + 1));
    const [letter] = await until(async () => ((await letters(rig)).length === 1 ? letters(rig) : undefined));
    equal(letter?.failure.code, "MF_CLAIM_TOO_BIG");
    equal(letter?.attempts.length, 1);
  });
});

test("http sends it with its length, again from the beginning for another attempt, and never the whole of a damaged one", async () => {
  const got: { length: string | undefined; hash: string; storedBody: unknown }[] = [];
  let refusals = 1;
  const peer = createServer((incoming, response) => {
    const hash = createHash("sha256");
    incoming.on("data", (part: Buffer) => hash.update(part));
    incoming.on("error", () => undefined);
    incoming.on("end", () => {
      got.push({ length: incoming.headers["content-length"], hash: hash.digest("hex"), storedBody: incoming.headers["mayfly-claim"] });
      response.writeHead(refusals-- > 0 ? 503 : 200).end();
    });
  });
  await new Promise<void>((resolve) => peer.listen(0, "127.0.0.1", resolve));
  let before: (id: string) => Promise<void> = async () => undefined;
  const ready = new Map<string, Promise<void>>();
  const script: Script = (event) => {
    if (event.kind === "wake") return [forward("out", deliveredOf(event)), done()];
    const id = headersOf(event)["mayfly-claim"] ?? "";
    ready.set(id, before(id));
    delivered = event;
    return [{ kind: "timer", timer: 0, dueMs: Date.now() + 100 }];
  };
  let delivered: Event | undefined;
  const deliveredOf = (event: Event): Event => delivered ?? event;
  try {
    await withStore(one(`http: { url: "http://127.0.0.1:${(peer.address() as AddressInfo).port}" }`), { f: script }, async (rig) => {
      await post(`${rig.url}/f`);
      await until(() => got.length === 2);
      for (const each of got) deepEqual(each, { length: "300000", hash: sha256, storedBody: undefined });
      before = (id) => truncate(join(rig.bodiesDir, id), 10);
      await post(`${rig.url}/f`);
      before = (id) => writeFile(join(rig.bodiesDir, id), Buffer.alloc(body.length, "other "));
      await post(`${rig.url}/f`);
      before = (id) => rm(join(rig.bodiesDir, id));
      await post(`${rig.url}/f`);
      const dead = await until(async () => ((await letters(rig)).length === 3 ? letters(rig) : undefined));
      deepEqual(dead.map(({ failure, attempts }) => `${failure.code} ${attempts.length}`).sort(), [
        "MF_CLAIM_DAMAGED 1",
        "MF_CLAIM_DAMAGED 1",
        "MF_CLAIM_MISSING 1",
      ]);
      equal(got.length, 2);
      deepEqual(
        dead.map(({ bodyBytes }) => bodyBytes),
        [300_000, 300_000, 300_000],
      );
      await rejects(rig.gateway.retryDeadLetter(dead.find(({ failure }) => failure.code === "MF_CLAIM_MISSING")?.id ?? ""), {
        code: "MF_CLAIM_MISSING",
      });
      equal((await letters(rig)).length, 3);
    });
  } finally {
    peer.closeAllConnections();
    peer.close();
  }
});

test("a dead letter that is retried with another body has that body, and no stored one", async () => {
  let good = false;
  const script: Script = (event) =>
    good ? [done()] : [forward("nowhere", event), { kind: "fail", code: "NO", message: "", stack: undefined, retry: false, status: 0 }];
  const accept = one("log: {}").replace("path: /f,", "path: /f, mode: accept,");
  await withStore(accept, { f: script }, async (rig) => {
    equal((await post(`${rig.url}/f`)).status, 202);
    const [letter] = await until(async () => ((await letters(rig)).length === 1 ? letters(rig) : undefined));
    good = true;
    await rig.gateway.retryDeadLetter(letter?.id ?? "", Buffer.from("mended"));
    const again = await until(() => rig.runner.delivered[1]);
    equal(Buffer.from(again.body).toString(), "mended");
    deepEqual(
      Object.keys(headersOf(again)).filter((name) => name.startsWith("mayfly-claim")),
      [],
    );
  });
});

test("a body that breaks off while it is staged leaves no file, and no more is read than was written", async () => {
  const dir = join(await mkdtemp(join(tmpdir(), "mayfly-claims-")), "claims");
  try {
    const store = new BodyStore(dir);
    const broken = async function* (): AsyncGenerator<Buffer> {
      yield body;
      ok((await readdir(dir)).length === 1);
      throw new Error("gone");
    };
    await rejects(store.stage(broken()), /gone/);
    deepEqual([await readdir(dir), [...store.held]], [[], []]);
    const storedBody = await store.stage(Readable.from([body]));
    deepEqual([...store.held], [storedBody.id]);
    storedBody.release();
    deepEqual([...store.held], []);
    equal(Buffer.compare(await store.load(storedBody), body), 0);
    await rejects(store.check({ ...storedBody, id: "../../etc/passwd" }), { code: "MF_CLAIM_MISSING" });
    await writeFile(join(dir, `.${storedBody.id}.tmp`), "of a process that died");
    await store.removeUnfinished();
    deepEqual(await readdir(dir), [storedBody.id]);
  } finally {
    await rm(join(dir, ".."), { recursive: true, force: true });
  }
});
