/** `mayfly types` as it is used: writes what is not there or is old, and tells. */
import { deepEqual, equal, match } from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture } from "./capture.ts";
import { packageRoot } from "./package.ts";

let folder: string;
let config: string;

const contract = `
openapi: 3.1.0
info: { title: t, version: "1" }
paths:
  /orders:
    post:
      operationId: createOrder
      requestBody: { content: { application/json: { schema: { type: object, properties: { sku: { type: string } } } } } }
      responses: { "201": { description: made, content: { application/json: { schema: { type: object, properties: { id: { type: integer } } } } } } }
  /orders/{id}:
    get:
      operationId: getOrder
      parameters: [ { name: id, in: path, required: true, schema: { type: integer } } ]
      responses: { "200": { description: it } }
`;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-types-"));
  config = join(folder, "mayfly.yaml");
  await writeFile(join(folder, "petstore.yaml"), contract);
  await writeFile(config, "flows: { a: { flow: a.ts, from: [ { http: { openapi: petstore.yaml } } ] } }\n");
});
after(() => rm(folder, { recursive: true, force: true }));

test("types are written once, and again when the contract changes; the flow in CONTRACTS.md keeps to them", async () => {
  const file = join(folder, "petstore.types.ts");
  const first = await capture(["types", "-c", config, "--json"]);
  deepEqual([first.code, JSON.parse(first.out)], [0, { files: [file], written: [file] }]);
  match(await readFile(file, "utf8"), /^ {2}getOrder: \{/m);
  match((await capture(["types", "-c", config])).out, /petstore\.types\.ts \(unchanged\)/);
  const page = await readFile(join(packageRoot, "docs/CONTRACTS.md"), "utf8");
  const flow = join(folder, "a.ts");
  await writeFile(flow, /```ts\n([\s\S]*?)```/.exec(page)?.[1] ?? "");
  deepEqual((await capture(["lint", flow])).code, 0);
  const run = await capture(["run", flow, "-m", "-", "-H", "mayfly-operation=createOrder", "--json"], { stdin: '{"sku":"a"}' });
  match(run.out, /"status": 201/);
  await writeFile(join(folder, "petstore.yaml"), contract.replace("id: { type: integer }", "id: { type: string }"));
  equal((await capture(["types", "-c", config])).out.includes("unchanged"), false);
  const wrong = await capture(["lint", flow]);
  deepEqual([wrong.code, /Type 'number' is not assignable to type 'string/.test(wrong.out)], [1, true]);
});

test("a project without contracts has no types, and a contract with faults is told", async () => {
  const none = join(folder, "none.yaml");
  await writeFile(none, "flows: { a: { flow: a.ts } }\n");
  const told = await capture(["types", "-c", none]);
  deepEqual([told.code, told.out], [0, ""]);
  match(told.err, /has no source with `openapi`/);
  await writeFile(none, "flows: { a: { flow: a.ts, from: [ { http: { openapi: no.yaml } } ] } }\n");
  const refused = await capture(["types", "-c", none]);
  equal(refused.code, 2);
  match(refused.err, /MF_CONTRACT_FILE/);
});
