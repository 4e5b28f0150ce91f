/** The machine's own RabbitMQ: shared with others, so only our connections to it are cut. */
import amqp, { type ChannelModel, type ConfirmChannel } from "amqplib";
import { reachable } from "../../../connectors/testing/brokers.ts";
import { Proxy } from "../../../connectors/testing/proxy.ts";
import type { Probe } from "../message.ts";
import { Lazy, poll, type Site, type Transport, Unavailable } from "./transport.ts";

interface Client {
  readonly connection: ChannelModel;
  readonly channel: ConfirmChannel;
}

const broker = { host: "127.0.0.1", port: 5672 };
const login = "guest:guest";

async function open(lost: () => void): Promise<Client> {
  const connection = await amqp.connect(`amqp://${login}@${broker.host}:${broker.port}`);
  const channel = await connection.createConfirmChannel();
  for (const emitter of [connection, channel]) for (const event of ["error", "close"]) emitter.on(event, lost);
  return { connection, channel };
}

export async function amqpTransport({ run, receive }: Site): Promise<Transport> {
  const skip = await reachable("rabbitmq-server", broker);
  if (skip !== undefined) throw new Unavailable(skip);
  const proxy = await Proxy.open(broker);
  const url = `amqp://${login}@127.0.0.1:${proxy.port}`;
  const [queue, out] = [`${run}-in`, `${run}-out`];
  const client = new Lazy<Client>(open, ({ connection }) => connection.close());
  await client.use(async ({ channel }) => {
    for (const name of [queue, out]) await channel.assertQueue(name, { durable: true });
  });
  const send = ({ id, body }: Probe): Promise<void> =>
    client.use(
      ({ channel }) =>
        new Promise((resolve, reject) => {
          const options = { persistent: true, messageId: id, contentType: "application/json" };
          channel.sendToQueue(queue, Buffer.from(body), options, (error: unknown) =>
            error ? reject(new Error(String(error))) : resolve(),
          );
        }),
    );
  const receiver = new Lazy<Client>(open, ({ connection }) => connection.close());
  const stop = poll(() =>
    receiver.use(async ({ channel }) => {
      const message = await channel.get(out);
      if (message === false) return false;
      receive(message.content.toString(), String(message.properties.messageId));
      channel.ack(message);
      return true;
    }),
  );
  return {
    name: "amqp",
    lanes: [
      {
        name: "amqp",
        ordered: true,
        lossy: false,
        waits: false,
        from: { amqp: { url, queue, prefetch: 64, heartbeat: "2s" } },
        out: { amqp: { url, queue: out, heartbeat: "2s" } },
        send,
      },
    ],
    proxy,
    broker: undefined,
    stops: [],
    async close() {
      await stop();
      await receiver.close();
      await client
        .use(async ({ channel }) => {
          for (const name of [queue, out]) await channel.deleteQueue(name);
        })
        .catch(() => undefined);
      await client.close();
      await proxy.close();
    },
  };
}
