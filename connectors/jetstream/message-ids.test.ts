import assert from "node:assert/strict";
import { test } from "node:test";
import { jetstream, jetstreamManager, StorageType } from "@nats-io/jetstream";
import { connect as connectNats } from "@nats-io/transport-node";
import { jetstreamSource } from "./source.ts";
import { eventually, startSource } from "../testing/rig.ts";
import { missing, natsServer, started } from "../testing/servers.ts";

test("messages of a stream that is deleted and made again have other ids", { skip: missing("nats-server"), timeout: 60_000 }, async () => {
  const broker = await started(natsServer());
  const client = await connectNats({ servers: `127.0.0.1:${broker.port}` });
  try {
    const manager = await jetstreamManager(client);
    const ids: (string | undefined)[] = [];
    for (const round of [1, 2]) {
      await manager.streams.add({ name: "S", subjects: ["in"], storage: StorageType.Memory });
      await jetstream(client).publish("in", `round ${round}`);
      const { gateway, source } = await startSource(jetstreamSource, {
        url: `nats://127.0.0.1:${broker.port}`,
        stream: "S",
        consumer: "c",
      });
      await eventually("it came", () => gateway.received.length === 1);
      ids.push(gateway.received[0]?.id);
      await source.stop();
      await manager.streams.delete("S");
    }
    assert.notEqual(ids[0], ids[1]);
  } finally {
    await client.close();
    await broker.remove();
  }
});
