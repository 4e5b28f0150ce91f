/** The HTTP server's edges, byte by byte: what a request or a reply may be, and how many connections one peer gets. */
import { deepEqual, equal, match } from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import type { Effect } from "#abi";
import { text, utf8 } from "../testing/scripted.ts";
import { until, withGateway } from "../testing/rig.ts";
import { networkOf } from "../contract/http/network.ts";

const echo = `flows: { echo: { image: echo.mfi, from: [ { http: { path: /echo } }, { http: { path: "/items/:name" } } ] } }`;

/** Sends bytes on a connection of their own; gives all that comes back until it is closed. */
async function exchange(url: string, bytes: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  let all = "";
  socket.setEncoding("latin1").on("data", (part: string) => (all += part));
  socket.write(bytes, "latin1");
  await once(socket, "close");
  return all;
}

const close = "connection: close\r\n";
const status = (answer: string): number => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);

function reply(status: number, headers: Readonly<Record<string, string>>, body = "x", contentType = "text/plain"): Effect {
  return { kind: "done", reply: { status, contentType, headersJson: JSON.stringify(headers), body: utf8(body) } };
}

test("a reply HTTP can't carry fails its message, whatever the flow named; the next is answered", async () => {
  const hostile: readonly Effect[] = [
    reply(200, { ":x": "1" }),
    reply(200, { ":path": "/x" }),
    reply(200, { "": "1" }),
    reply(200, { "a b": "1" }),
    reply(200, { "x\r\nset-cookie": "1" }),
    reply(200, { "x-a": "1\r\nset-cookie: a=b" }),
    reply(200, { "x-a": "\0" }),
    reply(200, { "x-a": "\u0100" }),
    reply(99, {}),
    reply(199, {}),
    reply(600, {}),
    reply(1000, {}),
    reply(-1, {}),
  ];
  let next: Effect = reply(200, {});
  await withGateway(echo, { echo: () => [next] }, async ({ url, gateway }) => {
    for (const effect of hostile) {
      next = effect;
      const answer = await fetch(`${url}/echo`, { method: "POST" });
      match(((await answer.json()) as { code: string }).code, /^MF_(HEADER_INVALID|MACHINE_LIED)$/);
      equal(answer.status, 500);
    }
    next = reply(200, { connection: "close", "transfer-encoding": "chunked", upgrade: "x", "content-length": "3" }, "whole");
    equal(await (await fetch(`${url}/echo`, { method: "POST" })).text(), "whole");
    equal(gateway.ready().ready, true);
  });
});

test("204, 205 and 304 have no content, whatever the flow gave them", async () => {
  let next: Effect = reply(200, {});
  await withGateway(echo, { echo: () => [next] }, async ({ url }) => {
    for (const code of [204, 205, 304]) {
      next = reply(code, {}, "a body");
      const answer = await exchange(url, `POST /echo HTTP/1.1\r\nhost: x\r\n${close}content-length: 0\r\n\r\n`);
      deepEqual([status(answer), answer.endsWith("\r\n\r\n"), /chunked/.test(answer)], [code, true, false]);
      equal(/content-length: (\d+)/i.exec(answer)?.[1], code === 205 ? "0" : undefined);
    }
  });
});

test("a request with two Host lines gets 400, in whatever case they are; with too many header lines 431", async () => {
  await withGateway(echo, { echo: () => [reply(200, {})] }, async ({ url, runner }) => {
    for (const hosts of ["Host: a\r\nHost: b\r\n", "Host: a\r\nhost: a\r\n", "hOST: a\r\nx: y\r\nHost: b\r\n"])
      match(await exchange(url, `GET /echo HTTP/1.1\r\n${hosts}\r\n`), /^HTTP\/1\.1 400 .*MF_REQUEST_INVALID/s);
    for (const lines of [1001, 2001, 3000])
      match(
        await exchange(url, `POST /echo HTTP/1.1\r\nHost: a\r\n${"a:\r\n".repeat(lines)}content-length: 1\r\n\r\nx`),
        /^HTTP\/1\.1 431 .*MF_HEADERS_LIMIT/s,
      );
    equal(runner.delivered.length, 0);
    const most = `POST /echo HTTP/1.1\r\nHost: a\r\n${close}${"a:\r\n".repeat(900)}content-length: 4\r\n\r\nbody`;
    equal(status(await exchange(url, most)), 200);
    equal(text(runner.delivered[0]?.body ?? utf8("")), "body");
  });
});

test("a target in absolute form is served as its path, and its authority is the host", async () => {
  await withGateway(echo, { echo: () => [reply(200, {})] }, async ({ url, runner }) => {
    for (const target of ["http://there.example/echo?a=1", "HTTPS://there.example:8/echo", "http://u@there.example/items/a"])
      equal(status(await exchange(url, `POST ${target} HTTP/1.1\r\nHost: here\r\n${close}content-length: 0\r\n\r\n`)), 200);
    const seen = runner.delivered.map(({ headersJson }) => JSON.parse(headersJson) as Record<string, string>);
    deepEqual(
      seen.map((headers) => [headers["host"], headers["mayfly-path"], headers["mayfly-query"]]),
      [
        ["there.example", "/echo", "a=1"],
        ["there.example:8", "/echo", undefined],
        ["u@there.example", "/items/a", undefined],
      ],
    );
    equal(status(await exchange(url, `OPTIONS * HTTP/1.1\r\nHost: here\r\n${close}\r\n`)), 204);
    equal(status(await exchange(url, `POST ftp://x/echo HTTP/1.1\r\nHost: here\r\n${close}content-length: 0\r\n\r\n`)), 404);
  });
});

test("a path parameter is decoded, whatever characters it holds; one with a control character gets 400", async () => {
  await withGateway(echo, { echo: () => [reply(200, {})] }, async ({ url, runner }) => {
    const seen = (): unknown => (JSON.parse(runner.delivered.at(-1)?.headersJson ?? "{}") as Record<string, unknown>)["mayfly-path-name"];
    for (const name of ["a b", "Größe", "注文", "😀", "100%", "a%20b", "a/b", "a?b#c", "%C3%BC", "+"]) {
      equal((await fetch(`${url}/items/${encodeURIComponent(name)}`, { method: "POST" })).status, 200, name);
      equal(seen(), name);
    }
    const before = runner.delivered.length;
    for (const name of ["%0a", "a%00", "%0D%0Ax:%20y", "%7f"])
      equal(((await (await fetch(`${url}/items/${name}`, { method: "POST" })).json()) as { code: string }).code, "MF_PATH_INVALID", name);
    for (const name of ["%zz", "%C0%A0", "%"])
      match(
        await exchange(url, `POST /items/${name} HTTP/1.1\r\nHost: x\r\n${close}content-length: 0\r\n\r\n`),
        /^HTTP\/1\.1 4\d\d /,
        name,
      );
    equal(runner.delivered.length, before);
  });
});

test("one address gets so many connections and no more; what it closes is free again", async () => {
  const yaml = `http: { port: 0, connectionsPerAddress: 3 }\n${echo}`;
  await withGateway(yaml, { echo: () => [reply(200, {})] }, async ({ url, logs, gateway }) => {
    const port = Number(new URL(url).port);
    const idle: Socket[] = [];
    for (let index = 0; index < 3; index += 1) {
      const socket = connect(port, "127.0.0.1");
      await once(socket, "connect");
      idle.push(socket);
    }
    const another = connect({ port, host: "127.0.0.1", localAddress: "127.0.0.2" });
    another.end(`GET /ping HTTP/1.1\r\nHost: x\r\n${close}\r\n`);
    match(String((await once(another, "data"))[0]), /^HTTP\/1\.1 200/);
    const refused = connect(port, "127.0.0.1").on("error", () => undefined);
    await once(refused, "close");
    equal(refused.bytesRead, 0);
    match(JSON.stringify(logs), /MF_CONNECTIONS_LIMIT/);
    idle[0]?.end();
    await until(() =>
      exchange(url, `GET /ping HTTP/1.1\r\nHost: x\r\n${close}\r\n`).then(
        (answer) => answer.startsWith("HTTP/1.1 200"),
        () => false,
      ),
    );
    for (const socket of idle) socket.destroy();
    equal(gateway.ready().ready, true);
  });
});

test("an IPv6 peer is its /64", () => {
  deepEqual(
    ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::9", "2001:db8::9", "::1", "fe80::1%eth0", undefined].map(
      networkOf,
    ),
    ["192.0.2.7", "192.0.2.7", "2001:db8:1:2", "2001:db8:1:2", "2001:db8:0:0", "0:0:0:0", "fe80:0:0:0", undefined],
  );
});
