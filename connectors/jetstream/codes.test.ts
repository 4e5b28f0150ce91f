/** Codes that docs/CONNECTORS.md promises, against a real broker: shown by /ready, and nothing is met again and again for it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DiscardPolicy, jetstream, jetstreamManager, StorageType } from "@nats-io/jetstream";
import { connect as connectNats } from "@nats-io/transport-node";
import { jetstreamOutlet } from "./outlet.ts";
import { jetstreamSource } from "./source.ts";
import { PrivateBroker } from "../testing/brokers.ts";
import { attemptOf, eventually, outgoing, startOutlet, startSource, toldBy } from "../testing/rig.ts";
import { missing } from "../testing/servers.ts";
import { strictServer } from "../testing/strict-nats.ts";

describe("jetstream: codes", { skip: missing("nats-server"), timeout: 60_000 }, () => {
  test("a server without JetStream", async () => {
    const broker = await PrivateBroker.start((_dir, port) => ["nats-server", "-a", "127.0.0.1", "-p", String(port)]);
    try {
      const url = `nats://127.0.0.1:${broker.port}`;
      await toldBy(jetstreamSource, { url, stream: "S", consumer: "c" }, "MF_JETSTREAM_DISABLED");
    } finally {
      await broker.remove();
    }
  });

  test("a message that is longer than the server takes", async () => {
    const broker = await strictServer();
    const admin = await connectNats({ servers: `127.0.0.1:${broker.port}`, user: "admin", pass: "p" });
    try {
      const manager = await jetstreamManager(admin);
      await manager.streams.add({ name: "S", subjects: ["in"], storage: StorageType.Memory });
      const stream = await startOutlet(jetstreamOutlet, { url: `nats://u:p@127.0.0.1:${broker.port}`, stream: "S", subject: "in" });
      await assert.rejects(stream.outlet.send(outgoing("x".repeat(65_000), { headers: { a: "y".repeat(2_000) } }), attemptOf()), {
        code: "MF_NATS_TOO_LARGE",
      });
      await stream.outlet.stop();
    } finally {
      await admin.close();
      await broker.remove();
    }
  });

  test("a stream that is full", async () => {
    const broker = await strictServer();
    const url = `nats://admin:p@127.0.0.1:${broker.port}`;
    const admin = await connectNats({ servers: `127.0.0.1:${broker.port}`, user: "admin", pass: "p" });
    try {
      const manager = await jetstreamManager(admin);
      await manager.streams.add({ name: "S", subjects: ["in"], storage: StorageType.Memory, max_msgs: 1, discard: DiscardPolicy.New });
      const { outlet } = await startOutlet(jetstreamOutlet, { url, stream: "S", subject: "in" });
      await outlet.send(outgoing("one"), attemptOf());
      await assert.rejects(outlet.send(outgoing("two"), { ...attemptOf(), idempotencyKey: "two" }), {
        code: "MF_JETSTREAM_REFUSED",
        retryable: true,
      });
      await manager.streams.purge("S");
      await outlet.send(outgoing("two"), { ...attemptOf(), idempotencyKey: "two" });
      await outlet.stop();
    } finally {
      await admin.close();
      await broker.remove();
    }
  });

  test("a consumer that may not acknowledge says so, and runs nothing again and again", async () => {
    const broker = await strictServer();
    const admin = await connectNats({ servers: `127.0.0.1:${broker.port}`, user: "admin", pass: "p" });
    try {
      const manager = await jetstreamManager(admin);
      await manager.streams.add({ name: "S", subjects: ["in"], storage: StorageType.Memory });
      await jetstream(admin).publish("in", "one");
      const { source, gateway } = await startSource(jetstreamSource, {
        url: `nats://u:p@127.0.0.1:${broker.port}`,
        stream: "S",
        consumer: "c",
        ackWait: "1s",
      });
      await eventually("told", () => source.health().detail.startsWith("MF_NATS_FORBIDDEN"));
      await new Promise((resolve) => setTimeout(resolve, 6_000));
      assert.ok(gateway.received.filter(({ setAside }) => setAside === undefined).length <= 3, `${gateway.received.length} runs`);
      await source.stop();
    } finally {
      await admin.close();
      await broker.remove();
    }
  });
});
