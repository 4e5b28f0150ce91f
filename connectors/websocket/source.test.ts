/** WebSocket sources against a feed that remembers, through a proxy that cuts, stalls and refuses. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createServer } from "node:http";
import { longBody, messages, takesByBytes } from "../testing/bytes.case.ts";
import { Proxy } from "../testing/proxy.ts";
import { aWhile, configured, done, eventually, PretendedGateway, startSource, testContext, toldBy } from "../testing/rig.ts";
import { Feed, listening, rawFrame, rawServer, SocketServer } from "../testing/websocket-server.ts";
import { websocketSource } from "./source.ts";

const numbers = (count: number, from = 0): string[] => Array.from({ length: count }, (_, index) => String(from + index));
const resumed = { id: "json:/seq", subscribe: { after: "{lastId}" }, lastId: "0" };
const acknowledged = { id: "json:/seq", subscribe: { after: "acked" }, ack: { ack: "{id}" } };
const dataOf = (gateway: PretendedGateway): string[] => gateway.texts().map((text) => (JSON.parse(text) as { data: string }).data);

/** Texts in one write, with a close frame behind them. */
function burst(texts: readonly string[], closes: boolean): Buffer {
  const frames = texts.map((each) => rawFrame(0x81, Buffer.from(each)));
  return Buffer.concat([...frames, ...(closes ? [rawFrame(0x88, Buffer.from([3, 233]))] : [])]);
}

/** The journal's memory of a source. */
function memory(): {
  readonly facts: Map<string, string>;
  read(name: string): Promise<string | undefined>;
  write(name: string, fact: string): Promise<void>;
} {
  const facts = new Map<string, string>();
  return { facts, read: async (name) => facts.get(name), write: async (name, fact) => void facts.set(name, fact) };
}

async function remembering(
  recall: ReturnType<typeof memory>,
  raw: object,
  gateway = new PretendedGateway(),
): Promise<{ readonly gateway: PretendedGateway; stop(): Promise<void> }> {
  const source = websocketSource.create(configured(websocketSource, raw), { ...testContext(16), recall });
  await source.start(gateway.accept);
  return { gateway, stop: () => source.stop() };
}

describe("websocket: source", { timeout: 60_000 }, () => {
  test("texts and bytes are messages; handshake and frames show what is configured, logs and health no secret", async () => {
    const server = await SocketServer.open(undefined, { handleProtocols: () => "v2.feed" });
    server.answer = (socket, data) => {
      if (!data.toString().startsWith("HELLO")) return;
      socket.send('{"seq":"ä 1"}');
      socket.send(Uint8Array.of(0, 255));
      socket.send("no JSON");
    };
    const { source, gateway, context } = await startSource(websocketSource, {
      url: `${server.url}?q=1`,
      auth: { bearer: "secret-1" },
      headers: { "x-a": "b" },
      protocols: ["v1.feed", "v2.feed"],
      id: "json:/seq",
      subscribe: [{ op: "auth", token: "secret-2" }, "HELLO"],
      contentType: "application/json; v=1",
    });
    await eventually("all came", () => gateway.received.length === 3);
    assert.deepEqual(
      gateway.received.map(({ id, contentType, headers, keeper }) => [id, contentType, headers["websocket-id"], keeper]),
      [
        ["ä 1", "application/json; v=1", "ä 1", "journal"],
        [undefined, "application/octet-stream", undefined, "journal"],
        [undefined, "application/json; v=1", undefined, "journal"],
      ],
    );
    assert.deepEqual(gateway.received[1]?.body, Uint8Array.of(0, 255));
    const { url, headers } = server.requests[0] ?? {};
    assert.deepEqual(
      [url, headers?.authorization, headers?.["x-a"], headers?.["sec-websocket-protocol"], headers?.["sec-websocket-extensions"]],
      ["/feed?q=1", "Bearer secret-1", "b", "v1.feed,v2.feed", undefined],
    );
    assert.deepEqual(server.frames, ['{"op":"auth","token":"secret-2"}', "HELLO"]);
    assert.equal(source.health().ready, true);
    assert.ok(!/secret-[12]/.test(JSON.stringify([context.lines, source.health(), gateway.received])));
    await source.stop();
    await eventually("the connection is closed", () => server.sockets.size === 0);
  });

  test("cut, ended and silent connections go on where the last message had ended: none is lost, and their order stays", async () => {
    const feed = await Feed.open();
    const proxy = await Proxy.open({ host: "127.0.0.1", port: feed.server.port });
    const url = `ws://127.0.0.1:${proxy.port}/feed`;
    const { source, gateway } = await startSource(websocketSource, { ...resumed, url, heartbeat: "500ms" });
    let pushed = 0;
    for (const trouble of ["cut", "end", "none", "stall", "cut"]) {
      feed.push(...numbers(10, pushed));
      pushed += 10;
      if (trouble === "cut") proxy.cut();
      if (trouble === "end") for (const socket of feed.server.sockets) socket.close(1012);
      if (trouble === "stall") {
        proxy.stall(true);
        await eventually("it counts as lost", () => !source.health().ready);
        proxy.cut();
        proxy.stall(false);
      }
      await eventually(`all came, after ${trouble}`, () => new Set(dataOf(gateway)).size === pushed);
    }
    assert.deepEqual([...new Set(dataOf(gateway))], numbers(50));
    assert.ok(feed.subscriptions.length >= 4);
    await source.stop();
    await proxy.close();
  });

  test("after a restart it goes on behind what had ended, and not behind what had not", async () => {
    const feed = await Feed.open();
    const recall = memory();
    const gateway = new PretendedGateway();
    gateway.answer = (incoming, count) => (count === 3 ? gateway.hold(incoming) : done(incoming));
    const first = await remembering(recall, { ...resumed, url: feed.server.url }, gateway);
    await eventually("it subscribed", () => feed.subscriptions.length === 1);
    feed.push(...numbers(6));
    await eventually("they came, and the second is kept", () => gateway.received.length === 6 && [...recall.facts.values()].join() === "2");
    const again = { ...resumed, url: feed.server.url, resume: ['{"op":"resume"}', '{"after":"{lastId}"}'] };
    const second = await remembering(recall, again);
    await eventually("the rest came again", () => second.gateway.received.length === 4);
    assert.deepEqual(
      second.gateway.received.map(({ id, keeper }) => [id, keeper]),
      ["3", "4", "5", "6"].map((id) => [id, "source"]),
    );
    assert.deepEqual([feed.subscriptions, feed.server.frames.at(-2)], [["0", "2"], '{"op":"resume"}']);
    await eventually("all of them are kept", () => [...recall.facts.values()].join() === "6");
    await second.stop();
    gateway.answer = done;
    gateway.release();
    await first.stop();
  });

  test("acknowledgements are sent after the outcome, in the order of the messages; those without an id have none", async () => {
    const feed = await Feed.open();
    const gateway = new PretendedGateway();
    gateway.answer = (incoming, count) => (count === 2 ? gateway.hold(incoming) : done(incoming));
    const { source } = await startSource(websocketSource, { ...acknowledged, url: feed.server.url }, 16, gateway);
    await eventually("it subscribed", () => feed.subscriptions.length === 1);
    feed.push(...numbers(2));
    feed.server.send('{"type":"tick"}');
    feed.push("2");
    await eventually("three are done, and the first acknowledged", () => gateway.settled === 3 && feed.acks.length === 1);
    await aWhile();
    assert.deepEqual(feed.acks, ["1"]);
    gateway.release();
    await eventually("the others are acknowledged", () => feed.acks.length === 3);
    assert.deepEqual(feed.acks, ["1", "2", "3"]);
    gateway.answer = gateway.hold;
    feed.push("3");
    await eventually("it came", () => gateway.received.length === 5);
    for (const socket of feed.server.sockets) socket.terminate();
    await eventually("it comes again", () => gateway.received.length === 6);
    gateway.release(1);
    await aWhile();
    assert.equal(feed.acks.length, 3, "no outcome of the lost connection is acknowledged");
    gateway.release();
    await eventually("it is acknowledged once", () => feed.acks.join() === "1,2,3,4");
    await source.stop();
  });

  test("what is in hand at the stop is acknowledged, though nothing is read any more", async () => {
    const server = await SocketServer.open(undefined, { autoPong: false });
    const gateway = new PretendedGateway();
    gateway.answer = gateway.hold;
    server.answer = (socket) => socket.send("1");
    const raw = { url: server.url, subscribe: "go", ack: "taken", heartbeat: "100ms" };
    const { source } = await startSource(websocketSource, raw, 16, gateway);
    await eventually("it came", () => gateway.received.length === 1);
    const [socket] = server.sockets;
    await new Promise((resolve) => socket?.once("ping", resolve));
    const stopping = source.stop();
    await aWhile();
    await aWhile();
    gateway.release();
    await stopping;
    assert.deepEqual(server.frames, ["go", "taken"]);
  });

  test("a busy or paused flow is sent no more than it can take, and the rest waits at the server", async () => {
    const feed = await Feed.open();
    const { source, gateway } = await startSource(websocketSource, { ...resumed, url: feed.server.url, prefetch: 4, heartbeat: "100ms" });
    await eventually("it subscribed", () => feed.subscriptions.length === 1);
    gateway.answer = gateway.hold;
    const long = numbers(400).map((each) => each.padEnd(65_536));
    feed.push(...long);
    await eventually("four are in hand", () => gateway.received.length === 4);
    await aWhile();
    const before = feed.server.waitingBytes;
    await aWhile();
    assert.ok(feed.server.waitingBytes > 0 && feed.server.waitingBytes === before, "the rest waits at the server");
    assert.equal(source.health().ready, true, "a pong that is not read is not missed");
    source.pause?.();
    gateway.release();
    await aWhile();
    assert.equal(gateway.received.length, 4);
    source.resume?.();
    const releasing = setInterval(() => gateway.release(), 1);
    await eventually("all came", () => gateway.received.length === 400);
    clearInterval(releasing);
    gateway.answer = done;
    gateway.release();
    assert.equal(gateway.mostAtOnce, 4);
    assert.deepEqual(dataOf(gateway), long);
    await source.stop();
  });

  test("without ids and acknowledgements, what came before a loss or the stop is handed over, in its order", async () => {
    let connections = 0;
    const url = await rawServer((socket) => {
      const frames = burst(numbers(20, 20 * connections), connections < 2);
      connections += 1;
      socket.write(frames);
      socket.on("data", () => void socket.end());
    });
    const gateway = new PretendedGateway();
    gateway.answer = gateway.hold;
    const { source } = await startSource(websocketSource, { url, prefetch: 2 }, 16, gateway);
    await eventually("it is connected again", () => connections === 2);
    await aWhile();
    assert.equal(source.health().ready, true, "nothing is read of the second connection while what came over the first waits");
    while (gateway.received.length < 50) {
      gateway.release();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    const stopping = source.stop();
    gateway.answer = done;
    gateway.release();
    await stopping;
    assert.deepEqual([gateway.texts(), gateway.received[0]?.keeper, gateway.mostAtOnce], [numbers(60), "journal", 2]);
  });

  test("of a feed that is resumed, what waits when the connection is lost comes again, and only so", async () => {
    let connections = 0;
    const ids = numbers(20, 1).map((seq) => `{"seq":${seq}}`);
    const url = await rawServer((socket) => {
      connections += 1;
      socket.write(burst(ids, connections === 1));
      if (connections === 1) socket.on("data", () => void socket.end());
    });
    const gateway = new PretendedGateway();
    gateway.answer = gateway.hold;
    const { source } = await startSource(websocketSource, { url, ...resumed, prefetch: 2 }, 16, gateway);
    await eventually("it is connected again", () => connections === 2);
    const releasing = setInterval(() => gateway.release(), 1);
    releasing.unref(); // a test that fails must not keep the process
    await eventually("all came", () => gateway.received.length === 22);
    clearInterval(releasing);
    assert.deepEqual(gateway.texts(), [...ids.slice(0, 2), ...ids]);
    await source.stop();
  });

  test("ids that would change a frame, or can't be kept, are ignored and counted", async () => {
    const server = await SocketServer.open();
    const ids = ["ok-1", 7, "a+b=c", "a\nb", 'x","admin":true', "y".repeat(2_000), "\ud800"];
    server.answer = (socket) => ids.forEach((seq) => socket.send(JSON.stringify({ seq })));
    const { source, gateway, context } = await startSource(websocketSource, {
      url: `${server.url}?after={lastId}`,
      id: "json:/seq",
      subscribe: '{"after":{lastId}}',
      lastId: "0",
    });
    await eventually("all came", () => gateway.received.length === ids.length);
    assert.deepEqual(
      gateway.received.map(({ id }) => id),
      ["ok-1", "7", "a+b=c", undefined, undefined, undefined, undefined],
    );
    assert.equal(context.counts.get("id_ignored"), 4);
    assert.deepEqual([server.requests[0]?.url, server.frames[0]], ["/feed?after=0", '{"after":0}']);
    for (const socket of server.sockets) socket.terminate();
    await eventually("it goes on behind the last id", () => server.frames.length === 2);
    assert.deepEqual([server.requests[1]?.url, server.frames[1]], ["/feed?after=a%2Bb%3Dc", '{"after":a+b=c}']);
    await source.stop();
    const recall = memory();
    const kept = { url: server.url, id: "json:/seq", stream: "one", lastId: "0" };
    await recall.write("websocket from[0] one", '"}'); // as JSON frames could have kept it
    const told = testContext();
    const other = websocketSource.create(configured(websocketSource, { ...kept, subscribe: "after={lastId}" }), { ...told, recall });
    await other.start(new PretendedGateway().accept);
    assert.match(other.health().detail, /^MF_WEBSOCKET_ID: /);
    await other.stop();
  });

  test("no more long messages are in the process than there is memory for", async () => {
    const server = await SocketServer.open();
    const next = (socket: Parameters<SocketServer["answer"]>[0], from: number): void => {
      for (let n = from; n < messages; n += 1) socket.send(longBody(n));
    };
    server.answer = (socket) => next(socket, 0);
    await takesByBytes(websocketSource, { url: server.url, subscribe: "go", ack: "done", frameLimit: "4MiB" }, 3);
  });

  test("answers that are no WebSocket, and close codes, have their codes", async () => {
    let status = 401;
    const http = createServer().on("upgrade", (_, socket) => socket.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`));
    const url = `ws://127.0.0.1:${await listening(http)}/`;
    for (const [answer, code] of [
      [401, "MF_WEBSOCKET_AUTH"],
      [403, "MF_WEBSOCKET_AUTH"],
      [302, "MF_WEBSOCKET_STATUS"],
      [404, "MF_WEBSOCKET_STATUS"],
    ] as const) {
      status = answer;
      await toldBy(websocketSource, { url }, code);
    }
    http.close();
    await toldBy(websocketSource, { url }, "MF_WEBSOCKET_UNREACHABLE");
    const server = await SocketServer.open();
    for (const [closed, reason, said] of [
      [1008, "no such channel", /^MF_WEBSOCKET_CLOSED: .* with 1008, its policy forbids it: .*no such channel$/],
      [1013, "", /^MF_WEBSOCKET_CLOSED: .* with 1013, it is busy$/],
      [4711, "", /^MF_WEBSOCKET_CLOSED: .* with 4711, a code of its own$/],
      [3000, "", /^MF_WEBSOCKET_AUTH: /],
    ] as const) {
      server.answer = (socket) => socket.close(closed, reason);
      const { source } = await startSource(websocketSource, { url: server.url, subscribe: "go" });
      await eventually(`${closed} is told, not ${source.health().detail}`, () => said.test(source.health().detail));
      await source.stop();
    }
  });

  test("configurations that can't work are refused at once", () => {
    for (const [raw, code] of [
      [{ url: "http://x" }, "MF_CONFIG_URL"],
      [{ url: "ws://x/#a" }, "MF_CONFIG_URL"],
      [{ url: "ws://a:b@x", auth: { bearer: "t" } }, "MF_CONFIG_URL"],
      [{ url: "ws://x", headers: { a: "b\nc" } }, "MF_HEADER_INVALID"],
      [{ url: "ws://x", tls: {} }, "MF_CONFIG_TLS"],
      [{ url: "ws://x", subscribe: { after: "{lastId}" } }, "MF_WEBSOCKET_ID"],
      [{ url: "ws://x", ack: "{id}" }, "MF_WEBSOCKET_ID"],
      [{ url: "ws://x", auth: { oauth2: { tokenUrl: "https://x", clientId: "a" } } }, "MF_OAUTH2_CLIENT"],
    ] as const)
      assert.throws(() => websocketSource.create(configured(websocketSource, raw), testContext()), { code }, JSON.stringify(raw));
  });
});
