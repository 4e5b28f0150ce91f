import { equal, ok, rejects } from "node:assert/strict";
import { test } from "node:test";
import { jetstream, jetstreamManager, StorageType } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { installed } from "../../connectors/testing/brokers.ts";
import { NatsServers } from "./nats-servers.ts";

const skip = installed("nats-server") ? false : "no nats-server to start";

async function started(count: 1 | 3): Promise<NatsServers> {
  const servers = await NatsServers.start({ count });
  if (typeof servers === "string") throw new Error(servers);
  return servers;
}

test("three servers keep what was published with three replicas when one is killed, and not without two", { skip }, async () => {
  const servers = await started(3);
  try {
    const connection = await connect({ servers: servers.each.map(({ port }) => `127.0.0.1:${port}`), maxReconnectAttempts: -1 });
    try {
      const manager = await jetstreamManager(connection);
      await manager.streams.add({ name: "S", subjects: ["s"], num_replicas: 3, storage: StorageType.File });
      const stream = jetstream(connection, { timeout: 20_000 });
      await stream.publish("s", "1", { retries: 20 });
      await servers.kill(0);
      const second = await stream.publish("s", "2", { retries: 40 });
      ok(second.seq >= 2);
      await servers.kill(1);
      await rejects(jetstream(connection, { timeout: 1_000 }).publish("s", "3", { retries: 0 }));
      await servers.up(0);
      await servers.up(1);
      await servers.ready();
      await stream.publish("s", "4", { retries: 40 });
      equal((await manager.streams.getMessage("S", { seq: 1 }))?.string(), "1");
    } finally {
      await connection.close();
    }
  } finally {
    await servers.remove();
  }
});

test("one server that is paused answers after it is resumed", { skip }, async () => {
  const servers = await started(1);
  try {
    const connection = await connect({ servers: `127.0.0.1:${servers.at(0).port}` });
    try {
      await servers.pause(0);
      await rejects(connection.request("$JS.API.INFO", "", { timeout: 300 }));
      servers.resume(0);
      ok((await connection.request("$JS.API.INFO", "", { timeout: 20_000 })).data.length > 0);
    } finally {
      await connection.close();
    }
  } finally {
    await servers.remove();
  }
});
