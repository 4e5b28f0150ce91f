/** An ActiveMQ Artemis of our own, over AMQP 1.0. It syncs its journal before it answers, so it survives SIGKILL. */
import type { Connection, EventContext, Message, Sender } from "rhea";
import { loadClient } from "../../../connectors/amqp1/client.ts";
import { decodeMessage } from "../../../connectors/amqp1/message.ts";
import { artemisServer, artemisUser, noArtemis } from "../../../connectors/testing/artemis-server.ts";
import { Proxy } from "../../../connectors/testing/proxy.ts";
import type { Probe } from "../message.ts";
import { Lazy, poll, type Site, type Transport, Unavailable } from "./transport.ts";

/** Messages in the order they came, and whoever waits for one. */
interface Reader {
  readonly connection: Connection;
  readonly came: EventContext[];
}

export async function amqp1Transport({ run, receive }: Site): Promise<Transport> {
  const why = noArtemis();
  if (why !== undefined) throw new Unavailable(why);
  const server = await artemisServer();
  const { broker } = server;
  const proxy = await Proxy.open(broker);
  const [queue, out] = [`${run}-in`, `${run}-out`];
  for (const name of [queue, out]) await server.make(name);
  const rhea = await loadClient();

  /** Directly, and not through the proxy: the faults are the gateway's to bear. */
  async function open(lost: () => void): Promise<Connection> {
    const connection = rhea.create_container().connect({ host: broker.host, port: broker.port, ...artemisUser, reconnect: false });
    const failed = ["connection_error", "connection_close", "session_error", "disconnected", "error"];
    for (const event of failed) connection.on(event, lost);
    await new Promise<void>((resolve, reject) => {
      connection.once("connection_open", () => resolve());
      for (const event of failed) connection.once(event, () => reject(new Error(`${event} before it was open`)));
    });
    return connection;
  }

  const client = new Lazy<Sender>(
    async (lost) => {
      const sender = (await open(lost)).open_sender(queue);
      sender.setMaxListeners(0).connection.setMaxListeners(0); // each message under way has some
      await new Promise((resolve) => sender.once("sendable", resolve));
      return sender;
    },
    async (sender) => sender.connection.close(),
  );
  const send = ({ id, body }: Probe): Promise<void> =>
    client.use(async (sender) => {
      const message = {
        message_id: id,
        durable: true,
        content_type: "application/json",
        body: rhea.message.data_section(Buffer.from(body)),
      };
      const delivery = sender.send(message as Message);
      await new Promise<void>((resolve, reject) => {
        const listen = (name: string, then: () => void): void => {
          const heard = (event: EventContext): void => {
            if (event.delivery !== undefined && event.delivery !== delivery) return;
            sender.removeListener(name, heard);
            then();
          };
          sender.on(name, heard);
        };
        listen("accepted", resolve);
        for (const name of ["rejected", "released", "sender_close"]) listen(name, () => reject(new Error(name)));
        sender.connection.once("disconnected", () => reject(new Error("disconnected")));
      });
    });

  const receiver = new Lazy<Reader>(
    async (lost) => {
      const connection = await open(lost);
      const came: EventContext[] = [];
      const from = connection.open_receiver({ source: { address: out }, credit_window: 100, autoaccept: false });
      from.on("message", (event: EventContext) => came.push(event));
      return { connection, came };
    },
    async ({ connection }) => connection.close(),
  );
  const stop = poll(() =>
    receiver.use(async ({ came }) => {
      const event = came.shift();
      if (event === undefined) return false;
      const { body, properties } = decodeMessage(event.message as unknown as Uint8Array);
      receive(Buffer.from(body).toString(), String(properties.get("message-id")));
      event.delivery?.accept();
      return true;
    }),
  );
  const common = { url: `amqp://127.0.0.1:${proxy.port}`, ...artemisUser, heartbeat: "2s" };
  return {
    name: "amqp1",
    lanes: [
      {
        name: "amqp1",
        ordered: true,
        lossy: false,
        waits: false,
        from: { amqp1: { ...common, address: queue, prefetch: 64 } },
        out: { amqp1: { ...common, address: out } },
        send,
      },
    ],
    proxy,
    broker,
    stops: ["SIGTERM", "SIGKILL"],
    async close() {
      await stop();
      await client.close();
      await receiver.close();
      await proxy.close();
      await server.end();
    },
  };
}
