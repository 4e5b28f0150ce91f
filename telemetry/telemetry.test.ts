/** Telemetry of a real gateway, read by a collector that decodes with OpenTelemetry's own protocol definitions. */
import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import { createServer, type IncomingMessage } from "node:http";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { serve, type Serving } from "#cli";
import { type RootLogger, silentLogger } from "#gateway";
import { mqttServer, natsServer, noRabbit, rabbitUrl, redisServer } from "../connectors/testing/servers.ts";
import { Collector, type Span } from "./testing/collector.ts";

const patienceMs = 20_000;
const sender = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" };

const orders = `import { flow } from "mayfly";
export default flow<"erp" | "next">(async (msg, { to, log }) => {
  if (msg.text() === "bad") throw new TypeError("not an order");
  log.info("asking", { about: "stock" });
  const answer = await to.erp.request({ stock: 1 });
  to.next.send({ order: 4711, status: answer.status });
  return { ok: true };
});`;
const billing = `import { flow } from "mayfly";
export default flow(async (msg) => { if (msg.attempt === 1 && msg.headers["x-again"] === "yes") throw new Error("not yet"); });`;

let folder: string;
let collector: Collector;
let serving: Serving | undefined;
let crmUrl = "";
const crmSaw: IncomingMessage["headers"][] = [];
const crm = createServer((request, response) => {
  crmSaw.push(request.headers);
  request.resume();
  response.setHeader("content-type", "application/json");
  response.end("{}");
});

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-telemetry-"));
  await writeFile(join(folder, "orders.ts"), orders);
  await writeFile(join(folder, "billing.ts"), billing);
  await new Promise<void>((done) => crm.listen(0, "127.0.0.1", done));
  crmUrl = `http://127.0.0.1:${(crm.address() as AddressInfo).port}/stock`;
});
after(async () => {
  crm.closeAllConnections();
  crm.close();
  await rm(folder, { recursive: true, force: true });
});
afterEach(async () => {
  await serving?.stop();
  serving = undefined;
  await collector.stop();
  crmSaw.length = 0;
});

interface Way {
  readonly from: string;
  readonly to: string;
}

const byFlow: Way = { from: "flow: {}", to: "flow: { name: billing }" };

async function start(
  telemetry: string,
  { way = byFlow, logger = silentLogger }: { way?: Way; logger?: RootLogger } = {},
): Promise<Serving> {
  await writeFile(
    join(folder, "mayfly.yaml"),
    `http: { port: 0 }
journal: { memory: true }
${telemetry}
flows:
  orders:
    flow: orders.ts
    from: [{ http: { path: "/orders/:id" } }]
    to:
      erp: { http: { url: "${crmUrl}" } }
      next: { ${way.to} }
  billing:
    flow: billing.ts
    retry: { attempts: 2, backoff: 20ms..20ms }
    from: [{ ${way.from} }]
`,
  );
  serving = await serve({ file: join(folder, "mayfly.yaml"), port: 0, environment: {}, logger });
  return serving;
}

async function post(body = "{}", headers: Record<string, string> = {}): Promise<Response> {
  const url = `${serving?.url ?? ""}/orders/4711`;
  return await fetch(url, { method: "POST", body, headers: { "content-type": "text/plain", ...headers } });
}

/** The span of that name and flow, when it has come. */
function span(name: string): Promise<Span> {
  return collector.until(() => collector.spans.find((each) => each.name === name));
}

async function checkOneTrace(): Promise<void> {
  equal((await post("{}", { traceparent: `00-${sender.traceId}-${sender.spanId}-01` })).status, 200);
  const order = await span("POST /orders/:id");
  const bill = await span("process billing");
  const call = await span("request erp");
  // Until a broker has its queue a send may be tried several times: it is that of the try which arrived.
  const send = await collector.until(() =>
    collector.spans.find(({ name, spanId }) => name === "send next" && spanId === bill.parentSpanId),
  );
  const attempts = await collector.until(() => {
    const found = collector.spans.filter(({ name }) => name === "attempt 1");
    return found.length === 2 ? found : undefined;
  });
  for (const each of [order, bill, call, send, ...attempts]) equal(each.traceId, sender.traceId, each.name);
  equal(order.parentSpanId, sender.spanId);
  equal(order.kind, "SPAN_KIND_SERVER");
  equal(order.attributes["http.response.status_code"], 200);
  equal(order.attributes["http.route"], "/orders/:id");
  const attempt = attempts.find(({ parentSpanId }) => parentSpanId === order.spanId);
  match(String(attempt?.attributes["mayfly.image"]), /^sha256:[0-9a-f]{64}$/);
  equal(call.parentSpanId, attempt?.spanId);
  equal(call.kind, "SPAN_KIND_CLIENT");
  // The peer was given the span of the call it answered.
  equal(crmSaw[0]?.["traceparent"], `00-${sender.traceId}-${call.spanId}-01`);
  equal(send.parentSpanId, order.spanId);
  equal(bill.kind, "SPAN_KIND_CONSUMER");
  for (const each of [order, bill, call, send]) ok(BigInt(each.endTimeUnixNano) >= BigInt(each.startTimeUnixNano), each.name);
  ok(BigInt(call.startTimeUnixNano) >= BigInt(order.startTimeUnixNano) && BigInt(call.endTimeUnixNano) <= BigInt(order.endTimeUnixNano));
  equal(new Set(collector.spans.map(({ spanId }) => spanId)).size, collector.spans.length);
}

describe("one trace across two flows", () => {
  test("inside the gateway", { timeout: patienceMs }, async () => {
    collector = await Collector.start();
    await start(
      `telemetry: { endpoint: "${collector.url}", headers: { x-key: secret }, service: shop, attributes: { deployment.environment.name: test } }`,
    );
    await checkOneTrace();
    equal(collector.headers[0]?.["x-key"], "secret");
    equal(collector.resource["service.name"], "shop");
    equal(collector.resource["deployment.environment.name"], "test");
    equal(
      Object.keys(collector.resource).some((name) => name.startsWith("process.command")),
      false,
    );
  });

  test("across NATS", { timeout: patienceMs }, async (context) => {
    collector = await Collector.start();
    const broker = await natsServer();
    if (typeof broker === "string") return context.skip(broker);
    try {
      const nats = `nats: { url: "nats://127.0.0.1:${broker.port}", subject: bills }`;
      await start(`telemetry: { endpoint: "${collector.url}" }`, { way: { from: nats, to: nats } });
      await checkOneTrace();
    } finally {
      await serving?.stop();
      serving = undefined;
      await broker.remove();
    }
  });

  for (const [name, server, connector] of [
    [
      "Redis",
      redisServer,
      (port: number): Way => ({
        from: `redis: { url: "redis://127.0.0.1:${port}", stream: bills, group: mayfly }`,
        to: `redis: { url: "redis://127.0.0.1:${port}", stream: bills }`,
      }),
    ],
    [
      "MQTT",
      mqttServer,
      (port: number): Way => ({
        from: `mqtt: { url: "mqtt://127.0.0.1:${port}", topic: bills }`,
        to: `mqtt: { url: "mqtt://127.0.0.1:${port}", topic: bills }`,
      }),
    ],
  ] as const)
    test(`across ${name}`, { timeout: patienceMs }, async (context) => {
      collector = await Collector.start();
      const broker = await server();
      if (typeof broker === "string") return context.skip(broker);
      try {
        await start(`telemetry: { endpoint: "${collector.url}" }`, { way: connector(broker.port) });
        await checkOneTrace();
      } finally {
        await serving?.stop();
        serving = undefined;
        await broker.remove();
      }
    });

  test("across AMQP", { timeout: patienceMs }, async (context) => {
    collector = await Collector.start();
    const why = await noRabbit();
    if (why !== undefined) return context.skip(why);
    const queue = `mayfly-telemetry-${process.pid}`;
    await start(`telemetry: { endpoint: "${collector.url}" }`, {
      way: {
        from: `amqp: { url: "${rabbitUrl}", queue: ${queue}, declare: classic }`,
        to: `amqp: { url: "${rabbitUrl}", queue: ${queue} }`,
      },
    });
    await checkOneTrace();
    equal((await span("process billing")).attributes["messaging.system"], "rabbitmq");
  });
});

test("a retry links to the attempt before it; a failure is an error with its code, and its log lines carry the trace", {
  timeout: patienceMs,
}, async () => {
  collector = await Collector.start();
  const written: Record<string, unknown>[] = [];
  const write = (bound: object): RootLogger => {
    const line = (fields: object): void => void written.push({ ...bound, ...fields });
    return { debug: line, info: line, warn: line, error: line, child: (fields) => write({ ...bound, ...fields }) };
  };
  await start(`telemetry: { endpoint: "${collector.url}" }`, { logger: write({}) });
  await serving?.gateway.inject("billing", { body: new Uint8Array(), headers: { "x-again": "yes" }, wait: false });
  const bill = await span("process billing");
  const second = await span("attempt 2");
  const first = await span("attempt 1");
  await span("wait for retry");
  deepEqual(second.links, [{ spanId: first.spanId }]);
  equal(first.status.code, "STATUS_CODE_ERROR");
  equal(bill.attributes["mayfly.attempts"], 2);
  equal((await post("bad")).status, 500);
  const failed = await span("POST /orders/:id");
  equal(failed.status.code, "STATUS_CODE_ERROR");
  match(String(failed.status.message), /not an order/);
  equal(failed.attributes["http.response.status_code"], 500);
  equal((await post()).status, 200);
  const line = await collector.until(() => collector.lines.find(({ text }) => text === "asking"));
  const root = await collector.until(() => collector.spans.find(({ spanId }) => spanId === line.spanId));
  equal(root.traceId, line.traceId);
  equal(line.severityText, "INFO");
  equal(line.attributes["mayfly.flow"], "orders");
  ok(
    written.some(({ trace_id, span_id }) => trace_id === line.traceId && span_id === line.spanId),
    "the written log carries it as well",
  );
});

test("a dead letter that is retried is a span of its own, below that of its first life", { timeout: patienceMs }, async () => {
  collector = await Collector.start();
  await start(`telemetry: { endpoint: "${collector.url}", metrics: false, logs: false }`);
  await serving?.gateway.inject("orders", { body: Buffer.from("bad"), wait: false });
  const first = await span("process orders");
  const letter = String(first.attributes["mayfly.dead_letter"]);
  await serving?.gateway.retryDeadLetter(letter);
  const again = await collector.until(() =>
    collector.spans.find(({ name, spanId }) => name === "process orders" && spanId !== first.spanId),
  );
  equal(again.traceId, first.traceId);
  equal(again.parentSpanId, first.spanId);
  await collector.until(() =>
    collector.spans.some(({ name, parentSpanId }) => name === "attempt 1" && parentSpanId === again.spanId) ? true : undefined,
  );
  equal(new Set(collector.spans.map(({ spanId }) => spanId)).size, collector.spans.length);
});

test("metrics are those of /metrics, by the names of the conventions", { timeout: patienceMs }, async () => {
  collector = await Collector.start();
  await start(`telemetry: { endpoint: "${collector.url}", interval: 100ms }`);
  for (let n = 0; n < 3; n++) await post();
  const duration = await collector.until(() => {
    const points = collector.metrics.get("messaging.process.duration")?.points;
    return points?.find(({ attributes, value }) => attributes["mayfly.flow"] === "orders" && value === 3);
  });
  equal(
    duration.buckets.reduce((sum, each) => sum + each, 0),
    3,
  );
  equal(collector.metrics.get("messaging.process.duration")?.unit, "s");
  const done = collector.metrics.get("mayfly.flow.done")?.points.find(({ attributes }) => attributes["mayfly.flow"] === "orders");
  equal(done?.value, 3);
  deepEqual([...new Set(collector.metrics.get("process.cpu.time")?.points.map(({ attributes }) => attributes["cpu.mode"]))].sort(), [
    "system",
    "user",
  ]);
});

test("an unsampled sender is followed: nothing is exported, its context goes on", { timeout: patienceMs }, async () => {
  collector = await Collector.start();
  await start(`telemetry: { endpoint: "${collector.url}", metrics: false, logs: false }`);
  const context = `00-${sender.traceId}-${sender.spanId}-00`;
  await post("{}", { traceparent: context });
  equal(crmSaw[0]?.["traceparent"], context);
  await serving?.stop();
  serving = undefined;
  equal(collector.spans.length, 0);
});

test("nothing sampled: contexts are made all the same, so that others do not sample again", { timeout: patienceMs }, async () => {
  collector = await Collector.start();
  await start(`telemetry: { endpoint: "${collector.url}", sample: 0%, metrics: false, logs: false }`);
  await post();
  match(String(crmSaw[0]?.["traceparent"]), /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  await serving?.stop();
  serving = undefined;
  equal(collector.asked, 0);
});

describe("a collector that is", () => {
  for (const mood of ["silent", "refuses", "lies", "floods"] as const)
    test(`${mood}: messages are served, what is lost is counted, a stop does not wait for it`, { timeout: patienceMs }, async () => {
      collector = await Collector.start();
      collector.mood = mood;
      await start(`drain: 2s\ntelemetry: { endpoint: "${collector.url}", metrics: false, logs: false }`);
      for (let n = 0; n < 20; n++) equal((await post()).status, 200);
      await collector.until(() => (collector.asked > 0 ? true : undefined));
      const gateway = serving?.gateway;
      await serving?.stop();
      serving = undefined;
      const families = await gateway?.measurements();
      const value = (name: string): number =>
        families?.find((each) => each.name === name)?.values.find(({ labels }) => labels["signal"] === "traces")?.value ?? Number.NaN;
      // An answer that is no protocol buffer says nothing about the spans: they count as taken.
      if (mood === "lies") ok(value("mayfly_telemetry_exported_total") > 0);
      else ok(value("mayfly_telemetry_dropped_total") > 0);
      notEqual(value("mayfly_telemetry_exported_total") + value("mayfly_telemetry_dropped_total"), 0);
    });
});

test("off unless it is asked for: no header, no metric, and nothing loaded", { timeout: patienceMs }, async () => {
  collector = await Collector.start();
  await start("");
  await post();
  equal(crmSaw[0]?.["traceparent"], undefined);
  const { text } = { text: await (await fetch(`${serving?.url ?? ""}/metrics`)).text() };
  equal(text.includes("mayfly_telemetry"), false);
});
