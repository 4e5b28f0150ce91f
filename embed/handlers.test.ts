/** Hosts behind Fastify, Hono and node:http, whose handlers Express and Connect take as they are. */
import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { once } from "node:events";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import Fastify from "fastify";
import { Hono } from "hono";
import type { HandlerOptions, Host, RunResult } from "./embed.d.ts";
import { expressHandler, fastifyHandler, honoHandler } from "./handlers.ts";
import { hostOf } from "./testing/open.ts";

const handler = `async (msg, { to, reply, state }) => {
  const what = msg.headers["x-do"];
  if (what === "echo") return { json: msg.contentType.includes("json") ? msg.json() : msg.text(), names: Object.keys(msg.headers).filter((name) => name.startsWith("mayfly") || name === "connection") };
  if (what === "refuse") fail("no such order", { status: 404, code: "NO_ORDER" });
  if (what === "throw") throw new Error("secret of the guest");
  if (what === "send") return void to.mail.send("hello");
  if (what === "ask") return (await to.erp.request()).json();
  if (what === "header") return reply("x", { status: 201, headers: { "x-own": ["a", "b"], "set-cookie": "sid=1", "transfer-encoding": "chunked", "content-length": "1", connection: "close" } });
  if (what === "wide") return reply("x", { headers: { "x-own": "\\u4e2d" } });
  if (what === "nothing") return undefined;
}`;

type Send = (what: string, init?: RequestInit) => Promise<Response>;
type Serve = (context: TestContext, host: Host, options: object) => Promise<Send>;

function asking(url: string): Send {
  return (what, init = {}) => fetch(url, { method: "POST", ...init, headers: { "x-do": what, ...init.headers } });
}

const frameworks: Readonly<Record<string, Serve>> = {
  async express(context, host, options) {
    const handle = expressHandler(host, options);
    const server = createServer((request, response) => void handle(request, response)).listen(0, "127.0.0.1");
    await once(server, "listening");
    context.after(() => server.close());
    return asking(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  },
  async fastify(context, host, options) {
    const app = Fastify();
    app.post("/", fastifyHandler(host, options));
    context.after(() => app.close());
    return asking(await app.listen({ port: 0, host: "127.0.0.1" }));
  },
  hono(_context, host, options) {
    const app = new Hono().post("/", honoHandler(host, options));
    return Promise.resolve((what, init = {}) =>
      Promise.resolve(
        app.request("/", { method: "POST", ...init, headers: { "x-do": what, ...(init.headers as Record<string, string>) } }),
      ),
    );
  },
};

const json = { "content-type": "application/json" };

for (const [name, serve] of Object.entries(frameworks))
  test(`${name}: a request is the message, the reply is the response`, async (context) => {
    const host = await hostOf(context, handler);
    const results: RunResult[] = [];
    const options: HandlerOptions<unknown> = {
      outlets: () => ({ erp: () => ({ json: [1] }) }),
      result: (result) => void results.push(result),
      bodyBytes: 2000,
    };
    const send = await serve(context, host, options);
    const echoed = await send("echo", { body: '{"a":1}', headers: { ...json, "mayfly-value-x": "1" } });
    equal(echoed.headers.get("content-type"), "application/json");
    deepEqual(await echoed.json(), { json: { a: 1 }, names: [] });
    deepEqual(await (await send("echo", { body: "text", headers: { "content-type": "text/plain" } })).json(), { json: "text", names: [] });
    deepEqual(await (await send("ask")).json(), [1]);
    equal((await send("nothing")).status, 204);
    const refused = await send("refuse");
    equal(refused.status, 404);
    deepEqual(await refused.json(), { status: 404, code: "NO_ORDER", detail: "no such order" });
    const threw = await send("throw");
    equal(threw.status, 500);
    ok(!(await threw.text()).includes("secret"));
    const own = await send("header");
    equal(own.status, 201);
    deepEqual([own.headers.get("x-own"), own.headers.get("set-cookie"), await own.text()], ["a, b", null, "x"]);
    equal((await send("wide")).status, 500);
    equal((await send("send")).status, 204);
    equal(results.at(-1)?.sends[0]?.text(), "hello");
    equal((await send("echo", { body: "x".repeat(2001), headers: { "content-type": "text/plain" } })).status, 413);
    await host.close();
    equal((await send("nothing")).status, 500);
  });

test("sends that nobody carries out are an error", async (context) => {
  const host = await hostOf(context, handler);
  const send = await (frameworks["hono"] as Serve)(context, host, {});
  const response = await send("send");
  equal(response.status, 500);
  equal(((await response.json()) as { code: string }).code, "MF_EMBED_OPTION");
  throws(() => honoHandler(host, { sends: 1 } as never), { code: "MF_EMBED_OPTION" });
  throws(() => honoHandler(host, { bodyBytes: -1 }), { code: "MF_EMBED_OPTION" });
});

test("a caller that leaves ends the call", async (context) => {
  const host = await hostOf(context, handler);
  let leave = (): void => undefined;
  const gone = new Promise<string | undefined>((done) => {
    const options: HandlerOptions<unknown> = {
      outlets: () => ({ erp: () => (leave(), new Promise<undefined>(() => undefined)) }),
      result: ({ error }) => done(error?.code),
    };
    const handle = expressHandler(host, options);
    const server = createServer((request, response) => void handle(request, response)).listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      const asked = httpRequest({ port, host: "127.0.0.1", method: "POST", headers: { "x-do": "ask" } });
      leave = () => asked.destroy();
      asked.on("error", () => undefined).end();
    });
    context.after(() => server.close());
  });
  equal(await gone, "MF_CANCELLED");
});
