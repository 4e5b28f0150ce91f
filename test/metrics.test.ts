/** Every metric has its row in docs/METRICS.md, and the Grafana dashboard and the alert rules name none that does not exist. Strangers get no address. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { parse, stringify } from "yaml";
import { serve, type Serving } from "#cli";
import { connectors } from "#connectors";
import { readConfig, silentLogger } from "#gateway";

const root = fileURLToPath(new URL("../../", import.meta.url));
const peer = "secret-peer.invalid";

let folder: string;
let serving: Serving;
let exposition: string;

/** Names and types, as the exposition has them. */
const families = (text: string): Map<string, string> =>
  new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = "", type = ""]) => [name, type]));

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-metrics-"));
  for (const name of ["a", "b"])
    await writeFile(
      join(folder, `${name}.ts`),
      `import { flow } from "mayfly"; export default flow<"erp">((_msg, { to }) => { to.erp.send("${name}"); });`,
    );
  await writeFile(
    join(folder, "mayfly.yaml"),
    `http: { port: 0 }
drain: 1s
telemetry: { endpoint: "http://127.0.0.1:9" }
flows:
  orders:
    flow: a.ts
    image: { new: b.ts, share: 50% }
    from:
      - { http: { path: /orders } }
      - { nats: { url: "nats://${peer}:4222", subject: orders } }
    to:
      erp: { http: { url: "http://user:password@${peer}/orders" } }
`,
  );
  serving = await serve({ file: join(folder, "mayfly.yaml"), port: 0, environment: {}, logger: silentLogger });
  await fetch(`${serving.url}/orders`, { method: "POST", body: "x" });
  exposition = await (await fetch(`${serving.url}/metrics`)).text();
});
after(async () => {
  await serving.stop();
  await rm(folder, { recursive: true, force: true });
});

test("docs/METRICS.md has a row for each metric of Mayfly's, with its type, and none besides", async () => {
  const text = await readFile(join(root, "docs", "METRICS.md"), "utf8");
  const rows = [...text.matchAll(/^\| `(mayfly_\w+)`[^|]* \| (\w+) \| [^|]{10,} \|$/gm)].map(
    ([, name = "", type = ""]) => `${name} ${type}`,
  );
  const served = [...families(exposition)].filter(([name]) => name.startsWith("mayfly_")).map(([name, type]) => `${name} ${type}`);
  deepEqual([...rows].sort(), served.sort());
});

/** Metrics that a query names, a histogram's series as the histogram. */
function named(text: string): string[] {
  const known = families(exposition);
  return [...text.matchAll(/\b(?:mayfly|process|nodejs)_\w+/g)].map(([name]) => {
    const base = name.replace(/_(bucket|sum|count)$/, "");
    return known.get(base) === "histogram" ? base : name;
  });
}

function unknown(text: string): string[] {
  return named(text).filter((name) => !families(exposition).has(name));
}

const balanced = (text: string): boolean =>
  ["()", "{}", "[]"].every(([open = "", close = ""]) => text.split(open).length === text.split(close).length);

test("the dashboard names metrics that exist, each panel asks something", async () => {
  const text = await readFile(join(root, "docs", "grafana", "dashboard.json"), "utf8");
  deepEqual(unknown(text), []);
  const { panels } = JSON.parse(text) as { panels: { id: number; title: string; targets: { expr: string }[] }[] };
  ok(panels.length > 15);
  equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  for (const { title, targets } of panels)
    for (const { expr } of targets) ok(named(expr).length > 0 && balanced(expr), `${title}: ${expr}`);
});

test("the alert rules name metrics that exist, and say how urgent they are and what to do", async () => {
  interface Rule {
    readonly alert: string;
    readonly expr: string;
    readonly labels: { readonly severity: string };
    readonly annotations: { readonly summary: string; readonly runbook: string };
  }
  const text = await readFile(join(root, "docs", "grafana", "alerts.yml"), "utf8");
  deepEqual(unknown(text), []);
  const { groups } = parse(text) as { groups: { rules: Rule[] }[] };
  const rules = groups.flatMap((group) => group.rules);
  ok(rules.length > 10);
  for (const { alert, expr, labels, annotations } of rules) {
    ok(named(expr).length > 0 && balanced(expr), alert);
    ok(["page", "ticket"].includes(labels.severity), alert);
    ok(annotations.summary.length > 10 && annotations.runbook.length > 3, alert);
  }
});

test("a name that does not exist is found", () => {
  deepEqual(unknown("rate(mayfly_flow_done_total[5m]) + mayfly_flow_gone_total + mayfly_flow_duration_seconds_bucket"), [
    "mayfly_flow_gone_total",
  ]);
});

test("strangers learn no peer's address from /metrics, /ready or /ping", async () => {
  const answers = await Promise.all(
    ["/metrics", "/ready", "/ping"].map(async (path) => await (await fetch(`${serving.url}${path}`)).text()),
  );
  for (const text of answers) equal(text.includes(peer) || text.includes("password"), false);
  ok(JSON.stringify(serving.gateway.ready()).includes(peer), "the operator does");
});

test("settings in METRICS.md and OPERATIONS.md are valid, and the probes answer", async () => {
  let seen = 0;
  for (const name of ["METRICS.md", "OPERATIONS.md"]) {
    const text = await readFile(join(root, "docs", name), "utf8");
    for (const [, block = ""] of text.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)) {
      const settings = parse(block) as Record<string, { readonly httpGet?: { readonly path: string } }>;
      seen += 1;
      for (const [setting, { httpGet }] of Object.entries(settings)) {
        if (!setting.endsWith("Probe")) continue;
        const { status } = await fetch(`${serving.url}${httpGet?.path ?? ""}`);
        ok(status === 200 || (status === 503 && httpGet?.path === "/ready"), `${name}: ${httpGet?.path} answered ${status}`);
        delete settings[setting];
      }
      readConfig(stringify({ flows: {}, ...settings }), name, { ...connectors, environment: {} });
    }
  }
  equal(seen, 4);
});
