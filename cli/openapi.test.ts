/** `mayfly openapi` as it is used: on a project without its secrets, as YAML, as JSON, into a file. */
import { deepEqual, equal, match } from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parse } from "yaml";
import { capture } from "./capture.ts";

let folder: string;
let config: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-openapi-"));
  config = join(folder, "mayfly.yaml");
  await writeFile(join(folder, "package.json"), '{ "name": "shop", "version": "2.0.1" }');
  await writeFile(config, 'flows: { a: { flow: a.ts, from: [ { http: { path: "/a/:id", auth: { bearer: "${TOKEN}" } } } ] } }\n');
  await writeFile(join(folder, "mayfly.prod.yaml"), 'flows: { a: { from: [ { http: { path: "/v2/:id" } } ] } }\n');
  await writeFile(join(folder, "mayfly.odd.yaml"), 'flows: { a: { from: [ { http: { path: "/${TENANT}" } } ] } }\n');
  await writeFile(join(folder, "mayfly.none.yaml"), "flows: { a: { from: [] } }\n");
});
after(() => rm(folder, { recursive: true, force: true }));

test("the document is the same as YAML, as JSON and in a file, and needs no secret", async () => {
  const asYaml = await capture(["openapi", "-c", config]);
  deepEqual([asYaml.code, asYaml.err], [0, ""]);
  const asJson = await capture(["openapi", "-c", config, "--json"], { env: { TOKEN: "hidden" } });
  const document = JSON.parse(asJson.out) as { info: object; paths: object };
  deepEqual(parse(asYaml.out), document);
  deepEqual([document.info, Object.keys(document.paths)], [{ title: "shop", version: "2.0.1" }, ["/a/{id}"]]);
  for (const [name, read] of [
    ["o.json", (text: string): unknown => JSON.parse(text)],
    ["o.yaml", (text: string): unknown => parse(text)],
  ] as const) {
    const written = await capture(["openapi", "-c", config, "-o", join(folder, name)]);
    deepEqual([written.code, written.out], [0, ""]);
    deepEqual(read(await readFile(join(folder, name), "utf8")), document);
  }
});

test("profiles count, and what is wrong is told", async () => {
  match((await capture(["openapi", "-c", config, "--profile", "prod"])).out, /^ {2}\/v2\/\{id\}:$/m);
  const odd = await capture(["openapi", "-c", config, "--profile", "odd", "--json"]);
  deepEqual([odd.code, (JSON.parse(odd.out) as { error: { code: string } }).error.code], [2, "MF_OPENAPI_REFERENCE"]);
  const none = await capture(["openapi", "-c", config, "--profile", "none"]);
  deepEqual([none.code, (parse(none.out) as { paths: object }).paths], [0, {}]);
  match(none.err, /has no HTTP source/);
  equal((await capture(["openapi", "-c", config, "--json", "--yaml"])).code, 2);
  equal((await capture(["openapi", "-c", join(folder, "no.yaml")])).code, 2);
  const nowhere = await capture(["openapi", "-c", config, "-o", join(folder, "no", "such", "file")]);
  deepEqual([nowhere.code, /^MF_IO: /.test(nowhere.err)], [2, true]);
});
