import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { gatewayLimits } from "../contract/limits.ts";
import { connectors } from "#connectors";
import { contractFolder } from "../../connectors/testing/grpc-contract.ts";
import { expand } from "./environment.ts";
import { publishedSchema } from "./load.ts";
import { exampleConfig, referenceIntro, settingExamples } from "./testing/examples.ts";
import { connectorsMarkdown } from "./testing/markdown.ts";
import { inlineYaml, referenceMarkdown, settingsOf } from "./testing/reference.ts";
import { ConfigError } from "./problem.ts";
import { readConfig, shownConfig } from "./read.ts";
import { editDistance, suggestion } from "./suggest.ts";
import type { GatewayConfig } from "../contract/config.ts";
import { parseDuration, parseDurationRange, parseRate, parseSize } from "../contract/units.ts";

function read(text: string, environment: Readonly<Record<string, string>> = {}, file = "/some/where/mayfly.yaml"): GatewayConfig {
  return readConfig(text, file, { ...connectors, environment });
}

function problems(text: string, environment: Readonly<Record<string, string>> = {}, file?: string): string[] {
  try {
    read(text, environment, file);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.split("\n");
  }
}

const good = `
flows:
  orders:
    flow: flows/orders.ts
    from:
      - http: { method: POST, path: /orders }
      - file: { dir: ./inbox, every: 500ms }
    to:
      erp: { http: { url: "\${ERP_URL}", timeout: 5s }, rate: 100/s }
      audit:
        file: { dir: ./audit, name: "{date}/{id}.json" }
        retry: { attempts: 3 }
    hosts: ["*.example.com", "localhost:8080"]
    retry: { attempts: 7, backoff: 100ms..10s }
    limits: { memory: 16MiB, cpu: 500ms, time: 30s }
    key: json:/customer/id
    dedup: { window: 1h }
http: { port: "\${PORT:-8080}" }
`;

test("the whole of a configuration is read: environment, units, defaults", () => {
  const config = read(good, { ERP_URL: "http://erp/" });
  const { orders } = config.flows;
  ok(orders);
  equal(config.base, "/some/where");
  equal(config.http.port, 8080);
  deepEqual(config.http.admin, { enabled: true, host: "127.0.0.1", hosts: [], port: undefined, token: undefined });
  deepEqual(orders.retry, { attempts: 7, backoff: { least: 100, most: 10_000 }, age: 86_400_000, programErrors: false });
  deepEqual(orders.limits, { memory: 16 * 2 ** 20, cpu: 500, time: 30_000 });
  deepEqual(orders.dedup, { by: undefined, window: 3_600_000, count: 10_000 });
  deepEqual(orders.from[0], {
    connector: "http",
    config: {
      method: "POST",
      path: "/orders",
      mode: "reply",
      bodyLimit: 8 * 2 ** 20,
      compress: false,
      idHeader: "idempotency-key",
      errors: "brief",
      cloudevents: false,
    },
  });
  const { erp, audit } = orders.to;
  deepEqual([erp?.connector, erp?.timeout, erp?.rate, (erp?.config as { url: string }).url], ["http", 5000, 100, "http://erp/"]);
  deepEqual([audit?.retry.attempts, audit?.timeout, audit?.concurrency], [3, 30_000, 64]);
});

test("signals and sleep are read, with their defaults", () => {
  const text = `
flows:
  orders:
    flow: flows/orders.ts
    from: [ { http: { method: POST, path: /orders, mode: accept } } ]
    signals:
      payment: { from: [ { http: { method: POST, path: "/payments/:order" } }, { amqp: { queue: payments } } ], key: "path:order" }
      shipped: { from: [ { file: { dir: ./shipped } } ], key: ["header:order", "json:/order"] }
    sleep: { max: 365d, atMost: 1000000, early: refuse, order: strict }
  other: { flow: flows/other.ts, to: { paid: { signal: { flow: orders, name: payment, key: json:/order } } } }
`;
  const { orders, other } = read(text).flows;
  const { payment, shipped } = orders?.signals ?? {};
  deepEqual(
    payment?.from.map(({ connector, config }) => [connector, (config as { mode?: string }).mode]),
    [
      ["http", "accept"],
      ["amqp", undefined],
    ],
  );
  deepEqual([payment?.key, shipped?.key], [["path:order"], ["header:order", "json:/order"]]);
  deepEqual(orders?.sleep, { max: 365 * 86_400_000, atMost: 1_000_000, early: 0, order: "strict" });
  const { sleepMostMs, sleepers, earlySignalMs } = gatewayLimits;
  deepEqual(other?.sleep, { max: sleepMostMs, atMost: sleepers, early: earlySignalMs, order: "free" });
  deepEqual(Object.keys(other?.signals ?? {}), []);
  equal(other?.to["paid"]?.connector, "signal");
});

test("what is wrong is said with file, line, column and path", () => {
  const flow = (rest: string): string => `flows:\n  orders:\n    image: a.mfi\n${rest}`;
  const table: [string, RegExp][] = [
    ["flows: [", /^mayfly\.yaml:1:\d+ MF_CONFIG_SYNTAX /],
    ["{}", /^mayfly\.yaml:1:1 MF_CONFIG_INVALID "flows" is missing$/],
    ["flows: {}\nhtpp: {}", /^mayfly\.yaml:2:1 MF_CONFIG_INVALID htpp: unknown key "htpp"; did you mean "http"\?$/],
    [
      flow("    from:\n      - http: { method: FETCH, path: /a }"),
      /^mayfly\.yaml:5:25 MF_CONFIG_INVALID flows\.orders\.from\[0\]\.http\.method: must be one of GET, POST, /,
    ],
    [
      flow("    from:\n      - http: { methd: GET, path: /a }"),
      /^mayfly\.yaml:5:17 MF_CONFIG_INVALID flows\.orders\.from\[0\]\.http\.methd: unknown key "methd"; did you mean "method"\?$/,
    ],
    [
      flow("    from:\n      - htp: { path: /a }"),
      /^mayfly\.yaml:5:9 MF_CONFIG_INVALID flows\.orders\.from\[0\]\.htp: unknown key "htp"; did you mean "http"\?$/,
    ],
    [flow("    from:\n      - {}"), /^mayfly\.yaml:5:9 MF_CONFIG_INVALID flows\.orders\.from\[0\]: must have exactly one connector$/],
    [flow("    from:\n      - http: {}"), /^mayfly\.yaml:5:15 MF_CONFIG_INVALID flows\.orders\.from\[0\]\.http: "path" is missing$/],
    [
      flow("    to:\n      out: { rate: 5/s }"),
      /^mayfly\.yaml:5:12 MF_CONFIG_INVALID flows\.orders\.to\.out: must have exactly one connector \(http, /,
    ],
    [flow("    to:\n      out: { log: {}, flow: { name: orders } }"), /^mayfly\.yaml:5:12 .*not log and flow$/],
    [
      flow("    to:\n      out: { flow: { name: ordres } }"),
      /^mayfly\.yaml:5:28 MF_CONFIG_INVALID flows\.orders\.to\.out\.flow\.name: unknown flow "ordres"; did you mean "orders"\?$/,
    ],
    [
      flow("    retry: { backoff: 5s }"),
      /^mayfly\.yaml:4:23 MF_CONFIG_INVALID flows\.orders\.retry\.backoff: must be a range of durations/,
    ],
    [flow("    retry: { backoff: 5s..1s }"), /^mayfly\.yaml:4:23 .*the shorter first/],
    [flow("    limits: { time: 5 }"), /^mayfly\.yaml:4:21 MF_CONFIG_INVALID flows\.orders\.limits\.time: must be a duration such as/],
    [
      flow("    limits: { memory: 5 apples }"),
      /^mayfly\.yaml:4:23 MF_CONFIG_INVALID flows\.orders\.limits\.memory: must be a size such as/,
    ],
    [flow("    hosts: [ 'https://a.example/' ]"), /^mayfly\.yaml:4:14 MF_CONFIG_INVALID flows\.orders\.hosts\[0\]: must be a host such as/],
    [flow("    key: nonsense"), /^mayfly\.yaml:4:10 MF_CONFIG_INVALID flows\.orders\.key: must be header:NAME/],
    [flow("    dedup: { by: nonsense }"), /^mayfly\.yaml:4:18 MF_CONFIG_INVALID flows\.orders\.dedup\.by: must be header:NAME/],
    [flow("    key: &a [ *a ]"), /^mayfly\.yaml:\d+:\d+ MF_CONFIG_/],
    [`#${"x".repeat(gatewayLimits.configBytes)}`, /^mayfly\.yaml:1:1 MF_CONFIG_INVALID the file is longer than/],
    [flow("    flow: a.ts"), /^mayfly\.yaml:3:5 MF_CONFIG_INVALID flows\.orders: must have either "flow"/],
    [
      "flows:\n  '9 lives':\n    image: a.mfi",
      /^mayfly\.yaml:2:3 MF_CONFIG_INVALID flows\.9 lives: the name "9 lives" must start with a letter/,
    ],
    [
      flow("    to:\n      out: { http: { url: '${NOWHERE}' } }"),
      /^mayfly\.yaml:5:27 MF_CONFIG_ENV flows\.orders\.to\.out\.http\.url: needs the environment variable NOWHERE/,
    ],
    [
      "flows: {}\nhttp: { admin: { port: 8081 } }",
      /^mayfly\.yaml:2:\d+ MF_CONFIG_INVALID http\.admin\.port: .*set http\.admin\.token as well/,
    ],
    [
      "flows: {}\nhttp: { admin: { token: secret } }",
      /^mayfly\.yaml:2:\d+ MF_CONFIG_INVALID http\.admin\.token: .*set http\.admin\.port to another port/,
    ],
    [
      "flows: {}\nhttp: { port: 8081, admin: { port: 8081, token: secret } }",
      /^mayfly\.yaml:2:\d+ MF_CONFIG_INVALID http\.admin\.port: 8081 is http\.port/,
    ],
    [
      `${flow("    claimCheck: 1MiB")}\njournal: { memory: true }`,
      /^mayfly\.yaml:4:17 MF_CONFIG_INVALID flows\.orders\.claimCheck: needs a journal on disk/,
    ],
    [flow("    claimCheck: 1"), /^mayfly\.yaml:4:17 MF_CONFIG_INVALID flows\.orders\.claimCheck: must be a size such as/],
    [
      flow("    from: [ { http: { path: /a } }, { http: { path: /a } } ]"),
      /MF_CONFIG_INVALID flows\.orders\.from\[1\]\.http\.path: POST \/a is taken by flows\.orders$/,
    ],
  ];
  const signals = (payment: string): string => flow(`    signals:\n      payment: ${payment}`);
  table.push(
    [
      flow("    to:\n      out: { signal: { flow: ordres, name: paid } }"),
      /^mayfly\.yaml:5:\d+ MF_CONFIG_INVALID flows\.orders\.to\.out\.signal\.flow: unknown flow "ordres"; did you mean "orders"\?$/,
    ],
    [
      flow("    to:\n      out: { signal: { flow: orders, name: paid, key: jsn:/a } }"),
      /^mayfly\.yaml:5:\d+ MF_EXPRESSION flows\.orders\.to\.out\.signal: "jsn:\/a" must be header:NAME/,
    ],
    [
      signals('{ from: [ { http: { path: "/paid/:order" } } ], key: path:ordre }'),
      /^mayfly\.yaml:5:\d+ MF_CONFIG_INVALID flows\.orders\.signals\.payment\.key: no HTTP source has the path parameter ":ordre"; did you mean "order"\?$/,
    ],
    [
      signals("{ key: [id, nonsense] }"),
      /^mayfly\.yaml:5:\d+ MF_CONFIG_INVALID flows\.orders\.signals\.payment\.key\[1\]: must be header:NAME/,
    ],
    [
      signals("{ from: [ { cron: { every: 5s, at: 1 } } ] }"),
      /^mayfly\.yaml:5:\d+ MF_CONFIG_INVALID flows\.orders\.signals\.payment\.from\[0\]\.cron\.at: unknown key/,
    ],
    [
      `${signals("{ from: [ { http: { path: /a } } ] }")}\n    from: [ { http: { path: /a } } ]`,
      /MF_CONFIG_INVALID flows\.orders\.signals\.payment\.from\[0\]\.http\.path: POST \/a is taken by flows\.orders$/,
    ],
    [
      flow("    sleep: { early: keep }"),
      /^mayfly\.yaml:4:21 MF_CONFIG_INVALID flows\.orders\.sleep\.early: must be refuse, or keep and a duration/,
    ],
    [flow("    sleep: { order: strickt }"), /^mayfly\.yaml:4:21 .*must be one of free, strict$/],
    ["flows: {}\nmemory: 1MiB", /^mayfly\.yaml:2:9 MF_CONFIG_INVALID memory: must be at least \d+MiB$/],
    ["flows: {}\nhistory: { size: 1KiB }", /^mayfly\.yaml:2:18 MF_CONFIG_INVALID history\.size: must be at least \d+MiB$/],
    [
      flow("    from: [ { http: { path: /a, auth: { mtls: {} } } } ]"),
      /^mayfly\.yaml:4:\d+ MF_CONFIG_INVALID flows\.orders\.from\[0\]\.http\.auth.*set http\.tls\.clientCa/,
    ],
    [
      flow("    dedup: { by: path:nothing }"),
      /^mayfly\.yaml:4:18 MF_CONFIG_INVALID flows\.orders\.dedup\.by: no HTTP source has the path parameter ":nothing"$/,
    ],
    [
      flow("    key: path:nothing"),
      /^mayfly\.yaml:4:10 MF_CONFIG_INVALID flows\.orders\.key: no HTTP source has the path parameter ":nothing"$/,
    ],
  );
  for (const [text, expected] of table) match(problems(text)[0] ?? "nothing wrong", expected, text);
  const least = gatewayLimits.memory.leastBytes;
  deepEqual(problems(`flows: {}\nmemory: ${least}B`), []);
  deepEqual(problems("flows: {}\nhttp: { port: ${P} }"), [
    'mayfly.yaml:2:16 MF_CONFIG_SYNTAX a ${NAME} within { } must be in double quotes: "${NAME}"',
  ]);
});

test("every problem is reported, not only the first", () => {
  equal(problems("flows:\n  a: { image: a.mfi, limits: { time: x } }\n  b: { image: b.mfi, limts: {} }\nworkers: many").length, 3);
});

test("a reference becomes a number where a number is wanted, and stays a text where a text is", () => {
  equal(read("flows: {}\nhttp:\n  port: ${P}", { P: "99" }).http.port, 99);
  equal(read('flows: {}\nhttp: { port: "${P}" }\nworkers: "${P}"\njournal: { dir: "${P}" }', { P: "99" }).journal.dir, "99");
  match(problems('flows: {}\nhttp: { port: "${P}" }', { P: "ninety" })[0] ?? "", /http\.port: must be integer/);
  match(problems('flows: {}\nhttp: { port: "99" }')[0] ?? "", /http\.port: must be integer/);
});

test("references: defaults, escapes, what is missing", () => {
  deepEqual(expand("a${X}b${Y:-z}c$${X}", { X: "1" }), { ok: true, value: "a1bzc${X}" });
  equal(expand("${X}", {}).ok, false);
  equal(expand("${", {}).ok, false);
  equal(expand("${X:-}", {}).ok, true);
});

test("durations, sizes, rates and ranges: written ones are read back; others are refused, never thrown on", () => {
  const unitsMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
  fc.assert(
    fc.property(fc.nat(1_000_000), fc.constantFrom(...(Object.keys(unitsMs) as (keyof typeof unitsMs)[])), (count, unit) =>
      deepEqual(parseDuration(`${count}${unit}`), { ok: true, value: count * unitsMs[unit] }),
    ),
  );
  fc.assert(fc.property(fc.nat(100_000), fc.nat(100_000), (a, b) => equal(parseDurationRange(`${a}ms..${b}ms`).ok, a <= b)));
  for (const parse of [parseDuration, parseSize, parseRate, parseDurationRange])
    fc.assert(fc.property(fc.string(), (text) => typeof parse(text).ok === "boolean"));
  deepEqual(
    [parseSize("16MiB"), parseSize("64KB"), parseRate("60/m")],
    [
      { ok: true, value: 16 * 2 ** 20 },
      { ok: true, value: 64_000 },
      { ok: true, value: 1 },
    ],
  );
  for (const bad of ["1s", "1s..", "..1s", "1s..2s..3s", "1s..2", "2s..1s"]) equal(parseDurationRange(bad).ok, false, bad);
  for (const bad of ["", "5", "s", "-5s", "5 s", "1e3s", "9999999999999999999d"]) equal(parseDuration(bad).ok, false, bad);
});

/** The definition, step by step: of the optimal string alignment of two words. */
function slowDistance(a: string, b: string): number {
  if (a === "" || b === "") return a.length + b.length;
  const [a1, b1] = [a.slice(0, -1), b.slice(0, -1)];
  const ways = [slowDistance(a1, b) + 1, slowDistance(a, b1) + 1, slowDistance(a1, b1) + (a.at(-1) === b.at(-1) ? 0 : 1)];
  if (a.length > 1 && b.length > 1 && a.at(-1) === b.at(-2) && a.at(-2) === b.at(-1))
    ways.push(slowDistance(a.slice(0, -2), b.slice(0, -2)) + 1);
  return Math.min(...ways);
}

test("a word with one slip in it is recognised; a wholly different one is not", () => {
  fc.assert(
    fc.property(
      fc.stringMatching(/^[a-z]{4,12}$/),
      fc.nat(11),
      (word, at) =>
        suggestion(word.slice(0, at % word.length) + word.slice((at % word.length) + 1), [word, "zzzzzzzzzzzzzzzzzzzz"]) === word,
    ),
  );
  equal(suggestion("kumquat", ["http", "file"]), undefined);
  equal(editDistance("htpp", "http"), 1);
  for (const [word, known] of [
    ["htt", "http"],
    ["ab", "a"],
    ["abcdef", "abcd"],
    ["abcdefgh", "abcdef"],
  ] as const)
    equal(suggestion(word, [known]), known, word);
  for (const [word, known] of [
    ["ab", "xy"],
    ["abc", "xyc"],
    ["abcdef", "abc"],
  ] as const)
    equal(suggestion(word, [known]), undefined, word);
  const letters = fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 6 }).map((list) => list.join(""));
  fc.assert(fc.property(letters, letters, (a, b) => equal(editDistance(a, b), slowDistance(a, b))));
});

test("arbitrary text is read or refused with a ConfigError, never anything else", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.json().map((json) => `flows: ${json}`),
      ),
      (text) => void problems(text),
    ),
    { numRuns: 60 },
  );
});

test("every connector's example fits its schema, and unknown settings do not", async () => {
  const folder = await contractFolder();
  const example = (text: string): string[] => {
    const schemes: Readonly<Record<string, string>> = {
      AMQP: "amqp",
      AMQP1: "amqp",
      NATS: "nats",
      MQTT: "mqtt",
      REDIS: "redis",
      DATABASE: "postgres",
      MYSQL: "mysql",
      SMTP: "smtp",
    };
    const named = [...text.matchAll(/\$\{(\w+)\}/g)].map(([, name = ""]): [string, string] => [
      name,
      `${schemes[name.replace("_URL", "")] ?? "http"}://example.com`,
    ]);
    return problems(text, Object.fromEntries(named), join(folder, "mayfly.yaml"));
  };
  for (const source of connectors.sources)
    deepEqual(example(`flows:\n  a:\n    image: a.mfi\n    from:\n      - ${source.example}`), [], source.name);
  for (const outlet of connectors.outlets)
    deepEqual(
      example(`flows:\n  billing: { image: b.mfi }\n  a:\n    image: a.mfi\n    to:\n      x: { ${outlet.example} }`),
      [],
      outlet.name,
    );
  throws(() => read("flows: { a: { image: a.mfi, from: [ { direct: { x: 1 } } ] } }"), { code: "MF_CONFIG_INVALID" });
});

/** The repository's root, from here or from dist/ or from a bundle: where package.json is. */
function root(): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, "package.json")) || folder.endsWith("dist")) folder = dirname(folder);
  return folder;
}

function golden(path: string, current: string): void {
  const file = join(root(), path);
  if (process.env["UPDATE"] === "1") writeFileSync(file, current);
  equal(existsSync(file) ? readFileSync(file, "utf8") : "", current, `${path} is not current: run UPDATE=1 npm test -- gateway/config`);
}

/** JSON with what fits on a line on one line: it is in the package. */
function lines(value: unknown, indent = ""): string {
  const short = JSON.stringify(value);
  if (short.length <= 200 || typeof value !== "object" || value === null) return short;
  const inner = `${indent} `;
  const parts = Array.isArray(value)
    ? value.map((each) => inner + lines(each, inner))
    : Object.entries(value).map(([name, each]) => `${inner}${JSON.stringify(name)}:${lines(each, inner)}`);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  return `${open}\n${parts.join(",\n")}\n${indent}${close}`;
}

test("the published schema is current", () => {
  golden("gateway/mayfly.schema.json", `${lines(publishedSchema(connectors))}\n`);
});

test("every pattern of a value has a sentence that says what is meant", () => {
  const bare: string[] = [];
  const walk = (schema: unknown, path: string): void => {
    if (typeof schema !== "object" || schema === null) return;
    const { pattern, patternErrorMessage, unit } = schema as Readonly<Record<string, unknown>>;
    const isOfNames = path.endsWith("propertyNames") && !path.includes("connectors");
    if (typeof pattern === "string" && patternErrorMessage === undefined && unit === undefined && !isOfNames) bare.push(path);
    for (const [name, value] of Object.entries(schema)) walk(value, `${path}/${name}`);
  };
  walk(publishedSchema(connectors), "");
  deepEqual(bare, []);
});

test("a value that does not match its pattern is told what is meant, with its place", () => {
  const [problem = ""] = problems("flows:\n  a:\n    image: a.mfi\n    from:\n      - http: { path: orders }\n");
  match(problem, /^mayfly\.yaml:5:23 .*http\.path: must be a path such as \/orders\/:id; those below \/-\/ are the gateway's own$/);
});

test("docs/CONNECTORS.md is current", () => {
  golden("docs/CONNECTORS.md", connectorsMarkdown(connectors.sources, connectors.outlets));
});

const settings = settingsOf(publishedSchema(connectors), [...connectors.sources, ...connectors.outlets], settingExamples);

test("docs/CONFIG.md has every setting of mayfly.yaml, with an example each", () => {
  deepEqual(
    settings.filter(({ example }) => example === undefined).map(({ path }) => path),
    [],
    "give an example in testing/examples.ts",
  );
  ok(settings.length > 100);
  golden("docs/CONFIG.md", referenceMarkdown(referenceIntro, settings));
});

for (const { path, example } of settings)
  test(`the example of ${path} is a valid configuration`, () => {
    const steps = path.replace("flows.NAME", "flows.orders").replace("OUTLET", "erp").replace("SIGNAL", "payment").split(".");
    const data = structuredClone(exampleConfig) as Record<string, unknown>;
    let place = data as Record<string, unknown>;
    for (const [index, step] of steps.entries()) {
      const name = step.replace("[]", "");
      const isLast = index === steps.length - 1;
      const above = settings.find(
        (each) =>
          each.path ===
          path
            .split(".")
            .slice(0, index + 1)
            .join(".")
            .replace("[]", ""),
      );
      if (isLast || place[name] === undefined) place[name] = structuredClone(isLast ? example : above?.example);
      else if (typeof above?.example === "object" && name !== "flows")
        place[name] = { ...(above.example as object), ...(place[name] as object) };
      if (!isLast) place = (step.endsWith("[]") ? (place[name] as unknown[])[0] : place[name]) as Record<string, unknown>;
    }
    // As the page shows it, in one line.
    const set: Readonly<Record<string, string>> = { NATS_URL: "nats://set.example", POD_NAME: "pod-1", APPROVALS_KEY: "k".repeat(32) };
    const environment = new Proxy({}, { get: (_, name) => set[String(name)] ?? "https://set.example" });
    readConfig(inlineYaml(data), "/some/where/mayfly.yaml", { ...connectors, environment });
  });

test("what only a connector can say of its configuration is told with its place, all of it at once", () => {
  const told = problems(`
flows:
  f:
    flow: f.ts
    from:
      - cron: { schedule: "61 * * * *" }
      - cron: {}
    to:
      rates:
        postgres: { url: "postgres://127.0.0.1/test", sql: "select $country" }
      odd: { file: { dir: out, name: "{nonsense}" } }
      web: { http: { url: "ftp://user:secret@example.com" } }
      bus: { nats: { url: "http://127.0.0.1", subject: "a.{nonsense}" } }
      fine: { nats: { url: "nats://127.0.0.1:1", subject: a } }
      erp: { http: { url: "https://erp.example", auth: { oauth2: { tokenUrl: "https://", clientId: a, clientSecret: b } } } }
    signals:
      paid: { from: [ { http: { path: /a, auth: { jwt: { jwks: "https://", issuer: a, audience: b } } } } ] }
`);
  deepEqual(
    told.map((line) => line.slice(0, line.indexOf(":", line.indexOf(" ")))),
    [
      "mayfly.yaml:6:15 MF_CRON_INVALID flows.f.from[0].cron",
      "mayfly.yaml:7:15 MF_CRON_INVALID flows.f.from[1].cron",
      "mayfly.yaml:17:31 MF_URL_INVALID flows.f.signals.paid.from[0].http",
      "mayfly.yaml:10:19 MF_CONFIG_SQL flows.f.to.rates.postgres",
      "mayfly.yaml:11:20 MF_FILE_NAME flows.f.to.odd.file",
      "mayfly.yaml:12:20 MF_URL_INVALID flows.f.to.web.http",
      "mayfly.yaml:13:20 MF_CONFIG_TEMPLATE flows.f.to.bus.nats",
      "mayfly.yaml:15:20 MF_URL_INVALID flows.f.to.erp.http",
    ],
  );
  ok(!told.join().includes("secret"));
});

test("no ceiling lifts what a machine can have at most", () => {
  throws(
    () => read("flows: {}\nceilings: { memory: 512MiB }\n"),
    /2:21 MF_CONFIG_INVALID ceilings\.memory: a machine can have at most 256MiB/,
  );
});

test("a file that is nested beyond what the parser can do is at fault itself", () => {
  for (const deep of ["[".repeat(100_000), "- ".repeat(100_000), Array.from({ length: 1000 }, (_, at) => `${" ".repeat(at)}a:`).join("\n")])
    throws(() => read(deep), ConfigError);
});

const ordersOf = (lines: string): string => `flows:\n  orders:\n    image: orders.mfi\n${lines}`;

test("a setting may come from a file: its line end is dropped, and its path is known", async () => {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-secrets-"));
  try {
    await writeFile(join(dir, "token"), "s3cret\n");
    await writeFile(join(dir, "long"), "x".repeat(70_000));
    const read = (reference: string): GatewayConfig =>
      readConfig(ordersOf(`    from: [ { http: { path: /a, auth: { bearer: "${reference}" } } } ]`), join(dir, "mayfly.yaml"), {
        ...connectors,
        environment: {},
      });
    const config = read("${file:token}");
    deepEqual((config.flows["orders"]?.from[0]?.config as { auth: unknown }).auth, { bearer: "s3cret" });
    deepEqual(config.secretFiles, [join(dir, "token")]);
    throws(() => read("${file:absent}"), /MF_CONFIG_ENV .*needs the file absent, which can't be read \(ENOENT\)/);
    throws(() => read("${file:long}"), /longer than 65536 bytes/);
    throws(() => read("${file:.}"), /EISDIR/);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});

test("a configuration is shown with defaults and without secrets", () => {
  const text = ordersOf(`    from: [ { http: { path: /a, auth: [ { bearer: "\${TOKEN}" }, { apiKey: { keys: { ada: plain-key } } } ] } } ]
    values: { stage: test }
    to: { broker: { amqp: { url: "amqp://user:pw@broker", queue: "\${QUEUE:-q}" } },
      bucket: { s3: { bucket: b-1, accessKeyId: id, secretAccessKey: plain-secret, sessionToken: plain-token } } }`);
  const shown = shownConfig(text, "mayfly.yaml", { ...connectors, environment: { TOKEN: "s3cret" } });
  const json = JSON.stringify(shown);
  for (const secret of ["s3cret", "plain-key", "user:pw", "plain-secret", "plain-token"]) equal(json.includes(secret), false, secret);
  const { flows } = shown as {
    flows: Record<string, { from: unknown[]; to: Record<string, Record<string, Record<string, unknown>>>; concurrency: number }>;
  };
  const http = (flows["orders"]?.from[0] as { http: { auth: unknown; mode: string } }).http;
  deepEqual(http.auth, [{ bearer: "${TOKEN}" }, { apiKey: { header: "x-api-key", keys: { ada: "[masked]" } } }]);
  deepEqual(
    [http.mode, flows["orders"]?.to["broker"]?.["amqp"]?.["url"], flows["orders"]?.to["broker"]?.["amqp"]?.["queue"]],
    ["reply", "amqp://[masked]@broker", "${QUEUE:-q}"],
  );
});

test("a configuration is shown without secrets where it names a part of itself again, and whatever the name of a header", () => {
  const yaml = `
flows:
  a:
    image: a.mfi
    from: [ { http: { path: /a, auth: { bearer: &token "\${KEY}" }, cors: { origins: ["https://x.example"], headers: [x-shown] } } } ]
    to:
      one: &one { http: &http { url: "https://erp.example/?key=\${KEY}", method: PUT, headers: { x-tenant: literal-1 } } }
      two: *one
      three: { http: { <<: *http, method: GET } }
      four: { http: { url: "https://four.example", auth: { apiKey: { header: x-erp, key: literal-2 } } } }
      five: { nats: { url: "nats://127.0.0.1", subject: s, nkey: literal-3 } }
      six: { http: { url: "https://six.example", auth: { bearer: *token } } }
`;
  const shown = shownConfig(yaml, "mayfly.yaml", { ...connectors, environment: { KEY: "s3cret" } });
  const json = JSON.stringify(shown);
  for (const secret of ["s3cret", "literal-1", "literal-2", "literal-3"]) equal(json.includes(secret), false, secret);
  const { a } = (
    shown as { flows: Record<string, { from: { http: { cors: object } }[]; to: Record<string, Record<string, Record<string, unknown>>> }> }
  ).flows;
  const url = "https://erp.example/?key=${KEY}";
  deepEqual(
    ["one", "two", "three"].map((name) => [
      a?.to[name]?.["http"]?.["url"],
      a?.to[name]?.["http"]?.["method"],
      a?.to[name]?.["http"]?.["headers"],
    ]),
    [
      [url, "PUT", { "x-tenant": "[masked]" }],
      [url, "PUT", { "x-tenant": "[masked]" }],
      [url, "GET", { "x-tenant": "[masked]" }],
    ],
  );
  deepEqual(a?.to["four"]?.["http"]?.["auth"], { apiKey: { header: "x-erp", key: "[masked]" } });
  deepEqual(a?.to["six"]?.["http"]?.["auth"], { bearer: "${KEY}" });
  deepEqual((a?.from[0]?.http.cors as { headers: unknown }).headers, ["x-shown"]);
});

test("a cluster needs its servers only; its files are absolute", () => {
  const flows = "flows: { a: { flow: a.ts } }";
  const { cluster } = read(`${flows}\ncluster: { nats: "\${NATS_URL}" }`, { NATS_URL: "nats://a:4222, tls://u:p@b:4222/" });
  deepEqual([cluster?.name, cluster?.replicas, cluster?.partitions, cluster?.node, cluster?.tls], ["mayfly", 3, 64, undefined, undefined]);
  const named = `cluster: { nats: "nats://a", name: prod, replicas: 1, node: n-1, credentials: c.creds, tls: { ca: ca.pem } }`;
  const { cluster: other } = read(`${flows}\n${named}`);
  deepEqual([other?.credentials, other?.tls?.ca, other?.node], ["/some/where/c.creds", "/some/where/ca.pem", "n-1"]);
  equal(read(flows).cluster, undefined);
});

test("a flow has no name of a tenant's function, where there are tenants", () => {
  const text = (functions: string): string =>
    `flows: { acme--a: { flow: a.ts } }\nhttp: { admin: { port: 9000, token: "0123456789abcdef0123456789abcdef" } }\n${functions}`;
  match(
    problems(text("functions: { tenants: tenants.yaml }")).join(),
    /^mayfly\.yaml:1:\d+ MF_CONFIG_INVALID .*is the name of a tenant's function/,
  );
  deepEqual(problems(text("functions: {}")), []);
});

test("a cluster refuses what one computer keeps for itself, and names that are no token of a subject", () => {
  const cluster = 'cluster: { nats: "nats://a:4222" }';
  const flow = (more = ""): string => `flows: { a: { flow: a.ts${more} } }`;
  match(problems(`${flow()}\njournal: { memory: true }\n${cluster}`).join(), /journal.memory, or cluster/);
  match(problems(`${flow()}\nfunctions: {}\n${cluster}`).join(), /remove functions, or cluster/);
  match(problems(`${flow(", claimCheck: 1MiB")}\n${cluster}`).join(), /remove it, or cluster/);
  match(problems(`${flow()}\ncluster: { nats: "http://a" }`).join(), /must be URLs such as nats:/);
  match(problems(`${flow()}\ncluster: { nats: "nats://a", name: a.b }`).join(), /letters, digits, _ and -/);
  match(problems(`${flow()}\ncluster: { nats: "nats://a", tls: { cert: c.pem } }`).join(), /both cert and key/);
  match(problems(`${flow()}\ncluster: { name: prod }`).join(), /"nats" is missing/);
});

test("a cluster is shown without the passwords of any of its servers", () => {
  const text =
    'flows: { a: { flow: a.ts } }\ncluster: { nats: "nats://u:secret-1@a:4222,nats://u:secret-2@b:4222", token: secret-3, nkey: secret-4 }';
  const json = JSON.stringify(shownConfig(text, "mayfly.yaml", { ...connectors, environment: {} }));
  match(json, /@b:4222/);
  for (let each = 1; each <= 4; each++) equal(json.includes(`secret-${each}`), false, `secret-${each}`);
});
