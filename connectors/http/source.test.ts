/** The HTTP source end to end: requests become messages, replies become responses. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { request } from "node:http";
import { connect } from "node:net";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { done, log, text, utf8 } from "../../gateway/testing/scripted.ts";
import { withGateway } from "../../gateway/testing/rig.ts";

const echo = `flows: { echo: { image: echo.mfi, from: [ { http: { path: /echo } }, { http: { path: "/items/:id", method: GET } } ] } }`;

test("a request is a message and the reply is its response", async () => {
  await withGateway(
    echo,
    { echo: (event) => (event.kind === "deliver" ? [log("hi"), done(`${event.source} ${event.attempt} ${text(event.body)}`, 201)] : []) },
    async ({ url, runner, logs }) => {
      const response = await fetch(`${url}/echo?x=1`, {
        method: "POST",
        body: "hello",
        headers: { "content-type": "text/plain", "x-a": "b", "mayfly-query": "spoofed" },
      });
      deepEqual([response.status, await response.text(), response.headers.get("content-type")], [201, "http 1 hello", "text/plain"]);
      const headers = JSON.parse(runner.delivered[0]?.headersJson ?? "{}") as Record<string, string>;
      deepEqual(
        [headers["x-a"], headers["content-type"], headers["mayfly-query"], headers["mayfly-path"], headers["mayfly-method"]],
        ["b", "text/plain", "x=1", "/echo", "POST"],
      );
      equal(response.headers.get("mayfly-message-id"), runner.delivered[0]?.id);
      ok(logs.some((line) => line.text === "hi" && line.fields["flow"] === "echo"));
    },
  );
});

test("path parameters come as headers; HEAD, OPTIONS, 404 and 405 are sane", async () => {
  await withGateway(echo, { echo: () => [done("body")] }, async ({ url, runner }) => {
    equal((await fetch(`${url}/items/a%20b`)).status, 200);
    equal((JSON.parse(runner.delivered[0]?.headersJson ?? "{}") as Record<string, string>)["mayfly-path-id"], "a b");
    const head = await fetch(`${url}/items/7`, { method: "HEAD" });
    deepEqual([head.status, head.headers.get("content-length"), await head.text()], [200, "4", ""]);
    const options = await fetch(`${url}/items/7`, { method: "OPTIONS" });
    deepEqual([options.status, options.headers.get("allow")], [204, "GET, HEAD, OPTIONS"]);
    const wrong = await fetch(`${url}/echo`);
    deepEqual(
      [wrong.status, wrong.headers.get("allow"), ((await wrong.json()) as { code: string }).code],
      [405, "OPTIONS, POST", "MF_METHOD_NOT_ALLOWED"],
    );
    equal((await fetch(`${url}/nothing`)).status, 404);
  });
});

test("repeated header lines are several values, cookies one text, and names that are ours or the connection's are dropped", async () => {
  await withGateway("flows: { echo: { image: echo.mfi, from: [ { http: { path: /echo } } ] } }", { echo: () => [done()] }, async (rig) => {
    const headers = {
      "x-many": ["1", "2, with a comma", "1"],
      "x-two": ["1", "2"],
      cookie: ["a=1", "b=2"],
      "Mayfly-Hops": ["1", "2"],
      "mayfly-path": "/spoofed",
      "transfer-encoding": "chunked",
    };
    await new Promise<void>((resolve, reject) => {
      request(`${rig.url}/echo`, { method: "POST", headers }, (response) => response.resume().on("end", resolve))
        .on("error", reject)
        .end("x");
    });
    const got = JSON.parse(rig.runner.delivered[0]?.headersJson ?? "{}") as Record<string, unknown>;
    deepEqual(
      ["x-many", "x-two", "cookie", "mayfly-hops", "mayfly-path", "transfer-encoding"].map((name) => got[name]),
      [["1", "2, with a comma", "1"], ["1", "2"], "a=1; b=2", undefined, "/echo", undefined],
    );
  });
});

test("a body over the limit is refused with 413, also when it only unfolds to that; garbage encodings with 400 and 415", async () => {
  const yaml = `flows: { echo: { image: echo.mfi, from: [ { http: { path: /echo, bodyLimit: 1KiB } } ] } }`;
  await withGateway(
    yaml,
    { echo: (event) => [done(event.kind === "deliver" ? String(event.body.length) : "")] },
    async ({ url, runner }) => {
      const post = (body: Uint8Array | ReadableStream, headers: Record<string, string> = {}): Promise<Response> =>
        fetch(`${url}/echo`, { method: "POST", body, headers, duplex: "half" } as RequestInit);
      equal((await post(new Uint8Array(1025))).status, 413);
      const bomb = await post(gzipSync(new Uint8Array(1_000_000)), { "content-encoding": "gzip" });
      deepEqual([bomb.status, ((await bomb.json()) as { code: string }).code], [413, "MF_BODY_LIMIT"]);
      const chunked = new ReadableStream({
        start(controller) {
          for (let chunk = 0; chunk < 4; chunk += 1) controller.enqueue(new Uint8Array(512));
          controller.close();
        },
      });
      equal((await post(chunked)).status, 413);
      equal((await post(utf8("not gzip"), { "content-encoding": "gzip" })).status, 400);
      equal((await post(utf8("x"), { "content-encoding": "zstd" })).status, 415);
      equal(runner.delivered.length, 0);
      equal(await (await post(gzipSync(new Uint8Array(1000)), { "content-encoding": "gzip" })).text(), "1000");
    },
  );
});

test("replies are compressed when asked for", async () => {
  const yaml = `flows: { echo: { image: echo.mfi, from: [ { http: { path: /echo, compress: true } } ] } }`;
  await withGateway(yaml, { echo: () => [done("x".repeat(5000))] }, async ({ url }) => {
    const response = await fetch(`${url}/echo`, { method: "POST", headers: { "accept-encoding": "gzip" } });
    deepEqual([response.headers.get("content-encoding"), (await response.text()).length], ["gzip", 5000]);
    equal(
      (await fetch(`${url}/echo`, { method: "POST", headers: { "accept-encoding": "identity" } })).headers.get("content-encoding"),
      null,
    );
  });
});

test("a reply has the flow's headers, but for those that are the connection's and the gateway's", async () => {
  const yaml = `flows: { echo: { image: echo.mfi, from: [ { http: { path: /echo, compress: true } } ] } }`;
  const headersJson = JSON.stringify({
    vary: "cookie",
    "x-a": "b",
    "content-length": "1",
    "mayfly-message-id": "forged",
    "mayfly-duplicate": "true",
  });
  const reply = { status: 200, contentType: "text/plain; a=\u00fc\r\n", headersJson, body: utf8("x".repeat(5000)) };
  await withGateway(yaml, { echo: () => [{ kind: "done", reply }] }, async ({ url, runner }) => {
    const response = await fetch(`${url}/echo`, { method: "POST", headers: { "accept-encoding": "gzip" } });
    equal((await response.text()).length, 5000);
    const of = (name: string): string | null => response.headers.get(name);
    deepEqual(
      [of("x-a"), of("vary"), of("content-type"), of("mayfly-message-id"), of("mayfly-duplicate")],
      ["b", "cookie, accept-encoding", "text/plain; a=", runner.delivered[0]?.id, null],
    );
  });
});

test("auth: 401 without, with wrong and with half credentials; the flow and the journal never see them", async () => {
  const guarded = `flows: { echo: { image: echo.mfi, from: [ { http: { path: /echo, auth: { bearer: s3cret, basic: "ada:love:lace" } } } ] } }`;
  await withGateway(guarded, { echo: () => [done("ok")] }, async ({ url, runner }) => {
    const ask = async (authorization?: string): Promise<Response> =>
      await fetch(`${url}/echo`, { method: "POST", body: "x", headers: authorization === undefined ? {} : { authorization } });
    const basic = (text: string): string => `Basic ${Buffer.from(text).toString("base64")}`;
    for (const wrong of [
      undefined,
      "",
      "Bearer",
      "Bearer s3cre",
      "Bearer s3crett",
      "s3cret",
      basic("ada:"),
      basic("ada:love"),
      basic("s3cret"),
      "Basic ???",
    ]) {
      const response = await ask(wrong);
      equal(response.status, 401, String(wrong));
      match(response.headers.get("www-authenticate") ?? "", /^Bearer .*, Basic /);
      const text = await response.text();
      equal((JSON.parse(text) as { code: string }).code, "MF_UNAUTHORIZED");
      ok(!text.includes("s3cret"));
    }
    for (const right of ["Bearer s3cret", "bearer s3cret", basic("ada:love:lace")]) equal((await ask(right)).status, 200, right);
    equal(runner.delivered.length, 3);
    for (const { headersJson } of runner.delivered) ok(!headersJson.includes("authorization"));
  });
});

test("CloudEvents are unwrapped where the source says so", async () => {
  const yaml = `flows: { echo: { image: echo.mfi, from: [ { http: { path: /events, cloudevents: true } } ] } }`;
  await withGateway(
    yaml,
    { echo: (event) => [done(event.kind === "deliver" ? `${event.headersJson.includes('"ce-type":"t"')} ${text(event.body)}` : "")] },
    async ({ url }) => {
      const structured = { specversion: "1.0", id: "1", source: "/s", type: "t", datacontenttype: "application/json", data: { a: 1 } };
      const post = (body: string, headers: Record<string, string>): Promise<Response> =>
        fetch(`${url}/events`, { method: "POST", body, headers });
      equal(await (await post(JSON.stringify(structured), { "content-type": "application/cloudevents+json" })).text(), 'true {"a":1}');
      equal(await (await post("raw", { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t" })).text(), "true raw");
      equal((await post("{", { "content-type": "application/cloudevents+json" })).status, 400);
      equal(await (await post("plain", {})).text(), "false plain");
    },
  );
});

test("what is over the hard limits of HTTP itself is refused: headers too big, nonsense for a request", async () => {
  await withGateway(echo, { echo: () => [done("ok")] }, async ({ url }) => {
    const { port } = new URL(url);
    const raw = (bytes: string): Promise<string> =>
      new Promise((resolve, reject) => {
        const socket = connect(Number(port), "127.0.0.1", () => socket.write(bytes));
        let got = "";
        socket
          .on("data", (chunk) => (got += chunk.toString()))
          .on("close", () => resolve(got.split("\r\n")[0] ?? ""))
          .on("error", reject);
      });
    equal(
      await raw(`POST /echo HTTP/1.1\r\nhost: x\r\nx-big: ${"a".repeat(20_000)}\r\n\r\n`),
      "HTTP/1.1 431 Request Header Fields Too Large",
    );
    equal(await raw("nonsense\r\n\r\n"), "HTTP/1.1 400 Bad Request");
    equal(await (await fetch(`${url}/echo`, { method: "POST" })).text(), "ok");
  });
});
