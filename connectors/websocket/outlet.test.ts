/** WebSocket outlets against a server of the same library, through a proxy that cuts and stalls. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { join } from "node:path";
import { describe, test } from "node:test";
import { Proxy } from "../testing/proxy.ts";
import { attemptOf, eventually, outgoing, sendSurely, startOutlet } from "../testing/rig.ts";
import { tlsCase } from "../testing/tls.case.ts";
import { listening, SocketServer } from "../testing/websocket-server.ts";
import { loadWebSocket } from "./client.ts";
import { websocketOutlet } from "./outlet.ts";

tlsCase({
  name: "websocket",
  skip: undefined,
  outlet: websocketOutlet,
  async open(dir) {
    const [cert, key, ca] = await Promise.all(["server.pem", "server.key", "ca.pem"].map((name) => readFile(join(dir, name))));
    const tls = { cert: cert as Buffer, key: key as Buffer, ca: ca as Buffer, requestCert: true };
    const server = await SocketServer.open(createTlsServer(tls));
    return { port: server.port, remove: async () => server.close() };
  },
  config: (port) => ({ url: `wss://127.0.0.1:${port}/` }),
  code: "MF_WEBSOCKET_TLS",
});

const json = (value: unknown): ReturnType<typeof outgoing> => outgoing(JSON.stringify(value), { contentType: "application/json" });

describe("websocket: outlet", { timeout: 60_000 }, () => {
  test("each message is a frame, text or binary by its content type, and its bytes stay as they are", async () => {
    const server = await SocketServer.open();
    const kinds: (readonly [string, boolean])[] = [];
    server.answer = (_socket, data, isBinary) => kinds.push([data.toString("latin1"), isBinary]);
    const { outlet } = await startOutlet(websocketOutlet, { url: server.url.replace("//", "//ada:p%40ss@"), hello: { op: "hi" } });
    const bytes = Uint8Array.of(1, 255, 0);
    await outlet.send(outgoing("{}", { contentType: "application/vnd.x+json; charset=utf-8" }), attemptOf());
    await outlet.send(outgoing("a", { contentType: "text/plain" }), attemptOf());
    await outlet.send(outgoing(bytes, { contentType: "application/octet-stream" }), attemptOf());
    assert.deepEqual(kinds, [
      ['{"op":"hi"}', false],
      ["{}", false],
      ["a", false],
      ["\u0001\u00ff\u0000", true],
    ]);
    assert.deepEqual(bytes, Uint8Array.of(1, 255, 0), "masking changes a copy");
    const text = outgoing(bytes, { contentType: "text/plain" });
    await assert.rejects(outlet.send(text, attemptOf()), { code: "MF_WEBSOCKET_TEXT", retryable: false, origin: "flow" });
    assert.equal(server.requests[0]?.headers.authorization, `Basic ${Buffer.from("ada:p@ss").toString("base64")}`);
    await outlet.stop();
    const forced = await startOutlet(websocketOutlet, { url: server.url, as: "binary" });
    await forced.outlet.send(text, attemptOf());
    assert.deepEqual(kinds.at(-1), ["\u0001\u00ff\u0000", true]);
    await forced.outlet.stop();
  });

  test("a send is over when the server has read it: not before its pong, many sends with few pings", async () => {
    const server = await SocketServer.open();
    const proxy = await Proxy.open({ host: "127.0.0.1", port: server.port });
    const { outlet } = await startOutlet(websocketOutlet, { url: `ws://127.0.0.1:${proxy.port}/` });
    let pings = 0;
    for (const socket of server.sockets) socket.on("ping", () => (pings += 1));
    const texts = Array.from({ length: 200 }, (_, index) => String(index));
    await Promise.all(texts.map((text) => outlet.send(outgoing(text), attemptOf())));
    assert.deepEqual(server.frames, texts);
    assert.ok(pings >= 1 && pings <= 20, `${pings} pings`);
    proxy.stall(true);
    await assert.rejects(outlet.send(outgoing("x"), attemptOf(undefined, 300)), { code: "MF_OUTLET_TIMEOUT", retryable: true });
    const pending = outlet.send(outgoing("y"), attemptOf());
    proxy.cut();
    await assert.rejects(pending, { code: "MF_CONNECTION_LOST", retryable: true });
    proxy.stall(false);
    await eventually("it is back", () => outlet.health().ready);
    await outlet.stop();
    const careless = await startOutlet(websocketOutlet, { url: `ws://127.0.0.1:${proxy.port}/`, proof: "none" });
    proxy.stall(true);
    await careless.outlet.send(outgoing("z"), attemptOf());
    proxy.cut();
    await careless.outlet.stop();
    await proxy.close();
  });

  test("nothing that counts as sent is lost through cuts", async () => {
    const server = await SocketServer.open();
    const proxy = await Proxy.open({ host: "127.0.0.1", port: server.port });
    const { outlet } = await startOutlet(websocketOutlet, { url: `ws://127.0.0.1:${proxy.port}/` });
    for (let number = 0; number < 60; number += 1) {
      if (number % 20 === 10) proxy.cut();
      await sendSurely(outlet, outgoing(String(number)));
    }
    assert.deepEqual(
      [...new Set(server.frames)],
      Array.from({ length: 60 }, (_, number) => String(number)),
    );
    await outlet.stop();
    await proxy.close();
  });

  test("with ack a send waits for the frame with its id; a refusal is final, no answer is retried", async () => {
    const server = await SocketServer.open();
    const held: (() => void)[] = [];
    server.answer = (socket, data) => {
      const { n } = JSON.parse(data.toString()) as { readonly n: number };
      socket.send('{"type":"tick"}');
      socket.send("no JSON");
      const answer = { re: n, error: n === 2 ? "stock is empty" : n === 3 ? false : null };
      if (n !== 4) held.push(() => socket.send(JSON.stringify(answer)));
    };
    const ack = { id: "json:/re", sent: "json:/n", error: "json:/error" };
    const { outlet, context } = await startOutlet(websocketOutlet, { url: server.url, ack });
    const sends = [1, 2, 3].map((n) => outlet.send(json({ n }), attemptOf()));
    const results = Promise.allSettled(sends);
    await eventually("the server has all", () => held.length === 3);
    await assert.rejects(outlet.send(json({ n: 3 }), attemptOf()), { code: "MF_WEBSOCKET_ID", retryable: true });
    for (const answer of held.splice(0).reverse()) answer();
    const [first, second, third] = await results;
    assert.deepEqual([first?.status, second?.status, third?.status], ["fulfilled", "rejected", "fulfilled"]);
    const { code, message, retryable } = (second as PromiseRejectedResult).reason as Record<string, unknown>;
    assert.deepEqual([code, retryable], ["MF_WEBSOCKET_REFUSED", false]);
    assert.match(String(message), /stock is empty/);
    await assert.rejects(outlet.send(json({ n: 4 }), attemptOf(undefined, 200)), { code: "MF_OUTLET_TIMEOUT" });
    await assert.rejects(outlet.send(json({}), attemptOf()), { code: "MF_WEBSOCKET_ID", retryable: false, origin: "flow" });
    assert.ok((context.counts.get("unasked") ?? 0) >= 6);
    const lost = outlet.send(json({ n: 4 }), attemptOf());
    await eventually("it came again", () => server.frames.length === 5);
    for (const socket of server.sockets) socket.close(1012);
    await assert.rejects(lost, { code: "MF_CONNECTION_LOST", retryable: true });
    await outlet.stop();
  });

  test("a request is answered by the frame with its id; without reply there are none", async () => {
    const server = await SocketServer.open();
    server.answer = (socket, data) => {
      const { id } = JSON.parse(data.toString()) as { readonly id: string };
      if (id === "bytes") return socket.send(Buffer.from('{"id":"bytes"}'), { binary: true });
      socket.send(JSON.stringify({ id, result: "😀" }));
    };
    const { outlet } = await startOutlet(websocketOutlet, { url: server.url, reply: { id: "json:/id" } });
    const ask = (id: string): Promise<unknown> =>
      outlet
        .request?.({ ...json({ id }), method: "" }, attemptOf())
        .then(({ status, contentType, body }) => [status, contentType, Buffer.from(body).toString()]) ?? Promise.reject(new Error("none"));
    assert.deepEqual(await Promise.all(["a", "bytes"].map(ask)), [
      [200, "application/json", '{"id":"a","result":"😀"}'],
      [200, "application/octet-stream", '{"id":"bytes"}'],
    ]);
    await outlet.stop();
    const mute = await startOutlet(websocketOutlet, { url: server.url });
    assert.equal(mute.outlet.request, undefined);
    await mute.outlet.stop();
  });

  test("a server that does not read is sent no more than the bound", async () => {
    const server = await SocketServer.open();
    const { outlet } = await startOutlet(websocketOutlet, { url: server.url, heartbeat: "1m" });
    for (const socket of server.sockets) socket.pause();
    const long = outgoing(new Uint8Array(8 * 2 ** 20), { contentType: "application/octet-stream" });
    const results = await Promise.allSettled(Array.from({ length: 12 }, () => outlet.send(long, attemptOf(undefined, 500))));
    const codes = results.map((each) => (each.status === "rejected" ? (each.reason as { readonly code: string }).code : "sent"));
    assert.deepEqual([...new Set(codes)].sort(), ["MF_OUTLET_TIMEOUT", "MF_WEBSOCKET_BUSY"]);
    assert.ok(codes.filter((code) => code === "MF_OUTLET_TIMEOUT").length <= 6, codes.join());
    await outlet.stop();
  });

  test("a token of OAuth 2 is fetched for the handshake", async () => {
    const server = await SocketServer.open();
    const issuer = createServer((_, response) => response.end('{"access_token":"t1"}'));
    const tokenUrl = `http://127.0.0.1:${await listening(issuer)}/token`;
    const auth = { oauth2: { tokenUrl, clientId: "mayfly", clientSecret: "secret-3" } };
    const { outlet, context } = await startOutlet(websocketOutlet, { url: server.url, auth });
    await outlet.send(outgoing("x"), attemptOf());
    assert.equal(server.requests[0]?.headers.authorization, "Bearer t1");
    await outlet.stop();
    issuer.close();
    const failing = await startOutlet(websocketOutlet, { url: server.url, auth });
    assert.match(failing.outlet.health().detail, /^MF_OAUTH2_TOKEN: /);
    await assert.rejects(failing.outlet.send(outgoing("x"), attemptOf()), { code: "MF_OAUTH2_TOKEN", retryable: true });
    assert.ok(!JSON.stringify([context.lines, failing.context.lines]).includes("secret-3"));
    await failing.outlet.stop();
  });

  test("without the package the command that installs it is told", async () => {
    const absent = Object.assign(new Error("no"), { code: "ERR_MODULE_NOT_FOUND" });
    await assert.rejects(
      loadWebSocket(() => Promise.reject(absent)),
      { code: "MF_WEBSOCKET_CLIENT", message: /npm install ws@8/ },
    );
    const broken = new Error("broken");
    await assert.rejects(
      loadWebSocket(() => Promise.reject(broken)),
      broken,
    );
  });
});
