/** Codes that docs/CONNECTORS.md promises, against a real broker: shown by /ready, and nothing is met again and again for it. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import { mqttOutlet } from "./outlet.ts";
import { mqttSource } from "./source.ts";
import { PrivateBroker } from "../testing/brokers.ts";
import { attemptOf, outgoing, startOutlet, toldBy } from "../testing/rig.ts";
import { missing } from "../testing/servers.ts";

/** A broker that answers CONNECT, and what comes then, with given packets: for codes that Mosquitto never gives. */
async function scripted(
  ...packets: readonly (readonly number[] | ((got: Buffer) => readonly number[]))[]
): Promise<{ readonly url: string; close(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const left = [...packets];
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("data", (got: Buffer) => {
      const next = left.shift();
      if (next !== undefined) socket.write(Uint8Array.from(typeof next === "function" ? next(got) : next));
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const close = (): void => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { url: `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}

describe("mqtt: codes", { skip: missing("mosquitto"), timeout: 60_000 }, () => {
  test("a topic that is forbidden", async () => {
    const broker = await PrivateBroker.start(
      (dir) => ["mosquitto", "-c", join(dir, "mosquitto.conf")],
      async (dir, port) => {
        await writeFile(join(dir, "acl"), "topic readwrite in\n");
        await writeFile(
          join(dir, "mosquitto.conf"),
          `listener ${port} 127.0.0.1\nallow_anonymous true\nacl_file ${join(dir, "acl")}\nuser root\n`,
        );
      },
    );
    try {
      const url = `mqtt://127.0.0.1:${broker.port}`;
      const { outlet } = await startOutlet(mqttOutlet, { url, topic: "forbidden" });
      await assert.rejects(outlet.send(outgoing("x"), attemptOf()), { code: "MF_MQTT_FORBIDDEN" });
      await outlet.stop();
    } finally {
      await broker.remove();
    }
  });

  test("codes that Mosquitto never gives", async () => {
    const connack = (...rest: readonly number[]): readonly number[] => [0x20, rest.length, ...rest];
    const suback =
      (reason: number) =>
      (subscribe: Buffer): readonly number[] => [0x90, 4, subscribe[2] ?? 0, subscribe[3] ?? 0, 0, reason];
    const cases = [
      ["MF_MQTT_CLIENT_ID: ", connack(0, 133, 0)],
      ["MF_MQTT_VERSION: ", connack(0, 1)], // MQTT 3.1.1, 3.2.2.3
      ["MF_MQTT_VERSION: ", connack(0, 132, 0)],
      ["MF_MQTT_REFUSED: ", connack(0, 0, 0), suback(158)],
      ["MF_MQTT_FORBIDDEN: ", connack(0, 0, 0), suback(135)],
      ["MF_MQTT_TAKEN_OVER: ", connack(0, 0, 0), (got: Buffer) => [...suback(1)(got), 0xe0, 2, 142, 0]],
      ["MF_MQTT_UNREACHABLE: ", connack(0, 136, 0)],
    ] as const;
    for (const [code, ...packets] of cases) {
      const { url, close } = await scripted(...packets);
      await toldBy(mqttSource, { url, topic: "t" }, code).finally(close);
    }
  });
});
