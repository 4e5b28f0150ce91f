import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import mqtt from "mqtt";
import { headerText } from "#abi";
import { connectorCase } from "../testing/connector.case.ts";
import { mqttOutlet } from "./outlet.ts";
import { mqttSource } from "./source.ts";
import {
  attemptOf,
  aWhile,
  done,
  eventually,
  outgoing,
  PretendedGateway,
  type RunningSource,
  sendSurely,
  startOutlet,
  startSource,
  uniqueName,
} from "../testing/rig.ts";
import { mqttServer, started, suiteServer } from "../testing/servers.ts";

const { skip, broker, end } = await suiteServer(mqttServer());
const url = `mqtt://${broker.host}:${broker.port}`;
after(end);

/**
 * A broker keeps a session for a day: connecting with a clean start ends it. Without retries, since the client never says that a
 * connection was closed before it was there; and dropped, since a polite end waits for the broker, and this session ends either way.
 */
async function forgetSession(clientId: string): Promise<void> {
  const client = await mqtt.connectAsync(url, { protocolVersion: 5, clientId, clean: true, reconnectPeriod: 0 }, false);
  await client.endAsync(true);
}

if (skip === undefined) {
  connectorCase({
    name: "mqtt",
    source: mqttSource,
    outlet: mqttOutlet,
    broker,
    sourceConfig: (at, topic) => ({ url: `mqtt://${at.host}:${at.port}`, topic, clientId: topic }),
    outletConfig: (at, topic) => ({ url: `mqtt://${at.host}:${at.port}`, topic }),
    make: async () => {},
    remove: forgetSession,
    badLogin: undefined, // tested below with a broker that wants a login
    missing: undefined,
    keeps: true,
    ordersThroughCuts: true,
    marksRedelivery: true,
    replies: true,
    largestBodyBytes: 2 ** 20,
    quickHeartbeat: { heartbeat: "1s" },
    carriesId: true,
  });
} else test("mqtt", { skip }, () => {});

describe("mqtt: what only MQTT does", { skip, timeout: 60_000 }, () => {
  test("a shared subscription shares, wildcards match, the topic is told", async () => {
    const root = uniqueName("shared");
    const members: RunningSource[] = [];
    for (const clientId of [`${root}-1`, `${root}-2`])
      members.push(await startSource(mqttSource, { url, topic: `${root}/+`, share: "group", clientId }));
    const { outlet } = await startOutlet(mqttOutlet, { url, topic: `${root}/{key}`, qos: 2 });
    for (let number = 0; number < 30; number += 1) await outlet.send(outgoing(String(number), { key: `k${number % 3}` }), attemptOf());
    const all = (): string[] => members.flatMap(({ gateway }) => gateway.texts());
    await eventually("all", () => all().length >= 30);
    await aWhile();
    assert.equal(new Set(all()).size, 30);
    assert.equal(all().length, 30);
    assert.match(headerText(members[0]?.gateway.received[0]?.headers["mqtt-topic"]) ?? "", new RegExp(`^${root}/k[012]$`));
    await assert.rejects(outlet.send(outgoing("x", { key: "a/b" }), attemptOf()), { code: "MF_OUTLET_ADDRESS", retryable: false });
    for (const { source } of members) await source.stop();
    for (const clientId of [`${root}-1`, `${root}-2`]) await forgetSession(clientId);
    await outlet.stop();
  });

  test("acknowledges in the order of arrival, as the protocol demands", async () => {
    const topic = uniqueName("order");
    const gateway = new PretendedGateway();
    gateway.answer = (incoming, count) => (count === 1 ? gateway.hold(incoming) : done(incoming));
    const first = await startSource(mqttSource, { url, topic, clientId: topic }, 16, gateway);
    const { outlet } = await startOutlet(mqttOutlet, { url, topic });
    for (const text of ["a", "b", "c"]) await outlet.send(outgoing(text), attemptOf());
    await eventually("b and c are settled", () => gateway.settled === 2);
    // While a still waits the broker has none of the three PUBACKs, so a second client of this id gets all three.
    const stopping = first.source.stop();
    const second = await startSource(mqttSource, { url, topic, clientId: topic });
    await eventually("all again", () => second.gateway.received.length === 3);
    await second.source.stop();
    gateway.release();
    await stopping;
    await forgetSession(topic);
    await outlet.stop();
  });

  test("nobody subscribes: an error only where wanted", async () => {
    const topic = uniqueName("nobody");
    const lenient = await startOutlet(mqttOutlet, { url, topic });
    const strict = await startOutlet(mqttOutlet, { url, topic, mandatory: true });
    await lenient.outlet.send(outgoing("x"), attemptOf());
    await assert.rejects(strict.outlet.send(outgoing("x"), attemptOf()), { code: "MF_MQTT_UNROUTABLE", retryable: true });
    await lenient.outlet.stop();
    await strict.outlet.stop();
  });

  test("the broker keeps messages while the gateway is away", async () => {
    const topic = uniqueName("away");
    const first = await startSource(mqttSource, { url, topic, clientId: topic });
    await first.source.stop();
    const { outlet } = await startOutlet(mqttOutlet, { url, topic });
    for (const text of ["1", "2"]) await outlet.send(outgoing(text), attemptOf());
    const next = await startSource(mqttSource, { url, topic, clientId: topic });
    await eventually("both", () => next.gateway.received.length === 2);
    assert.deepEqual(next.gateway.texts(), ["1", "2"]);
    await next.source.stop();
    await outlet.stop();
    await forgetSession(topic);
  });
});

describe("mqtt: a broker of our own", { skip, timeout: 60_000 }, () => {
  test("nothing is lost when the broker restarts; a wrong password is told", async () => {
    const server = await started(
      mqttServer(async (dir) => {
        const passwords = join(dir, "passwords");
        await writeFile(passwords, "u:right\n", { mode: 0o600 });
        assert.equal(spawnSync("mosquitto_passwd", ["-U", passwords]).status, 0);
        return ["allow_anonymous false", `password_file ${passwords}`];
      }),
    );
    try {
      const own = { url: `mqtt://u:right@127.0.0.1:${server.port}`, topic: "kept" };
      const wrong = await startSource(mqttSource, { ...own, clientId: "wrong", password: "wrong-password" });
      assert.match(wrong.source.health().detail, /^MF_MQTT_AUTH: /);
      assert.doesNotMatch(JSON.stringify([wrong.source.health(), wrong.context.lines]), /wrong-password/);
      await eventually("it tries again", () => (wrong.context.counts.get("reconnect") ?? 0) > 0);
      await wrong.source.stop();
      const gateway = new PretendedGateway();
      gateway.answer = (incoming, count) => (count <= 3 ? gateway.hold(incoming) : done(incoming));
      const { source } = await startSource(mqttSource, { ...own, clientId: "kept" }, 16, gateway);
      const { outlet } = await startOutlet(mqttOutlet, own);
      for (const text of ["a", "b", "c"]) await outlet.send(outgoing(text), attemptOf());
      await eventually("three held", () => gateway.received.length === 3);
      await server.down("SIGTERM"); // Mosquitto writes its store when it ends; after SIGKILL it has only what autosave wrote
      await eventually("noticed", () => !source.health().ready && !outlet.health().ready);
      await server.up();
      await sendSurely(outlet, outgoing("d"));
      await eventually("all again", () => gateway.received.length >= 7);
      assert.deepEqual(gateway.texts().slice(3), ["a", "b", "c", "d"]);
      gateway.release();
      await source.stop();
      await outlet.stop();
    } finally {
      await server.remove();
    }
  });
});
