import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { AclOperations, AclPermissionTypes, Admin, Consumer, Producer, ResourcePatternTypes, ResourceTypes } from "@platformatic/kafka";
import { connectorCase } from "../testing/connector.case.ts";
import { kafkaGuest, kafkaServer, kafkaUser, noKafka } from "../testing/kafka-server.ts";
import {
  attemptOf,
  done,
  eventually,
  outgoing,
  PretendedGateway,
  sendSurely,
  startOutlet,
  startSource,
  uniqueName,
} from "../testing/rig.ts";
import { longBody, messages, takesByBytes } from "../testing/bytes.case.ts";
import { setsAside } from "../testing/set-aside.case.ts";
import { loadClient } from "./client.ts";
import { kafkaLimits } from "./limits.ts";
import { kafkaOutlet } from "./outlet.ts";
import { kafkaSource } from "./source.ts";

const skip = noKafka();

if (skip === undefined) {
  const server = await kafkaServer();
  const brokers = [`127.0.0.1:${server.directPort}`];
  const client = { clientId: "test", bootstrapBrokers: brokers, sasl: kafkaUser };
  const admin = new Admin(client);
  const producer = new Producer<Buffer, Buffer, Buffer, Buffer>({ ...client, idempotent: true });
  const make = async (topic: string, partitions = 1): Promise<void> => {
    await admin.createTopics({ topics: [topic], partitions, replicas: 1 });
  };
  const remove = async (topic: string): Promise<void> => admin.deleteTopics({ topics: [topic] });
  const produce = async (topic: string, ...texts: readonly string[]): Promise<void> => {
    const messages = texts.map((text) => ({ topic, key: Buffer.from(text.split(" ")[0] ?? ""), value: Buffer.from(text) }));
    await producer.send({ messages, acks: -1 });
  };
  const committed = async (topic: string, group = topic): Promise<readonly bigint[]> => {
    const reader = new Consumer({ ...client, groupId: group });
    const { partitionsCount = 0 } = (await reader.metadata({ topics: [topic] })).topics.get(topic) ?? {};
    const partitions = Array.from({ length: partitionsCount }, (_, index) => index);
    const offsets = (await reader.listCommittedOffsets({ topics: [{ topic, partitions }] })).get(topic) ?? [];
    await reader.close();
    return offsets;
  };

  after(async () => {
    await producer.close();
    await admin.close();
    await server.broker.remove();
  });

  const common = { sasl: kafkaUser };
  const sourceOf = (topic: string, more: object = {}): object => ({
    brokers,
    topics: [topic],
    group: topic,
    session: "6s",
    ...common,
    ...more,
  });
  const outletOf = (topic: string, more: object = {}): object => ({ brokers, topic, ...common, ...more });

  connectorCase({
    name: "kafka",
    source: kafkaSource,
    outlet: kafkaOutlet,
    broker: server.broker,
    proxyPort: server.proxyPort,
    sourceConfig: (at, topic) => ({ brokers: [`${at.host}:${at.port}`], topics: [topic], group: topic, session: "6s", ...common }),
    outletConfig: (at, topic) => ({ brokers: [`${at.host}:${at.port}`], topic, ...common }),
    make,
    remove,
    badLogin: { code: "MF_KAFKA_AUTH", change: { sasl: { ...kafkaUser, password: "wrong-password" } } },
    missing: { source: "MF_KAFKA_NO_TOPIC", outlet: "MF_KAFKA_NO_TOPIC" },
    keeps: true,
    ordersThroughCuts: true,
    marksRedelivery: false,
    replies: false,
    largestBodyBytes: 1_000_000,
    quickHeartbeat: { heartbeat: "300ms" },
    carriesId: true,
  });

  describe("kafka: positions", { timeout: 60_000 }, () => {
    test("a position stands before the first record that has not ended", async () => {
      const topic = uniqueName("positions");
      await make(topic, 2);
      const gateway = new PretendedGateway();
      gateway.answer = (incoming, count) => (count === 1 ? gateway.hold(incoming) : done(incoming));
      await producer.send({ messages: ["a", "b", "c"].map((text) => ({ topic, partition: 0, value: Buffer.from(text) })), acks: -1 });
      await producer.send({ messages: [{ topic, partition: 1, value: Buffer.from("other") }], acks: -1 });
      const { source } = await startSource(kafkaSource, sourceOf(topic), 16, gateway);
      await eventually(
        "all came, and the other partition is done",
        async () => gateway.settled === 3 && (await committed(topic))[1] === 1n,
      );
      assert.deepEqual(await committed(topic), [-1n, 1n]);
      gateway.release();
      await eventually("all are done", async () => (await committed(topic))[0] === 3n);
      await source.stop();
    });

    test("a group without a position begins with all there is, or with new records, also after it was away", async () => {
      const topic = uniqueName("from");
      await make(topic);
      await produce(topic, "old");
      const late = await startSource(kafkaSource, sourceOf(topic, { group: "late", from: "new" }));
      assert.deepEqual(await committed(topic, "late"), [1n]);
      await late.source.stop();
      await produce(topic, "between");
      const again = await startSource(kafkaSource, sourceOf(topic, { group: "late", from: "new" }));
      const all = await startSource(kafkaSource, sourceOf(topic, { group: "all" }));
      await eventually("both", () => again.gateway.received.length === 1 && all.gateway.received.length === 2);
      assert.deepEqual([again.gateway.texts(), all.gateway.texts()], [["between"], ["old", "between"]]);
      await again.source.stop();
      await all.source.stop();
    });

    test("records that were removed before they were read are counted, and reading goes on with the first there is", async () => {
      const topic = uniqueName("trimmed");
      await make(topic);
      await produce(topic, "first");
      const before = await startSource(kafkaSource, sourceOf(topic));
      await eventually("the first", async () => (await committed(topic))[0] === 1n);
      await before.source.stop();
      await produce(topic, "gone", "gone too", "there");
      await admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition: 0, offset: 3n }] }] });
      const { source, gateway, context } = await startSource(kafkaSource, sourceOf(topic));
      await eventually("the rest", () => gateway.received.length === 1);
      assert.deepEqual([gateway.texts(), context.counts.get("trimmed")], [["there"], 2]);
      assert.ok(context.lines.some((line) => JSON.stringify(line).includes("MF_KAFKA_TRIMMED")));
      await source.stop();
    });

    test("a topic made anew has new identities: its records are no duplicates of the old ones", async () => {
      const topic = uniqueName("anew");
      const ids: (string | undefined)[] = [];
      for (const text of ["old", "new"]) {
        await make(topic);
        await produce(topic, text);
        const { source, gateway } = await startSource(kafkaSource, sourceOf(topic));
        await eventually(text, () => gateway.received.length === 1);
        assert.deepEqual(gateway.texts(), [text]);
        ids.push(gateway.received[0]?.id);
        await source.stop();
        await remove(topic);
        producer.clearMetadata();
        await eventually("it is gone", async () => !(await admin.listTopics({})).includes(topic));
      }
      assert.notEqual(ids[0], ids[1]);
    });
  });

  describe("kafka: a group that is divided anew", { timeout: 120_000 }, () => {
    test("while records flow, members come and go: none is lost, each comes once, in the order of its key", async () => {
      const topic = uniqueName("divided");
      await make(topic, 6);
      const seen: string[] = [];
      const member = async (instance: string) => {
        const gateway = new PretendedGateway();
        gateway.answer = async (incoming) => {
          await new Promise((resolve) => setTimeout(resolve, 20)); // so that some are in hand at any time
          seen.push(Buffer.from(incoming.body).toString());
          return done(incoming);
        };
        return await startSource(kafkaSource, sourceOf(topic, { instance, session: "9s" }), 16, gateway);
      };
      const first = await member("first");
      const keys = 12;
      const each = 60;
      let stopped = Promise.resolve();
      const joining: ReturnType<typeof member>[] = []; // not waited for: records must flow while the group is divided
      for (let number = 0; number < each; number += 1) {
        if (number === 10) joining.push(member("second"));
        if (number === 25) joining.push(member("third"));
        if (number === 50) stopped = first.source.stop();
        for (let key = 0; key < keys; key += 1) {
          await produce(topic, `k${key} ${number}`);
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      }
      const others = await Promise.all(joining);
      await eventually("all records", () => seen.length >= keys * each, 60_000);
      await stopped;
      for (const { source } of others) await source.stop();
      for (let key = 0; key < keys; key += 1)
        assert.deepEqual(
          seen.filter((text) => text.startsWith(`k${key} `)),
          Array.from({ length: each }, (_, number) => `k${key} ${number}`),
        );
      assert.ok(
        others.every(({ gateway }) => gateway.received.length > 0),
        "each had a share",
      );
      assert.ok((first.context.counts.get("rebalance") ?? 0) > 0, "the group was divided anew");
    });

    test("a record that does not end in time is given again, and its late end moves nothing", async () => {
      const topic = uniqueName("late");
      await make(topic);
      await produce(topic, "slow", "behind");
      const gateway = new PretendedGateway();
      gateway.answer = gateway.hold;
      const first = await startSource(kafkaSource, sourceOf(topic, { instance: "b", session: "2s" }), 4, gateway);
      await eventually("both are in hand", () => gateway.received.length === 2);
      const second = await startSource(kafkaSource, sourceOf(topic, { instance: "a", session: "2s" }));
      const texts = (): string[] => [...gateway.texts(), ...second.gateway.texts()];
      await eventually("both come again", () => texts().length === 4, 30_000);
      assert.deepEqual(texts().sort(), ["behind", "behind", "slow", "slow"]);
      gateway.answer = done;
      gateway.release();
      await eventually("both are done", async () => (await committed(topic))[0] === 2n);
      assert.equal(first.context.counts.get("stale"), 2);
      await first.source.stop();
      await second.source.stop();
    });
  });

  describe("kafka: records", { timeout: 60_000 }, () => {
    test("tombstones, keys that are no text, repeated headers and records without a key come and go as they are", async () => {
      const topic = uniqueName("records");
      await make(topic);
      const { source, gateway } = await startSource(kafkaSource, sourceOf(topic));
      const headers = new Map([
        [Buffer.from("X-Many"), Buffer.from("one")],
        [Buffer.from("x-many"), Buffer.from("two")],
      ]);
      await producer.send({ messages: [{ topic, key: Buffer.from([0xff, 0x00]), headers, timestamp: 1_750_000_000_123n }], acks: -1 });
      await eventually("it", () => gateway.received.length === 1);
      const [message] = gateway.received;
      assert.equal(message?.key, "/wA=");
      assert.deepEqual(
        { ...message?.headers },
        {
          "x-many": ["one", "two"],
          "kafka-topic": topic,
          "kafka-partition": "0",
          "kafka-offset": "0",
          "kafka-timestamp": "1750000000123",
          "kafka-tombstone": "true",
          "kafka-key-encoding": "base64",
        },
      );
      const { outlet } = await startOutlet(kafkaOutlet, outletOf(topic));
      await outlet.send(outgoing("", { headers: { "kafka-tombstone": "true", "kafka-offset": "7" }, key: "k" }), attemptOf());
      await outlet.send(outgoing("", { headers: { "kafka-tombstone": "false" } }), attemptOf());
      await eventually("both", () => gateway.received.length === 3);
      const [, tombstone, empty] = gateway.received;
      assert.deepEqual([tombstone?.key, tombstone?.headers["kafka-tombstone"], tombstone?.headers["kafka-offset"]], ["k", "true", "1"]);
      assert.deepEqual([empty?.key, empty?.headers["kafka-tombstone"]], [undefined, undefined]);
      await outlet.stop();
      await source.stop();
    });

    test("a key has the partition that Kafka's own clients give it", async () => {
      const topic = uniqueName("hash");
      await make(topic, 10);
      const { source, gateway } = await startSource(kafkaSource, sourceOf(topic));
      const { outlet } = await startOutlet(kafkaOutlet, outletOf(topic));
      // murmur2 of these keys, from the tests of org.apache.kafka.common.utils.Utils.
      const hashes = { "21": -973932308, foobar: -790332482, "a-little-bit-long-string": -985981536 };
      for (const [key, hash] of Object.entries(hashes)) {
        gateway.received.splice(0);
        await outlet.send(outgoing("x", { key }), attemptOf());
        await eventually(key, () => gateway.received.length === 1);
        assert.equal(gateway.received[0]?.headers["kafka-partition"], String((hash & 0x7fffffff) % 10), key);
      }
      await outlet.stop();
      await source.stop();
    });

    test("a record that is too long is refused for good, and those beside it arrive", async () => {
      const topic = uniqueName("long");
      await make(topic);
      const { outlet } = await startOutlet(kafkaOutlet, outletOf(topic));
      const texts = ["a", "x".repeat(2_000_000), "b", "c"];
      const results = await Promise.allSettled(texts.map((text) => outlet.send(outgoing(text), attemptOf())));
      assert.deepEqual(
        results.map(({ status }) => status),
        ["fulfilled", "rejected", "fulfilled", "fulfilled"],
      );
      const { reason } = results[1] as PromiseRejectedResult;
      assert.deepEqual([reason.code, reason.retryable, outlet.health().ready], ["MF_KAFKA_TOO_LARGE", false, true]);
      await outlet.send(outgoing("d"), attemptOf());
      const { source, gateway } = await startSource(kafkaSource, sourceOf(topic));
      await eventually("four", () => gateway.received.length >= 4);
      assert.deepEqual(gateway.texts(), ["a", "b", "c", "d"]);
      await source.stop();
      await outlet.stop();
    });

    test("CloudEvents are written as the Kafka binding has it, and unwrapped", async () => {
      const topic = uniqueName("events");
      await make(topic);
      const raw = await startSource(kafkaSource, sourceOf(topic, { group: "raw" }));
      const events = await startSource(kafkaSource, sourceOf(topic, { group: "events", cloudevents: true }));
      for (const mode of ["binary", "structured"]) {
        const { outlet } = await startOutlet(kafkaOutlet, outletOf(topic, { cloudevents: { mode, source: "/shop", type: "order" } }));
        const attempt = attemptOf();
        await outlet.send(outgoing('{"n":1}', { contentType: "application/json", key: "k" }), attempt);
        await eventually(mode, () => raw.gateway.received.length === 1 && events.gateway.received.length === 1);
        const [written] = raw.gateway.received.splice(0);
        const [event] = events.gateway.received.splice(0);
        if (mode === "binary") {
          assert.deepEqual(
            [written?.headers["ce_type"], written?.headers["ce_source"], written?.headers["ce_id"]],
            ["order", "/shop", attempt.idempotencyKey],
          );
          assert.equal(written?.contentType, "application/json");
        } else assert.match(written?.contentType ?? "", /^application\/cloudevents\+json/);
        assert.deepEqual(
          [event?.headers["ce-type"], event?.headers["ce-source"], event?.id, event?.key, Buffer.from(event?.body ?? "").toString()],
          ["order", "/shop", `/shop ${attempt.idempotencyKey}`, "k", '{"n":1}'],
        );
        await outlet.stop();
      }
      await raw.source.stop();
      await events.source.stop();
    });

    test("each compression is read", async () => {
      const topic = uniqueName("compressed");
      await make(topic);
      const { source, gateway } = await startSource(kafkaSource, sourceOf(topic));
      for (const compression of ["gzip", "zstd", "snappy", "lz4"]) {
        if (compression === "zstd" && Number(process.versions.node.split(".")[0]) < 22) continue; // Node has it from 22.15 on
        const { outlet } = await startOutlet(kafkaOutlet, outletOf(topic, { compression }));
        await outlet.send(outgoing(compression.repeat(1_000)), attemptOf());
        await eventually(compression, () => gateway.texts().at(-1) === compression.repeat(1_000));
        await outlet.stop();
      }
      await source.stop();
    });
  });

  describe("kafka: codes", { timeout: 60_000 }, () => {
    test("a batch that unfolds to more than is held is told, and no part of it is read", async () => {
      const topic = uniqueName("bomb");
      await make(topic);
      const bomb = { topic, value: Buffer.alloc(kafkaLimits.unfoldedBytes + 1) };
      await producer.send({ messages: [bomb], acks: -1, compression: "gzip" });
      const { source, gateway } = await startSource(kafkaSource, sourceOf(topic));
      await eventually("it is told", () => source.health().detail.startsWith("MF_KAFKA_BATCH"), 30_000);
      assert.equal(gateway.received.length, 0);
      await source.stop();
    });

    test("whoever has no right is told so, also when it is taken while messages flow", async () => {
      const topic = uniqueName("rights");
      await make(topic);
      const guest = { sasl: kafkaGuest };
      const { source, gateway } = await startSource(kafkaSource, sourceOf(topic, guest));
      const { outlet } = await startOutlet(kafkaOutlet, outletOf(topic, guest));
      await outlet.send(outgoing("x"), attemptOf());
      await eventually("it came", () => gateway.received.length === 1);
      const rule = { resourceType: ResourceTypes.TOPIC, resourceName: topic, resourcePatternType: ResourcePatternTypes.LITERAL };
      const denied = { principal: `User:${kafkaGuest.username}`, host: "*", permissionType: AclPermissionTypes.DENY };
      const operations = [AclOperations.READ, AclOperations.WRITE];
      await admin.createAcls({ creations: operations.map((operation) => ({ ...rule, ...denied, operation })) });
      // A broker follows the controller's rules a moment later.
      const code = async (): Promise<string> =>
        await sendSurely(outlet, outgoing("y"), 3).then(
          () => "",
          (error: unknown) => (error as { code: string }).code,
        );
      await eventually("a send is refused", async () => (await code()) === "MF_KAFKA_FORBIDDEN");
      await eventually(`not: ${source.health().detail}`, () => source.health().detail.startsWith("MF_KAFKA_FORBIDDEN"));
      await source.stop();
      await outlet.stop();
    });

    test("two gateways under one instance: the first is told, and both say how to mend it", async () => {
      const topic = uniqueName("fenced");
      await make(topic);
      const first = await startSource(kafkaSource, sourceOf(topic, { session: "1s" }));
      const second = await startSource(kafkaSource, sourceOf(topic, { session: "1s" }));
      const told = ({ lines }: typeof first.context): boolean => JSON.stringify(lines).includes("MF_KAFKA_FENCED");
      await eventually("one is told", () => told(first.context) || told(second.context), 30_000);
      await first.source.stop();
      await second.source.stop();
    });

    test("what the broker refuses besides is told by Kafka's own name for it", async () => {
      const topic = uniqueName("refused");
      await make(topic);
      const { source } = await startSource(kafkaSource, sourceOf(topic, { session: "2h" }));
      assert.match(source.health().detail, /^MF_KAFKA_REFUSED: .*INVALID_SESSION_TIMEOUT/);
      await source.stop();
    });
  });

  test("kafka: no more long messages are in the process than there is memory for", { timeout: 90_000 }, async () => {
    const topic = uniqueName("bytes");
    await admin.createTopics({ topics: [topic], partitions: 1, replicas: 1, configs: [{ name: "max.message.bytes", value: "4000000" }] });
    for (let n = 0; n < messages; n += 1) await producer.send({ messages: [{ topic, value: longBody(n) }], acks: -1 });
    await takesByBytes(kafkaSource, sourceOf(topic), 2);
    assert.deepEqual(await committed(topic), [BigInt(messages)]);
  });

  test("kafka: nothing is lost when the broker is killed and started again", { timeout: 120_000 }, async () => {
    const topic = uniqueName("killed");
    await make(topic);
    const gateway = new PretendedGateway();
    gateway.answer = (incoming, count) => (count <= 3 ? gateway.hold(incoming) : done(incoming));
    const { outlet } = await startOutlet(kafkaOutlet, outletOf(topic));
    const { source } = await startSource(kafkaSource, sourceOf(topic), 16, gateway);
    for (const text of ["a", "b", "c"]) await outlet.send(outgoing(text), attemptOf());
    await eventually("three held", () => gateway.received.length === 3);
    await server.broker.down("SIGKILL");
    await eventually("noticed", () => !source.health().ready && !outlet.health().ready, 30_000);
    await server.broker.up();
    await sendSurely(outlet, outgoing("d"), 1_000);
    await eventually("all again", () => gateway.received.length >= 7, 60_000);
    assert.deepEqual(gateway.texts().slice(3), ["a", "b", "c", "d"]);
    gateway.release();
    await source.stop();
    await outlet.stop();
  });

  test("kafka: a message whose acknowledgement ends the connection is set aside, and those behind it go on", {
    timeout: 60_000,
  }, async () => {
    const topic = uniqueName("aside");
    await make(topic);
    const offsetCommit = 8; // its API key, in the third and fourth byte after the length
    await setsAside(
      server.broker,
      {
        from: (port) =>
          `kafka: { brokers: ["127.0.0.1:${port}"], topics: [${topic}], group: ${topic}, sasl: { mechanism: PLAIN, username: "${kafkaUser.username}", password: "${kafkaUser.password}" } }`,
        deadly: (bytes) =>
          bytes.length > 6 && bytes.readInt16BE(4) === offsetCommit && bytes.includes(Buffer.from("0000000000000001", "hex")),
        publish: (texts) => produce(topic, ...texts),
        // Positions pass over what was set aside: it is not among those that are left, but the case counts it.
        left: async () => {
          const end = (await admin.listOffsets({ topics: [{ name: topic, partitions: [{ partitionIndex: 0, timestamp: -1n }] }] }))[0];
          return Number((end?.partitions[0]?.offset ?? 0n) - ((await committed(topic))[0] as bigint)) + 1;
        },
      },
      server.proxyPort,
    );
  });
} else test("kafka", { skip }, () => {});

test("a client that is not installed is named, with the command that installs it", async () => {
  const missing = Object.assign(new Error("Cannot find package"), { code: "ERR_MODULE_NOT_FOUND" });
  await assert.rejects(
    loadClient(() => Promise.reject(missing)),
    { code: "MF_KAFKA_CLIENT", message: /npm install @platformatic\/kafka@1/ },
  );
});
