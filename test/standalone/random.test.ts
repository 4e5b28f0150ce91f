/** Random requests to routes, credentials and ids: the guest's answer and event beside the gateway's. */
import { deepEqual, ok } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { DeliverEvent, Effect, Event } from "#abi";
import { withGateway } from "../../gateway/testing/rig.ts";
import { plainFlow, ServiceBench } from "../../kernel/net/testing/service.ts";
import { answersIn, rawAnswers } from "./wire.ts";

const seed = Number(process.env["MAYFLY_SEED"] ?? 1);

const paths: readonly { readonly path: string; readonly methods: readonly string[]; readonly auth?: true; readonly full?: true }[] = [
  { path: "/", methods: ["GET", "POST"] },
  { path: "/a/b", methods: ["GET"] },
  { path: "/a/:x", methods: ["GET", "PUT"] },
  { path: "/a/:Some_x/c", methods: ["GET", "DELETE"], full: true },
  { path: "/f/*", methods: ["GET"] },
  { path: "/f/g/:h", methods: ["GET", "OPTIONS"] },
  { path: "/:z/q/:y", methods: ["PATCH", "GET"] },
  { path: "/key/:id", methods: ["GET", "POST"], auth: true },
];
const auth = 'auth: [ { bearer: tok }, { basic: "ada:pä", apiKey: { header: x-key, keys: { bob: k1, eve: k2 } } } ]';
const yaml = `flows:
  orders:
    image: orders.mfi
    values: { v: "a\\"b" }
    from:
${paths.map(({ path, methods, ...rest }) => `      - http: { path: "${path}", method: [${methods.join(", ")}]${rest.auth === true ? `, ${auth}` : ""}${rest.full === true ? ", errors: full" : ""} }`).join("\n")}
`;
const route = plainFlow.routes[0] as (typeof plainFlow.routes)[number];
const service = {
  values: { v: 'a"b' },
  auth: [
    [
      { type: "bearer", header: "authorization", caller: undefined, secret: "tok" },
      { type: "basic", header: "authorization", caller: undefined, secret: "ada:pä" },
      { type: "apiKey", header: "x-key", caller: "bob", secret: "k1" },
      { type: "apiKey", header: "x-key", caller: "eve", secret: "k2" },
    ],
  ],
  routes: paths.map(({ path, methods, auth, full }) => ({
    ...route,
    path,
    methods,
    auth: auth === true ? 0 : undefined,
    fullErrors: full === true,
  })),
} as const;

/** A flow whose end the body chooses. */
function run(event: Event): readonly Effect[] {
  if (event.kind !== "deliver") return [];
  const body = Buffer.from(event.body).toString("latin1");
  const fail = (code: string, status: number): Effect => ({
    kind: "fail",
    code,
    message: `why ${code}`,
    stack: undefined,
    retry: false,
    status,
  });
  if (body === "fail") return [fail("MY_CODE", 0)];
  if (body === "told") return [fail("X", 418)];
  if (body === "none") return [{ kind: "done", reply: undefined }];
  const status = body === "304" ? 304 : body === "205" ? 205 : 200;
  const headersJson = '{"X-One":"1","set-cookie":["a","b"],"mayfly-message-id":"no","content-length":"7","y":"\u00e9"}';
  return [{ kind: "done", reply: { status, contentType: "text/plain; x=\u00e9", headersJson, body: event.body } }];
}

const segment = fc.constantFrom(
  "a",
  "b",
  "c",
  "f",
  "g",
  "q",
  "key",
  "x y",
  "",
  "%41",
  "%2F",
  "%2f%41",
  "%C3%A9",
  "%e2%82%ac",
  "%zz",
  "%",
  "%ff",
  "%00",
  "A",
  "é",
  ":x",
  "*",
  "a.b",
  "a-b",
  "~",
  ";p",
  "x".repeat(501),
);
const target = fc
  .tuple(fc.array(segment, { minLength: 1, maxLength: 4 }), fc.constantFrom("", "", "?", "?a=b", "?a=%41&b#c", "#f"))
  .map(([parts, query]) => `/${parts.join("/").replace(/[ é]/g, "")}${query}`);
const value = fc.oneof(
  fc.constantFrom("1", "", "a, b", "\xe9\xff", "  padded\t ", "a\tb", "mf-1", "x".repeat(199), "x".repeat(200), "%", "a b"),
  fc.string({ unit: fc.constantFrom(...'ab \u00e9%/"\\;,='), maxLength: 8 }),
);
const header = fc.oneof(
  fc.tuple(
    fc.constantFrom(
      "X-A",
      "x-a",
      "Accept",
      "Cookie",
      "Set-Cookie",
      "Idempotency-Key",
      "X-Correlation-Id",
      "Mayfly-Path",
      "mayfly-value-v",
      "traceparent",
      "__proto__",
      "constructor",
      "TE",
      "Keep-Alive",
      "User-Agent",
      "X-Key",
      "Referer",
    ),
    value,
  ),
  fc.constantFrom<readonly [string, string]>(
    ["Authorization", "Bearer tok"],
    ["Authorization", "BEARER   tok "],
    ["Authorization", "Bearer tok2"],
    ["Authorization", `Basic ${Buffer.from("ada:pä").toString("base64")}`],
    ["Authorization", `basic ${Buffer.from("ada:pä").toString("base64url")}=x`],
    ["Authorization", "Basic !!"],
    ["X-Key", "k1"],
    ["X-Key", "k2"],
    ["Content-Type", "text/plain"],
  ),
);
const request = fc.record({
  method: fc.constantFrom("GET", "GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "PROPFIND"),
  target: fc.oneof(target, fc.constantFrom("/", "/a/b", "/a/1", "/a/1/c", "/f/", "/f/1/2", "/f/g/1", "/key/7", "/key/7", "/key/7")),
  headers: fc.array(header, { maxLength: 5 }),
  body: fc.constantFrom("", "hello", "fail", "told", "none", "304", "205"),
});

function seen(events: readonly DeliverEvent[]): readonly object[] {
  return events.map(({ id, source, attempt, headersJson, body }) => ({
    id: id.startsWith("mf-") ? "new" : id,
    source,
    attempt,
    headersJson,
    body: Buffer.from(body).toString("latin1"),
  }));
}

test("random requests are answered as the gateway answers them, and give machines the same events", { timeout: 240_000 }, async () => {
  const delivered: DeliverEvent[] = [];
  const bench = await ServiceBench.create({
    service,
    run: (event) => {
      if (event.kind === "deliver") delivered.push(event);
      return run(event);
    },
  });
  await withGateway(yaml, { orders: run }, async ({ gateway, runner }) => {
    await fc.assert(
      fc.asyncProperty(request, async ({ method, target, headers, body }) => {
        delivered.length = runner.delivered.length = 0;
        const length = body === "" && method !== "POST" ? "" : `Content-Length: ${body.length}\r\n`;
        const bytes = `${method} ${target} HTTP/1.1\r\nHost: x\r\n${headers.map(([name, text]) => `${name}: ${text}\r\n`).join("")}${length}\r\n${body}`;
        const peer = bench.open();
        ok(peer !== undefined);
        bench.send(peer, bytes);
        const ours = answersIn(peer.text, [method]);
        const theirs = await rawAnswers(gateway.address?.port ?? 0, Buffer.from(bytes, "latin1"), {
          answers: ours.length,
          closes: peer.finished || peer.aborted,
          methods: [method],
        });
        deepEqual(ours, theirs);
        deepEqual(seen(delivered), seen(runner.delivered));
        bench.close(peer);
        bench.peers.delete(peer.stream);
      }),
      { seed, numRuns: 400 },
    );
  });
});
