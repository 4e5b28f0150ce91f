/** See testing/set-aside.case.ts. */
import { test } from "node:test";
import { jetstream, jetstreamManager, StorageType } from "@nats-io/jetstream";
import { connect as connectNats } from "@nats-io/transport-node";
import { PrivateBroker } from "../testing/brokers.ts";
import { missing } from "../testing/servers.ts";
import { setsAside } from "../testing/set-aside.case.ts";

test("jetstream: a message whose acknowledgement ends the connection is set aside, and those behind it go on", {
  skip: missing("nats-server"),
  timeout: 60_000,
}, async () => {
  const broker = await PrivateBroker.start((dir, port) => ["nats-server", "-a", "127.0.0.1", "-p", String(port), "-js", "-sd", dir]);
  const client = await connectNats({ servers: `127.0.0.1:${broker.port}` });
  try {
    const manager = await jetstreamManager(client);
    await manager.streams.add({ name: "S", subjects: ["in"], storage: StorageType.Memory });
    await setsAside(broker, {
      from: (port) => `jetstream: { url: "nats://127.0.0.1:${port}", stream: S, consumer: c, ackWait: 1s }`,
      // $JS.ACK.<stream>.<consumer>.<deliveries>.<stream sequence>. …
      deadly: (bytes) => /PUB \$JS\.ACK\.S\.c\.\d+\.1\..*\r\n(\+ACK)?/.test(bytes.toString("latin1")),
      publish: async (texts) => {
        for (const each of texts) await jetstream(client).publish("in", each);
      },
      left: async () => {
        const { num_ack_pending: taken, num_pending: waiting } = await manager.consumers.info("S", "c");
        return taken + waiting;
      },
    });
  } finally {
    await client.close();
    await broker.remove();
  }
});
