/** One nats-server of our own, with JetStream in files and core subjects beside it. */
import { AckPolicy, jetstream, type JetStreamManager, jetstreamManager, StorageType } from "@nats-io/jetstream";
import { connect, headers as newHeaders, type NatsConnection } from "@nats-io/transport-node";
import { Proxy } from "../../../connectors/testing/proxy.ts";
import { natsServer } from "../../../connectors/testing/servers.ts";
import type { Probe } from "../message.ts";
import { available, type Lane, Lazy, poll, type Site, type Transport } from "./transport.ts";

export async function natsTransport({ run, receive }: Site, wanted: readonly ("jetstream" | "nats")[]): Promise<Transport> {
  const broker = await available(natsServer());
  const proxy = await Proxy.open(broker);
  const url = `nats://127.0.0.1:${proxy.port}`;
  const servers = `127.0.0.1:${broker.port}`;
  const open = async (lost: () => void): Promise<NatsConnection> => {
    const connection = await connect({ servers, reconnect: false, timeout: 2_000 });
    void connection.closed().then(lost);
    return connection;
  };
  const client = new Lazy(open, (connection) => connection.close());
  const reader = new Lazy(open, (connection) => connection.close());
  const ends: (() => Promise<void>)[] = [];
  const lanes: Lane[] = [];
  if (wanted.includes("jetstream")) {
    const streams = await streamsOf(client, run);
    lanes.push(...streamLanes(client, url, streams));
    ends.push(poll(readStream(reader, streams.out, receive)));
  }
  if (wanted.includes("nats")) {
    lanes.push(coreLane(client, url, run), askLane(client, url, run));
    ends.push(poll(listen(reader, `${run}.core.out`, receive), 200));
  }
  return {
    name: "nats",
    lanes,
    proxy,
    broker,
    stops: ["SIGTERM", "SIGKILL"],
    async close() {
      for (const end of ends) await end();
      await client.close();
      await reader.close();
      await proxy.close();
      await broker.remove();
    },
  };
}

interface Streams {
  readonly many: string;
  readonly strict: string;
  readonly out: string;
}

/** Consumers are made here: their settings are part of what is tested. */
async function streamsOf(client: Lazy<NatsConnection>, run: string): Promise<Streams> {
  const streams = { many: `${run}-many`, strict: `${run}-strict`, out: `${run}-out` };
  await client.use(async (connection) => {
    const manager = await jetstreamManager(connection);
    for (const name of Object.values(streams)) await manager.streams.add({ name, subjects: [name], storage: StorageType.File });
    const common = { durable_name: "gateway", ack_policy: AckPolicy.Explicit, ack_wait: 1_500_000_000 };
    await manager.consumers.add(streams.many, { ...common, max_ack_pending: 256 });
    await manager.consumers.add(streams.strict, { ...common, max_ack_pending: 1 });
  });
  return streams;
}

function streamLanes(client: Lazy<NatsConnection>, url: string, { many, strict, out }: Streams): Lane[] {
  const lane = (name: string, stream: string, ordered: boolean): Lane => ({
    name,
    ordered,
    lossy: false,
    waits: false,
    from: { jetstream: { url, stream, consumer: "gateway", heartbeat: "1s" } },
    out: { jetstream: { url, subject: out, stream: out, heartbeat: "1s" } },
    send: ({ id, body }: Probe) =>
      client.use(async (connection) => {
        await jetstream(connection).publish(stream, body, { msgID: id, timeout: 3_000 });
      }),
  });
  // A message in flight when a connection broke is redelivered behind later ones, unless only one is in flight at a time.
  return [lane("jetstream", many, false), lane("strict", strict, true)];
}

/** By sequence number: so the reader needs no consumer that could itself deliver late or twice. */
function readStream(reader: Lazy<NatsConnection>, stream: string, receive: (text: string, key: string) => void): () => Promise<boolean> {
  let next = 1;
  let of: NatsConnection | undefined;
  let manager: JetStreamManager | undefined;
  return () =>
    reader.use(async (connection) => {
      if (of !== connection || manager === undefined) manager = await jetstreamManager(connection, { timeout: 2_000 });
      of = connection;
      const { state } = await manager.streams.info(stream);
      for (; next <= state.last_seq; next += 1) {
        const message = await manager.streams.getMessage(stream, { seq: next });
        if (message !== null) receive(new TextDecoder().decode(message.data), message.header.get("Nats-Msg-Id"));
      }
      return false;
    });
}

function coreLane(client: Lazy<NatsConnection>, url: string, run: string): Lane {
  return {
    name: "nats",
    ordered: true,
    lossy: true,
    waits: false,
    from: { nats: { url, subject: `${run}.core.in`, heartbeat: "1s" } },
    out: { nats: { url, subject: `${run}.core.out`, heartbeat: "1s" } },
    send: ({ id, body }: Probe) =>
      client.use(async (connection) => {
        const headers = newHeaders();
        headers.set("Nats-Msg-Id", id);
        connection.publish(`${run}.core.in`, body, { headers });
        await connection.flush();
      }),
  };
}

/** Core subjects keep nothing, but who asks and waits for the answer knows that the message was handled: so nothing may be missing. */
function askLane(client: Lazy<NatsConnection>, url: string, run: string): Lane {
  return {
    name: "ask",
    ordered: true,
    lossy: false,
    waits: true,
    from: { nats: { url, subject: `${run}.core.ask`, heartbeat: "1s" } },
    out: undefined,
    send: ({ id, body }: Probe) =>
      client.use(async (connection) => {
        const headers = newHeaders();
        headers.set("Nats-Msg-Id", id);
        const answer = await connection.request(`${run}.core.ask`, body, { headers, timeout: 4_000 });
        const failure = answer.headers?.get("mayfly-error");
        if (failure !== undefined && failure !== "") throw new Error(`answered ${failure}`);
      }),
  };
}

function listen(reader: Lazy<NatsConnection>, subject: string, receive: (text: string, key: string) => void): () => Promise<boolean> {
  let of: NatsConnection | undefined;
  return () =>
    reader.use(async (connection) => {
      if (of === connection) return false;
      const callback = (_: Error | null, message: { string(): string; headers?: { get(name: string): string } }): void =>
        receive(message.string(), message.headers?.get("Nats-Msg-Id") ?? "");
      connection.subscribe(subject, { callback });
      await connection.flush();
      of = connection;
      return false;
    });
}
