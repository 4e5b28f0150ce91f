/** Requests to a real HTTP server. */
import { deepEqual, equal, match, ok, rejects, throws } from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { test } from "node:test";
import fc from "fast-check";
import { utf8 } from "../../gateway/testing/scripted.ts";
import { httpOutlet, pathBelow } from "./outlet.ts";
import { httpSettings, withPeer } from "../testing/http-peer.ts";
import { attempt, message } from "../testing/messages.ts";
import { testContext } from "../testing/rig.ts";

test("HTTP statuses are classified: taken, to be tried again and when, or final", async () => {
  await withPeer(
    (request, response) => response.writeHead(Number(request.url?.slice(1)), { "retry-after": "7" }).end("because"),
    async (url) => {
      const classes: Record<string, unknown> = {};
      for (const status of [200, 204, 302, 400, 404, 408, 409, 425, 429, 500, 503]) {
        const outlet = httpOutlet.create(httpSettings(`${url}/${status}`), testContext());
        classes[status] = await outlet.send(message, attempt).then(
          () => "taken",
          (error: { retryable: boolean; status: number; retryAfterMs: number }) => [error.retryable, error.status, error.retryAfterMs],
        );
        deepEqual(outlet.health(), { ready: true, detail: `last answer ${status}` }, "a refusal says nothing of the connection");
        await outlet.stop();
      }
      const again = (status: number): unknown => [true, status, 7000];
      const final = (status: number): unknown => [false, status, undefined];
      deepEqual(classes, {
        200: "taken",
        204: "taken",
        302: final(302),
        400: final(400),
        404: final(404),
        408: again(408),
        409: final(409),
        425: again(425),
        429: again(429),
        500: again(500),
        503: again(503),
      });
    },
  );
});

test("method, headers, body, idempotency key and correlation id arrive; configured headers win; a request's path stays below the url", async () => {
  const seen: { method: string | undefined; url: string | undefined; headers: IncomingMessage["headers"]; body: string }[] = [];
  await withPeer(
    (request, response, body) => (
      seen.push({ method: request.method, url: request.url, headers: request.headers, body }), response.end("ok")
    ),
    async (url) => {
      const outlet = httpOutlet.create(
        httpSettings(`${url}/base?a=1`, { method: "PUT", headers: { "x-a": "configured", authorization: "Bearer t" } }),
        testContext(),
      );
      await outlet.send(message, attempt);
      const answer = await outlet.request?.({ ...message, headers: { ":path": "/sub/x?b=2" }, method: "get" }, attempt);
      deepEqual(
        seen.map((each) => [each.method, each.url, each.body]),
        [
          ["PUT", "/base?a=1", "hello"],
          ["GET", "/base/sub/x?a=1&b=2", ""],
        ],
      );
      const headers: IncomingMessage["headers"] = seen[0]?.headers ?? {};
      deepEqual(
        [headers["x-a"], headers["authorization"], headers["content-type"], headers["idempotency-key"], headers["x-correlation-id"]],
        ["configured", "Bearer t", "text/plain", "orders/m1/7/0", "c1"],
      );
      equal(answer?.status, 200);
      for (const path of ["/../secret", "/%2e%2e/secret", "/a/../../secret", "//evil.example/x/../../..", "/..%2fsecret"])
        await rejects(
          outlet.request?.({ ...message, headers: { ":path": path }, method: "GET" }, attempt) ?? Promise.resolve(),
          { code: "MF_PATH_REFUSED" },
          path,
        );
      await outlet.stop();
    },
  );
});

test("the operator's query is kept as it is: a flow adds to it, and names none of its parameters", () => {
  const base = new URL("https://erp.example/api?api_key=s%20e&x[]=1&v=2");
  const own = "?api_key=s%20e&x[]=1&v=2";
  for (const [path, search] of [
    ["", own],
    ["/a", own],
    ["/a?", own],
    ["/a#?v=3", own],
    ["/a?b=2", `${own}&b=2`],
    ["?b=2&b=3#v=4", `${own}&b=2&b=3`],
    ["/a?vv=1&apikey=2", `${own}&vv=1&apikey=2`],
    ["/a?%3Fv=1", undefined],
  ] as const) {
    if (search === undefined) throws(() => pathBelow(base, path), { code: "MF_PATH_REFUSED" });
    else
      deepEqual(
        [pathBelow(base, path).search, pathBelow(base, path).pathname],
        [search, path[0] === "/" ? "/api/a" : path === "" ? "/api" : "/api/"],
        path,
      );
  }
  const taken = [
    "v=3",
    "V=3",
    "b=1&v=3",
    "%76=3",
    "v",
    "v[]=3",
    "v[a]=3",
    "api.key=1",
    "API_KEY=1",
    "api%20key",
    " api_key=1",
    "b=1;v=3",
    "x=1",
    "x[1]=1",
    "\uff56=3",
  ];
  for (const query of taken) throws(() => pathBelow(base, `/a?${query}`), { code: "MF_PATH_REFUSED" }, query);
  equal(pathBelow(new URL("https://erp.example/api"), "/a?v=3;x").search, "?v=3;x");
});

test("credentials in an http outlet's url are sent as Basic, and shown nowhere; two of them are a mistake", async () => {
  const seen: (string | undefined)[] = [];
  await withPeer(
    (request, response) => (seen.push(request.headers.authorization), response.writeHead(503).end()),
    async (url) => {
      for (const userinfo of ["user:pa%20ss%C3%A9", "us%40er:", ":word", "user:a%3Ab"]) {
        const outlet = httpOutlet.create(httpSettings(url.replace("//", `//${userinfo}@`)), testContext());
        const error: unknown = await outlet.send(message, attempt).catch((cause: unknown) => cause);
        ok(error instanceof Error && !/user|ss|word/.test(`${error.message} ${outlet.health().detail}`), String(error));
        await outlet.stop();
      }
    },
  );
  deepEqual(
    seen.map((header) => Buffer.from(header?.replace("Basic ", "") ?? "", "base64").toString()),
    ["user:pa ss\u00e9", "us@er:", ":word", "user:a:b"],
  );
  const both = httpSettings("http://user:pass@erp.example", { headers: { authorization: "Bearer t" } });
  throws(() => httpOutlet.create(both, testContext()), { code: "MF_URL_INVALID" });
  throws(() => httpOutlet.create(httpSettings("http://a%3Ab:pass@erp.example"), testContext()), { code: "MF_URL_INVALID" });
});

test("a header HTTP can't carry is refused for good, at the first attempt; a correlation id is encoded", async () => {
  const seen: (string | string[] | undefined)[] = [];
  await withPeer(
    (request, response) => (seen.push(request.headers["x-correlation-id"]), response.end()),
    async (url) => {
      const outlet = httpOutlet.create(httpSettings(url), testContext());
      for (const headers of [
        { "x-a": "1\r\nx-b: 2" },
        { "x-a": "\u0100" },
        { "x-a": "\0" },
        { "a b": "1" },
        { "x\n": "1" },
        { "": "1" },
      ] as const)
        await rejects(outlet.send({ ...message, headers }, attempt), { code: "MF_HEADER_INVALID", retryable: false });
      await rejects(outlet.send({ ...message, contentType: "text/plain\r\nx: y" }, attempt), { code: "MF_HEADER_INVALID" });
      await outlet.send({ ...message, headers: { ":path": "/x" }, correlationId: "c\r\nx: y\u0100" }, attempt);
      await outlet.stop();
    },
  );
  deepEqual(seen, ["c%0D%0Ax%3A%20y%C4%80"]);
});

test("paths a flow asks for never leave the outlet's host and base", () => {
  const base = new URL("https://erp.example/api/v1");
  fc.assert(
    fc.property(fc.string(), (path) => {
      let url: URL;
      try {
        url = pathBelow(base, path);
      } catch {
        return;
      }
      equal(url.origin, base.origin);
      ok(url.pathname === base.pathname || url.pathname.startsWith("/api/v1/"), url.href);
    }),
    { numRuns: 500 },
  );
});

test("sends leave as CloudEvents when asked to", async () => {
  const seen: [IncomingMessage["headers"], string][] = [];
  await withPeer(
    (request, response, body) => (seen.push([request.headers, body]), response.end()),
    async (url) => {
      for (const mode of ["binary", "structured"] as const) {
        const outlet = httpOutlet.create(httpSettings(url, { cloudevents: { mode } }), testContext());
        await outlet.send({ ...message, key: undefined, contentType: "application/json", body: utf8('{"a":1.0}') }, attempt);
        await outlet.stop();
      }
      const [binary, structured] = seen;
      deepEqual([binary?.[0]["ce-id"], binary?.[0]["ce-type"], binary?.[1]], ["orders/m1/7/0", "mayfly.orders.out", '{"a":1.0}']);
      match(structured?.[0]["content-type"] ?? "", /^application\/cloudevents\+json/);
      ok(structured?.[1].includes('"data":{"a":1.0}'));
    },
  );
});
