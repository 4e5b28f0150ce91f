import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createClient } from "redis";
import { connectorCase } from "../testing/connector.case.ts";
import { redisOutlet } from "./outlet.ts";
import { redisSource } from "./source.ts";
import {
  attemptOf,
  aWhile,
  done,
  eventually,
  outgoing,
  PretendedGateway,
  refused,
  sendSurely,
  startOutlet,
  startSource,
  uniqueName,
} from "../testing/rig.ts";
import { redisServer, started, suiteServer } from "../testing/servers.ts";

const { skip, broker, end } = await suiteServer(redisServer());
const url = `redis://${broker.host}:${broker.port}`;

const admin = createClient({ url });
async function make(stream: string): Promise<void> {
  await admin.xGroupCreate(stream, "maker", "0", { MKSTREAM: true });
  await admin.xGroupDestroy(stream, "maker");
}

if (skip === undefined) {
  before(() => admin.connect());
  after(async () => {
    await admin.close();
    await end();
  });

  connectorCase({
    name: "redis",
    source: redisSource,
    outlet: redisOutlet,
    broker,
    sourceConfig: (at, stream) => ({ url: `redis://${at.host}:${at.port}`, stream, create: "group", claimAfter: "1s" }),
    outletConfig: (at, stream) => ({ url: `redis://${at.host}:${at.port}`, stream, create: false }),
    make,
    remove: async (stream) => void (await admin.del(stream)),
    badLogin: { code: "MF_REDIS_AUTH", change: { username: "nobody", password: "wrong-password" } },
    missing: { source: "MF_REDIS_NO_STREAM", outlet: "MF_REDIS_NO_STREAM" },
    keeps: true,
    ordersThroughCuts: true,
    marksRedelivery: true,
    replies: false,
    largestBodyBytes: 2 ** 20,
    quickHeartbeat: { heartbeat: "300ms" },
    carriesId: true,
  });
} else test("redis", { skip }, () => {});

describe("redis: what only streams do", { skip, timeout: 60_000 }, () => {
  const pending = async (stream: string): Promise<number> => (await admin.xPending(stream, "mayfly")).pending;

  test("entries of a consumer that died are claimed; those of one that works are not", async () => {
    const stream = uniqueName("claim");
    await make(stream);
    const working = await startSource(redisSource, { url, stream, consumer: "working", claimAfter: "300ms" });
    working.gateway.answer = working.gateway.hold;
    await admin.xAdd(stream, "*", { body: "of the working" });
    await eventually("it", () => working.gateway.received.length === 1);
    await admin.xAdd(stream, "*", { body: "of the dead" });
    await admin.xReadGroup("mayfly", "dead", { key: stream, id: ">" });
    // The working one may have been quicker: then there is nothing of the dead, and nothing to claim either way.
    const other = await startSource(redisSource, { url, stream, consumer: "other", claimAfter: "300ms" });
    await eventually("the dead one's", () => [...other.gateway.texts(), ...working.gateway.texts()].includes("of the dead"));
    for (let waits = 0; waits < 6; waits += 1) await aWhile();
    assert.equal([...other.gateway.texts(), ...working.gateway.texts()].filter((text) => text === "of the working").length, 1);
    working.gateway.answer = done;
    working.gateway.release();
    await eventually("all acknowledged", async () => (await pending(stream)) === 0);
    await working.source.stop();
    await other.source.stop();
    await admin.del(stream);
  });

  test("what is given back is free for another consumer at once", async () => {
    const stream = uniqueName("back");
    await make(stream);
    const busy = new PretendedGateway();
    busy.answer = () => refused(60_000);
    const first = await startSource(redisSource, { url, stream, consumer: "first", claimAfter: "1h" }, 16, busy);
    await admin.xAdd(stream, "*", { body: "x" });
    await eventually("it", () => busy.received.length === 1);
    await first.source.stop();
    const second = await startSource(redisSource, { url, stream, consumer: "second", claimAfter: "1h" });
    await eventually("it again", () => second.gateway.received.length === 1);
    assert.equal(second.gateway.received[0]?.redelivered, true);
    await second.source.stop();
    await admin.del(stream);
  });

  test("plain entries become JSON, delete removes, maxLength trims, trimmed pending entries are let go", async () => {
    const stream = uniqueName("plain");
    await make(stream);
    const entry = await admin.xAdd(stream, "*", { order: "7", total: "12.50" });
    const { source, gateway } = await startSource(redisSource, { url, stream, delete: true });
    await eventually("deleted", async () => (await admin.xLen(stream)) === 0);
    assert.deepEqual(JSON.parse(gateway.texts()[0] ?? ""), { order: "7", total: "12.50" });
    assert.equal(gateway.received[0]?.contentType, "application/json");
    assert.equal(gateway.received[0]?.id, `${stream}:${entry}`);
    await source.stop();

    const { outlet } = await startOutlet(redisOutlet, { url, stream, maxLength: 2, exact: true });
    const first = await startSource(redisSource, { url, stream, group: "trimmed" });
    first.gateway.answer = first.gateway.hold;
    await outlet.send(outgoing("1"), attemptOf());
    await eventually("taken", () => first.gateway.received.length === 1);
    void first.source.stop();
    for (const text of ["2", "3"]) await outlet.send(outgoing(text), attemptOf());
    const next = await startSource(redisSource, { url, stream, group: "trimmed" });
    await eventually("the rest", () => next.gateway.received.length === 2);
    assert.deepEqual(next.gateway.texts(), ["2", "3"]);
    assert.equal(next.context.counts.get("trimmed"), 1);
    assert.equal(await admin.xLen(stream), 2);
    first.gateway.release();
    await next.source.stop();
    await outlet.stop();
    await admin.del(stream);
  });

  test("a key that is no stream is a clear error", async () => {
    const key = uniqueName("string");
    await admin.set(key, "x");
    const { source } = await startSource(redisSource, { url, stream: key });
    assert.match(source.health().detail, /^MF_REDIS_WRONG_TYPE: /);
    const { outlet } = await startOutlet(redisOutlet, { url, stream: key });
    await assert.rejects(outlet.send(outgoing("x"), attemptOf()), { code: "MF_REDIS_WRONG_TYPE", retryable: true });
    await source.stop();
    await outlet.stop();
    await admin.del(key);
  });
});

describe("redis: a server of our own", { skip, timeout: 60_000 }, () => {
  test("nothing is lost when the server is stopped and started again", async () => {
    const server = await started(redisServer());
    try {
      const own = { url: `redis://127.0.0.1:${server.port}`, stream: "kept" };
      const { outlet } = await startOutlet(redisOutlet, own);
      const gateway = new PretendedGateway();
      gateway.answer = (incoming, count) => (count <= 3 ? gateway.hold(incoming) : done(incoming));
      const { source } = await startSource(redisSource, own, 16, gateway);
      for (const text of ["a", "b", "c"]) await outlet.send(outgoing(text), attemptOf());
      await eventually("three held", () => gateway.received.length === 3);
      await server.down("SIGKILL");
      await eventually("noticed", () => !source.health().ready && !outlet.health().ready);
      await server.up();
      await sendSurely(outlet, outgoing("d"));
      await eventually("all again", () => gateway.received.length >= 7);
      assert.deepEqual(gateway.texts().slice(3), ["a", "b", "c", "d"]);
      gateway.release();
      await source.stop();
      await outlet.stop();
    } finally {
      await server.remove();
    }
  });
});
