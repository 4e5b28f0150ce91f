/** Dead letters on a stream: shared by nodes, of any length, gone when they are removed. */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, test } from "node:test";
import { connect, headers, type NatsConnection } from "@nats-io/transport-node";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import fc from "fast-check";
import { toUtf8 } from "#base";
import type { DeadLetters } from "#gateway";
import { NatsServers } from "../testing/nats-servers.ts";
import { textOf, tokenOf } from "./letter-files.ts";
import { openDeadLetters } from "./open.ts";

const servers = await NatsServers.start({ count: 1 });
const connections: NatsConnection[] = [];
after(async () => {
  for (const connection of connections) await connection.close();
  if (typeof servers !== "string") await servers.remove();
});

async function connection(): Promise<NatsConnection> {
  if (typeof servers === "string") throw new Error(servers);
  const opened = await connect({ servers: servers.url.replaceAll("nats://", "").split(",") });
  connections.push(opened);
  return opened;
}

async function open(cluster: string): Promise<DeadLetters> {
  return openDeadLetters({ connection: await connection(), cluster, replicas: 1 });
}

function letter(flow: string, messageId: string): Parameters<DeadLetters["put"]>[0] {
  return {
    kind: "message",
    flow,
    messageId,
    source: "http",
    headers: { a: "1", authorization: "secret" },
    contentType: "text/plain",
    receivedMs: 1_000,
    buriedMs: 2_000,
    failure: { origin: "flow", code: "MF_X", message: "no", status: 0, retry: false },
    attempts: [],
  };
}

async function ids(letters: DeadLetters): Promise<string[]> {
  const found: string[] = [];
  for await (const { id } of letters.list()) found.push(id);
  return found;
}

async function subjects(cluster: string): Promise<string[]> {
  const manager = await jetstreamManager(await connection());
  const info = await manager.streams.info(`MAYFLY_${cluster}_LETTERS`, { subjects_filter: ">" });
  return Object.keys(info.state.subjects ?? {});
}

test("any part of a path is a token of a subject, and back", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, unit: "grapheme" }), (text) => {
      const token = tokenOf(text);
      ok(/^[A-Za-z0-9_=-]+$/.test(token), token);
      equal(textOf(token), Buffer.from(text).toString());
    }),
  );
});

if (typeof servers === "string") test("dead letters on JetStream", { skip: servers }, () => undefined);
else {
  test("a letter is there for every node, whole, and for none once it is removed", async () => {
    const [a, b] = [await open("shared"), await open("shared")];
    deepEqual(await ids(b), []);
    const first = await a.put(letter("orders.v2", "m1"), toUtf8("body"), "1", toUtf8("asleep"));
    const second = await b.put(letter("billing", "m2"), toUtf8("other"), "1");
    deepEqual(await ids(a), [second, first]);
    deepEqual([...(await b.idsOf("orders.v2"))], [first]);
    const read = await b.read(first);
    equal(Buffer.from(read?.body ?? []).toString(), "body");
    deepEqual(read?.letter.headers, { a: "1" });
    equal(Buffer.from(await b.asleep(first)).toString(), "asleep");
    equal(await a.count("billing"), 1);
    equal(await b.remove(first), true);
    equal(await a.remove(first), false);
    equal(await a.read(first), undefined);
    deepEqual(await ids(a), [second]);
    equal(await a.count("orders.v2"), 0);
    equal(await a.read("../etc/passwd"), undefined);
  });

  test("burying twice gives one letter, at two nodes at once too, with bodies longer than a message", async () => {
    const [a, b] = [await open("long"), await open("long")];
    const body = randomBytes(2_500_000);
    const [one, other] = await Promise.all([a.put(letter("orders", "m1"), body, "1"), b.put(letter("orders", "m1"), body, "1")]);
    equal(one, other);
    await a.put(letter("orders", "m1"), body, "1");
    deepEqual(await ids(b), [one]);
    ok(body.equals((await b.read(one))?.body ?? new Uint8Array(0)));
    await b.remove(one);
    deepEqual(await ids(a), []);
  });

  test("what is removed leaves nothing in the stream", async () => {
    const letters = await open("gone");
    const id = await letters.put(letter("orders", "m1"), randomBytes(1_200_000), "1", randomBytes(10));
    equal((await subjects("gone")).length, 5); // three files, two parts
    await letters.remove(id);
    await letters.asleep(id).catch(() => undefined);
    deepEqual(
      (await subjects("gone")).filter((subject) => !subject.endsWith("=2easleep")),
      [],
    );
  });

  test("bytes that others have published are damage of that letter, not of the others", async () => {
    const letters = await open("damaged");
    const [first, second] = [
      await letters.put(letter("orders", "m1"), toUtf8("a"), "1"),
      await letters.put(letter("orders", "m2"), toUtf8("b"), "1"),
    ];
    const [, name = ""] = first.split("/");
    const own = headers();
    own.set("Mayfly", `1 ${"0".repeat(16)} 900000 3 00000000`);
    const stranger = jetstream(await connection());
    await stranger.publish(`mayfly.damaged.letters.f.orders.${name}=2ebody`, "xxx", { headers: own });
    await rejects(letters.read(first), { code: "MF_DEAD_LETTER_READ" });
    await stranger.publish(`mayfly.damaged.letters.f.orders.${name}=2ebody`, "xxx");
    await rejects(letters.read(first), { code: "MF_DEAD_LETTER_READ" });
    equal(Buffer.from((await letters.read(second))?.body ?? []).toString(), "b");
    equal(await letters.remove(first), true);
  });

  test("without its servers a letter is not written, and says so", async () => {
    const alone = await NatsServers.start({ count: 1 });
    if (typeof alone === "string") throw new Error(alone);
    const own = await connect({ servers: `127.0.0.1:${alone.at(0).port}` });
    try {
      const letters = await openDeadLetters({ connection: own, cluster: "away", replicas: 1 });
      await letters.put(letter("orders", "m1"), toUtf8("a"), "1");
      await alone.kill(0);
      await rejects(letters.put(letter("orders", "m2"), toUtf8("a"), "1"), { code: "MF_DEAD_LETTER_WRITE" });
    } finally {
      await own.close();
      await alone.remove();
    }
  });
}
