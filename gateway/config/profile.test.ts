/** Profiles: mayfly.prod.yaml over mayfly.yaml, with places in both files. */
import { deepEqual, equal, match, rejects, throws } from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { parseDocument, stringify } from "yaml";
import { connectors } from "#connectors";
import { withFolder } from "../../connectors/testing/rig.ts";
import { configFiles, loadConfig, showConfig } from "./load.ts";
import { readPlaces } from "./places.ts";
import { ConfigError } from "./problem.ts";
import { mergeDocuments, mergeValues, profileFile, profileOf } from "./profile.ts";
import { readConfig } from "./read.ts";

const base = `# the shop
flows:
  orders:
    flow: orders.ts
    from: [ { http: { path: /orders } }, { cron: { every: 1h } } ]
    to:
      erp: { http: { url: "http://localhost:9000", timeout: 5s } }
    retry: { attempts: 2 }
journal: { memory: true }
log: { level: debug }
`;

function read(over: string, environment: Readonly<Record<string, string>> = {}, text = base) {
  return readConfig(text, "/srv/mayfly.yaml", { ...connectors, environment, profile: { file: "/srv/mayfly.prod.yaml", text: over } });
}

test("objects are merged, everything else replaces, and null takes away", () => {
  const config = read(
    `
flows:
  orders:
    from: [ { http: { path: /v2/orders } } ]
    to: { erp: { http: { url: "\${ERP}" } } }
    retry:
  audit: { image: audit.mfi }
journal: { memory: null, dir: /var/lib/mayfly }
`,
    { ERP: "https://erp.example" },
  );
  const { orders, audit } = config.flows;
  deepEqual(
    orders?.from.map(({ config }) => (config as { readonly path: string }).path),
    ["/v2/orders"],
  );
  const { url, timeout } = orders?.to["erp"]?.config as { url: string; timeout: number };
  deepEqual([url, timeout, orders?.retry.attempts, audit?.image], ["https://erp.example", 5000, 5, "audit.mfi"]);
  deepEqual([config.journal.dir, config.log.level], ["/var/lib/mayfly", "debug"]);
});

test("a fault is told with the file it is in", () => {
  const problems = (over: string, text = base): string => {
    try {
      read(over, {}, text);
    } catch (error) {
      if (error instanceof ConfigError) return error.message;
    }
    return "none";
  };
  match(problems("log:\n  level: loud"), /^mayfly\.prod\.yaml:2:\d+ MF_CONFIG_INVALID log\.level: must be one of/);
  match(
    problems("flows:\n  orders:\n    to:\n      erp: { http: { url: '${NOWHERE}' } }"),
    /^mayfly\.prod\.yaml:4:\d+ MF_CONFIG_ENV .*NOWHERE/,
  );
  match(problems("log: { level: info }", `${base}lgo: 1\n`), /^mayfly\.yaml:11:1 MF_CONFIG_INVALID lgo: unknown key/);
  match(problems("log: [\n"), /^mayfly\.prod\.yaml:\d+:\d+ MF_CONFIG_SYNTAX/);
  match(problems("just text"), /^mayfly\.prod\.yaml:1:1 MF_CONFIG_INVALID/);
  equal(problems(""), "none");
  equal(problems("# nothing\n"), "none");
  match(problems("flows: { orders: { to: { erp: { file: { dir: out } } } } }"), /must have exactly one connector/);
});

test("a part that is named again is changed in its own place only; names of the two files are apart", () => {
  const text = `flows:
  a: &flow { image: a.mfi, retry: &retry { attempts: 2, age: 1h } }
  b: *flow
  c: { image: c.mfi, retry: *retry }
`;
  const { flows } = read(
    "flows: { b: { image: b.mfi }, c: { retry: &retry { attempts: 9 } }, d: { image: d.mfi, retry: *retry } }",
    {},
    text,
  );
  deepEqual(
    Object.values(flows).map(({ image, retry }) => [image, retry.attempts, retry.age]),
    [
      ["a.mfi", 2, 3_600_000],
      ["b.mfi", 2, 3_600_000],
      ["c.mfi", 9, 3_600_000],
      ["d.mfi", 9, 86_400_000],
    ],
  );
});

test("the environment names the profile, and every reader of the configuration has it", async () => {
  equal(profileFile("/a.b/mayfly.yaml", "prod"), "/a.b/mayfly.prod.yaml");
  equal(profileOf({ MAYFLY_PROFILE: "" }), undefined);
  for (const name of ["../prod", "a/b", "-x", "a".repeat(65)])
    throws(() => profileOf({ MAYFLY_PROFILE: name }), { code: "MF_CONFIG_PROFILE" });
  await withFolder(async (dir) => {
    const file = join(dir, "mayfly.yaml");
    await writeFile(file, base);
    await writeFile(join(dir, "mayfly.prod.yaml"), "journal: { memory: null, dir: elsewhere }\ndeadLetters: { dir: letters }\n");
    const environment = { MAYFLY_PROFILE: "prod" };
    deepEqual(await readPlaces(file, environment).then((places) => [places.journal.dir, places.deadLetters.dir]), ["elsewhere", "letters"]);
    equal((await readPlaces(file, {})).journal.dir, undefined);
    equal((await loadConfig(file, connectors, environment)).journal.dir, "elsewhere");
    deepEqual(configFiles(file, environment), [file, join(dir, "mayfly.prod.yaml")]);
    await rejects(
      loadConfig(file, connectors, { MAYFLY_PROFILE: "test" }),
      /MF_CONFIG_PROFILE|mayfly\.test\.yaml, which can't be read \(ENOENT\)/,
    );
  });
});

test("what is shown needs no secrets: a reference to nothing is shown as it is written", async () => {
  await withFolder(async (dir) => {
    const file = join(dir, "mayfly.yaml");
    await writeFile(
      file,
      `http: { port: "\${PORT}" }\nflows: { a: { image: a.mfi, to: { erp: { http: { url: "\${ERP_URL}", auth: { bearer: "\${file:no/such}" } } } } } }\n`,
    );
    type Erp = { readonly url: string; readonly auth: { readonly bearer: string }; readonly timeout: number };
    const { http, flows } = (await showConfig(file, connectors, {})) as {
      readonly http: { readonly port: unknown };
      readonly flows: { readonly a: { readonly to: { readonly erp: { readonly http: Erp } } } };
    };
    const erp = flows.a.to.erp.http;
    deepEqual([http.port, erp.url, erp.auth.bearer, erp.timeout], ["${PORT}", "${ERP_URL}", "${file:no/such}", 30_000]);
    await writeFile(file, `flows: { a: { image: a.mfi, to: { erp: { http: { url: "\${ERP_URL}", method: FETCH } } } } }\n`);
    await rejects(showConfig(file, connectors, {}), /method: must be one of/);
  });
});

const json = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 3 }, fc.constantFrom(1, "a", true), fc.array(tie("value"), { maxLength: 2 }), tie("table")),
  table: fc.dictionary(fc.constantFrom("a", "b", "c"), fc.oneof(tie("value"), fc.constant(null)), { maxKeys: 3 }),
}));

/** A file has no setting without a value where it counts: null is the same as nothing there. */
function withoutNull(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).flatMap(([name, each]) => (each === null ? [] : [[name, withoutNull(each)]])));
}

/** Of plain objects, as YAML reads them. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value)) as unknown;

test("documents are merged as their values are", () => {
  fc.assert(
    fc.property(json.table.map(plain), json.table.map(plain), (first, over) => {
      const document = parseDocument(stringify(withoutNull(first)));
      mergeDocuments(document, parseDocument(stringify(over)), 10_000);
      deepEqual(document.toJS() ?? {}, mergeValues(withoutNull(first), over));
    }),
    { numRuns: 500 },
  );
});
