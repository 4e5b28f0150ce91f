/** Outlets of issue 2 against real files and real HTTP. */
import { deepEqual, equal, match, ok, rejects, throws } from "node:assert/strict";
import { copyFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { prng, systemClock } from "#base";
import fc from "fast-check";
import type { TlsConfig } from "./shared/tls.ts";
import { installed } from "./testing/brokers.ts";
import { makeCertificates } from "./testing/certificates.ts";
import { isDeclared, parseHost } from "../gateway/delivery/fetch.ts";
import { retryAfterMs } from "../gateway/contract/http/exchange.ts";
import { silentLogger } from "../gateway/logger.ts";
import { gatewayMemory } from "../gateway/memory/budget.ts";
import type { Incoming, Outcome, Outgoing } from "../gateway/contract/message.ts";
import { utf8 } from "../gateway/testing/scripted.ts";
import { nameTemplate } from "./file/file-name.ts";
import { fileOutlet, type FileOutletConfig } from "./file/outlet.ts";
import { flowOutlet } from "./flow/outlet.ts";
import { httpOutlet, type HttpOutletConfig, pathBelow } from "./http/outlet.ts";
import type { Attempt, Outlet, OutletContext } from "../gateway/contract/outlet.ts";

const message: Outgoing = {
  messageId: "m1",
  flow: "orders",
  outlet: "out",
  key: "k/../1",
  contentType: "text/plain",
  headers: { "x-a": "../../etc/passwd", "x-none": "" },
  body: utf8("hello"),
  correlationId: "c1",
  timeMs: Date.UTC(2026, 10, 23, 8, 7, 6, 5),
};
const attempt: Attempt = { idempotencyKey: "orders/m1/7/0", attempt: 1, signal: new AbortController().signal };

function context(base: string, deliverTo: OutletContext["deliverTo"] = () => undefined): OutletContext {
  return {
    flow: "orders",
    name: "out",
    base,
    logger: silentLogger,
    clock: systemClock,
    random: prng(1),
    metrics: { count: () => undefined },
    unexpected: (error) => {
      throw error;
    },
    memory: gatewayMemory(),
    deliverTo,
  };
}

async function inFolder(run: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-outlet-"));
  try {
    await run(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

const fileSettings: FileOutletConfig = { dir: "out", name: "{date}/{id}.json", append: false, sync: true, mode: "0600" };

test("a file is written whole under its template's name; a second attempt replaces it; nothing is left over", async () => {
  await inFolder(async (dir) => {
    const outlet = fileOutlet.create(fileSettings as never, context(dir));
    await outlet.send(message, attempt);
    await outlet.send({ ...message, body: utf8("again") }, { ...attempt, attempt: 2 });
    deepEqual(await readdir(join(dir, "out/2026-11-23")), ["m1-7-0.json"]);
    equal(await readFile(join(dir, "out/2026-11-23/m1-7-0.json"), "utf8"), "again");
  });
});

test("appended sends are lines", async () => {
  await inFolder(async (dir) => {
    const outlet = fileOutlet.create({ ...fileSettings, name: "{flow}.jsonl", append: true } as never, context(dir));
    await outlet.send(message, attempt);
    await outlet.send({ ...message, body: utf8("with its own\n") }, attempt);
    equal(await readFile(join(dir, "out/orders.jsonl"), "utf8"), "hello\nwith its own\n");
  });
});

test("a folder that can't be written to is a retryable error, and shows in health until it works again", async () => {
  await inFolder(async (dir) => {
    await writeFile(join(dir, "out"), "a file where the folder should be");
    const outlet = fileOutlet.create(fileSettings as never, context(dir));
    await rejects(outlet.send(message, attempt), { code: "MF_FILE_WRITE", retryable: true });
    equal(outlet.health().ready, false);
    await rm(join(dir, "out"));
    await outlet.send(message, attempt);
    equal(outlet.health().ready, true);
  });
});

/** Every two of these differ, and so must the names made of them, in every template. */
const names = [
  "注文", "発注", "Größe", "Grüße", "a/b", "a b", "a:b", "a_b", "order 12 3", "order 123", "order_12_3", "none", "", ".", "..", "_", "__", ".a", "_a",
  "x".repeat(120), "x".repeat(121), `${"x".repeat(200)}1`, `${"x".repeat(200)}2`, "é", "e\u0301", "a-b", "a", "b-c", "a-b-c", "a~b", "~", "A", "\0",
]; // biome-ignore format: a table

test("different values give different names, also long ones, absent ones and those with the template's separators in them", () => {
  for (const text of [
    "{key}",
    "{key}-{message}",
    "{message}{key}",
    "{key}.{header:x-a}-{message}",
    "{date}/{key}/{message}.json",
    "{hour}-{key}",
  ]) {
    const template = nameTemplate(text);
    ok(template.ok);
    const made = new Map<string, string>();
    for (const key of [undefined, ...names])
      for (const id of text.includes("message") ? names : ["m"]) {
        const name = template.value({ ...message, key, messageId: id, headers: { "x-a": "h" } }, attempt.idempotencyKey);
        const what = JSON.stringify([key ?? null, id]);
        equal(made.get(name), undefined, `${text}: ${what} and ${made.get(name)} are both ${name}`);
        made.set(name, what);
        for (const part of name.split("/")) ok(Buffer.byteLength(part) <= 240, name);
      }
  }
  const plain = nameTemplate("{key}.json");
  ok(plain.ok);
  equal(plain.value({ ...message, key: "order-17_b.x" }, attempt.idempotencyKey), "order-17_b.x.json", "what can stand as it is does");
});

test("files are for their owner only, or as mode says, whatever the umask", async () => {
  const before = process.umask(0);
  try {
    for (const [mode, umask, file, folder] of [
      ["0600", 0, 0o600, 0o700],
      ["0640", 0o077, 0o640, 0o750],
    ] as const) {
      // biome-ignore format: a table
      process.umask(umask);
      for (const append of [false, true])
        await inFolder(async (dir) => {
          const outlet = fileOutlet.create({ ...fileSettings, mode, append, name: "{date}/{id}" }, context(dir));
          await outlet.send(message, attempt);
          const [day = ""] = await readdir(join(dir, "out"));
          const [name = ""] = await readdir(join(dir, "out", day));
          const bits = async (...path: string[]): Promise<number> => (await stat(join(dir, "out", ...path))).mode & 0o777;
          deepEqual([await bits(day, name), await bits(day), await bits()], [file, folder, folder], `${mode} ${append}`);
        });
    }
  } finally {
    process.umask(before);
  }
});

test("no value leads out of a template's folder", () => {
  const template = nameTemplate("{date}/{key}-{header:x-a}-{header:missing}-{message}");
  ok(template.ok);
  const parts = fc.oneof(fc.string(), fc.constantFrom("..", "..", "/etc/passwd", "a/../../b", "\0", "C:\\x", ".hidden", "%2e%2e%2f"));
  fc.assert(
    fc.property(parts, parts, parts, (key, header, id) => {
      const name = template.value({ ...message, key, headers: { "x-a": header }, messageId: id }, attempt.idempotencyKey);
      const [date, rest, ...more] = name.split("/");
      equal(more.length, 0);
      equal(date, "2026-11-23");
      match(rest ?? "", /^[A-Za-z0-9_-][A-Za-z0-9._~-]*$/);
    }),
  );
  for (const bad of ["/etc/{id}", "../{id}", "a/../{id}", "a//b", "{nonsense}", "a/", "./a"]) equal(nameTemplate(bad).ok, false, bad);
});

async function withPeer(
  handle: (request: IncomingMessage, response: ServerResponse, body: string) => void,
  run: (url: string) => Promise<void>,
): Promise<void> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk)).on("end", () => handle(request, response, Buffer.concat(chunks).toString()));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

function httpSettings(url: string, change: Partial<HttpOutletConfig> = {}): never {
  return { url, method: "POST", headers: {}, timeout: 1000, cloudevents: undefined, ...change } as never;
}

test("HTTP statuses are classified: taken, to be tried again and when, or final", async () => {
  await withPeer(
    (request, response) => response.writeHead(Number(request.url?.slice(1)), { "retry-after": "7" }).end("because"),
    async (url) => {
      const classes: Record<string, unknown> = {};
      for (const status of [200, 204, 302, 400, 404, 408, 409, 425, 429, 500, 503]) {
        const outlet = httpOutlet.create(httpSettings(`${url}/${status}`), context("/"));
        classes[status] = await outlet.send(message, attempt).then(
          () => "taken",
          (error: { retryable: boolean; status: number; retryAfterMs: number }) => [error.retryable, error.status, error.retryAfterMs],
        );
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
        context("/"),
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
    else equal(pathBelow(base, path).search, search, path);
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
        const outlet = httpOutlet.create(httpSettings(url.replace("//", `//${userinfo}@`)), context("/"));
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
  throws(() => httpOutlet.create(both, context("/")), { code: "MF_URL_INVALID" });
  throws(() => httpOutlet.create(httpSettings("http://a%3Ab:pass@erp.example"), context("/")), { code: "MF_URL_INVALID" });
});

test("a header HTTP can't carry is refused for good, at the first attempt; a correlation id is encoded", async () => {
  const seen: (string | string[] | undefined)[] = [];
  await withPeer(
    (request, response) => (seen.push(request.headers["x-correlation-id"]), response.end()),
    async (url) => {
      const outlet = httpOutlet.create(httpSettings(url), context("/"));
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
        const outlet = httpOutlet.create(httpSettings(url, { cloudevents: { mode } }), context("/"));
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

test("https with an authority of its own and a client certificate; files that come later are found", {
  skip: installed("openssl") ? false : "no openssl",
}, async (test_) => {
  const { dir } = await makeCertificates();
  const [cert, key, ca] = await Promise.all(["server.pem", "server.key", "ca.pem"].map((name) => readFile(join(dir, name))));
  const server = createHttpsServer(
    { cert, key, ca, requestCert: true, rejectUnauthorized: true },
    (_request, response) => void response.end(),
  );
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  test_.after(() => server.close());
  const url = `https://127.0.0.1:${(server.address() as { port: number }).port}`;
  const using = (tls: TlsConfig | undefined): Outlet =>
    httpOutlet.create(httpSettings(url, tls === undefined ? {} : { tls }), context(dir));
  const known = { ca: "ca.pem", rejectUnauthorized: true };
  for (const tls of [undefined, known]) {
    const outlet = using(tls);
    await rejects(outlet.send(message, attempt), { retryable: true });
    await outlet.stop();
  }
  const outlet = using({ ...known, cert: "late.pem", key: "client.key" });
  await rejects(outlet.send(message, attempt), { code: "MF_TLS_FILE", retryable: true });
  await copyFile(join(dir, "client.pem"), join(dir, "late.pem"));
  await outlet.send(message, attempt);
  await outlet.stop();
  await rm(dir, { recursive: true });
});

test("https: the certificate must be for the host of the url, or for servername", {
  skip: installed("openssl") ? false : "no openssl",
}, async (test_) => {
  const { dir } = await makeCertificates("DNS:peer.test");
  const [cert, key] = await Promise.all(["server.pem", "server.key"].map((name) => readFile(join(dir, name))));
  const server = createHttpsServer({ cert, key }, (_request, response) => void response.end());
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  test_.after(() => server.close());
  const url = `https://127.0.0.1:${(server.address() as { port: number }).port}`;
  const sendWith = async (more: object): Promise<void> => {
    const outlet = httpOutlet.create(httpSettings(url, { tls: { ca: "ca.pem", rejectUnauthorized: true, ...more } }), context(dir));
    await outlet.send(message, attempt).finally(() => outlet.stop());
  };
  for (const more of [{}, { servername: "localhost" }]) await rejects(sendWith(more), { retryable: true });
  await sendWith({ servername: "peer.test" });
  await rm(dir, { recursive: true });
});

test("files, log and flows take CloudEvents too", async () => {
  await inFolder(async (dir) => {
    const event = { ...message, contentType: "application/json", body: utf8('{"a":1.0}') };
    const file = fileOutlet.create(
      { dir, name: "event.json", append: false, sync: true, mode: "0600", cloudevents: { mode: "structured" } },
      context(dir),
    );
    await file.send(event, attempt);
    const written = JSON.parse(await readFile(join(dir, "event.json"), "utf8")) as Record<string, unknown>;
    deepEqual([written["specversion"], written["id"], written["data"]], ["1.0", "orders/m1/7/0", { a: 1 }]);
    const got: Incoming[] = [];
    const deliverTo = (_flow: string, incoming: Incoming): Promise<Outcome> => (
      got.push(incoming), Promise.resolve({ status: "accepted", id: "x" })
    );
    await flowOutlet.create({ name: "other", cloudevents: { mode: "binary" } }, { ...context(dir), deliverTo }).send(event, attempt);
    deepEqual([got[0]?.headers["ce-id"], got[0]?.contentType, got[0]?.headers["mayfly-hops"]], ["orders/m1/7/0", "application/json", "1"]);
  });
});

test("Retry-After in seconds, as a date, and nonsense", () => {
  const nowMs = Date.UTC(2026, 0, 1);
  deepEqual(
    [
      retryAfterMs("3", nowMs),
      retryAfterMs("Thu, 01 Jan 2026 00:00:10 GMT", nowMs),
      retryAfterMs("Wed, 31 Dec 2025 00:00:00 GMT", nowMs),
      retryAfterMs("soon", nowMs),
      retryAfterMs(undefined, nowMs),
    ],
    [3000, 10_000, 0, undefined, undefined],
  );
});

test("declared hosts", () => {
  const patterns = ["api.example.com", "*.internal.example", "localhost:8080", "[::1]:90"].flatMap((text) => {
    const parsed = parseHost(text);
    return parsed.ok ? [parsed.value] : [];
  });
  const yes = [
    "https://api.example.com/x",
    "http://API.example.com",
    "https://a.b.internal.example",
    "http://localhost:8080/",
    "http://[::1]:90/",
  ];
  const no = [
    "https://api.example.com:8443",
    "https://internal.example",
    "https://evilapi.example.com",
    "https://api.example.com.evil",
    "http://localhost",
    "ftp://api.example.com",
    "https://x@evil.example/",
    "http://127.0.0.1:8080",
  ];
  deepEqual(
    yes.map((url) => isDeclared(new URL(url), patterns)),
    yes.map(() => true),
  );
  deepEqual(
    no.map((url) => isDeclared(new URL(url), patterns)),
    no.map(() => false),
  );
  for (const bad of ["https://a", "a/b", "*", "*.", "a:b", "a b", ""]) equal(parseHost(bad).ok, false, bad);
});

test("the flow outlet passes outcomes on, counts hops, and does not go in circles", async () => {
  const outcomes: Outcome[] = [
    { status: "accepted", id: "x" },
    { status: "refused", id: undefined, code: "MF_FLOW_BUSY", message: "full", retryAfterMs: 5 },
    { status: "done", id: "x", reply: { status: 200, contentType: "text/plain", headers: {}, body: utf8("reply") } },
  ];
  const seen: string[] = [];
  const outlet = flowOutlet.create(
    { name: "billing" } as never,
    context(
      "/",
      (_flow, incoming) => (
        seen.push(`${incoming.id} ${incoming.headers["mayfly-hops"]} ${incoming.keeper}`), Promise.resolve(outcomes.shift() as Outcome)
      ),
    ),
  );
  await outlet.send(message, attempt);
  await rejects(outlet.send(message, attempt), { code: "MF_FLOW_BUSY", retryable: true, retryAfterMs: 5 });
  equal(Buffer.from((await outlet.request?.({ ...message, method: "" }, attempt))?.body ?? []).toString(), "reply");
  deepEqual(seen, ["orders/m1/7/0 1 journal", "orders/m1/7/0 1 journal", "orders/m1/7/0 1 source"]);
  await rejects(outlet.send({ ...message, headers: { "mayfly-hops": "32" } }, attempt), { code: "MF_FLOW_LOOP", retryable: false });
  await rejects(flowOutlet.create({ name: "gone" } as never, context("/")).send(message, attempt), { code: "MF_FLOW_UNKNOWN" });
});
