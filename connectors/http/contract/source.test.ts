/** An HTTP source with a contract, end to end: what the document says is served, what breaks it is refused and runs nothing. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Effect } from "#abi";
import { BodyStore } from "../../../gateway/stored-bodies/store.ts";
import { type Rig, withGateway } from "../../../gateway/testing/rig.ts";
import { done, fail, utf8 } from "../../../gateway/testing/scripted.ts";

const shop = `
openapi: 3.1.0
info: { title: Shop, version: "1" }
paths:
  /orders:
    post:
      operationId: createOrder
      parameters:
        - { name: dry-run, in: query, schema: { type: boolean, default: false } }
        - { name: X-Tenant, in: header, required: true, schema: { type: integer, minimum: 1 } }
        - { name: session, in: cookie, schema: { type: string, maxLength: 8 } }
      requestBody:
        required: true
        content:
          application/json: { schema: { $ref: "#/components/schemas/Order" } }
          application/x-www-form-urlencoded: { schema: { $ref: "#/components/schemas/Order" } }
          multipart/form-data:
            schema:
              type: object
              required: [photo, note]
              properties: { photo: { type: string, format: binary }, note: { type: string, maxLength: 5 }, count: { type: integer } }
            encoding: { photo: { contentType: "image/png, image/jpeg" } }
          text/csv: {}
      responses:
        "201": { description: made, headers: { location: { required: true, schema: { type: string } } }, content: { application/json: { schema: { $ref: "#/components/schemas/Order" } } } }
        4XX: { description: no, content: { application/problem+json: {} } }
  /orders/{order-id}:
    parameters: [ { $ref: "#/components/parameters/Id" } ]
    get:
      operationId: getOrder
      parameters:
        - { name: fields, in: query, explode: false, schema: { type: array, items: { enum: [id, lines] } } }
        - { name: page, in: query, schema: { type: array, maxItems: 2, items: { type: integer } } }
        - { name: filter, in: query, schema: { type: object, properties: { min: { type: number }, tag: { type: array, items: { type: string } } } } }
        - { name: where, in: query, content: { application/json: { schema: { type: object, required: [a] } } } }
      responses:
        "200": { description: it, content: { application/json: { schema: { $ref: "#/components/schemas/Order" } } } }
        "204": { description: none }
  /things:batch: { delete: { responses: { default: { description: any, content: { "*/*": {} } } } } }
components:
  parameters: { Id: { name: order-id, in: path, required: true, schema: { type: integer } } }
  schemas:
    Order:
      type: object
      required: [id, secret, sku, qty]
      additionalProperties: false
      properties:
        id: { type: integer, readOnly: true }
        secret: { type: string, writeOnly: true }
        sku: { type: string, pattern: "^[A-Z]+(-[A-Z]+)*$" }
        qty: { type: integer, exclusiveMinimum: 0 }
        parent: { $ref: "#/components/schemas/Order" }
`;

function reply(
  body: string,
  { status = 200, contentType, headers = {} }: { status?: number; contentType: string; headers?: object },
): Effect {
  return { kind: "done", reply: { status, contentType, headersJson: JSON.stringify(headers), body: utf8(body) } };
}

const good = { secret: "s", sku: "A-B", qty: 1 };
const json = { "content-type": "application/json", "x-tenant": "7" };

async function withShop(
  run: (rig: Rig) => Promise<void>,
  answer: () => Effect[] = () => [done()],
  document = shop,
  http = "{ openapi: shop.yaml }",
): Promise<void> {
  const yaml = `flows: { shop: { image: shop.mfi, from: [ { http: ${http} } ] } }`;
  await withGateway(yaml, { shop: answer }, run, { before: (dir) => writeFile(join(dir, "shop.yaml"), document) });
}

interface Refusal {
  readonly code: string;
  readonly in: string;
  readonly pointer: string;
  readonly rule: string;
  readonly detail: string;
}

async function refusal(response: Response): Promise<readonly unknown[]> {
  const body = (await response.json()) as Refusal;
  return [response.status, body.code, body.in, body.pointer, body.rule];
}

function seen({ runner }: Rig): Readonly<Record<string, string>> {
  return JSON.parse(runner.delivered.at(-1)?.headersJson ?? "{}") as Record<string, string>;
}

test("operations are routes, and a flow gets its operation and its parameters as values", async () => {
  await withShop(async (rig) => {
    const { url } = rig;
    const query = "fields=id,lines&page=1&page=2&min=1.5&tag=a&tag=b&where=%7B%22a%22%3A1%7D&other=x";
    equal((await fetch(`${url}/orders/12?${query}`)).status, 204);
    equal(seen(rig)["mayfly-operation"], "getOrder");
    equal(seen(rig)["mayfly-path-order-id"], "12");
    deepEqual(JSON.parse(seen(rig)["mayfly-parameters"] ?? ""), {
      path: { "order-id": 12 },
      query: { fields: ["id", "lines"], page: [1, 2], filter: { min: 1.5, tag: ["a", "b"] }, where: { a: 1 } },
      header: {},
      cookie: {},
    });
    await fetch(`${url}/things:batch`, { method: "DELETE" });
    equal(seen(rig)["mayfly-operation"], "deleteThingsBatch");
    equal((await fetch(`${url}/things`, { method: "DELETE" })).status, 404);
    const wrong = await fetch(`${url}/orders/12`, { method: "PUT" });
    deepEqual([wrong.status, wrong.headers.get("allow")], [405, "GET, HEAD, OPTIONS"]);
    equal((await fetch(`${url}/orders/12`, { method: "HEAD" })).status, 204);
  });
});

test("parameters that break the contract are refused with place and rule, and nothing runs", async () => {
  await withShop(async (rig) => {
    const get = async (path: string): Promise<readonly unknown[]> => refusal(await fetch(`${rig.url}${path}`));
    const code = "MF_CONTRACT_REQUEST";
    deepEqual(await get("/orders/x"), [400, code, "path", "/order-id", "type"]);
    deepEqual(await get("/orders/0x1"), [400, code, "path", "/order-id", "type"]);
    deepEqual(await get("/orders/1?fields=id,nope"), [400, code, "query", "/fields/1", "enum"]);
    deepEqual(await get("/orders/1?page=1&page=2&page=3"), [400, code, "query", "/page", "maxItems"]);
    deepEqual(await get("/orders/1?page=one"), [400, code, "query", "/page/0", "type"]);
    deepEqual(await get("/orders/1?min=much"), [400, code, "query", "/filter/min", "type"]);
    deepEqual(await get("/orders/1?where=%7B"), [400, code, "query", "/where", "json"]);
    deepEqual(await get("/orders/1?where=%7B%7D"), [400, code, "query", "/where", "required"]);
    deepEqual(await get("/orders/1?fields=id&fields=id"), [400, code, "query", "/fields", "single"]);
    deepEqual(await get(`/orders/1?${"page=1&".repeat(1_001)}`), [400, code, "query", "/page", "values"]);
    const post = async (headers: Record<string, string>): Promise<readonly unknown[]> =>
      refusal(await fetch(`${rig.url}/orders`, { method: "POST", body: JSON.stringify(good), headers: { ...json, ...headers } }));
    deepEqual(await post({ "x-tenant": "0" }), [400, code, "header", "/x-tenant", "minimum"]);
    deepEqual(await post({ cookie: "session=123456789" }), [400, code, "cookie", "/session", "maxLength"]);
    const without = await fetch(`${rig.url}/orders`, { method: "POST", body: "{}", headers: { "content-type": "application/json" } });
    const problem = (await without.json()) as Refusal;
    deepEqual([problem.in, problem.pointer, problem.rule], ["header", "/x-tenant", "required"]);
    match(problem.detail, /the header parameter x-tenant is missing/);
    equal(without.headers.get("content-type"), "application/problem+json");
    equal(rig.runner.delivered.length, 0);
  });
});

test("bodies are checked by media type", async () => {
  const made = (): Effect[] => [
    reply(JSON.stringify({ id: 1, sku: "A", qty: 1 }), { status: 201, contentType: "application/json", headers: { location: "/1" } }),
  ];
  await withShop(async (rig) => {
    const post = (body: string | FormData | Uint8Array | null, type?: string): Promise<Response> =>
      fetch(`${rig.url}/orders`, {
        method: "POST",
        body,
        headers: { "x-tenant": "7", ...(type === undefined ? {} : { "content-type": type }) },
      });
    const code = "MF_CONTRACT_REQUEST";
    const refused = async (body: unknown, type = "application/json"): Promise<readonly unknown[]> =>
      refusal(await post(typeof body === "string" ? body : JSON.stringify(body), type));
    equal((await post(JSON.stringify(good), "application/json; charset=utf-8")).status, 201);
    deepEqual(JSON.parse(seen(rig)["mayfly-parameters"] ?? ""), {
      path: {},
      query: { "dry-run": false },
      header: { "x-tenant": 7 },
      cookie: {},
    });
    equal((await post("secret=s&sku=A&qty=2", "application/x-www-form-urlencoded")).status, 201);
    equal((await post("any;thing", "text/csv")).status, 201);
    const form = (note: string, type = "image/png", more: readonly (readonly [string, string])[] = []): FormData => {
      const data = new FormData();
      data.append("photo", new Blob([new Uint8Array([0xff, 13, 10, 45, 45])], { type }), 'p"1.png');
      data.append("note", note);
      for (const [name, value] of more) data.append(name, value);
      return data;
    };
    equal((await post(form("good", "image/png", [["count", "3"]]))).status, 201);
    const ran = rig.runner.delivered.length;
    deepEqual(await refusal(await post(form("too long"))), [400, code, "body", "/note", "maxLength"]);
    deepEqual(await refusal(await post(form("good", "image/gif"))), [400, code, "body", "/photo", "contentType"]);
    deepEqual(await refusal(await post(form("good", "image/png", [["count", "x"]]))), [400, code, "body", "/count", "type"]);
    deepEqual(await refusal(await post(form("good", "image/png", [["note", "b"]]))), [400, code, "body", "/note", "single"]);
    deepEqual(await refused("--b\r\n\r\nx\r\n--b--", "multipart/form-data; boundary=b"), [400, code, "body", "", "multipart"]);
    deepEqual(await refused("--b\r\ncontent-disposition: form-data; name=note\r\n\r\nx", "multipart/form-data; boundary=b"), [
      400,
      code,
      "body",
      "",
      "multipart",
    ]);
    deepEqual(await refused("x", "multipart/form-data"), [400, code, "body", "", "multipart"]);
    deepEqual(await refused("secret=s&sku=A&qty=two", "application/x-www-form-urlencoded"), [400, code, "body", "/qty", "type"]);
    deepEqual(await refused({ ...good, qty: 0 }), [400, code, "body", "/qty", "exclusiveMinimum"]);
    deepEqual(await refused({ ...good, sku: "a" }), [400, code, "body", "/sku", "pattern"]);
    deepEqual(await refused({ ...good, extra: 1 }), [400, code, "body", "", "additionalProperties"]);
    deepEqual(await refused({ ...good, parent: { ...good, parent: { qty: 1 } } }), [400, code, "body", "/parent/parent", "required"]);
    deepEqual(await refused('{"secret":"s","sku":"A","qty":1e400}'), [400, code, "body", "/qty", "type"]);
    deepEqual(await refused("{"), [400, code, "body", "", "json"]);
    deepEqual(await refused(`${"[".repeat(101)}${"]".repeat(101)}`), [400, code, "body", "", "depth"]);
    deepEqual(await refusal(await post(null)), [400, code, "body", "", "required"]);
    const media = await post("<a/>", "application/xml");
    deepEqual(
      [media.status, media.headers.get("accept")],
      [415, "application/json, application/x-www-form-urlencoded, multipart/form-data, text/csv"],
    );
    equal(((await media.json()) as Refusal).code, "MF_CONTRACT_MEDIA");
    equal((await post(new Uint8Array([1]))).status, 415);
    const unexpected = await fetch(`${rig.url}/things:batch`, { method: "DELETE", body: "x" });
    deepEqual(await refusal(unexpected), [400, code, "body", "", "unexpected"]);
    equal((await post(`"${"x".repeat(4 * 2 ** 20)}"`, "application/json")).status, 413);
    equal(rig.runner.delivered.length, ran);
  }, made);
});

test("a reply that breaks the contract is 500 without its reason, which is in the log", async () => {
  const replies: [Effect, number][] = [
    [reply('{"id":1,"sku":"A","qty":1}', { contentType: "application/json" }), 200],
    [reply('{"id":1,"sku":"A","qty":"SECRET"}', { contentType: "application/json" }), 500],
    [reply("{", { contentType: "application/json" }), 500],
    [reply("x", { contentType: "text/plain" }), 500],
    [reply("", { contentType: "application/json" }), 500],
    [reply("{}", { contentType: "application/json", status: 418 }), 500],
    [done(), 204],
    [fail("TAKEN", "no", false, 409), 409],
  ];
  let at = 0;
  await withShop(
    async ({ url, logs }) => {
      for (const [, status] of replies) {
        const response = await fetch(`${url}/orders/1`);
        const text = await response.text();
        equal(response.status, status, text + JSON.stringify(logs.at(-1)));
        if (status === 500) match(text, /"code":"MF_CONTRACT_REPLY"/);
        equal(text.includes("SECRET"), false);
        at += 1;
      }
      const told = logs.filter(({ level }) => level === "error").map(({ fields }) => [fields["code"], fields["pointer"], fields["rule"]]);
      deepEqual(told, [
        ["MF_CONTRACT_REPLY", "/qty", "type"],
        ["MF_CONTRACT_REPLY", "", "json"],
        ["MF_CONTRACT_REPLY", "", "media type"],
        ["MF_CONTRACT_REPLY", "", "body"],
        ["MF_CONTRACT_REPLY", "", "status"],
      ]);
    },
    () => [(replies[at] as [Effect, number])[0]],
  );
  await withShop(
    async ({ url, logs }) => {
      equal((await fetch(`${url}/orders`, { method: "POST", headers: json, body: JSON.stringify(good) })).status, 500);
      ok(logs.some(({ text }) => /has no header location/.test(text)));
    },
    () => [reply('{"id":1,"sku":"A","qty":1}', { status: 201, contentType: "application/json" })],
  );
});

test("a body that is slow to check is given up, and the gateway answers others", async () => {
  const slow = `
openapi: 3.1.0
info: { title: Slow, version: "1" }
paths:
  /tree:
    post:
      requestBody: { content: { application/json: { schema: { $ref: "#/components/schemas/Tree" } } } }
      responses: { "204": { description: done } }
  /unique: { post: { requestBody: { content: { application/json: { schema: { uniqueItems: true } } } }, responses: { "204": { description: done } } } }
components:
  schemas:
    Tree: { oneOf: [ { required: [x], properties: { a: { $ref: "#/components/schemas/Tree" } } }, { properties: { a: { $ref: "#/components/schemas/Tree" } } } ] }
`;
  await withShop(
    async ({ url, runner }) => {
      const post = (path: string, body: string): Promise<Response> =>
        fetch(url + path, { method: "POST", body, headers: { "content-type": "application/json" } });
      const deep = `${'{"x":1,"a":'.repeat(60)}{}${"}".repeat(60)}`;
      deepEqual(await refusal(await post("/tree", deep)), [400, "MF_CONTRACT_REQUEST", "body", "", "time"]);
      const many = Array.from({ length: 40_000 }, (_, index) => ({ index, b: 1 }));
      equal((await post("/unique", JSON.stringify(many))).status, 204); // linear, where each with each would take a minute
      deepEqual(await refusal(await post("/unique", JSON.stringify([...many, { b: 1, index: 7 }]))), [
        400,
        "MF_CONTRACT_REQUEST",
        "body",
        "",
        "uniqueItems",
      ]);
      equal(runner.delivered.length, 1);
      equal((await post("/tree", "{}")).status, 204);
      equal((await post("/unique", "[1,2]")).status, 204);
    },
    undefined,
    slow,
  );
});

test("a refusal is the one that CONTRACTS.md shows", async () => {
  const document = `
openapi: 3.1.0
info: { title: Orders, version: "1" }
paths:
  /orders:
    post:
      operationId: createOrder
      requestBody: { content: { application/json: { schema: { properties: { lines: { items: { properties: { qty: { exclusiveMinimum: 0 } } } } } } } } }
      responses: { "204": { description: done } }
`;
  await withShop(
    async ({ url }) => {
      const page = await readFile(new URL("../../../../docs/CONTRACTS.md", import.meta.url), "utf8");
      const shown = JSON.parse(/```json\n([\s\S]*?)```/.exec(page)?.[1] ?? "") as unknown;
      deepEqual(await (await fetch(`${url}/orders`, { method: "POST", headers: json, body: '{"lines":[{"qty":0}]}' })).json(), shown);
    },
    undefined,
    document,
  );
});

test("bodies of a type that is not looked into are stored as ever, and those that are checked are not", async () => {
  const document = `
openapi: 3.1.0
info: { title: Files, version: "1" }
paths:
  /files: { put: { requestBody: { required: true, content: { application/pdf: {} } }, responses: { "204": { description: done } } } }
  /orders: { put: { requestBody: { required: true, content: { application/json: {} } }, responses: { "204": { description: done } } } }
`;
  const yaml = "flows: { shop: { image: shop.mfi, claimCheck: 1KiB, from: [ { http: { openapi: shop.yaml } } ] } }";
  const bodies = await mkdtemp(join(tmpdir(), "mayfly-bodies-"));
  await withGateway(
    yaml,
    { shop: () => [done()] },
    async ({ url, runner }) => {
      const put = (path: string, type: string): Promise<Response> =>
        fetch(url + path, { method: "PUT", body: `"${"x".repeat(5_000)}"`, headers: { "content-type": type } });
      equal((await put("/files", "application/pdf")).status, 204);
      equal((JSON.parse(runner.delivered[0]?.headersJson ?? "{}") as Record<string, string>)["mayfly-claim-bytes"], "5002");
      equal((await put("/files", "text/plain")).status, 415);
      equal((await put("/orders", "application/json")).status, 204);
      equal(runner.delivered[1]?.body.length, 5_002);
    },
    { before: (dir) => writeFile(join(dir, "shop.yaml"), document), ports: { bodyStore: new BodyStore(bodies) } },
  ).finally(() => rm(bodies, { recursive: true, force: true }));
});

test("ids of two operations are never duplicates of each other", async () => {
  const two = `
openapi: 3.1.0
info: { title: Two, version: "1" }
paths:
  /a: { post: { responses: { "204": { description: done } } } }
  /b: { post: {} }
`;
  const yaml = "flows: { shop: { image: shop.mfi, dedup: { window: 1h }, from: [ { http: { openapi: shop.yaml, path: /v1 } } ] } }";
  await withGateway(
    yaml,
    { shop: () => [done()] },
    async ({ url, runner }) => {
      for (const path of ["/v1/a", "/v1/b", "/v1/b"])
        equal((await fetch(url + path, { method: "POST", headers: { "idempotency-key": "1" } })).status, 204);
      deepEqual(
        runner.delivered.map(({ headersJson }) => (JSON.parse(headersJson) as Record<string, string>)["mayfly-operation"]),
        ["postA", "postB"],
      );
    },
    { before: (dir) => writeFile(join(dir, "shop.yaml"), two) },
  );
});
