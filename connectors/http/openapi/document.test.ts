/** The OpenAPI document beside what is served: its paths find their routes, and the answers are those it lists. */
import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import { shownConfig } from "../../../gateway/config/read.ts";
import { Router } from "../../../gateway/http/router.ts";
import { withGateway } from "../../../gateway/testing/rig.ts";
import { done, fail } from "../../../gateway/testing/scripted.ts";
import { connectors } from "../../mod.ts";
import { openApiDocument } from "./document.ts";
import { shapeOf, templatedPaths } from "./paths.ts";

const info = { title: "shop", version: "1.2.3" };

interface Operation {
  readonly operationId: string;
  readonly security?: readonly object[];
  readonly requestBody?: { readonly content: object };
  readonly parameters: readonly { readonly name: string }[];
  readonly responses: Readonly<Record<string, { readonly headers?: object; readonly content?: object }>>;
}

/** An OpenAPI document, as far as these tests look. */
interface Written {
  readonly servers?: readonly object[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, object>>;
    readonly securitySchemes?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  };
}

function documentOf(yaml: string, environment: Readonly<Record<string, string>> = {}): Written {
  const shown = shownConfig(yaml, "/srv/mayfly.yaml", { ...connectors, environment });
  return openApiDocument(shown as Parameters<typeof openApiDocument>[0], info, "/srv") as unknown as Written;
}

function operationsOf({ paths }: Written): readonly { readonly method: string; readonly path: string; readonly operation: Operation }[] {
  return Object.entries(paths).flatMap(([path, item]) => Object.entries(item).map(([method, operation]) => ({ method, path, operation })));
}

function operationOf(document: Written, method: string, path: string): Operation {
  const operation = document.paths[path]?.[method];
  ok(operation !== undefined, `${method} ${path} is not in the document`);
  return operation;
}

function schemeOf({ components }: Written, name: string): Readonly<Record<string, unknown>> {
  const scheme = components.securitySchemes?.[name];
  ok(scheme !== undefined, `${name} is not in the document`);
  return scheme;
}

const source = (http: string, more = ""): string => `flows: { f: { image: f.mfi, from: [ { http: { path: /x, ${http} } } ]${more} } }`;

// The package's types are not needed, so that a tree without it still compiles.
const validatorName: string = "@seriousme/openapi-schema-validator";

async function checkValid(document: unknown): Promise<void> {
  const { Validator } = (await import(validatorName)) as { Validator: new () => { validate(document: unknown): Promise<object> } };
  deepEqual(await new Validator().validate(structuredClone(document)), { valid: true });
}

const shop = `
http: { port: 8123 }
flows:
  orders:
    image: orders.mfi
    dedup: { window: 1h }
    from:
      - http:
          path: /orders/:id
          method: [GET, PUT]
          allow: [10.0.0.0/8]
          auth:
            - { jwt: { jwks: "https://login.example/jwks.json", issuer: "https://login.example", audience: shop, scopes: [orders.write] } }
            - { apiKey: { header: x-key, keys: { ada: SECRET1 } } }
            - { apiKey: { keys: { ada: "\${KEY_ADA}" } } }
          rateLimit: { rate: 100/m }
      - http: { path: /orders, mode: accept, cloudevents: true, auth: { hmac: { preset: github, secret: SECRET2 }, bearer: SECRET3 } }
      - cron: { every: 1h }
    signals: { paid: { key: header.k, from: [ { http: { path: "/paid/:order" } } ] } }
  files:
    image: files.mfi
    from:
      - http: { path: "/files/*", method: GET }
      - http: { path: "/orders/:nr", method: DELETE, auth: { oidc: { issuer: "https://id.example/", audience: shop }, mtls: {}, basic: "ada:SECRET4" } }
`;

test("paths, methods and credentials of every HTTP source are in a valid document, secrets are not", async () => {
  const document = documentOf(shop, { KEY_ADA: "SECRET5" });
  await checkValid(document);
  await checkValid(documentOf("flows: { f: { image: f.mfi, from: [ { cron: { every: 1h } } ] } }"));
  equal(JSON.stringify(document).includes("SECRET"), false);
  deepEqual(
    operationsOf(document).map(({ method, path, operation: { operationId, responses } }) => [
      method,
      path,
      operationId,
      Object.keys(responses).join(" "),
    ]),
    [
      ["get", "/orders/{id}", "get_orders", "200 204 400 401 403 422 429 431 500 502 503 504 default"],
      ["put", "/orders/{id}", "put_orders", "200 204 400 401 403 413 415 422 429 431 500 502 503 504 default"],
      ["delete", "/orders/{id}", "delete_files", "200 204 400 401 403 431 500 502 503 504 default"],
      ["post", "/orders", "post_orders", "202 400 401 413 415 422 431 500 503"],
      ["post", "/paid/{order}", "post_orders_paid", "202 400 413 415 422 431 500 503"],
      ["get", "/files/{rest}", "get_files", "200 204 400 431 500 502 503 504 default"],
    ],
  );
  deepEqual(document.servers, [{ url: "http://127.0.0.1:8123" }]);
  deepEqual(operationOf(document, "get", "/orders/{id}").security, [{ jwt: ["orders.write"] }, { apiKey: [] }, { apiKey2: [] }]);
  deepEqual(schemeOf(document, "apiKey2"), { type: "apiKey", in: "header", name: "x-api-key" });
  deepEqual(operationOf(document, "post", "/orders").security, [{ bearer: [] }, { signature: [] }]);
  equal(schemeOf(document, "signature")["name"], "x-hub-signature-256");
  equal(schemeOf(document, "oidc")["openIdConnectUrl"], "https://id.example/.well-known/openid-configuration");
  ok("application/cloudevents+json" in (operationOf(document, "post", "/orders").requestBody?.content ?? {}));
  // One path with two names of its parameter: OpenAPI has it once.
  deepEqual(
    operationOf(document, "delete", "/orders/{id}").parameters.map(({ name }) => name),
    ["id", "idempotency-key", "x-correlation-id"],
  );
});

test("what the environment gives may be a secret: where the document needs it, it says so", () => {
  for (const [http, place, value] of [
    ['method: "${M}"', "method", "PUT"],
    ['idHeader: "${M}"', "idHeader", "x-hidden"],
    ['auth: { apiKey: { header: "${M}", keys: { a: b } } }', "auth", "x-hidden"],
  ] as const)
    for (const environment of [{}, { M: value }])
      throws(() => documentOf(source(http), environment), {
        code: "MF_OPENAPI_REFERENCE",
        message: new RegExp(`^flows\\.f\\.from\\[0\\]\\.http\\.${place} contains \\$\\{M\\}`),
      });
  throws(() => documentOf('flows: { f: { image: f.mfi, from: [ { http: { path: "/${P}" } } ] } }'), { code: "MF_OPENAPI_REFERENCE" });
  const issuer = schemeOf(documentOf(source('auth: { oidc: { issuer: "${ISSUER}", audience: a } }')), "oidc");
  deepEqual([issuer["type"], issuer["description"]], ["http", "A token of ${ISSUER} for a."]);
  throws(() => documentOf("flows: { f: { image: f.mfi, from: [ { http: { path: /x/:a } }, { http: { path: /x/:b } } ] } }"), {
    code: "MF_ROUTE_TAKEN",
    message: /^flows\.f\.from\[1\]\.http: POST \/x\/:b is already served/,
  });
});

test("every answer over HTTP is one that the document lists, with its headers", async () => {
  const ajv = new Ajv2020({ strict: false });
  const auth = "auth: { apiKey: { keys: { ada: k } } }";
  const yaml = `flows:
  f: { image: f.mfi, dedup: {}, from: [ { http: { path: "/x/:what", ${auth}, bodyLimit: 1KB, rateLimit: { rate: 7/h } } } ] }
  g: { image: g.mfi, from: [ { http: { path: /later, mode: accept } } ] }
`;
  const document = documentOf(yaml);
  await withGateway(
    yaml,
    {
      f: (event) => {
        const what = event.kind === "deliver" ? (JSON.parse(event.headersJson) as Record<string, string>)["mayfly-path-what"] : "";
        return what === "throw" ? [fail("OUCH")] : what === "teapot" ? [done("short", 418)] : [done(what === "none" ? undefined : "hello")];
      },
      g: () => [done()],
    },
    async ({ url }) => {
      const seen: number[] = [];
      const call = async (path: string, init: { headers?: Record<string, string>; body?: string } = {}): Promise<void> => {
        const response = await fetch(url + path, { method: "POST", ...init });
        const { operation } = operationsOf(document).find(({ path: known }) => known === (path === "/later" ? path : "/x/{what}"))!;
        const listed = operation.responses[String(response.status)] ?? operation.responses["default"];
        ok(listed !== undefined, `${response.status} is not listed`);
        seen.push(response.status);
        const names = [...response.headers.keys()].filter((name) => /^(ratelimit-|mayfly-|retry-after|www-auth)/.test(name));
        for (const name of names) if (name !== "mayfly-message-id") ok(name in (listed.headers ?? {}), `${response.status}: ${name}`);
        for (const name of Object.keys(listed.headers ?? {}))
          ok(name === "mayfly-duplicate" || names.includes(name) || response.status >= 500, `${response.status} lacks ${name}`);
        const type = response.headers.get("content-type") ?? "";
        const content = listed.content as Record<string, { schema?: { $ref: string } }> | undefined;
        const schema = content?.[type]?.schema?.$ref;
        const text = await response.text();
        if (text === "") return;
        ok(schema !== undefined || (content !== undefined && "*/*" in content), `${response.status}: ${type}`);
        if (schema === undefined) return;
        const validate = ajv.compile(document.components.schemas[schema.split("/").at(-1) as string] ?? false);
        ok(validate(JSON.parse(text)), JSON.stringify(validate.errors));
      };
      const headers = { "x-api-key": "k" };
      await call("/x/a"); // no key
      await call("/x/a", { headers });
      await call("/x/none", { headers: { ...headers, "idempotency-key": "1" } });
      await call("/x/none", { headers: { ...headers, "idempotency-key": "1" }, body: "other" });
      await call("/x/teapot", { headers });
      await call("/x/throw", { headers });
      await call("/x/a", { headers, body: "x".repeat(2000) });
      await call("/x/a", { headers: { ...headers, "content-encoding": "zip" }, body: "x" });
      await call("/x/a", { headers }); // the eighth within an hour
      await call("/later");
      deepEqual(seen, [401, 200, 204, 422, 418, 500, 413, 415, 429, 202]);
    },
  );
});

const word = fc.stringMatching(/^[a-z]{1,6}$/);
const segment = fc.oneof(
  word.map((text) => [text]),
  fc.constantFrom(["a::b"], ["{x}"]),
  word.map((name) => [`:${name}`]),
  fc.tuple(word, word).map(([first, second]) => [`:${first}`, `-`, `:${second}`]),
  word.map((name) => [`:${name}`, "(^\\d+$)"]),
);
const patterns = fc
  .tuple(fc.array(segment, { minLength: 1, maxLength: 4 }), fc.constantFrom("", "", "/*", "/:last?"))
  .map(([segments, end]) => `/${segments.map((parts) => parts.join("")).join("/")}${end}`)
  .filter((path) => {
    const names = [...path.matchAll(/:([a-z]+)/g)].map(([, name]) => name);
    return new Set(names).size === names.length;
  });

test("a path as the document has it, filled in, is found by the router with those values", () => {
  fc.assert(
    fc.property(patterns, fc.integer({ min: 0, max: 9999 }), (path, number) => {
      const router = new Router();
      router.add("GET", path, () => undefined);
      for (const { template, parameters } of templatedPaths(path)) {
        const values = new Map(parameters.map(({ name }, index) => [name, String(number + index)]));
        equal(new Set(parameters.map(({ name }) => name)).size, parameters.length);
        equal((template.match(/\{/g) ?? []).length, parameters.length);
        const filled = template.replace(/\{([^}]*)\}/g, (_whole, name: string) => values.get(name) ?? "?");
        const found = router.find("GET", decodeURI(filled));
        ok(found !== undefined, `${path}: ${filled}`);
        const given = Object.values(found.parameters).filter((value) => value !== undefined && value !== "");
        deepEqual(given, [...values.values()], `${path}: ${filled}`);
      }
    }),
    { numRuns: 500 },
  );
});

test("parameters of paths by example", () => {
  const of = (path: string): unknown =>
    templatedPaths(path).map(({ template, parameters }) => [template, parameters.map(({ name }) => name)]);
  deepEqual(of("/a/:id/b.:ext"), [["/a/{id}/b.{ext}", ["id", "ext"]]]);
  deepEqual(of("/a/:b?"), [
    ["/a/{b}", ["b"]],
    ["/a", []],
  ]);
  deepEqual(of("/:rest/*"), [["/{rest}/{rest_}", ["rest", "rest_"]]]);
  deepEqual(templatedPaths("/y/:year(^(19|20)\\d{2}$)-x")[0]?.parameters[0]?.schema["pattern"], "^(19|20)\\d{2}$");
  equal(shapeOf("/a/{b}/{c}"), "/a/{}/{}");
});
