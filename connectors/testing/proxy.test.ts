import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { Proxy } from "./proxy.ts";

test("a connection whose broker has gone is closed with the proxy, though its client goes on", { timeout: 10_000 }, async (context) => {
  const server = createServer((socket) => void socket.on("error", () => {}).resume());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => server.close());
  const taken = once(server, "connection") as Promise<[Socket]>;
  const proxy = await Proxy.open({ host: "127.0.0.1", port: (server.address() as AddressInfo).port });
  const client = connect({ port: proxy.port, host: "127.0.0.1", allowHalfOpen: true }).on("error", () => {});
  context.after(() => client.destroy());
  const [broker] = await taken;
  broker.end();
  client.resume();
  await Promise.all([once(broker, "close"), once(client, "end")]);
  for (let turns = 0; turns < 10; turns += 1) await new Promise((resolve) => setImmediate(resolve));
  await proxy.close();
});
