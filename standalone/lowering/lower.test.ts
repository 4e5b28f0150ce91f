/** mayfly.yaml → the service of a standalone service: what it has, and how everything else is refused. */
import { deepEqual, equal, match, ok, rejects, throws } from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Cron } from "croner";
import fc from "fast-check";
import { decodeService, defaultFlowLimits, encodeService, type Service, type ServiceDates, serviceLimits } from "#abi";
import { connectors } from "#connectors";
import { type ConfigTemplate, loadTemplate } from "#gateway";
import { type BuiltImage, flowNames, isLate, type LoweredService, lowerService, plainService } from "#standalone";
import { datesOf } from "./schedules.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-lowering-"));
});
after(() => rm(folder, { recursive: true, force: true }));

const image = (outlets: readonly string[] | null = null): BuiltImage => ({
  sha256: "ab".repeat(32),
  manifest: { name: "plain", version: "1.2.3", limits: defaultFlowLimits, outlets },
});

async function template(text: string, environment: Readonly<Record<string, string>> = {}): Promise<ConfigTemplate> {
  const file = join(folder, "mayfly.yaml");
  await writeFile(file, text);
  return await loadTemplate(file, connectors, environment, isLate);
}

async function lower(text: string, environment?: Readonly<Record<string, string>>): Promise<LoweredService> {
  const read = await template(text, environment);
  return lowerService(read, flowNames(read));
}

const head = "flows:\n  api:\n    flow: api.ts\n";
const source = "    from: [{ http: { path: /a } }]\n";

test("routes, outlets, credentials, limits and values come out, with references to settings as they are written", async () => {
  const { finish, remarks } = await lower(`
http: { port: 8080, host: 0.0.0.0 }
drain: 3s
log: { level: warn }
ceilings: { cpu: 100ms }
flows:
  api:
    flow: api.ts
    concurrency: 9
    queue: 99
    limits: { memory: 16MiB, cpu: 200ms }
    from:
      - http: { path: "/orders/:id", method: [GET, PUT], bodyLimit: 1KiB, errors: full, idHeader: x-id, auth: [{ bearer: "\${TOKEN}" }, { apiKey: { keys: { ada: "\${ADA:-}" } } }] }
      - http: { path: /open }
    to:
      erp: { http: { url: "http://erp:8000/in?a=\${A}", method: PUT, headers: { x-b: "1" }, timeout: 2s }, retry: { attempts: 2, backoff: 1s..2s, age: 1h }, breaker: { failures: 3, pause: 4s } }
      late: { http: { url: "\${URL:-http://x}", auth: { bearer: "\${T}" } } }
      user: { http: { url: "http://h/", auth: { basic: "me:\${P}" } } }
    values: { region: "\${REGION}", fixed: "x" }
`);
  const service = finish([image(["erp"])], image(["erp"]));
  const expected: Service = {
    name: "plain",
    version: "1.2.3",
    imageSha256: "ab".repeat(32),
    drainMs: 3_000,
    logLevel: "warn",
    port: 8080,
    healthPort: 0,
    syslog: undefined,
    auth: [
      [
        { type: "bearer", header: "authorization", caller: undefined, secret: "${TOKEN}" },
        { type: "apiKey", header: "x-api-key", caller: "ada", secret: "${ADA:-}" },
      ],
    ],
    flows: [
      {
        name: "api",
        concurrency: 9,
        queue: 99,
        limits: { ...defaultFlowLimits, memoryBytes: 16 * 2 ** 20, cpuMs: 100 },
        routes: [
          { path: "/orders/:id", methods: ["GET", "PUT"], timeoutMs: 0, bodyLimit: 1024, auth: 0, idHeader: "x-id", fullErrors: true },
          {
            path: "/open",
            methods: ["POST"],
            timeoutMs: 0,
            bodyLimit: 8 * 2 ** 20,
            auth: undefined,
            idHeader: "idempotency-key",
            fullErrors: false,
          },
        ],
        outlets: [
          {
            ...{ name: "erp", scheme: "http", host: "erp", port: 8000, path: "/in?a=${A}", method: "PUT", timeoutMs: 2_000, attempts: 2 },
            ...{ backoffMs: { least: 1_000, most: 2_000 }, retryAgeMs: 3_600_000, basic: undefined, headers: { "x-b": "1" } },
            breaker: { failures: 3, pauseMs: 4_000 },
          },
          {
            ...{
              name: "late",
              scheme: "http",
              host: "${URL:-http://x}",
              port: 0,
              path: "",
              method: "POST",
              timeoutMs: 30_000,
              attempts: 12,
            },
            ...{
              backoffMs: { least: 200, most: 60_000 },
              retryAgeMs: 86_400_000,
              breaker: undefined,
              basic: undefined,
              headers: { authorization: "Bearer ${T}" },
            },
          },
          {
            ...{ name: "user", scheme: "http", host: "h", port: 80, path: "/", method: "POST", timeoutMs: 30_000, attempts: 12 },
            ...{ backoffMs: { least: 200, most: 60_000 }, retryAgeMs: 86_400_000, breaker: undefined, basic: "me:${P}", headers: {} },
          },
        ],
        lines: [],
        schedules: [],
        values: { region: "${REGION}", fixed: "x" },
      },
    ],
  };
  deepEqual(service, expected);
  ok(decodeService(encodeService(service)).ok);
  deepEqual(remarks, [
    "http.host does not count in a standalone service: -p says where it listens: `mayfly up -p ADDRESS:PORT:PORT`, and -p ADDRESS:PORT of a Linux executable",
  ]);
});

test("a standalone service listens on port 80 unless a port is written; what is no text is read when it is built", async () => {
  equal((await lower(head + source)).finish([image()], image()).port, 80);
  equal((await lower(`http: { port: 0 }\n${head}${source}`)).finish([image()], image()).port, 80);
  equal((await lower(`http: { port: "\${PORT:-81}" }\n${head}${source}`)).finish([image()], image()).port, 81);
  equal((await lower(`http: { port: "\${PORT:-81}" }\n${head}${source}`, { PORT: "82" })).finish([image()], image()).port, 82);
  await rejects(lower(`http: { port: "\${PORT}" }\n${head}${source}`), { code: "MF_CONFIG_ENV", message: /mayfly.yaml:1:15/ });
});

const two = (path: string): string => `${head}${source}  other:\n    flow: other.ts\n    queue: 5\n    from: [{ http: ${path} }]\n`;

test("several flows are one service: each has its routes, limits and outlets, credentials are counted through", async () => {
  const { flows, finish } = await lower(two('{ path: /b, auth: { bearer: "${T}" } }'));
  deepEqual(
    flows.map(({ name, source: file }) => [name, file.replace(/.*\//, "")]),
    [
      ["api", "api.ts"],
      ["other", "other.ts"],
    ],
  );
  const narrow = { ...image(), manifest: { ...image().manifest, limits: { ...defaultFlowLimits, cpuMs: 3 } } };
  const service = finish([image(), narrow], image());
  deepEqual(
    service.flows.map(({ name, queue, limits, routes }) => [name, queue, limits.cpuMs, routes.map(({ path, auth }) => `${path} ${auth}`)]),
    [
      ["api", 1024, defaultFlowLimits.cpuMs, ["/a undefined"]],
      ["other", 5, 3, ["/b 0"]],
    ],
  );
  throws(() => finish([image(), image(["erp"])], image()), { code: "MF_OUTLET_MISSING", message: /flows\.other\.to/ });
});

test("signatures, schedules and outlets into the log", async () => {
  const { finish } = await lower(`${head}    from:
      - http: { path: /a, auth: [{ hmac: { preset: stripe, secret: ["\${A}", "\${B}"] } }, { hmac: { header: x-s, encoding: base64, prefix: "p=", tolerance: 1m, secret: "\${C}" } }] }
      - cron: { every: 90s, atStart: true, body: { a: 1 } }
      - cron: { schedule: "0 6 * * MON-FRI", timezone: UTC, body: hello }
    to: { seen: { log: { level: debug, text: saw, maxBytes: 10 } } }
`);
  const service = finish([image(["seen"])], image(["seen"]));
  deepEqual(
    service.auth[0]?.map(({ type, header, secret, signature }) => [type, header, secret, signature]),
    [
      ["signature", "stripe-signature", "${A}", { form: "stripe", prefix: "v1=", toleranceMs: 300_000 }],
      ["signature", "stripe-signature", "${B}", { form: "stripe", prefix: "v1=", toleranceMs: 300_000 }],
      ["signature", "x-s", "${C}", { form: "base64", prefix: "p=", toleranceMs: 60_000 }],
    ],
  );
  const { schedules, lines, outlets } = service.flows[0] ?? {};
  deepEqual(schedules, [
    { name: "from[1]", when: { everyMs: 90_000 }, atStart: true, contentType: "application/json", body: '{"a":1}' },
    { name: "from[2]", when: datesOf("0 6 * * 1,2,3,4,5"), atStart: false, contentType: "text/plain", body: "hello" },
  ]);
  deepEqual([lines, outlets], [[{ name: "seen", level: "debug", text: "saw", maxBytes: 10 }], []]);
  ok(decodeService(encodeService(service)).ok);
  const clock = await lower(`${head}    from: [{ cron: { every: 1m } }]\n`);
  equal(clock.finish([image()], image()).flows[0]?.schedules.length, 1, "a flow may be reached by the clock only");
});

const tokens = (jwt: string): string => `${head}    from: [{ http: { path: /a, auth: { jwt: { ${jwt} } } } }]\n`;

test("tokens of issuers: every rule comes out, with references to settings in any of them", async () => {
  const all =
    'jwks: "http://proxy:81/keys", issuer: ["https://a", "${ISSUER}"], audience: orders, scopes: [w, r], claims: { role: [a, b], tid: "${T}" }, algorithms: [ES256, EdDSA], tolerance: 1m';
  const service = (await lower(tokens(all))).finish([image()], image());
  const token = {
    algorithms: ["ES256", "EdDSA"],
    issuers: ["https://a", "${ISSUER}"],
    audiences: ["orders"],
    scopes: ["w", "r"],
    claims: { role: ["a", "b"], tid: ["${T}"] },
    toleranceMs: 60_000,
  };
  deepEqual(service.auth, [[{ type: "jwt", header: "authorization", caller: undefined, secret: "http://proxy:81/keys", token }]]);
  const read = decodeService(encodeService(service));
  deepEqual(read.ok && read.value.auth[0]?.[0]?.token, { ...token, claims: Object.assign(Object.create(null), token.claims) });
  const { finish } = await lower(tokens('jwks: "${KEYS}", issuer: x, audience: y'));
  deepEqual(finish([image()], image()).auth[0]?.[0]?.token?.algorithms, ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]);
});

test("tokens that a standalone service can't judge are errors with their place", async () => {
  const rest = "issuer: x, audience: y";
  for (const [jwt, code, message] of [
    [
      `jwks: "https://id.example/keys", ${rest}`,
      "MF_STANDALONE_HTTPS",
      /mayfly.yaml:4:\d+ MF_STANDALONE_HTTPS flows.api.from\[0\].http.auth.jwt.jwks: .*does no TLS: name a proxy/,
    ],
    [`jwks: "http://x y/", ${rest}`, "MF_URL_INVALID", /jwks/],
    [`jwks: "http://x/", ${rest}, scopes: ["a\\nb"]`, "MF_STANDALONE_AUTH", /texts of one line/],
    [`jwks: "http://x/", ${rest}, algorithms: ["\${A}"]`, "MF_STANDALONE_AUTH", /does not verify/],
  ] as const)
    await rejects(lower(tokens(jwt)), (error: Error & { code?: string; problems?: readonly { code: string }[] }) => {
      ok(error.code === code || error.problems?.some((each) => each.code === code), `${jwt}: ${error.code} ${error.message}`);
      match(error.message, message);
      return true;
    });
  await rejects(lower(`${head}    from: [{ http: { path: /a, auth: { oidc: { issuer: "https://id.example", audience: y } } } }]\n`), {
    message: /use jwt, with the keys' URL as `jwks`/,
  });
});

/** The set of a date in UTC, as the guest looks at it (kernel/net/service/schedules.ts). */
function has({ minutes, hours, days, months, weekdays, either }: ServiceDates, date: Date): boolean {
  const is = (set: string, index: number): boolean => set[index] === "1";
  if (!is(minutes, date.getUTCMinutes()) || !is(hours, date.getUTCHours()) || !is(months, date.getUTCMonth())) return false;
  const [day, weekday] = [is(days, date.getUTCDate() - 1), is(weekdays, date.getUTCDay())];
  return either ? day || weekday : day && weekday;
}

test("an expression means what it means to the gateway's cron source", () => {
  const part = (least: number, most: number): fc.Arbitrary<string> =>
    fc
      .tuple(fc.integer({ min: least, max: most }), fc.integer({ min: least, max: most }), fc.constantFrom("", "", "/2", "/7"))
      .chain(([a, b, step]) => fc.constantFrom("*", `*${step}`, String(a), `${Math.min(a, b)}-${Math.max(a, b)}${step}`));
  const list = (least: number, most: number): fc.Arbitrary<string> =>
    fc.array(part(least, most), { minLength: 1, maxLength: 2 }).map((parts) => (parts.includes("*") ? "*" : parts.join(",")));
  const weekday = fc.oneof(list(0, 7), fc.constantFrom("MON", "SAT,SUN", "TUE-THU"));
  const expressions = fc.oneof(
    fc
      .tuple(list(0, 59), list(0, 23), list(1, 28), fc.oneof(list(1, 12), fc.constantFrom("JAN", "mar-OCT")), weekday)
      .map((fields) => fields.join(" ")),
    fc.constantFrom("@hourly", "@daily", "@weekly", "@monthly", "@yearly"),
  );
  fc.assert(
    fc.property(
      expressions,
      fc.date({ min: new Date("2020-01-01"), max: new Date("2039-12-31"), noInvalidDate: true }),
      (expression, from) => {
        const dates = datesOf(expression);
        ok(dates !== undefined, expression);
        const expected = new Cron(expression, { paused: true, timezone: "UTC" }).nextRuns(3, from);
        const found: Date[] = [];
        for (let ms = (Math.floor(from.getTime() / 60_000) + 1) * 60_000; found.length < expected.length; ms += 60_000)
          if (has(dates, new Date(ms))) found.push(new Date(ms));
          else if (dates.hours[new Date(ms).getUTCHours()] === "0" && new Date(ms).getUTCMinutes() === 0) ms += 59 * 60_000;
        deepEqual(found, expected, `${expression} after ${from.toISOString()}`);
      },
    ),
    { numRuns: 100 },
  );
});

test("what only some cron programs know is refused", () => {
  for (const text of [
    "",
    "* * * *",
    "* * * * * *",
    "60 * * * *",
    "* 24 * * *",
    "* * 0 * *",
    "* * 32 * *",
    "* * * 13 *",
    "* * * * 8",
    "5/15 * * * *",
    "5-1 * * * *",
    "*/0 * * * *",
    "* * L * *",
    "* * * * 5#2",
    "* * ? * *",
    "a * * * *",
    "1-2-3 * * * *",
    "1, * * * *",
    "@reboot",
  ])
    equal(datesOf(text), undefined, text);
});

test("a flow that no mayfly.yaml names gets every request, and has no outlets", () => {
  const service = plainService(image([]));
  deepEqual(
    service.flows[0]?.routes.map(({ path, methods }) => [path, methods.join()]),
    [
      ["/", "GET,POST,PUT,PATCH,DELETE"],
      ["/*", "GET,POST,PUT,PATCH,DELETE"],
    ],
  );
  deepEqual([service.name, service.port, service.drainMs], ["plain", 80, 10_000]);
  const { manifest } = image();
  throws(() => plainService({ ...image(), manifest: { ...manifest, reads: "batch" } }), { code: "MF_STANDALONE_BATCH" });
  equal(plainService({ ...image(), manifest: { ...manifest, reads: "stream" } }).name, "plain");
  throws(() => plainService(image(["erp"])), { code: "MF_OUTLET_MISSING", message: /"erp".*flows\.plain\.to/ });
});

test("an outlet that the flow declares must be there", async () => {
  const { finish } = await lower(head + source);
  throws(() => finish([image(["erp"])], image()), { code: "MF_OUTLET_MISSING" });
});

test("settings of more than an ELF carries are refused", async () => {
  const values = Array.from({ length: 60 }, (_, index) => `      v${index}: "${"x".repeat(2_000)}"\n`).join("");
  const { finish } = await lower(`${head}${source}    values:\n${values}`);
  throws(() => finish([image()], image()), { code: "MF_STANDALONE_SIZE" });
  const one = await lower(`${head}${source}    values: { long: "${"x".repeat(serviceLimits.textBytes + 1)}" }\n`);
  throws(() => one.finish([image()], image()), { code: "MF_STANDALONE_SIZE" });
});

/** Lines that are put in place of those of a small configuration, and the problem that each makes. */
const refusals: readonly (readonly [text: string, code: string, problem: RegExp])[] = [
  [`journal: { dir: j }\n${head}${source}`, "MF_STANDALONE_SETTING", /^mayfly.yaml:1:1 \S+ journal: .*no journal.*mayfly serve/],
  [`journal: { memory: true }\n${head}${source}`, "MF_STANDALONE_SETTING", /:1:1 /],
  [`deadLetters: { dir: j }\n${head}${source}`, "MF_STANDALONE_SETTING", /:1:1 /],
  [`history: { dir: j }\n${head}${source}`, "MF_STANDALONE_SETTING", /:1:1 /],
  [`telemetry: { endpoint: "http://c:4318" }\n${head}${source}`, "MF_STANDALONE_SETTING", /:1:1 /],
  [`http: { metrics: admin }\n${head}${source}`, "MF_STANDALONE_SETTING", /:1:9 /],
  [`http: { admin: { enabled: false } }\n${head}${source}`, "MF_STANDALONE_SETTING", /:1:9 /],
  [`http: { tls: { cert: a, key: b } }\n${head}${source}`, "MF_STANDALONE_SETTING", /put a proxy before it/],
  [`${head}    key: id\n${source}`, "MF_STANDALONE_SETTING", /:4:5 \S+ flows\.api\.key: .*share state/],
  [`${head}    dedup: { window: 1h }\n${source}`, "MF_STANDALONE_SETTING", /:4:5 /],
  [`${head}    onDead: hold\n${source}`, "MF_STANDALONE_SETTING", /:4:5 /],
  [`${head}    hosts: [a.example]\n${source}`, "MF_STANDALONE_SETTING", /outlet of each host/],
  [`${head}    sleep: { max: 1d }\n${source}`, "MF_STANDALONE_SETTING", /sleeping machines/],
  [`${head}    signals: { s: { from: [] } }\n${source}`, "MF_STANDALONE_SETTING", /:4:5 /],
  [`${head}    claimCheck: 1MiB\n${source}`, "MF_STANDALONE_SETTING", /:4:5 /],
  [`flows:\n  api:\n    image: a.mfi\n${source}`, "MF_STANDALONE_SETTING", /:3:5 .*from a flow's source/],
  [`flows:\n  api:\n    flow: a.ts\n    image: { new: b.ts, share: 5% }\n${source}`, "MF_STANDALONE_SETTING", /:4:5 /],
  [head, "MF_STANDALONE_SOURCE", /:3:5 .*give the flow an http source/],
  [`${head}    from:\n      - mqtt: { url: "mqtt://m", topic: t }\n`, "MF_STANDALONE_SOURCE", /:5:9 .*http and cron sources only/],
  [`${head}    from: [{ cron: { every: 1m, missed: once } }]\n`, "MF_STANDALONE_SOURCE", /missed: .*does not remember/],
  [`${head}    from: [{ cron: { schedule: "0 5 * * *", timezone: Europe/Berlin } }]\n`, "MF_STANDALONE_SOURCE", /timezone: .*is UTC/],
  [`${head}    from: [{ cron: { schedule: "1 2 3 4 5 6" } }]\n`, "MF_STANDALONE_SOURCE", /schedule: .*five fields/],
  [`${head}    from: [{ nats: { url: "nats://n:4222", subject: s } }]\n`, "MF_STANDALONE_SOURCE", /from\[0\]\.nats/],
  [`${head}    from: [{ file: { dir: d } }]\n`, "MF_STANDALONE_SOURCE", /:4:14 /],
  [`${head}    from: [{ http: { path: /a, mode: accept } }]\n`, "MF_STANDALONE_SOURCE", /:4:32 .*promises that the message is safe/],
  [`${head}    from: [{ http: { path: /a, compress: true } }]\n`, "MF_STANDALONE_SOURCE", /compress/],
  [`${head}    from: [{ http: { path: /a, cors: { origins: ["https://a.example"] } } }]\n`, "MF_STANDALONE_SOURCE", /cors/],
  [`${head}    from: [{ http: { path: /a, rateLimit: { rate: 5/s } } }]\n`, "MF_STANDALONE_SOURCE", /rateLimit/],
  [`${head}    from: [{ http: { openapi: a.yaml } }]\n`, "MF_STANDALONE_SOURCE", /no contracts/],
  [`${head}    from: [{ http: { path: /a, auth: { mtls: {} } } }]\n`, "MF_STANDALONE_AUTH", /mtls/],
  [
    `${head}    from: [{ http: { path: /a, auth: [{ hmac: { secret: "\${S}", header: h, algorithm: sha512 } }] } }]\n`,
    "MF_STANDALONE_AUTH",
    /auth\[0\]\.hmac\.algorithm: .*SHA-256 only/,
  ],
  [
    `${head}    from: [{ http: { path: /a, auth: { hmac: { secret: plain, preset: github } } } }]\n`,
    "MF_STANDALONE_SECRET",
    /hmac\.secret/,
  ],

  [`${head}    from: [{ http: { path: /a, auth: { bearer: secret } } }]\n`, "MF_STANDALONE_SECRET", /would be in the ELF/],
  [`${head}    from: [{ http: { path: /a, auth: { apiKey: { keys: { ada: k } } } } }]\n`, "MF_STANDALONE_SECRET", /keys\.ada/],
  [`${head}    from: [{ http: { path: /a, auth: { bearer: "\${file:token}" } } }]\n`, "MF_CONFIG_ENV", /write \$\{NAME\}/],
  [
    `${head}${source}    to: { a: { nats: { url: "nats://n:4222", subject: s } } }\n`,
    "MF_STANDALONE_OUTLET",
    /:5:16 .*http and log outlets only/,
  ],
  [`${head}${source}    to: { a: { log: { maxBytes: 9000 } } }\n`, "MF_STANDALONE_OUTLET", /to\.a\.log\.maxBytes/],
  [`${head}${source}    to: { a: { log: {}, rate: 1/s } }\n`, "MF_STANDALONE_OUTLET", /to\.a\.rate/],
  [`${head}${source}    to: { a: { http: { url: "https://b/" } } }\n`, "MF_STANDALONE_HTTPS", /:5:29 .*name a proxy/],
  [`${head}${source}    to: { a: { http: { url: "ftp://b/" } } }\n`, "MF_URL_INVALID", /:5:29 /],
  [`${head}${source}    to: { a: { http: { url: "http://[::1]/" } } }\n`, "MF_STANDALONE_SETTING", /IPv4 only/],
  [`${head}${source}    to: { a: { http: { url: "http://u:p@b/" } } }\n`, "MF_STANDALONE_SECRET", /to\.a\.http\.url/],
  [
    `${head}${source}    to: { a: { http: { url: "http://b/", headers: { authorization: "Bearer x" } } } }\n`,
    "MF_STANDALONE_SECRET",
    /headers\.authorization/,
  ],
  [`${head}${source}    to: { a: { http: { url: "http://b/", auth: { digest: "\${U}" } } } }\n`, "MF_STANDALONE_AUTH", /digest/],
  [`${head}${source}    to: { a: { http: { url: "http://b/", proxy: "http://p:1" } } }\n`, "MF_STANDALONE_OUTLET", /proxy/],
  [`${head}${source}    to: { a: { http: { url: "http://b/" }, rate: 1/s } }\n`, "MF_STANDALONE_OUTLET", /rate/],
];

test("everything a standalone service can't have is an error with a code, a place and what to do", async () => {
  for (const [text, code, problem] of refusals)
    await rejects(
      lower(text),
      (error: { readonly code: string; readonly message: string }) => {
        equal(error.code, code, `${text}\n${error.message}`);
        match(error.message, problem, text);
        match(error.message, /^mayfly\.yaml:\d+:\d+ /);
        return true;
      },
      text,
    );
});

test("several problems are told together", async () => {
  await rejects(lower(`journal: { dir: j }\n${head}    key: id\n    from: [{ cron: { every: 1m, missed: once } }]\n`), (error: Error) => {
    equal(error.message.split("\n").length, 3);
    return true;
  });
});
