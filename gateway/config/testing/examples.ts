/** Examples of settings for docs/CONFIG.md, where the schema has none of its own; and a configuration into which each of them fits. */
export const settingExamples: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ["flows", { orders: { flow: "flows/orders.ts" } }],
  ["flows.NAME.flow", "flows/orders.ts"],
  ["flows.NAME.image", { new: "flows/orders-2.ts", share: "5%" }],
  ["flows.NAME.image.new", "flows/orders-2.ts"],
  ["flows.NAME.from", [{ http: { path: "/orders/:id" } }]],
  ["flows.NAME.to", { erp: { http: { url: "${ERP_URL}" } } }],
  ["flows.NAME.to.OUTLET.retry", { attempts: 10, age: "2d" }],
  ["flows.NAME.to.OUTLET.breaker", { failures: 5, pause: "30s" }],
  ["flows.NAME.hosts", ["api.example.com", "*.example.com:8443"]],
  ["flows.NAME.values", { region: "eu", "api-key": "${API_KEY}" }],
  ["flows.NAME.retry", { attempts: 3, backoff: "1s..1m" }],
  ["flows.NAME.limits", { memory: "64MiB", cpu: "2s", time: "1m" }],
  ["flows.NAME.limits.memory", "64MiB"],
  ["flows.NAME.limits.cpu", "2s"],
  ["flows.NAME.limits.time", "1m"],
  ["flows.NAME.limits.sends", 100],
  ["flows.NAME.limits.log", "64KB"],
  ["flows.NAME.expires", "1h"],
  ["flows.NAME.claimCheck", "1MiB"],
  ["flows.NAME.to.OUTLET.timeout", "5s"],
  ["memory", "512MiB"],
  ["flows.NAME.key", "path:id"],
  ["flows.NAME.dedup", { window: "7d" }],
  ["flows.NAME.dedup.by", "json:/order/number"],
  ["flows.NAME.keepCredentials", true],
  ["flows.NAME.history", { record: "failures", bodies: "headers" }],
  ["flows.NAME.history.redact", { paths: ["/customer/iban"] }],
  ["flows.NAME.history.redact.headers", ["x-session"]],
  ["flows.NAME.history.redact.paths", ["/customer/iban", "/items/*/price"]],
  ["flows.NAME.sleep", { max: "90d", order: "strict" }],
  ["flows.NAME.signals", { payment: { from: [{ http: { path: "/orders/:id/payment" } }], key: "path:id" } }],
  ["flows.NAME.signals.SIGNAL.from", [{ http: { path: "/orders/:id/payment" } }]],
  ["flows.NAME.signals.SIGNAL.key", "path:id"],
  ["http", { port: 8443, host: "0.0.0.0" }],
  ["http.host", "0.0.0.0"],
  ["http.proxies", { trusted: ["10.0.0.0/8"] }],
  ["http.proxies.trusted", ["10.0.0.0/8", "::1"]],
  ["http.tls", { cert: "tls/shop.pem", key: "tls/shop.key" }],
  ["http.tls.cert", "tls/shop.pem"],
  ["http.tls.key", "tls/shop.key"],
  ["http.tls.certificates", [{ cert: "tls/api.pem", key: "tls/api.key" }]],
  ["http.tls.certificates[].cert", "tls/api.pem"],
  ["http.tls.certificates[].key", "tls/api.key"],
  ["http.tls.clientCa", "tls/partners-ca.pem"],
  ["http.admin", { port: 9090, token: "${ADMIN_TOKEN}" }],
  ["http.admin.port", 9090],
  ["http.admin.hosts", ["gateway.internal"]],
  ["http.admin.token", "${ADMIN_TOKEN}"],
  ["fetch", { ca: "tls/company-ca.pem" }],
  ["fetch.networks", ["10.0.0.0/8"]],
  ["journal", { dir: "/var/lib/mayfly/journal" }],
  ["journal.retention", { age: "30d", size: "10GiB" }],
  ["cluster", { nats: "${NATS_URL}", name: "prod", replicas: 3, partitions: 64 }],
  ["cluster.nats", "nats://nats-1:4222,nats://nats-2:4222"],
  ["cluster.name", "prod"],
  ["cluster.replicas", 1],
  ["cluster.node", "${POD_NAME}"],
  ["cluster.username", "mayfly"],
  ["cluster.password", "${NATS_PASSWORD}"],
  ["cluster.token", "${NATS_TOKEN}"],
  ["cluster.credentials", "secrets/mayfly.creds"],
  ["cluster.nkey", "${NATS_NKEY}"],
  ["cluster.tls", { ca: "tls/nats-ca.pem", cert: "tls/node.pem", key: "tls/node.key" }],
  ["cluster.tls.ca", "tls/nats-ca.pem"],
  ["cluster.tls.cert", "tls/node.pem"],
  ["cluster.tls.key", "tls/node.key"],
  ["deadLetters", { dir: "/var/lib/mayfly/dead-letters" }],
  ["functions", { tenants: "tenants.yaml" }],
  ["functions.dir", "/var/lib/mayfly/functions"],
  ["functions.tenants", "tenants.yaml"],
  ["history", { keep: "30d", size: "10GiB" }],
  ["history.dir", "/var/lib/mayfly/history"],
  ["history.redact", { headers: ["x-session"], paths: ["/customer/iban"] }],
  ["history.redact.headers", ["x-session"]],
  ["history.redact.paths", ["/customer/iban", "/items/*/price"]],
  ["build", { include: ["../shared"] }],
  ["build.include", ["../shared"]],
  ["images", { trust: ["keys/release.pub"] }],
  ["images.trust", ["keys/release.pub"]],
  ["approvals", { url: "https://mayfly.example.com" }],
  ["approvals.url", "https://mayfly.example.com"],
  ["approvals.key", "${APPROVALS_KEY}"],
  ["ceilings", { memory: "128MiB", cpu: "5s" }],
  ["workers", 4],
  ["telemetry", { endpoint: "http://localhost:4318", sample: "10%" }],
  ["telemetry.endpoint", "http://localhost:4318"],
  ["telemetry.headers", { "x-api-key": "${OTLP_KEY}" }],
  ["telemetry.service", "orders"],
  ["telemetry.attributes", { "deployment.environment": "prod" }],
  ["log", { level: "warn", format: "json" }],
]);

export const exampleConfig = {
  http: { admin: { port: 9090, token: "a-token" } },
  flows: {
    orders: {
      flow: "flows/orders.ts",
      from: [{ http: { path: "/orders/:id" } }],
      to: { erp: { http: { url: "https://erp.example.com" } } },
    },
  },
};

export const referenceIntro = `# Settings of mayfly.yaml

Generated from the schema (\`UPDATE=1 npm test -- gateway/config\`); do not edit. Settings of sources and outlets are in [CONNECTORS.md](CONNECTORS.md). An editor that
knows JSON Schema completes and checks the file with \`# yaml-language-server: $schema=node_modules/mayfly/gateway/mayfly.schema.json\` in its first line.

\`\`\`yaml
http: { port: 8080 }
flows:
  orders:
    flow: flows/orders.ts
    from:
      - http: { path: "/orders/:id" }
    to:
      erp: { http: { url: "\${ERP_URL}" }, rate: 100/s }
\`\`\`

## How values are written

| | |
| --- | --- |
| duration | \`200ms\`, \`5s\`, \`1.5m\`, \`24h\`, \`7d\`; a range \`200ms..30s\` |
| size | \`512B\`, \`64KB\` (1,000), \`16MiB\` (1,024²) |
| rate, quota | \`100/s\`, \`60/m\`; a quota is a whole number in a time, which may be used up at once |
| share | \`5%\`, \`0.5%\` |
| network | \`192.0.2.7\`, \`192.0.2.0/24\`, \`2001:db8::/32\` |
| path | relative to the folder of mayfly.yaml |
| reference | \`\${NAME}\` for a variable of the environment, \`\${NAME:-default}\`, \`\${file:/run/secrets/x}\` for a file that is read again when it changes; \`$\${\` for a plain \`\${\` |

**Keys** (\`key\`, \`dedup.by\`, keys of signals) are one of \`header:NAME\`, \`path:NAME\` (a parameter of an HTTP source's path), \`json:/pointer\` (RFC 6901, into the body), \`id\`, \`key\` (the one its
source gives), \`body\`, or a text in double quotes, the same for every message. A message without such a value has no key.

## Profiles

\`--profile prod\`, or \`MAYFLY_PROFILE=prod\` in the environment, puts \`mayfly.prod.yaml\` over \`mayfly.yaml\`; both lie in one folder, which paths start from.

\`\`\`yaml
# mayfly.prod.yaml
http: { port: 443, tls: { cert: tls/shop.pem, key: tls/shop.key } }
journal: { memory: null, dir: /var/lib/mayfly/journal }
flows: { orders: { to: { erp: { rate: 500/s } } } }
\`\`\`

- Objects are merged key by key, at every depth. Everything else replaces what was there: texts, numbers, and lists as a whole.
- A key whose value is \`null\`, or empty, is taken away: the default counts again. So an outlet changes its connector with \`{ file: null, http: { … } }\`.
- References are looked up after the merge: what a profile replaces needs no variable.
- A part that is named by an alias (\`*name\`) is changed in the place that the profile names, and in no other. Anchors are those of one file.
- The result is checked as one file; a fault is told with the file and line it is in. \`mayfly config show --profile prod\` shows it.
`;
