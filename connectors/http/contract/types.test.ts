/** Types of contracts: they compile, and a flow that does not keep to them doesn't. */
import { deepEqual, equal, match } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { readConfig } from "../../../gateway/config/read.ts";
import { connectors, contractTypes } from "../../mod.ts";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
let folder: string;

const contract = `
openapi: 3.1.0
info: { title: Shop, version: "1" }
paths:
  /orders:
    post:
      operationId: createOrder
      summary: Takes */ an order
      parameters: [ { name: dry-run, in: query, schema: { type: boolean, default: false } }, { name: X-Tag, in: header, schema: { type: array, items: { type: string } } } ]
      requestBody: { content: { application/json: { schema: { $ref: "#/components/schemas/Order" } }, application/xml: {} } }
      responses:
        "201": { description: made, content: { application/json: { schema: { $ref: "#/components/schemas/Order" } } } }
        "204": { description: nothing }
        4XX: { description: no, content: { application/json: { schema: { type: object, required: [why], properties: { why: { enum: [taken, gone] } } } } } }
  /orders/{id}:
    get:
      operationId: get-order
      parameters: [ { name: id, in: path, required: true, schema: { type: integer } } ]
      responses: { "200": { description: it, content: { application/json: { schema: { $ref: "#/components/schemas/Order" } } } } }
components:
  schemas:
    Order:
      type: object
      required: [id, sku, kind]
      properties:
        id: { type: integer, readOnly: true }
        sku: { type: string, description: "Of the shelf */" }
        kind: { oneOf: [ { const: 1 }, { type: [string, "null"] } ] }
        odd-name: { allOf: [ { $ref: "#/components/schemas/default" }, { type: object, properties: { b: { $ref: "#/components/schemas/Order" } } } ] }
        pair: { type: array, prefixItems: [ { type: string } ], items: { type: [number, boolean] } }
    default: { type: object, additionalProperties: { type: number } }
`;

const right = `
import { flow } from "mayfly";
import type { Operations } from "./shop.types.ts";
export default flow<Operations["createOrder"]>(async (msg, { reply }) => {
  const order = msg.json();
  const sku: string = order.sku;
  const again = msg.json<Operations["createOrder"]["body"]>();
  const dry: boolean = msg.parameters.query["dry-run"];
  const tags: string[] | undefined = msg.parameters.header["x-tag"];
  const operation: "createOrder" = msg.operation;
  if (dry) return reply(undefined, { status: 204 });
  if (sku === "") return reply({ why: "gone" }, { status: 409 });
  reply({ ...again, ...msg.json(), sku, kind: null, pair: ["a", 1, true] }, { status: 201, headers: { location: operation + tags } });
});
export const all = flow<Operations[keyof Operations], "out">({ outlets: ["out"] }, (msg, { to }) => {
  if (msg.operation === "createOrder") return to.out.send(msg.json().sku);
  const id: number = msg.parameters.path.id;
  return { id, sku: "x", kind: 1 as const };
});
export const plain = flow<"out">((msg, { to }) => to.out.send(msg.operation));
export const untyped = flow({ outlets: ["out"] }, (msg, { to }) => to.out.send(msg.parameters.path["id"]));
`;
const wrong: readonly (readonly [code: string, error: RegExp])[] = [
  ['flow<Operations["createOrder"]>((msg) => msg.json().sky)', /Property 'sky' does not exist/],
  ['flow<Operations["createOrder"]>((msg) => void msg.parameters.query.limit)', /Property 'limit' does not exist/],
  ['flow<Operations["createOrder"]>((_, { reply }) => reply({ why: "other" }, { status: 404 }))', /"gone" \| "taken"/],
  ['flow<Operations["createOrder"]>((_, { reply }) => reply({}, { status: 500 }))', /never/],
  ['flow<Operations["createOrder"]>(() => ({ sku: "a", kind: 1 as const }))', /not assignable/],
  ['flow<Operations["get-order"]>(() => ({ sku: 7, kind: 1 as const }))', /number/],
];

function errorsOf(files: readonly string[]): string {
  const compiler = createRequire(join(root, "package.json")).resolve("typescript/package.json").replace("package.json", "bin/tsc");
  const compilerOptions = {
    target: "ES2023",
    lib: ["ES2023"],
    module: "NodeNext",
    types: [],
    strict: true,
    noEmit: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    allowImportingTsExtensions: true,
    paths: { mayfly: [join(root, "kernel/runtime/api.d.ts")] },
  };
  const config = JSON.stringify({ compilerOptions, files: [...files, join(root, "kernel/runtime/globals.d.ts")] });
  const { stdout } = spawnSync("sh", ["-c", `cat > tsconfig.json && "${process.execPath}" "${compiler}" -p tsconfig.json`], {
    cwd: folder,
    input: config,
    encoding: "utf8",
  });
  return stdout;
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-types-"));
  await writeFile(join(folder, "shop.yaml"), contract);
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
});
after(() => rm(folder, { recursive: true, force: true }));

test("the types of a contract, written for all its sources together, hold in a flow", async () => {
  const yaml =
    "flows: { a: { image: a.mfi, from: [ { http: { openapi: ./shop.yaml, operation: createOrder } } ] }, b: { image: a.mfi, from: [ { http: { openapi: shop.yaml, operation: get-order } } ] } }";
  const types = contractTypes(readConfig(yaml, join(folder, "mayfly.yaml"), { ...connectors, environment: {} }));
  deepEqual([...types.keys()], [join(folder, "shop.types.ts")]);
  for (const [path, text] of types) await writeFile(path, text);
  await writeFile(join(folder, "right.ts"), right);
  equal(errorsOf(["right.ts"]), "");
  const head = 'import { flow } from "mayfly";\nimport type { Operations } from "./shop.types.ts";\n';
  for (const [index, [code]] of wrong.entries()) await writeFile(join(folder, `wrong${index}.ts`), `${head}export default ${code};\n`);
  const errors = errorsOf(wrong.map((_, index) => `wrong${index}.ts`));
  for (const [index, [code, error]] of wrong.entries())
    match(
      errors
        .split(/^(?=wrong)/m)
        .filter((each) => each.startsWith(`wrong${index}.ts`))
        .join("\n"),
      error,
      `${code}\n${errors}`,
    );
});
