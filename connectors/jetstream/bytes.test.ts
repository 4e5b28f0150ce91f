import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { jetstream, jetstreamManager, StorageType } from "@nats-io/jetstream";
import { connect as connectNats } from "@nats-io/transport-node";
import { jetstreamSource } from "./source.ts";
import { PrivateBroker } from "../testing/brokers.ts";
import { longBody, messages, takesByBytes } from "../testing/bytes.case.ts";
import { missing } from "../testing/servers.ts";

test("jetstream: no more long messages are in the process than there is memory for", {
  skip: missing("nats-server"),
  timeout: 90_000,
}, async () => {
  const broker = await PrivateBroker.start(
    (dir) => ["nats-server", "-c", join(dir, "nats.conf")],
    (dir, port) =>
      writeFile(join(dir, "nats.conf"), `listen: "127.0.0.1:${port}"\njetstream { store_dir: "${dir}" }\nmax_payload: 4194304\n`),
  );
  const client = await connectNats({ servers: `127.0.0.1:${broker.port}` });
  try {
    const manager = await jetstreamManager(client);
    await manager.streams.add({ name: "S", subjects: ["in"], storage: StorageType.Memory });
    for (let n = 0; n < messages; n += 1) await jetstream(client).publish("in", longBody(n));
    await takesByBytes(jetstreamSource, { url: `nats://127.0.0.1:${broker.port}`, stream: "S", consumer: "c" }, 2);
    const { num_ack_pending: taken, num_pending: waiting } = await manager.consumers.info("S", "c");
    assert.deepEqual([taken, waiting], [0, 0]);
  } finally {
    await client.close();
    await broker.remove();
  }
});
