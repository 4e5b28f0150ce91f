/** A Mosquitto of our own. It writes its store when it ends, so it is stopped, never killed. */
import mqtt from "mqtt";
import { Proxy } from "../../../connectors/testing/proxy.ts";
import { mqttServer } from "../../../connectors/testing/servers.ts";
import type { Probe } from "../message.ts";
import { available, type Site, type Transport } from "./transport.ts";

const day = 86_400;

export async function mqttTransport({ run, receive }: Site): Promise<Transport> {
  const broker = await available(
    mqttServer(async () => [
      "allow_anonymous true",
      "max_queued_messages 0", // no bound: a message it drops would look like a loss of ours
    ]),
  );
  const proxy = await Proxy.open(broker);
  const url = `mqtt://127.0.0.1:${proxy.port}`;
  const own = (clientId: string, clean: boolean) =>
    mqtt.connectAsync(`mqtt://127.0.0.1:${broker.port}`, {
      protocolVersion: 5,
      clientId,
      clean,
      reconnectPeriod: 100,
      properties: { sessionExpiryInterval: day, receiveMaximum: 1_000 },
    });
  // The gateway's session is made before anything is published: MQTT keeps nothing for who has never subscribed.
  const gatewayId = `${run}-gateway`;
  const first = await own(gatewayId, false);
  await first.subscribeAsync(`${run}/in`, { qos: 1 });
  await first.endAsync();
  const receiver = await own(`${run}-receiver`, false);
  receiver.on("error", () => undefined);
  receiver.on("message", (_topic, payload, { properties }) =>
    receive(payload.toString(), String(properties?.userProperties?.["mayfly-id"])),
  );
  await receiver.subscribeAsync(`${run}/out`, { qos: 1 });
  const prober = await own(`${run}-prober`, false);
  prober.on("error", () => undefined);
  const send = async ({ id, body }: Probe): Promise<void> => {
    const properties = { contentType: "application/json", userProperties: { "mayfly-id": id } };
    await prober.publishAsync(`${run}/in`, body, { qos: 1, properties });
  };
  return {
    name: "mqtt",
    lanes: [
      {
        name: "mqtt",
        ordered: true,
        lossy: false,
        waits: false,
        from: { mqtt: { url, topic: `${run}/in`, clientId: gatewayId, prefetch: 64, heartbeat: "2s" } },
        out: { mqtt: { url, topic: `${run}/out`, heartbeat: "2s" } },
        send,
      },
    ],
    proxy,
    broker,
    stops: ["SIGTERM"],
    async close() {
      for (const client of [prober, receiver]) client.end(true);
      await proxy.close();
      await broker.remove();
    },
  };
}
