/** Contracts that can't be served are errors of mayfly.yaml, with its line and that of the contract. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import type { GatewayConfig } from "../../../gateway/contract/config.ts";
import { ConfigError } from "../../../gateway/config/problem.ts";
import { readConfig } from "../../../gateway/config/read.ts";
import { connectors } from "../../mod.ts";
import type { HttpSourceConfig } from "../source-settings.ts";
import type { Contract } from "./model.ts";
import { routePath } from "./route-path.ts";

let root: string;
let folder: string;

before(async () => {
  root = await mkdtemp(join(tmpdir(), "mayfly-contract-"));
  folder = join(root, "project");
  await mkdir(folder);
});
after(() => rm(root, { recursive: true, force: true }));

type Files = Readonly<Record<string, string>>;

async function configOf(files: Files, http: string, more = ""): Promise<GatewayConfig> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  const yaml = `flows:\n  f:\n    image: f.mfi\n    from:\n      - http: ${http}\n${more}`;
  return readConfig(yaml, join(folder, "mayfly.yaml"), { ...connectors, environment: {} });
}

async function contractOf(files: Files, http = "{ openapi: api.yaml }"): Promise<Contract> {
  const config = await configOf(files, http);
  const { contract } = config.flows["f"]?.from[0]?.config as HttpSourceConfig;
  ok(contract !== undefined);
  return contract;
}

/** The first problem: `LINE CODE PATH: MESSAGE`. */
async function problemOf(files: Files, http = "{ openapi: api.yaml }", more = ""): Promise<string> {
  try {
    await configOf(files, http, more);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const [{ line, code, path, message } = { line: 0, code: "", path: "", message: "" }] = error.problems;
    return `${line} ${code} ${path}: ${message}`;
  }
  return "no problem";
}

const head = 'openapi: 3.1.0\ninfo: { title: t, version: "1" }\n';
const done = 'responses: { "204": { description: done } }';
const one = (schema: string, more = ""): Files => ({
  "api.yaml": `${head}paths:\n  /a:\n    post:\n      operationId: a\n      requestBody: { content: { application/json: { schema: ${schema} } } }\n      ${done}\n${more}`,
});
const bare = (path = "/a", more = ""): string => `${head}paths:\n  ${path}:\n    post: { operationId: a, ${more}${done} }\n`;

test("what mayfly.yaml and a contract say differently is an error at the line of the setting", async () => {
  const api = { "api.yaml": `${bare()}  /b:\n    get: { operationId: b, ${done} }\n` };
  match(
    await problemOf(api, "{ openapi: api.yaml, operation: c }"),
    /^5 MF_CONTRACT_OPERATION flows\.f\.from\[0\]\.http\.operation: api\.yaml has no operation c: it has a, b$/,
  );
  match(
    await problemOf(api, "{ openapi: api.yaml, operation: a }"),
    /^5 MF_CONTRACT_UNSERVED .*http\.operation: no flow has the operation b of the contract/,
  );
  equal(await problemOf(api, "{ openapi: api.yaml, operation: a, partial: true }"), "no problem");
  equal(await problemOf(api, "{ openapi: api.yaml, operation: [a, b] }"), "no problem");
  equal(await problemOf(api, "{ openapi: api.yaml, operation: a }", "      - http: { openapi: ./api.yaml, operation: b }\n"), "no problem");
  match(
    await problemOf(api, "{ openapi: api.yaml }", "      - http: { path: /b, method: GET }\n"),
    /^6 MF_CONFIG_INVALID .*from\[1\]\.http\.path: GET \/b is taken by flows\.f/,
  );
  match(
    await problemOf(api, "{ path: /b, method: GET }", "      - http: { openapi: api.yaml }\n"),
    /^6 MF_CONFIG_INVALID .*from\[1\]\.http\.openapi: GET \/b is taken/,
  );
  equal(await problemOf(api, "{ openapi: api.yaml, path: /v1 }", "      - http: { path: /b, method: GET }\n"), "no problem");
  match(await problemOf(api, "{ openapi: api.yaml, method: POST }"), /http\.method: the contract has the methods/);
  match(await problemOf(api, "{ openapi: api.yaml, path: '/:v' }"), /http\.path: beside `openapi`/);
  match(await problemOf(api, "{ openapi: api.yaml, cloudevents: true }"), /http\.cloudevents: the contract describes/);
  match(await problemOf(api, "{ openapi: api.yaml, mode: accept }"), /MF_CONTRACT_MODE .*http\.mode: accept is answered 202/);
  match(await problemOf({}, "{ path: /x, operation: a }"), /http\.operation: belongs to a contract/);
  match(await problemOf({}, "{ method: GET }"), /http(\.path)?: "path" is missing/);
  const secured = {
    "api.yaml": `${bare()}security: [ { key: [] } ]\ncomponents: { securitySchemes: { key: { type: apiKey, in: header, name: k } } }\n`,
  };
  match(await problemOf(secured), /MF_CONTRACT_SECURITY .*http\.openapi: a of api\.yaml asks for credentials \(key\)/);
  equal(await problemOf(secured, "{ openapi: api.yaml, auth: { bearer: abc } }"), "no problem");
  equal(await problemOf({ "api.yaml": secured["api.yaml"].replace("{ key: [] }", "{ key: [] }, {}") }), "no problem");
  equal(
    await problemOf(
      { "api.yaml": bare("/a/{order-id}", "parameters: [ { name: order-id, in: path, required: true } ], ") },
      "{ openapi: api.yaml }",
      "    key: path:order-id\n",
    ),
    "no problem",
  );
});

test("files of a contract are within the project, and not too long", async () => {
  const outside = join(root, "outside.yaml");
  await writeFile(outside, bare());
  await symlink(outside, join(folder, "link.yaml"));
  match(await problemOf({}, "{ openapi: ../outside.yaml }"), /MF_CONTRACT_FILE .*outside the folder of mayfly\.yaml/);
  match(await problemOf({}, "{ openapi: link.yaml }"), /MF_CONTRACT_FILE .*outside the folder/);
  match(await problemOf({}, "{ openapi: /etc/hostname }"), /MF_CONTRACT_FILE .*outside the folder/);
  match(await problemOf({}, "{ openapi: missing.yaml }"), /^5 MF_CONTRACT_FILE .*http\.openapi: missing\.yaml can't be read \(ENOENT\)/);
  match(await problemOf({}, "{ openapi: . }"), /MF_CONTRACT_FILE/);
  match(
    await problemOf(one('{ $ref: "../outside.yaml" }')),
    /MF_CONTRACT_FILE .*api\.yaml:7 \/paths\/~1a\/post\/requestBody\/content\/application~1json\/schema: .*outside the folder/,
  );
  match(await problemOf(one('{ $ref: "https://example.com/a.yaml" }')), /MF_CONTRACT_REF .*leads to the network/);
  match(await problemOf(one('{ $ref: "//example.com/a.yaml" }')), /MF_CONTRACT_REF .*leads to the network/);
  match(await problemOf(one('{ $ref: "file:///etc/passwd" }')), /MF_CONTRACT_REF/);
  match(await problemOf(one('{ $ref: "#/components/schemas/No" }')), /MF_CONTRACT_REF .*leads to nothing/);
  match(await problemOf(one('{ $ref: "#anchor" }')), /MF_CONTRACT_REF .*is not a file and a JSON pointer/);
  match(
    await problemOf({ "api.yaml": `${bare()}x-filler: "${"x".repeat(10 * 2 ** 20)}"\n` }),
    /MF_CONTRACT_LIMIT .*longer than 4194304 bytes/,
  );
  match(
    await problemOf({ "api.yaml": `${bare()}x-deep: ${"[".repeat(150)}${"]".repeat(150)}\n` }),
    /MF_CONTRACT_LIMIT .*more than 100 levels/,
  );
  match(await problemOf({ "api.yaml": `${bare()}x-deep: ${"[".repeat(50_000)}\n` }), /MF_CONTRACT_(SYNTAX|LIMIT)/);
  const aliases = Array.from({ length: 30 }, (_, index) => `  - &a${index + 1} [*a${index}, *a${index}]`).join("\n");
  match(await problemOf({ "api.yaml": `${bare()}x-bomb:\n  - &a0 [1]\n${aliases}\n` }), /MF_CONTRACT_SYNTAX/);
  match(await problemOf({ "api.yaml": "a: [" }), /MF_CONTRACT_SYNTAX .*api\.yaml is not YAML: line 1/);
  match(await problemOf({ "api.json": "{" }, "{ openapi: api.json }"), /MF_CONTRACT_SYNTAX .*api\.json is not JSON/);
});

test("documents and schemas that are wrong are named with their place", async () => {
  match(await problemOf({ "api.yaml": "swagger: '2.0'\npaths: {}\n" }), /MF_CONTRACT_VERSION .*is OpenAPI 2\.0/);
  match(await problemOf({ "api.yaml": "openapi: 3.2.0\npaths: {}\n" }), /MF_CONTRACT_VERSION/);
  match(await problemOf({ "api.yaml": "[]" }), /MF_CONTRACT_VERSION .*is no OpenAPI document/);
  match(await problemOf({ "api.yaml": `${head}paths: {}\n` }), /MF_CONTRACT_DOCUMENT .*has no operation/);
  match(await problemOf({ "api.yaml": bare("/a/{id}") }), /MF_CONTRACT_DOCUMENT .*the path has \{id\}, and no parameter/);
  match(await problemOf({ "api.yaml": bare("/a", "parameters: [ { name: id, in: path } ], ") }), /the path \/a has no \{id\}/);
  match(
    await problemOf({ "api.yaml": bare("/a", "parameters: [ { name: id, in: body } ], ") }),
    /api\.yaml:5 \/paths\/~1a\/post\/parameters\/0: must be `in` one of/,
  );
  match(
    await problemOf({ "api.yaml": bare("/a", "parameters: [ { name: id, in: path, style: matrix } ], ") }),
    /style matrix, which is not supported: use simple/,
  );
  match(await problemOf({ "api.yaml": bare("/a*") }), /contains a \?, # or \*/);
  match(await problemOf({ "api.yaml": bare("/-/a") }), /is below \/-\//);
  match(await problemOf({ "api.yaml": bare("/a").replace("204", "2oo") }), /is no status/);
  match(await problemOf({ "api.yaml": bare("/a").replace("post", "trace") }), /TRACE/);
  match(await problemOf({ "api.yaml": `${bare()}  /b: { get: { operationId: a, ${done} } }\n` }), /has the operationId a of POST \/a/);
  match(
    await problemOf({
      "api.yaml": `${head}paths: { /a: { post: { responses: { "200": { $ref: "#/paths/~1a/post/responses/200" } } } } }\n`,
    }),
    /refers to itself/,
  );
  match(await problemOf(one("{ pattern: '(' }")), /MF_CONTRACT_PATTERN .*schema\/pattern: Invalid regular expression/);
  match(await problemOf(one("{ properties: { a: { pattern: '^(a+)+$' } } }")), /MF_CONTRACT_PATTERN .*exponential/);
  match(await problemOf(one("{ patternProperties: { '(x|x)*y': {} } }")), /MF_CONTRACT_PATTERN .*exponential/);
  match(await problemOf(one("{ type: strin }")), /MF_CONTRACT_SCHEMA .*operation a, body/);
  match(await problemOf(one("{ $dynamicRef: '#a' }")), /MF_CONTRACT_SCHEMA .*\$dynamicRef/);
  match(await problemOf(one("7")), /MF_CONTRACT_SCHEMA .*is not a schema/);
  match(
    await problemOf(one('{ $ref: "#/components/schemas/A" }', 'components: { schemas: { A: { $ref: "#/components/schemas/A" } } }\n')),
    /refers to itself/,
  );
});

test("references lead to other files, from there on, and in circles", async () => {
  const { schemas, document, all } = await contractOf({
    ...one('{ $ref: "schemas/order.yaml#/Order" }'),
    "schemas/order.yaml":
      'Order: { type: object, properties: { next: { $ref: "#/Order" }, lines: { type: array, items: { $ref: "line.json" } } } }\n',
    "schemas/line.json":
      '{ "type": "object", "properties": { "order": { "$ref": "order.yaml#/Order" }, "$ref": { "type": "string" } }, "examples": [ { "$ref": "left" } ] }',
  });
  deepEqual(all, ["a"]);
  deepEqual(schemas, {
    Order: {
      type: "object",
      properties: { next: { $ref: "#/components/schemas/Order" }, lines: { type: "array", items: { $ref: "#/components/schemas/line" } } },
    },
    line: {
      type: "object",
      properties: { order: { $ref: "#/components/schemas/Order" }, $ref: { type: "string" } },
      examples: [{ $ref: "left" }],
    },
  });
  deepEqual((document["paths"] as Record<string, unknown>)["/a"], {
    post: {
      operationId: "a",
      requestBody: { content: { "application/json": { schema: { $ref: "#/components/schemas/Order" } } } },
      responses: { "204": { description: "done" } },
    },
  });
});

test("OpenAPI 3.0 has its own words for null and for bounds", async () => {
  const old = one(
    "{ type: object, properties: { a: { type: integer, nullable: true, minimum: 1, exclusiveMinimum: true, enum: [2, 3] }, b: { nullable: true, allOf: [ { type: string } ] }, c: { maximum: 3, exclusiveMaximum: false } } }",
  )["api.yaml"] as string;
  const { operations } = await contractOf({ "api.yaml": old.replace("3.1.0", "3.0.3") });
  deepEqual((operations[0]?.body?.content["application/json"]?.schema as Record<string, unknown>)["properties"], {
    a: { type: ["integer", "null"], exclusiveMinimum: 1, enum: [2, 3, null] },
    b: { anyOf: [{ allOf: [{ type: "string" }] }, { type: "null" }] },
    c: { maximum: 3 },
  });
});

test("the configuration in CONTRACTS.md is one", async () => {
  const page = await readFile(new URL("../../../../docs/CONTRACTS.md", import.meta.url), "utf8");
  const yaml = /```yaml\n([\s\S]*?)```/.exec(page)?.[1] ?? "";
  const operation = (method: string, id: string): string => `${method}: { operationId: ${id}, ${done} }`;
  const paths = `paths: { /orders: { ${operation("post", "createOrder")} }, /pets: { ${operation("get", "listPets")}, ${operation("put", "getPet")} } }`;
  await writeFile(join(folder, "petstore.yaml"), `${head}${paths}\n`);
  const { flows } = readConfig(yaml, join(folder, "mayfly.yaml"), { ...connectors, environment: {} });
  deepEqual(
    Object.values(flows).map(({ from }) => (from[0]?.config as HttpSourceConfig).contract?.operations.map(({ id }) => id)),
    [["createOrder"], ["listPets", "getPet"]],
  );
});

test("an operation of 3.1 may say nothing of replies: they are not checked", async () => {
  const { operations } = await contractOf(
    { "api.yaml": `${head}paths: { /a: { get: { operationId: a } } }\n` },
    "{ openapi: api.yaml, mode: accept }",
  );
  deepEqual(operations[0]?.replies, {});
});

test("path templates become the router's paths", () => {
  deepEqual(routePath("/a/{b}/c:d/{e-f}.json", "/v1"), { path: "/v1/a/:b/c::d/:e_f.json", names: { b: "b", e_f: "e-f" } });
  for (const wrong of ["a", "/a?b", "/a*", "/{}", "/{a}{b}", "/{a}x", "/{a-b}/{a_b}", "/{a", "/-/a"])
    equal(typeof routePath(wrong, ""), "string", wrong);
});
