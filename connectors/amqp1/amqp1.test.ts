import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import type { Outcome } from "../../gateway/contract/message.ts";
import { artemisGuest, artemisServer, artemisUser, noArtemis } from "../testing/artemis-server.ts";
import { longBody, messages, takesByBytes } from "../testing/bytes.case.ts";
import { connectorCase } from "../testing/connector.case.ts";
import {
  answered,
  attemptOf,
  eventually,
  outgoing,
  PretendedGateway,
  sendSurely,
  startOutlet,
  startSource,
  toldBy,
  uniqueName,
} from "../testing/rig.ts";
import { setsAside } from "../testing/set-aside.case.ts";
import { TlsFront } from "../testing/tls-front.ts";
import { tlsCase } from "../testing/tls.case.ts";
import { loadClient } from "./client.ts";
import { amqp1Outlet } from "./outlet.ts";
import { amqp1Source } from "./source.ts";

const skip = noArtemis();

/** A `disposition` (0x15) of the receiver's (0x41) that begins with delivery 0 (0x43): the first of a connection. */
function settlesTheFirst(bytes: Buffer): boolean {
  for (let at = bytes.indexOf("005315", 0, "hex"); at >= 0; at = bytes.indexOf("005315", at + 3, "hex")) {
    const fieldsAt = at + 3 + (bytes[at + 3] === 0xc0 ? 3 : 9);
    if (bytes[fieldsAt] === 0x41 && bytes[fieldsAt + 1] === 0x43) return true;
  }
  return false;
}

if (skip === undefined) {
  const server = await artemisServer();
  const { broker, make, remove, count } = server;
  after(() => server.end());
  const url = `amqp://127.0.0.1:${broker.port}`;
  const at = { url, ...artemisUser };

  connectorCase({
    name: "amqp1",
    source: amqp1Source,
    outlet: amqp1Outlet,
    broker,
    sourceConfig: ({ host, port }, address) => ({ url: `amqp://${host}:${port}`, ...artemisUser, address }),
    outletConfig: ({ host, port }, address) => ({ url: `amqp://${host}:${port}`, ...artemisUser, address }),
    make,
    remove,
    badLogin: { code: "MF_AMQP1_AUTH", change: { password: "wrong-password" } },
    missing: { source: "MF_AMQP1_NOT_FOUND", outlet: "MF_AMQP1_NOT_FOUND" },
    keeps: true,
    ordersThroughCuts: true,
    marksRedelivery: false, // Artemis counts deliveries that failed, and not those that were cut
    replies: true,
    largestBodyBytes: 2 ** 20,
    quickHeartbeat: { heartbeat: "1s" },
    carriesId: true,
  });

  describe("amqp1: what only AMQP 1.0 does", { timeout: 60_000 }, () => {
    const dead: Outcome = {
      status: "dead",
      id: "1",
      failure: { origin: "flow", code: "MF_TEST", message: "no", status: 0, retry: false },
      kept: true,
    };
    async function queue(): Promise<string> {
      const name = uniqueName("queue");
      await make(name);
      return name;
    }

    test("deadLetter: broker rejects a dead message, and the broker keeps it; gateway accepts it", async () => {
      for (const [deadLetter, expected] of [
        ["broker", 1],
        ["gateway", 0],
      ] as const) {
        const address = await queue();
        const before = await count("letters");
        const { source, gateway } = await startSource(amqp1Source, { ...at, address, deadLetter });
        gateway.answer = () => dead;
        const { outlet } = await startOutlet(amqp1Outlet, { ...at, address });
        await outlet.send(outgoing("poison"), attemptOf());
        await eventually("settled", () => gateway.settled === 1);
        await source.stop();
        await outlet.stop();
        await eventually("it has left its queue", async () => (await count(address)) === 0);
        await eventually("and is where it belongs", async () => (await count("letters")) - before === expected);
        await remove(address);
      }
    });

    test("a durable subscription has what came while its source was away; a selector leaves out the rest", async () => {
      const address = `made.${uniqueName("topic")}`;
      const config = { ...at, address, kind: "topic", subscription: "orders", selector: "tenant = 'acme'" };
      const first = await startSource(amqp1Source, config);
      assert.equal(first.source.health().ready, true, first.source.health().detail);
      await first.source.stop();
      const { outlet } = await startOutlet(amqp1Outlet, { ...at, address, kind: "topic" });
      for (const tenant of ["acme", "other", "acme"]) await outlet.send(outgoing(tenant, { headers: { tenant } }), attemptOf());
      const { source, gateway } = await startSource(amqp1Source, config);
      await eventually("both", () => gateway.received.length === 2);
      assert.deepEqual(gateway.texts(), ["acme", "acme"]);
      await source.stop();
      await outlet.stop();
    });

    test("properties, annotations and values of every kind become headers and bodies", async () => {
      const address = await queue();
      const rhea = await loadClient();
      const connection = rhea.create_container().connect({ host: broker.host, port: broker.port, ...artemisUser, reconnect: false });
      const sender = connection.open_sender(address);
      await new Promise((resolve) => sender.once("sendable", resolve));
      const properties = { message_id: rhea.types.wrap_uuid(Buffer.alloc(16, 0xab)), subject: "order", group_id: "g1", group_sequence: 3 };
      const application_properties = { text: "a\nb", number: 5, yes: true, none: null, when: new Date(0) };
      const annotations = { "x-opt-origin": "erp" };
      for (const body of [
        "text",
        { a: [1, null, "x"] },
        rhea.message.sequence_section([1, 2]),
        rhea.message.data_sections([Buffer.from("a"), Buffer.from("b")]),
        null,
      ])
        sender.send({ ...properties, application_properties, message_annotations: annotations, body } as never);
      const { source, gateway } = await startSource(amqp1Source, { ...at, address });
      await eventually("all", () => gateway.received.length === 5);
      const bodies = gateway.received.map(({ contentType, body }) => [contentType, Buffer.from(body).toString()]);
      assert.deepEqual(bodies, [
        ["text/plain; charset=utf-8", "text"],
        ["application/json", '{"a":[1,null,"x"]}'],
        ["application/json", "[1,2]"],
        ["application/octet-stream", "ab"],
        ["application/octet-stream", ""],
      ]);
      const [message] = gateway.received;
      assert.equal(message?.id, "abababab-abab-abab-abab-abababababab");
      assert.equal(message?.key, "g1");
      const { text, number, yes, when, none } = message?.headers ?? {};
      assert.deepEqual([text, number, yes, when, none], ["a b", "5", "true", "1970-01-01T00:00:00.000Z", undefined]);
      const { "amqp-subject": subject, "amqp-group-sequence": sequence, "x-opt-origin": origin } = message?.headers ?? {};
      assert.deepEqual([subject, sequence, origin], ["order", "3", "erp"]);
      await source.stop();
      connection.close();
      await remove(address);
    });

    test("bytes that are no AMQP message come as they are, with the reason, and hold up nothing", async () => {
      const address = await queue();
      const rhea = await loadClient();
      const connection = rhea.create_container().connect({ host: broker.host, port: broker.port, ...artemisUser, reconnect: false });
      const sender = connection.open_sender(address);
      await new Promise((resolve) => sender.once("sendable", resolve));
      // A value that is an array of four billion elements without a width.
      const bomb = Buffer.from("005377f00000000500fffffff045".replace("0000000500fffffff0", "00000005fffffff0"), "hex");
      sender.send(bomb, undefined, 0);
      sender.send({ body: "behind it" });
      const { source, gateway } = await startSource(amqp1Source, { ...at, address });
      await eventually("both", () => gateway.received.length === 2);
      assert.match(
        String(gateway.received[0]?.headers["mayfly-error"]),
        /no AMQP 1\.0 message: BadEncoding: there are more than \d+ values/,
      );
      assert.ok(Buffer.from(gateway.received[0]?.body ?? []).equals(bomb));
      assert.equal(gateway.texts()[1], "behind it");
      await source.stop();
      connection.close();
      await remove(address);
    });

    test("templates give each message its address and group, and a missing one is that message's own error", async () => {
      const [one, two] = [await queue(), await queue()];
      const { outlet } = await startOutlet(amqp1Outlet, { ...at, address: "{header.to}", groupId: "{key}", subject: "{flow}" });
      const { source, gateway } = await startSource(amqp1Source, { ...at, address: two });
      const send = (to: string): Promise<void> => outlet.send(outgoing(to, { headers: { to }, key: "k" }), attemptOf());
      await send(one);
      await assert.rejects(send("nowhere"), { code: "MF_AMQP1_NOT_FOUND", retryable: true });
      await assert.rejects(send("a\nb"), { code: "MF_OUTLET_ADDRESS", retryable: false });
      await send(two);
      await eventually("it came", () => gateway.received.length === 1);
      assert.deepEqual([gateway.received[0]?.headers["amqp-group-id"], gateway.received[0]?.key], ["k", "k"]);
      assert.equal(await count(one), 1);
      assert.equal(outlet.health().ready, true);
      await outlet.stop();
      await source.stop();
      for (const each of [one, two]) await remove(each);
    });

    test("a user without rights is told so by source and outlet", async () => {
      const address = await queue();
      const guest = { url, ...artemisGuest, address };
      await toldBy(amqp1Source, guest, "MF_AMQP1_FORBIDDEN");
      const { outlet } = await startOutlet(amqp1Outlet, guest);
      await assert.rejects(outlet.send(outgoing("x"), attemptOf()), { code: "MF_AMQP1_FORBIDDEN", retryable: true });
      await outlet.stop();
      await remove(address);
    });

    test("a reply to an address that is gone is dropped, the message is accepted, and those behind it are answered", async () => {
      const [address, answers] = [await queue(), await queue()];
      const rhea = await loadClient();
      const connection = rhea.create_container().connect({ host: broker.host, port: broker.port, ...artemisUser, reconnect: false });
      const sender = connection.open_sender(address);
      await new Promise((resolve) => sender.once("sendable", resolve));
      for (const reply_to of ["nowhere", answers, "nowhere", answers]) sender.send({ reply_to, message_id: reply_to, body: "x" });
      const gateway = new PretendedGateway();
      gateway.answer = (incoming) => answered(incoming);
      const { source, context } = await startSource(amqp1Source, { ...at, address }, 4, gateway);
      await eventually("all accepted", async () => (await count(address)) === 0);
      await eventually("two answers", async () => (await count(answers)) === 2);
      assert.equal(gateway.received.length, 4, "none came twice");
      assert.equal(context.counts.get("reply_dropped"), 2);
      assert.equal(source.health().ready, true);
      await source.stop();
      connection.close();
      for (const each of [address, answers]) await remove(each);
    });

    test("no more long messages are in the process than there is memory for", { timeout: 90_000 }, async () => {
      const address = await queue();
      const { outlet } = await startOutlet(amqp1Outlet, { ...at, address });
      for (let n = 0; n < messages; n += 1) await sendSurely(outlet, outgoing(longBody(n)));
      await takesByBytes(amqp1Source, { ...at, address }, 8);
      await eventually("nothing is left", async () => (await count(address)) === 0);
      await outlet.stop();
      await remove(address);
    });
  });

  for (const prefetch of [1, 16])
    test(`amqp1, prefetch ${prefetch}: a message whose acknowledgement ends the connection is set aside, and those behind it go on`, {
      timeout: 60_000,
    }, async () => {
      const address = uniqueName("aside");
      await make(address);
      const { outlet } = await startOutlet(amqp1Outlet, { ...at, address });
      await setsAside(broker, {
        from: (port) => `amqp1: { url: "amqp://mayfly:secret@127.0.0.1:${port}", address: ${address}, prefetch: ${prefetch} }`,
        deadly: settlesTheFirst,
        publish: async (texts) => {
          for (const each of texts) await outlet.send(outgoing(each), attemptOf(each));
        },
        left: () => count(address),
      });
      await outlet.stop();
      await remove(address);
    });

  tlsCase({
    name: "Artemis behind TLS",
    skip: undefined,
    outlet: amqp1Outlet,
    open: (tls) => TlsFront.open(broker, tls, false),
    config: (port) => ({ url: `amqps://127.0.0.1:${port}`, ...artemisUser, address: "letters" }),
    code: "MF_AMQP1_TLS",
  });
} else test("amqp1", { skip }, () => {});
