/** Objects that are taken from the bucket of a server that checks signatures. */
import { deepEqual, equal, match, ok, rejects, throws } from "node:assert/strict";
import { setMaxListeners } from "node:events";
import { utimes } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Incoming, Outcome } from "../../gateway/contract/message.ts";
import type { SourceContext } from "../../gateway/contract/source.ts";
import type { PrivateBroker } from "../testing/brokers.ts";
import { Proxy } from "../testing/proxy.ts";
import { aWhile, configured, done, eventually, PretendedGateway, refused, testContext, toldBy, uniqueName } from "../testing/rig.ts";
import { noS3, s3Login, s3Server } from "../testing/s3-server.ts";
import { sha256 } from "../shared/sigv4.ts";
import { S3Client, type S3Config } from "./client.ts";
import { listed } from "./objects.ts";
import { s3Source, type S3SourceConfig } from "./source.ts";

const skip = noS3();
let server: PrivateBroker;
const running: { readonly stop: () => Promise<void> }[] = [];
const signal = new AbortController().signal;
setMaxListeners(0, signal);

before(async () => {
  if (skip === undefined) server = await s3Server();
});
after(async () => {
  for (const { stop } of running) await stop();
  if (skip === undefined) await server.remove();
});

const dead = (incoming: Incoming): Outcome => ({
  status: "dead",
  id: incoming.id ?? "",
  failure: { origin: "flow", code: "NO", message: "", status: 0, retry: false },
  kept: true,
});

/** A bucket, as the test sees it. */
class Bucket {
  readonly name = uniqueName("bucket").toLowerCase().replaceAll("_", "-");
  readonly config = { endpoint: `http://127.0.0.1:${server.port}`, bucket: this.name, ...s3Login };
  readonly client = new S3Client({ ...this.config, region: "us-east-1", prefix: "", timeout: 10_000 } as S3Config, testContext());

  static async make(): Promise<Bucket> {
    const bucket = new Bucket();
    await bucket.client.run({ method: "PUT", signal });
    return bucket;
  }

  async put(key: string, body = "x", headers: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.client.run({ method: "PUT", key, body, headers, payload: sha256(body), signal });
  }

  async keys(prefix = ""): Promise<string[]> {
    const keys: string[] = [];
    for await (const { objects } of listed(this.client, { prefix, signal })) keys.push(...objects.map(({ key }) => key));
    return keys;
  }
}

function started(bucket: Bucket, more: object = {}, context: Partial<SourceContext> = {}, gateway = new PretendedGateway()) {
  const tested = testContext();
  const source = s3Source.create(configured<S3SourceConfig>(s3Source, { ...bucket.config, every: "20ms", ...more }), {
    ...tested,
    ...context,
  });
  const stop = async (): Promise<void> => {
    gateway.answer = done;
    gateway.release();
    await source.stop();
  };
  running.push({ stop });
  return { source, gateway, context: tested, start: () => source.start(gateway.accept) };
}

describe("s3 source", { skip, timeout: 120_000 }, () => {
  test("objects come by time, then key, once, with their type and metadata, and end in done or failed; others are left alone", async () => {
    const bucket = await Bucket.make();
    for (const key of ["in/z.csv", "in/sub/a ö+&.csv", "in/b.csv", "in/other.txt", "elsewhere.csv"])
      await bucket.put(key, `of ${key}`, { "content-type": "text/csv", "x-amz-meta-order": "7" });
    const path = (key: string): string => join(server.dir, "data", bucket.name, key);
    await utimes(path("in/z.csv"), 1_700_000_000, 1_700_000_000);
    for (const key of ["in/sub/a ö+&.csv", "in/b.csv"]) await utimes(path(key), 1_700_000_001, 1_700_000_001);
    const { source, gateway, start, context } = started(bucket, { prefix: "in/", pattern: "*.csv" });
    gateway.answer = (incoming) => (String(incoming.headers["mayfly-file-name"]).includes("b.csv") ? dead(incoming) : done(incoming));
    await start();
    await eventually("all are moved", async () => (await bucket.keys()).filter((key) => /^(done|failed)\//.test(key)).length === 3);
    await aWhile();
    deepEqual(await bucket.keys(), ["done/sub/a ö+&.csv", "done/z.csv", "elsewhere.csv", "failed/b.csv", "in/other.txt"]);
    deepEqual(gateway.texts(), ["of in/z.csv", "of in/b.csv", "of in/sub/a ö+&.csv"]);
    const one = gateway.received.find(({ headers }) => String(headers["mayfly-file-name"]).includes("sub"));
    equal(Buffer.from(one?.body ?? []).toString(), "of in/sub/a ö+&.csv");
    deepEqual([one?.contentType, one?.headers["x-amz-meta-order"], one?.keeper], ["text/csv", "7", "source"]);
    equal(one?.headers["mayfly-file-name"], encodeURIComponent("in/sub/a ö+&.csv"));
    ok(source.health().ready, source.health().detail);
    await source.stop();
    equal(context.memory.all.takenBytes, 0);
  });

  test("a thousand objects and more are listed page by page, and none comes twice", async () => {
    const bucket = await Bucket.make();
    const all = Array.from({ length: 1_100 }, (_, at) => `in/${at}`);
    for (let at = 0; at < all.length; at += 50) await Promise.all(all.slice(at, at + 50).map((key) => bucket.put(key, key)));
    const { source, gateway, start } = started(bucket, { prefix: "in/", after: "delete" });
    await start();
    await eventually("all are gone", async () => gateway.settled === all.length && (await bucket.keys()).length === 0, 60_000);
    deepEqual(gateway.texts().sort(), all.sort());
    await source.stop();
  });

  test("with delete only failed objects stay, beside an older one of their name", async () => {
    const bucket = await Bucket.make();
    await bucket.put("failed/bad.csv", "older");
    await bucket.put("bad.csv", "newer");
    await bucket.put("good.csv");
    const { source, gateway, start } = started(bucket, { after: "delete" });
    gateway.answer = (incoming) => (incoming.headers["mayfly-file-name"] === "bad.csv" ? dead(incoming) : done(incoming));
    await start();
    await eventually("both are gone", async () => (await bucket.keys()).every((key) => key.startsWith("failed/")));
    const keys = await bucket.keys();
    equal(keys.length, 2);
    match(keys.find((key) => key !== "failed/bad.csv") ?? "", /^failed\/bad~[0-9a-z]+-[0-9a-f]{8}\.csv$/);
    await source.stop();
  });

  test("with tag objects stay and keep their other tags; after a restart none comes again, but one that was replaced does", async () => {
    const bucket = await Bucket.make();
    await bucket.put("a", "1", { "x-amz-tagging": "colour=red" });
    await bucket.put("b", "1");
    const first = started(bucket, { after: "tag" });
    first.gateway.answer = (_, count) => (count === 1 ? done : dead)(first.gateway.received[count - 1] as Incoming);
    await first.start();
    const tags = async (key: string): Promise<string> => {
      const { body } = await bucket.client.call({ method: "GET", key, query: [["tagging", ""]], signal });
      return await body.text();
    };
    await eventually("both are tagged", async () => /done:/.test(await tags("a")) && /failed:/.test(await tags("b")));
    match(await tags("a"), /colour/);
    await first.source.stop();
    await bucket.put("b", "2");
    const second = started(bucket, { after: "tag" });
    await second.start();
    await eventually("the new one", async () => /done:/.test(await tags("b")));
    await aWhile();
    deepEqual([first.gateway.received.length, second.gateway.texts()], [2, ["2"]]);
    await second.source.stop();
  });

  test("an object that is replaced while its message runs is another message, with another identity", async () => {
    const bucket = await Bucket.make();
    await bucket.put("in/a", "first");
    const { source, gateway, start, context } = started(bucket, { prefix: "in/" });
    gateway.answer = (incoming, count) => (count === 1 ? gateway.hold(incoming) : done(incoming));
    await start();
    await eventually("it is taken", () => gateway.received.length === 1);
    await bucket.put("in/a", "second");
    gateway.release();
    await eventually("the second is done", async () => (await bucket.keys()).join() === "done/a");
    deepEqual(gateway.texts(), ["first", "second"]);
    ok(gateway.received[0]?.id !== gateway.received[1]?.id);
    equal(context.counts.get("changed"), 1);
    await source.stop();
  });

  test("a refused object is read again, not before the time named; a paused source reads none", async () => {
    const bucket = await Bucket.make();
    await bucket.put("in/a", "a");
    const { source, gateway, start } = started(bucket, { prefix: "in/" });
    gateway.answer = (incoming, count) => (count === 1 ? refused(50) : done(incoming));
    source.pause?.();
    await start();
    await aWhile();
    equal(gateway.received.length, 0);
    source.resume?.();
    await eventually("it is done", async () => (await bucket.keys()).join() === "done/a");
    equal(gateway.received.length, 2);
    equal(gateway.received[0]?.id, gateway.received[1]?.id);
    await source.stop();
  });

  test("a long object goes into the body store; one that is longer than allowed counts as failed", async () => {
    const bucket = await Bucket.make();
    await bucket.put("in/long", "0123456789".repeat(100_000));
    await bucket.put("in/too-long", "0123456789".repeat(300_000));
    let bytes = 0;
    let released = 0;
    const stage = async (body: AsyncIterable<Uint8Array>) => {
      for await (const piece of body) bytes += piece.length;
      return { id: "A".repeat(22), bytes, sha256: "", release: () => void (released += 1) };
    };
    const longBodies = () => ({ thresholdBytes: 1_000, store: { stage } });
    const { source, gateway, start, context } = started(bucket, { prefix: "in/", maxSize: "2MB" }, { longBodies });
    await start();
    await eventually("both have ended", async () => (await bucket.keys()).join() === "done/long,failed/too-long");
    deepEqual([gateway.received.length, gateway.received[0]?.storedBody?.bytes, bytes, released], [1, 1_000_000, 1_000_000, 1]);
    ok(context.lines.some((line) => JSON.stringify(line).includes("MF_S3_LIMIT")));
    await source.stop();
  });

  test("the server is away in the middle: the message goes on, its object is moved afterwards, none is lost or doubled", async (t) => {
    const bucket = await Bucket.make();
    const proxy = await Proxy.open(server);
    t.after(() => proxy.close());
    const all = Array.from({ length: 60 }, (_, at) => `in/${String(at).padStart(2, "0")}`);
    for (const key of all) await bucket.put(key, key);
    const { source, gateway, start } = started(bucket, { endpoint: `http://127.0.0.1:${proxy.port}`, prefix: "in/" });
    let cuts = 0;
    gateway.answer = async (incoming, count) => {
      if (count % 20 === 0) {
        proxy.cut();
        cuts += 1;
      }
      await aWhile();
      return done(incoming);
    };
    await start();
    await eventually("all are done", async () => (await bucket.keys("done/")).length === all.length, 60_000);
    ok(cuts >= 3);
    deepEqual(new Set(gateway.texts()), new Set(all));
    equal(gateway.received.length, new Set(gateway.received.map(({ id }) => id)).size, "each came once");
    await source.stop();
  });

  test("a request that is about to connect ends with its client's connections, and a later one makes new ones", async () => {
    const { client } = await Bucket.make();
    await client.close();
    const request = client.run({ method: "GET", signal });
    const failed = rejects(request);
    await new Promise<void>((resolve) => setImmediate(resolve));
    await client.close();
    await failed;
    await client.run({ method: "GET", signal });
  });

  test("an object whose copy is there already, since the answer to it was lost, is not copied twice", async () => {
    const bucket = await Bucket.make();
    await bucket.put("done/a.csv", "the same");
    await bucket.put("done/b.csv", "another");
    for (const key of ["in/a.csv", "in/b.csv"]) await bucket.put(key, "the same");
    const { source, start } = started(bucket, { prefix: "in/" });
    await start();
    await eventually("both are moved", async () => (await bucket.keys("in/")).length === 0);
    const keys = await bucket.keys("done/");
    equal(keys.filter((key) => key.startsWith("done/a")).join(), "done/a.csv");
    equal(keys.filter((key) => key.startsWith("done/b")).length, 2);
    await source.stop();
  });

  test("after a crash an object comes again under the same identity", async () => {
    const bucket = await Bucket.make();
    await bucket.put("in/a", "a");
    const first = started(bucket, { prefix: "in/" });
    first.gateway.answer = first.gateway.hold; // as if the process had ended
    await first.start();
    await eventually("it is taken", () => first.gateway.received.length === 1);
    const second = started(bucket, { prefix: "in/" });
    await second.start();
    await eventually("it is done", async () => (await bucket.keys()).join() === "done/a");
    equal(second.gateway.received[0]?.id, first.gateway.received[0]?.id);
    first.gateway.release();
    await first.source.stop();
    ok(first.context.lines.some((line) => JSON.stringify(line).includes("MF_S3_TAKEN")));
    await second.source.stop();
  });

  test("what is wrong is told by its code, and mended without a restart", async () => {
    const bucket = await Bucket.make();
    await toldBy(s3Source, { ...bucket.config, secretAccessKey: "wrong" }, "MF_S3_AUTH");
    await toldBy(s3Source, { ...bucket.config, accessKeyId: "nobody" }, "MF_S3_AUTH");
    await toldBy(s3Source, { ...bucket.config, bucket: "there-is-none" }, "MF_S3_NO_BUCKET");
    await toldBy(s3Source, { ...bucket.config, region: "eu-north-1" }, "MF_S3_REGION");
    await toldBy(s3Source, { ...bucket.config, endpoint: "http://127.0.0.1:9" }, "MF_S3_UNREACHABLE");
    const name = uniqueName("later").toLowerCase();
    const { source, start } = started(bucket, { bucket: name });
    await start();
    match(source.health().detail, /^MF_S3_NO_BUCKET/);
    const later = new S3Client(
      { ...bucket.config, bucket: name, region: "us-east-1", prefix: "", timeout: 10_000 } as S3Config,
      testContext(),
    );
    await later.run({ method: "PUT", signal });
    await eventually("it is ready", () => source.health().ready);
    await source.stop();
  });

  test("no secret is logged", async () => {
    const bucket = await Bucket.make();
    const { source, start, context } = started(bucket, { secretAccessKey: "hunter2-the-secret" });
    await start();
    await source.stop();
    ok(context.lines.length > 0);
    ok(!JSON.stringify(context.lines).includes("hunter2"));
  });
});

test("done and failed that would hide every object are refused", () => {
  const raw = { bucket: "b-1", ...s3Login, prefix: "done/in/" };
  throws(() => s3Source.create(configured<S3SourceConfig>(s3Source, raw), testContext()), { code: "MF_S3_PREFIX" });
});
