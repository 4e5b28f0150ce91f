/** Objects that are written to the bucket of a server that checks signatures, and read by requests. */
import { deepEqual, equal, match, ok, rejects, throws } from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { gatewayLimits } from "../../gateway/contract/limits.ts";
import type { PrivateBroker } from "../testing/brokers.ts";
import { attempt, message } from "../testing/messages.ts";
import { Proxy } from "../testing/proxy.ts";
import { attemptOf, configured, eventually, outgoing, startOutlet, testContext, uniqueName } from "../testing/rig.ts";
import { noS3, s3Login, s3Server } from "../testing/s3-server.ts";
import { s3Outlet, type S3OutletConfig } from "./outlet.ts";
import { inParts } from "./upload.ts";

const skip = noS3();
let server: PrivateBroker;

before(async () => {
  if (skip === undefined) server = await s3Server();
});
after(async () => {
  if (skip === undefined) await server.remove();
});

/** A bucket is a folder of the server. */
async function newBucket(): Promise<{ readonly dir: string; readonly config: object }> {
  const bucket = uniqueName("bucket").toLowerCase().replaceAll("_", "-");
  const dir = join(server.dir, "data", bucket);
  await mkdir(dir);
  return { dir, config: { endpoint: `http://127.0.0.1:${server.port}`, bucket, ...s3Login } };
}

const start = (config: object, more: object = {}) => startOutlet<S3OutletConfig>(s3Outlet, { ...config, ...more });
const asked = (path: string | undefined, method: string, body = "") => ({
  ...outgoing(body, { headers: path === undefined ? {} : { ":path": path } }),
  method,
});
const jsonOf = ({ body }: { readonly body: Uint8Array }): unknown => JSON.parse(Buffer.from(body).toString());

/** A body of `pieces` MiB that is not the same twice, and its hash. */
function storedBody(pieces: number, before: (piece: number) => void = () => {}) {
  const piece = (at: number): Buffer => Buffer.alloc(2 ** 20, `${at} of many\n`);
  const hash = createHash("sha256");
  for (let at = 0; at < pieces; at += 1) hash.update(piece(at));
  const sum = hash.digest("hex");
  const open = (): Readable =>
    Readable.from(
      (function* () {
        for (let at = 0; at < pieces; at += 1) {
          before(at);
          yield piece(at);
        }
      })(),
    );
  return { sum, message: { ...message, body: new Uint8Array(), storedBody: { id: "x", bytes: pieces * 2 ** 20, sha256: sum, open } } };
}
const sumOf = async (path: string): Promise<string> =>
  createHash("sha256")
    .update(await readFile(path))
    .digest("hex");

describe("s3 outlet", { skip, timeout: 120_000 }, () => {
  test("an object gets its template's key and its type; a second attempt replaces it", async () => {
    const { dir, config } = await newBucket();
    const { outlet } = await start(config, { prefix: "out/", name: "{date}/{header:x-a}-{key}-{id}.json" });
    await outlet.send(message, attempt);
    await outlet.send({ ...message, body: Buffer.from("again") }, { ...attempt, attempt: 2 });
    const [name = "", ...more] = await readdir(join(dir, "out", "2026-11-23"));
    deepEqual(more, []);
    equal(await readFile(join(dir, "out", "2026-11-23", name), "utf8"), "again");
    deepEqual(await readdir(join(dir, "out")), ["2026-11-23"], "values of a message lead nowhere else");
    const got = await outlet.request?.(asked(`2026-11-23/${name}`, "get"), attemptOf());
    deepEqual([got?.contentType, Buffer.from(got?.body ?? []).toString()], ["text/plain", "again"]);
    await outlet.stop();
  });

  test("a stored body is streamed, and in parts when it is long", async () => {
    const { dir, config } = await newBucket();
    const { outlet, context } = await start(config, { name: "{message}", part: "5MiB" });
    equal(outlet.streams, true);
    for (const pieces of [3, 5, 10, 23]) {
      const { sum, message: long } = storedBody(pieces);
      await outlet.send({ ...long, messageId: `of-${pieces}` }, attemptOf());
      equal(await sumOf(join(dir, `of-${pieces}`)), sum);
    }
    equal(context.memory.all.takenBytes, 0);
    await outlet.stop();
  });

  test("cut in the middle of its parts there is no object and no part left; the next attempt writes it", async () => {
    const { dir, config } = await newBucket();
    const proxy = await Proxy.open(server);
    const { outlet, context } = await start(config, { name: "long", part: "5MiB", endpoint: `http://127.0.0.1:${proxy.port}` });
    let cut = true;
    const { sum, message: long } = storedBody(24, (piece) => {
      if (piece === 13 && cut) proxy.cut();
    });
    await rejects(outlet.send(long, attemptOf()), { retryable: true, code: "MF_S3_UNREACHABLE" });
    ok(!(await readdir(dir)).includes("long"));
    equal(context.memory.all.takenBytes, 0);
    cut = false;
    await eventually("it is connected again", () => outlet.health().ready);
    await outlet.send(long, attemptOf());
    equal(await sumOf(join(dir, "long")), sum);
    const parts = join(dir, ".sgwtmp", "multipart");
    deepEqual(
      readdirSync(parts, { recursive: true }).filter((name) => /\/\d+$/.test(String(name))),
      [],
      "no part is left",
    );
    await outlet.stop();
    await proxy.close();
  });

  test("requests read, describe and list what lies below the prefix", async () => {
    const { config } = await newBucket();
    const { outlet } = await start(config, { prefix: "p/", name: "{message}" });
    const other = await start(config, { name: "{message}" });
    await other.outlet.send(outgoing("secret", { messageId: "outside" }), attemptOf());
    for (const messageId of ["a", "b"]) await outlet.send(outgoing(`of ${messageId}`, { messageId }), attemptOf());
    const list = jsonOf((await outlet.request?.(asked(undefined, "list"), attemptOf())) ?? { body: Buffer.from("0") });
    deepEqual(
      (list as { path: string; size: number }[]).map(({ path, size }) => [path, size]),
      [
        ["a", 4],
        ["b", 4],
      ],
    );
    const head = jsonOf((await outlet.request?.(asked("a", "head"), attemptOf())) ?? { body: Buffer.from("0") });
    const { exists, size, contentType, etag } = head as Record<string, unknown>;
    deepEqual([exists, size, contentType, etag], [true, 4, "text/plain", createHash("md5").update("of a").digest("hex")]);
    deepEqual(jsonOf((await outlet.request?.(asked("none", "head"), attemptOf())) ?? { body: Buffer.from("0") }), { exists: false });
    await rejects(async () => outlet.request?.(asked("none", "get"), attemptOf()), {
      code: "MF_S3_NO_OBJECT",
      retryable: false,
      status: 404,
    });
    await rejects(async () => outlet.request?.(asked("a", "PATCH"), attemptOf()), { code: "MF_S3_METHOD" });
    await outlet.stop();
    await other.outlet.stop();
  });

  test("no path leads out of the prefix", async () => {
    const { config } = await newBucket();
    const { outlet } = await start(config, { prefix: "p/" });
    for (const path of ["../outside", "a/../../outside", "./a", "/a", "a//b", "", "a/\0b"])
      for (const method of ["get", "head", "presign"])
        await rejects(async () => outlet.request?.(asked(path, method), attemptOf()), { code: "MF_PATH_REFUSED" }, `${method} ${path}`);
    await outlet.stop();
  });

  test("a link lets whoever has it read or write this object only", async () => {
    const { dir, config } = await newBucket();
    const { outlet } = await start(config, { name: "{message}" });
    await outlet.send(outgoing("shared", { messageId: "a b" }), attemptOf());
    const [name = ""] = (await readdir(dir)).filter((each) => each.startsWith("a_b"));
    const link = async (path: string, body = ""): Promise<{ url: string; method: string; expires: string }> =>
      jsonOf((await outlet.request?.(asked(path, "presign", body), attemptOf())) ?? { body: Buffer.from("0") }) as never;
    const { url, method } = await link(name);
    deepEqual([method, await (await fetch(url)).text()], ["GET", "shared"]);
    equal((await fetch(url.replace(encodeURIComponent(name), "other"))).status, 403);
    const put = await link("uploaded/by peer", JSON.stringify({ method: "PUT", expires: 60 }));
    equal((await fetch(put.url, { method: "PUT", body: "from a peer" })).status, 200);
    equal(await readFile(join(dir, "uploaded", "by peer"), "utf8"), "from a peer");
    for (const body of ["[", "7", "null", '{"method":"DELETE"}', '{"expires":0}', '{"expires":1e9}', '{"expires":"1m"}'])
      await rejects(link("a", body), { code: "MF_S3_LINK" }, body);
    await outlet.stop();
  });

  test("an object that is longer than an answer may be is refused", async () => {
    const { dir, config } = await newBucket();
    await writeFile(join(dir, "long"), Buffer.alloc(gatewayLimits.answerBytes + 1));
    const { outlet, context } = await start(config);
    await rejects(async () => outlet.request?.(asked("long", "get"), attemptOf()), { code: "MF_ANSWER_LIMIT", retryable: false });
    equal(context.memory.all.takenBytes, 0);
    await outlet.stop();
  });

  test("a server that is away, a wrong key, a bucket that is gone: each is told, retried, and over when it is over", async () => {
    const { config } = await newBucket();
    const proxy = await Proxy.open(server);
    const { outlet } = await start(config, { endpoint: `http://127.0.0.1:${proxy.port}` });
    await proxy.close();
    await rejects(outlet.send(message, attempt), { retryable: true, code: "MF_S3_UNREACHABLE" });
    match(outlet.health().detail, /^MF_S3_UNREACHABLE/);
    await outlet.stop();
    const wrong = await start(config, { secretAccessKey: "wrong" });
    await rejects(wrong.outlet.send(message, attempt), { retryable: true, unreached: true, code: "MF_S3_AUTH" });
    await wrong.outlet.stop();
    const none = await start(config, { bucket: "there-is-none" });
    await rejects(none.outlet.send(message, attempt), { retryable: true, code: "MF_S3_NO_BUCKET" });
    await none.outlet.stop();
  });
});

test("settings that no schema can refuse", () => {
  const raw = { bucket: "b-1", ...s3Login };
  const create = (more: object) => s3Outlet.create(configured<S3OutletConfig>(s3Outlet, { ...raw, ...more }), testContext());
  throws(() => create({ name: "../{id}" }), { code: "MF_S3_NAME" });
  throws(() => create({ part: "1MiB" }), { code: "MF_S3_PART" });
  throws(() => create({ endpoint: "http://127.0.0.1:1", tls: {} }), { code: "MF_CONFIG_TLS" });
});

test("a stream is cut into parts of one size, whatever its pieces", async () => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 20 }), { minLength: 1, maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(pieces, fc.integer({ min: 1, max: 16 }), async (given, size) => {
      const parts: Uint8Array[] = [];
      for await (const part of inParts(Readable.from(given.length === 0 ? [] : given), size)) parts.push(Uint8Array.from(part));
      deepEqual(Buffer.concat(parts), Buffer.concat(given));
      ok(parts.slice(0, -1).every(({ length }) => length === size));
      ok(parts.every(({ length }) => length > 0 && length <= size));
    }),
  );
});
