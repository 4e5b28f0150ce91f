/** A Redis of our own that syncs its append-only file before it answers. */
import { createClient } from "redis";
import { Proxy } from "../../../connectors/testing/proxy.ts";
import { redisServer } from "../../../connectors/testing/servers.ts";
import type { Probe } from "../message.ts";
import { available, Lazy, poll, type Site, type Transport } from "./transport.ts";

export async function redisTransport({ run, receive }: Site): Promise<Transport> {
  const broker = await available(redisServer());
  const proxy = await Proxy.open(broker);
  const url = `redis://127.0.0.1:${proxy.port}`;
  const [stream, out] = [`${run}-in`, `${run}-out`];
  const open = async (lost: () => void) => {
    const client = createClient({
      url: `redis://127.0.0.1:${broker.port}`,
      disableOfflineQueue: true,
      socket: { reconnectStrategy: false, connectTimeout: 2_000 },
    });
    client.on("error", lost);
    await client.connect();
    return client;
  };
  type Client = Awaited<ReturnType<typeof open>>;
  const close = async (client: Client): Promise<void> => client.destroy();
  const client = new Lazy<Client>(open, close);
  const reader = new Lazy<Client>(open, close);
  const send = ({ id, body }: Probe): Promise<void> =>
    client.use(async (redis) => {
      await redis.sendCommand(["XADD", stream, "*", "body", body, "content-type", "application/json", "mayfly-id", id]);
    });
  let last = "-";
  const stop = poll(() =>
    reader.use(async (redis) => {
      const reply = (await redis.sendCommand(["XRANGE", out, last, "+", "COUNT", "200"])) as unknown as [string, string[]][];
      for (const [entry, fields] of reply) {
        last = `(${entry}`;
        const value = (name: string): string => fields[fields.indexOf(name) + 1] ?? "";
        receive(value("body"), value("mayfly-id"));
      }
      return reply.length > 0;
    }),
  );
  return {
    name: "redis",
    lanes: [
      {
        name: "redis",
        ordered: true,
        lossy: false,
        waits: false,
        from: { redis: { url, stream, consumer: "gateway", delete: true, prefetch: 64, heartbeat: "1s" } },
        out: { redis: { url, stream: out, heartbeat: "1s" } },
        send,
      },
    ],
    proxy,
    broker,
    stops: ["SIGTERM", "SIGKILL"],
    async close() {
      await stop();
      await client.close();
      await reader.close();
      await proxy.close();
      await broker.remove();
    },
  };
}
