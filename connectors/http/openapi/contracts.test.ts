/** Documents of contracts: served at a path with a page to try them, and merged with all that is served. */
import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { loadConfig, showConfig } from "../../../gateway/config/load.ts";
import { withGateway } from "../../../gateway/testing/rig.ts";
import { done } from "../../../gateway/testing/scripted.ts";
import { openBrowser, openTab, withoutBrowser } from "../../../test/page/browser.ts";
import { connectors } from "../../mod.ts";
import { openApiDocument } from "./document.ts";

let folder: string;

const orders = `
openapi: 3.0.3
info: { title: Orders, version: "7" }
paths:
  /orders/{id}:
    parameters: [ { $ref: "#/components/parameters/Id" } ]
    put:
      operationId: putOrder
      summary: Change an order
      parameters: [ { name: notify, in: query, schema: { type: boolean, default: true } } ]
      requestBody: { content: { application/json: { schema: { $ref: "#/components/schemas/Item" } } } }
      responses: { "200": { description: it, content: { application/json: { schema: { $ref: "#/components/schemas/Item" } } } }, 4XX: { description: no } }
    get: { responses: { "200": { description: it, content: { application/json: { schema: { $ref: "#/components/schemas/Item" } } } } } }
security: [ { key: [] } ]
components:
  parameters: { Id: { name: id, in: path, required: true, schema: { type: integer } } }
  securitySchemes: { key: { type: apiKey, in: header, name: x-key } }
  schemas: { Item: { type: object, required: [sku], properties: { sku: { type: string, nullable: true }, parts: { type: array, items: { $ref: "#/components/schemas/Item" } } } } }
`;
const other = `
openapi: 3.1.0
info: { title: Other, version: "1" }
paths: { /other: { get: { operationId: putOrder, security: [ { key: [] } ], responses: { "200": { description: it, content: { application/json: { schema: { $ref: "#/components/schemas/Item" } } } } } } } }
components: { securitySchemes: { key: { type: http, scheme: basic } }, schemas: { Item: { type: string }, Problem: { type: integer } } }
`;
const flows = `flows:
  put: { image: f.mfi, from: [ { http: { openapi: orders.yaml, operation: putOrder, path: /v1, auth: { apiKey: { header: x-key, keys: { ada: secret } } } } } ] }
  get: { image: f.mfi, from: [ { http: { openapi: ./orders.yaml, operation: getOrdersId, path: /v1, auth: { apiKey: { header: x-key, keys: { ada: secret } } } } } ] }
  other: { image: f.mfi, from: [ { http: { openapi: other.yaml, auth: { basic: "ada:secret" } } }, { http: { path: /plain, method: GET } } ] }
`;

interface Written {
  readonly info: { readonly title: string };
  readonly paths: Readonly<
    Record<string, Readonly<Record<string, { readonly operationId: string; readonly security?: unknown; readonly responses: object }>>>
  >;
  readonly components: { readonly schemas: object; readonly securitySchemes: object };
}

// The package's types are not needed, so that a tree without it still compiles.
const validatorName: string = "@seriousme/openapi-schema-validator";

async function checkValid(document: unknown): Promise<void> {
  const { Validator } = (await import(validatorName)) as { Validator: new () => { validate(document: unknown): Promise<object> } };
  deepEqual(await new Validator().validate(structuredClone(document)), { valid: true });
}

async function write(dir: string): Promise<void> {
  await writeFile(join(dir, "orders.yaml"), orders);
  await writeFile(join(dir, "other.yaml"), other);
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-contracts-"));
  await write(folder);
});
after(() => rm(folder, { recursive: true, force: true }));

function checkMerged(document: Written): void {
  deepEqual(Object.keys(document.components.schemas).sort(), ["Accepted", "Item", "Item2", "Problem"]);
  deepEqual(Object.keys(document.components.securitySchemes), ["key", "key2"]);
  const put = document.paths["/v1/orders/{id}"]?.["put"];
  const get = document.paths["/v1/orders/{id}"]?.["get"];
  const second = document.paths["/other"]?.["get"];
  deepEqual([put?.operationId, get?.operationId, second?.operationId], ["putOrder", "getOrdersId", "putOrder_2"]);
  deepEqual([put?.security, second?.security], [[{ key: [] }], [{ key2: [] }]]);
  match(JSON.stringify(get?.responses), /schemas\/Item"/);
  match(JSON.stringify(second?.responses), /schemas\/Item2"/);
  deepEqual(Object.keys(put?.responses ?? {}).join(), "200,500,502,503,504,4XX"); // 4XX has the gateway's 4…
  ok("401" in (get?.responses ?? {}));
}

test("mayfly openapi merges contracts with each other and with what else is served, valid and without secrets", async () => {
  const file = join(folder, "mayfly.yaml");
  await writeFile(file, flows);
  const document = openApiDocument(
    (await showConfig(file, connectors, {})) as never,
    { title: "all", version: "1" },
    folder,
  ) as unknown as Written;
  await checkValid(document);
  checkMerged(document);
  ok("/plain" in document.paths);
  equal(JSON.stringify(document).includes("secret"), false);
});

test("the document of contracts is served, moved and turned off, and a reload changes it", async () => {
  await withGateway(
    flows,
    { f: () => [done("{}", 200, "application/json")] },
    async ({ url, gateway, config }) => {
      const response = await fetch(`${url}/openapi.json`);
      deepEqual([response.status, response.headers.get("content-type")], [200, "application/json"]);
      const document = (await response.json()) as Written;
      await checkValid(document);
      checkMerged(document);
      deepEqual([document.info.title, "/plain" in document.paths], ["Orders, Other", false]);
      const head = await fetch(`${url}/openapi`, { method: "HEAD" });
      deepEqual([head.status, head.headers.get("content-type")], [200, "text/html; charset=utf-8"]);
      match(head.headers.get("content-security-policy") ?? "", /^default-src 'none'; script-src 'sha256-/);
      await gateway.reload(config("flows: { f: { image: f.mfi, from: [ { http: { path: /openapi.json, method: GET } } ] } }"));
      equal(await (await fetch(`${url}/openapi.json`)).text(), "{}");
      equal((await fetch(`${url}/openapi`)).status, 404);
      await gateway.reload(config('flows: { f: { image: f.mfi, from: [ { http: { openapi: other.yaml, auth: { basic: "a:b" } } } ] } }'));
      equal(((await (await fetch(`${url}/openapi.json`)).json()) as Written).info.title, "Other");
    },
    { before: write },
  );
  const contract = 'flows: { f: { image: f.mfi, from: [ { http: { openapi: other.yaml, auth: { basic: "a:b" } } } ] } }';
  await withGateway(
    `http: { port: 0, openapi: /docs/api.json }\n${contract}`,
    { f: () => [done()] },
    async ({ url }) => {
      deepEqual(
        [
          (await fetch(`${url}/docs/api.json`)).status,
          (await fetch(`${url}/docs/api`)).status,
          (await fetch(`${url}/openapi.json`)).status,
        ],
        [200, 200, 404],
      );
    },
    { before: write },
  );
  await withGateway(
    `http: { port: 0, openapi: off }\n${contract}`,
    { f: () => [done()] },
    async ({ url }) => void equal((await fetch(`${url}/openapi.json`)).status, 404),
    { before: write },
  );
});

test("a path of a flow that the document has is an error", async () => {
  const file = join(folder, "taken.yaml");
  const taken = (http: string): Promise<void> =>
    writeFile(
      file,
      `${http}\nflows:\n  f:\n    image: f.mfi\n    from:\n      - http: { openapi: other.yaml, auth: { basic: "a:b" } }\n      - http: { path: /openapi, method: GET }\n`,
    );
  await taken("");
  await rejects(
    loadConfig(file, connectors, {}),
    /taken\.yaml:7:23 MF_CONFIG_INVALID .*from\[1\]\.http\.path: GET \/openapi is taken by the document/,
  );
  await taken("http: { openapi: off }");
  await loadConfig(file, connectors, {});
  await taken("http: { openapi: /x }");
  await rejects(loadConfig(file, connectors, {}), /must be a path that ends in \.json, or off/);
});

test("the page shows operations, sends what is filled in, and takes the document's texts as texts", { skip: withoutBrowser }, async () => {
  const hostile = orders.replace("Change an order", "<img src=x onerror=alert(1)>");
  const yaml = "flows: { f: { image: f.mfi, from: [ { http: { openapi: orders.yaml } } ] } }";
  const browser = await openBrowser();
  try {
    await withGateway(
      yaml,
      { f: () => [done('{"sku":"made"}', 200, "application/json")] },
      async ({ url, runner }) => {
        const { page, context, errors } = await openTab(browser);
        await page.goto(`${url}/openapi`);
        const put = page.locator("details").filter({ hasText: "PUT /orders/{id}" });
        await put.locator("summary").click();
        equal(await page.locator("img").count(), 0);
        equal(await put.locator("summary small").textContent(), "<img src=x onerror=alert(1)>");
        await put.getByLabel("id (path, integer, required)").fill("12");
        await put.getByLabel("More headers").fill("x-own: 1");
        await put.getByRole("button", { name: "Send" }).click();
        await page.getByText('"sku": "made"').waitFor();
        const [{ headersJson, body } = { headersJson: "{}", body: new Uint8Array() }] = runner.delivered;
        const headers = JSON.parse(headersJson) as Record<string, string>;
        deepEqual([headers["mayfly-path"], headers["mayfly-query"], headers["x-own"]], ["/orders/12", "notify=true", "1"]);
        deepEqual(Object.keys(JSON.parse(Buffer.from(body).toString()) as object), ["sku", "parts"]);
        await put.getByLabel("id (path, integer, required)").fill("x");
        await put.getByRole("button", { name: "Send" }).click();
        await page.getByText("MF_CONTRACT_REQUEST").waitFor();
        deepEqual(errors, []);
        await context.close();
      },
      { before: (dir) => writeFile(join(dir, "orders.yaml"), hostile.replace("security: [ { key: [] } ]", "")) },
    );
  } finally {
    await browser.close();
  }
});
