import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { connect } from "@nats-io/transport-node";
import { connectorCase } from "../testing/connector.case.ts";
import { natsOutlet } from "./outlet.ts";
import { natsSource } from "./source.ts";
import {
  attemptOf,
  aWhile,
  eventually,
  outgoing,
  PretendedGateway,
  refused,
  sendSurely,
  startOutlet,
  startSource,
  testContext,
  configured,
  uniqueName,
} from "../testing/rig.ts";
import { natsServer, started, suiteServer } from "../testing/servers.ts";

const { skip, broker, end } = await suiteServer(natsServer());
const url = `nats://${broker.host}:${broker.port}`;
after(end);

if (skip === undefined) {
  connectorCase({
    name: "nats",
    source: natsSource,
    outlet: natsOutlet,
    broker,
    sourceConfig: (at, subject) => ({ url: `nats://${at.host}:${at.port}`, subject }),
    outletConfig: (at, subject) => ({ url: `nats://${at.host}:${at.port}`, subject }),
    make: async () => {},
    remove: async () => {},
    badLogin: undefined, // this server wants none: tested below with one that does
    missing: undefined,
    keeps: false,
    ordersThroughCuts: false,
    marksRedelivery: false,
    replies: true,
    largestBodyBytes: 2 ** 20 - 4096, // max_payload is 1 MiB with its headers
    quickHeartbeat: { heartbeat: "200ms" },
    carriesId: true,
  });
} else test("nats", { skip }, () => {});

describe("nats: what only NATS core does", { skip, timeout: 60_000 }, () => {
  test("a request nobody answers fails at once", async () => {
    const { outlet } = await startOutlet(natsOutlet, { url, subject: uniqueName("nobody") });
    const asking = outlet.request!({ ...outgoing("?"), method: "" }, attemptOf());
    await assert.rejects(asking, { code: "MF_NATS_NO_RESPONDERS", retryable: true, status: 503 });
    await outlet.stop();
  });

  test("a queue group shares the messages, a body over max_payload is refused for good", async () => {
    const subject = uniqueName("shared");
    const members = [
      await startSource(natsSource, { url, subject, queue: "group" }),
      await startSource(natsSource, { url, subject, queue: "group" }),
    ];
    const { outlet } = await startOutlet(natsOutlet, { url, subject });
    for (let number = 0; number < 40; number += 1) await outlet.send(outgoing(String(number)), attemptOf());
    await eventually("all", () => members[0]!.gateway.received.length + members[1]!.gateway.received.length === 40);
    await aWhile();
    assert.equal(members[0]!.gateway.received.length + members[1]!.gateway.received.length, 40);
    await assert.rejects(outlet.send(outgoing(new Uint8Array(2 ** 20 + 1)), attemptOf()), { code: "MF_NATS_TOO_LARGE", retryable: false });
    const withHeaders = outgoing(new Uint8Array(2 ** 20 - 1_000), { headers: { "x-long": "x".repeat(2_000) } });
    await assert.rejects(outlet.send(withHeaders, attemptOf()), { code: "MF_NATS_TOO_LARGE", retryable: false });
    assert.equal(outlet.health().ready, true);
    for (const { source } of members) await source.stop();
    await outlet.stop();
  });

  test("a value can't change where a message goes, nor order the server about", async () => {
    const prefix = uniqueName("tokens");
    const { source, gateway } = await startSource(natsSource, { url, subject: `${prefix}.>` });
    const { outlet } = await startOutlet(natsOutlet, { url, subject: `${prefix}.{key}` });
    for (const key of ["a.b", "*", ">", "a b", "", undefined]) {
      await assert.rejects(outlet.send(outgoing("x", { key }), attemptOf()), { code: "MF_OUTLET_ADDRESS", retryable: false });
    }
    await outlet.send(outgoing("x", { key: "customer-7", headers: { "nats-expected-stream": "other" } }), attemptOf());
    await eventually("it", () => gateway.received.length === 1);
    assert.equal(gateway.received[0]?.headers["nats-subject"], `${prefix}.customer-7`);
    assert.equal(gateway.received[0]?.headers["nats-expected-stream"], undefined);
    await source.stop();
    await outlet.stop();
  });

  test("a flow that can't keep up loses messages countably, and requesters hear of it", async () => {
    const subject = uniqueName("flood");
    const gateway = new PretendedGateway();
    gateway.answer = () => refused(60_000);
    const context = { ...testContext(4) };
    const source = natsSource.create(configured(natsSource, { url, subject }), context);
    await source.start(gateway.accept);
    const connection = await connect({ servers: url });
    const body = new Uint8Array(2 ** 20 - 2048);
    for (let number = 0; number < 40; number += 1) connection.publish(subject, body);
    await eventually("some are dropped", () => (context.counts.get("dropped") ?? 0) === 40 - 32);
    const answer = await connection.request(subject, body);
    assert.equal(answer.headers?.get("mayfly-status"), "503");
    assert.equal(context.lines.filter((line) => line.fields["code"] === "MF_NATS_DROPPED").length, 1);
    await connection.close();
    await source.stop();
  });
});

describe("nats: a server of our own", { skip, timeout: 60_000 }, () => {
  test("wrong password, then the server restarts", async () => {
    const server = await started(natsServer("--user", "u", "--pass", "right"));
    try {
      const subject = uniqueName("restart");
      const own = `nats://u:right@127.0.0.1:${server.port}`;
      const wrong = await startOutlet(natsOutlet, { url: own, subject, password: "wrong-password" });
      assert.match(wrong.outlet.health().detail, /^MF_NATS_AUTH: /);
      assert.doesNotMatch(JSON.stringify([wrong.outlet.health(), wrong.context.lines]), /wrong-password/);
      await eventually("it tries again", () => (wrong.context.counts.get("reconnect") ?? 0) > 0);
      await wrong.outlet.stop();
      const { source, gateway } = await startSource(natsSource, { url: own, subject });
      const { outlet } = await startOutlet(natsOutlet, { url: own, subject });
      await server.down("SIGKILL");
      await eventually("both notice", () => !source.health().ready && !outlet.health().ready);
      await server.up();
      await eventually("both are back", () => source.health().ready && outlet.health().ready);
      await sendSurely(outlet, outgoing("again"));
      await eventually("it", () => gateway.texts().includes("again"));
      await source.stop();
      await outlet.stop();
    } finally {
      await server.remove();
    }
  });
});
