import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { AckPolicy, type JetStreamManager, jetstreamManager, RetentionPolicy, StorageType } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { connectorCase } from "../testing/connector.case.ts";
import type { Outcome } from "../../gateway/contract/message.ts";
import { jetstreamOutlet } from "./outlet.ts";
import { jetstreamSource } from "./source.ts";
import {
  attemptOf,
  aWhile,
  done,
  eventually,
  outgoing,
  PretendedGateway,
  sendSurely,
  startOutlet,
  startSource,
  uniqueName,
} from "../testing/rig.ts";
import { natsServer, started, suiteServer } from "../testing/servers.ts";

const { skip, broker, end } = await suiteServer(natsServer());
const url = `nats://${broker.host}:${broker.port}`;

let connection: NatsConnection;
let manager: JetStreamManager;
const make = async (stream: string): Promise<void> => {
  await manager.streams.add({ name: stream, subjects: [stream], storage: StorageType.Memory, retention: RetentionPolicy.Limits });
};

if (skip === undefined) {
  before(async () => {
    connection = await connect({ servers: url });
    manager = await jetstreamManager(connection);
  });
  after(async () => {
    await connection.close();
    await end();
  });

  connectorCase({
    name: "jetstream",
    source: jetstreamSource,
    outlet: jetstreamOutlet,
    broker,
    sourceConfig: (at, stream) => ({ url: `nats://${at.host}:${at.port}`, stream, consumer: `of-${stream}`, ackWait: "600ms" }),
    outletConfig: (at, stream) => ({ url: `nats://${at.host}:${at.port}`, subject: stream, stream }),
    make,
    remove: async (stream) => void (await manager.streams.delete(stream).catch(() => {})),
    badLogin: undefined, // tested below with a server that wants a login
    missing: { source: "MF_JETSTREAM_NO_STREAM", outlet: "MF_JETSTREAM_NO_STREAM" },
    keeps: true,
    ordersThroughCuts: false,
    marksRedelivery: true,
    replies: false,
    largestBodyBytes: 2 ** 20 - 4096, // max_payload is 1 MiB with its headers
    quickHeartbeat: { heartbeat: "200ms" },
    carriesId: true,
  });
} else test("jetstream", { skip }, () => {});

describe("jetstream: what only JetStream does", { skip, timeout: 60_000 }, () => {
  test("a message under work does not come again, however long it takes", async () => {
    const stream = uniqueName("working");
    await make(stream);
    const { source, gateway } = await startSource(jetstreamSource, { url, stream, consumer: "c", ackWait: "300ms" });
    gateway.answer = gateway.hold;
    await connection.request(stream, "x");
    await eventually("it", () => gateway.received.length === 1);
    for (let waits = 0; waits < 6; waits += 1) await aWhile();
    assert.equal(gateway.received.length, 1);
    assert.equal((await manager.consumers.info(stream, "c")).num_ack_pending, 1);
    gateway.release();
    await eventually("acknowledged", async () => (await manager.consumers.info(stream, "c")).num_ack_pending === 0);
    await source.stop();
    await manager.streams.delete(stream);
  });

  test("the same send twice is stored once; without an id of its own a message has stream and sequence", async () => {
    const stream = uniqueName("dedup");
    await make(stream);
    const { outlet } = await startOutlet(jetstreamOutlet, { url, subject: stream });
    const attempt = attemptOf();
    await outlet.send(outgoing("x"), attempt);
    await outlet.send(outgoing("x"), attempt);
    await connection.request(stream, "y");
    assert.equal((await manager.streams.info(stream)).state.messages, 2);
    const { source, gateway } = await startSource(jetstreamSource, { url, stream, consumer: "c" });
    await eventually("both", () => gateway.received.length === 2);
    assert.deepEqual(
      gateway.received.map((message) => message.id?.replace(/@[^:]+(:[^:]+)*(?=:\d+$)/, "@created")),
      [attempt.idempotencyKey, `${stream}@created:2`],
    );
    await source.stop();
    await outlet.stop();
    await manager.streams.delete(stream);
  });

  test("a dead message is terminated for deadLetter: broker, acknowledged otherwise; either way it is over", async () => {
    const dead: Outcome = {
      status: "dead",
      id: "1",
      failure: { origin: "flow", code: "MF_TEST", message: "no", status: 0, retry: false },
      kept: true,
    };
    for (const deadLetter of ["broker", "gateway"]) {
      const stream = uniqueName("dead");
      await make(stream);
      let advisories = 0;
      const advice = connection.subscribe(`$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.${stream}.c`, {
        callback: () => void (advisories += 1),
      });
      const { source, gateway } = await startSource(jetstreamSource, { url, stream, consumer: "c", deadLetter, ackWait: "300ms" });
      gateway.answer = () => dead;
      await connection.request(stream, "x");
      await eventually("settled", async () => gateway.settled > 0 && (await manager.consumers.info(stream, "c")).num_ack_pending === 0);
      await eventually("an advisory", () => deadLetter === "gateway" || advisories === 1);
      await source.stop();
      assert.equal(gateway.received.length, 1);
      assert.equal(advisories, deadLetter === "broker" ? 1 : 0);
      advice.unsubscribe();
      await manager.streams.delete(stream);
    }
  });

  test("maxAckPending: 1 has one message out at a time", async () => {
    const stream = uniqueName("strict");
    await make(stream);
    const { source, gateway } = await startSource(jetstreamSource, { url, stream, consumer: "c", maxAckPending: 1, ackWait: "300ms" });
    for (let number = 0; number < 5; number += 1) await connection.request(stream, String(number));
    await eventually("all", () => gateway.received.length === 5);
    assert.equal(gateway.mostAtOnce, 1);
    assert.deepEqual(gateway.texts(), ["0", "1", "2", "3", "4"]);
    await source.stop();
    await manager.streams.delete(stream);
  });

  test("a consumer that can't keep messages for us is refused with a clear error; a deleted one is noticed", async () => {
    const stream = uniqueName("consumers");
    await make(stream);
    await manager.consumers.add(stream, { durable_name: "careless", ack_policy: AckPolicy.None });
    const careless = await startSource(jetstreamSource, { url, stream, consumer: "careless" });
    assert.match(careless.source.health().detail, /^MF_JETSTREAM_CONSUMER: /);
    await careless.source.stop();
    const absent = await startSource(jetstreamSource, { url, stream, consumer: "absent", create: false });
    assert.match(absent.source.health().detail, /^MF_JETSTREAM_NO_CONSUMER: /);
    await absent.source.stop();
    const { source, gateway } = await startSource(jetstreamSource, { url, stream, consumer: "deleted", heartbeat: "500ms" });
    await manager.consumers.delete(stream, "deleted");
    await eventually("not ready", () => !source.health().ready);
    await eventually("made again", () => source.health().ready);
    await connection.request(stream, "x");
    await eventually("it", () => gateway.received.length === 1);
    await source.stop();
    await manager.streams.delete(stream);
  });
});

describe("jetstream: a server of our own", { skip, timeout: 60_000 }, () => {
  test("nothing is lost when the server is killed and started again; a wrong password is told", async () => {
    const server = await started(natsServer("--user", "u", "--pass", "right"));
    try {
      const own = `nats://u:right@127.0.0.1:${server.port}`;
      const admin = await connect({ servers: `127.0.0.1:${server.port}`, user: "u", pass: "right" });
      await (await jetstreamManager(admin)).streams.add({ name: "kept", subjects: ["kept"], storage: StorageType.File });
      await admin.close();
      const wrong = await startSource(jetstreamSource, { url: own, password: "wrong-password", stream: "kept", consumer: "c" });
      assert.match(wrong.source.health().detail, /^MF_NATS_AUTH: /);
      await wrong.source.stop();
      const { outlet } = await startOutlet(jetstreamOutlet, { url: own, subject: "kept" });
      const held = new PretendedGateway();
      held.answer = (incoming, count) => (count <= 3 ? held.hold(incoming) : done(incoming));
      const { source } = await startSource(jetstreamSource, { url: own, stream: "kept", consumer: "c", ackWait: "500ms" }, 16, held);
      for (const text of ["a", "b", "c"]) await outlet.send(outgoing(text), attemptOf());
      await eventually("three held", () => held.received.length === 3);
      await server.down("SIGKILL");
      await eventually("noticed", () => !source.health().ready);
      await server.up();
      await sendSurely(outlet, outgoing("d"));
      await eventually("all again", () => held.received.length === 7);
      assert.deepEqual(held.texts().slice(3).sort(), ["a", "b", "c", "d"]);
      held.release();
      await source.stop();
      await outlet.stop();
    } finally {
      await server.remove();
    }
  });
});
