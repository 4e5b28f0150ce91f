/** The small gateway by itself: requests in, events out, effects in, answers out. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { test } from "node:test";
import type { Effect, Event, ServiceFlow } from "#abi";
import { bodyOf, jobEnd, type Peer, plainFlow, ServiceBench, statusOf } from "../testing/service.ts";

const route = plainFlow.routes[0] as (typeof plainFlow.routes)[number];
const post = (body = "", headers = ""): string => `POST / HTTP/1.1\r\nHost: x\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`;
const reply = (body: string, status = 200): Effect => ({
  kind: "done",
  reply: { status, contentType: "text/plain", headersJson: "{}", body: Buffer.from(body) },
});

/** The code in an answer's problem. */
function codeOf(answer: string): string {
  return (JSON.parse(bodyOf(answer)) as { code: string }).code;
}

function opened(bench: ServiceBench): Peer {
  const peer = bench.open();
  ok(peer !== undefined);
  return peer;
}

test("a request becomes a message, and the flow's reply an answer", async () => {
  const events: Event[] = [];
  const bench = await ServiceBench.create({
    run: (event) => {
      events.push(event);
      return [
        { kind: "done", reply: { status: 201, contentType: "text/plain", headersJson: '{"x-a":["1","2"]}', body: Buffer.from("hi") } },
      ];
    },
  });
  deepEqual(bench.listening, [80]);
  const answer = bench.ask(
    "POST /?a=b HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nX-A: 1\r\nX-A: 2\r\n\r\nabc",
  );
  equal(statusOf(answer), 201);
  equal(bodyOf(answer), "hi");
  match(answer, /\r\nx-a: 1\r\nx-a: 2\r\n/);
  const [event] = events;
  ok(event?.kind === "deliver");
  equal(Buffer.from(event.body).toString(), "abc");
  deepEqual(JSON.parse(event.headersJson), {
    host: "x",
    "x-a": ["1", "2"],
    "mayfly-method": "POST",
    "mayfly-path": "/",
    "mayfly-query": "a=b",
    "content-type": "text/plain",
  });
  equal(bench.host.exports.takenBytes(), 0);
});

test("credentials are a bearer token, a user with a password, or a key; secrets come from config.json and reach no flow", async () => {
  const headers: string[] = [];
  const bench = await ServiceBench.create({
    service: {
      routes: [{ ...route, auth: 0 }],
      auth: [
        [
          { type: "bearer", header: "authorization", caller: undefined, secret: "${TOKEN}" },
          { type: "basic", header: "authorization", caller: undefined, secret: "ada:${WORD:-pass}" },
          { type: "apiKey", header: "x-api-key", caller: "bob", secret: "k-${TOKEN}" },
        ],
      ],
      values: { greeting: "$${x} ${TOKEN}" },
    },
    config: { settings: { TOKEN: "s3cret\u00e9" } },
    run: (event) => {
      if (event.kind === "deliver") headers.push(event.headersJson);
      return [reply("ok")];
    },
  });
  const status = (line: string): number => statusOf(bench.ask(post("", line)));
  equal(status(""), 401);
  equal(status("Authorization: Bearer s3cret\r\n"), 401);
  equal(status("Authorization: Bearer s3cret\xe9x\r\n"), 401);
  equal(status("Authorization: bearer  s3cret\xe9\r\n"), 200);
  equal(status(`Authorization: Basic ${Buffer.from("ada:pass").toString("base64")}\r\n`), 200);
  equal(status(`Authorization: Basic ${Buffer.from("ada:wrong").toString("base64")}\r\n`), 401);
  equal(status("X-Api-Key: k-s3cret\xe9\r\nX-Other: 1\r\n"), 200);
  match(bench.ask(post()), /www-authenticate: Bearer realm="mayfly", Basic realm="mayfly", charset="UTF-8"\r\n/);
  deepEqual(JSON.parse(headers.at(-1) ?? ""), {
    host: "x",
    "x-other": "1",
    "mayfly-method": "POST",
    "mayfly-path": "/",
    "mayfly-caller": "bob",
    "mayfly-value-greeting": "${x} s3cret\u00e9",
  });
});

test("a missing setting is named on the console, and the machine ends", async () => {
  const bench = await ServiceBench.create({ service: { values: { a: "${MISSING}" } }, config: { settings: { OTHER: "x" } } });
  equal(bench.host.ended, 1);
  match(bench.host.console, /MF_STANDALONE_SETTINGS: the service needs the setting MISSING: give it under "settings"/);
  deepEqual(bench.listening, []);
});

test("settings may be the whole URL of an outlet", async () => {
  const bench = await ServiceBench.create({
    service: { outlets: [{ ...outlet, host: "${URL}", port: 0, path: "" }] },
    config: {
      settings: { URL: "http://ada:pa@erp:8080/in?k=1" },
      network: { address: "10.0.2.15/24", gateway: "10.0.2.2", dns: "10.0.2.3" },
    },
    names: { erp: 0x0a000203 },
    run: () => [send("x"), { kind: "done", reply: undefined }],
  });
  equal(bench.host.console.includes("mayfly:"), false, bench.host.console);
  bench.send(opened(bench), post());
  deepEqual(bench.connected[0]?.target, { address: 0x0a000203, port: 8080 });
  bench.connect(bench.connected[0] as Peer);
  match(bench.connected[0]?.text ?? "", /^POST \/in\?k=1 HTTP\/1\.1\r\nhost: erp:8080\r\nx-fixed: f\r\nauthorization: Basic YWRhOnBh\r\n/);
});

test("a flow that fails is told as the gateway tells it, and logged", async () => {
  const fails: Record<string, readonly Effect[] | { end: number }> = {
    flow: [{ kind: "fail", code: "MY CODE\n", message: "secret detail", stack: "at x", retry: false, status: 0 }],
    given: [{ kind: "fail", code: "NO", message: "told", stack: undefined, retry: false, status: 409 }],
    caller: [{ kind: "fail", code: "MF_MESSAGE_INVALID", message: "bad json", stack: undefined, retry: false, status: 400 }],
    cpu: { end: jobEnd.interrupted },
    memory: { end: jobEnd.escaped },
    room: { end: jobEnd.noMemory },
    lied: { end: jobEnd.lied },
    stalled: [],
    state: [{ kind: "state", name: "a", valueJson: "1" }],
    wait: [{ kind: "wait", wait: 0, name: "a", key: "k", dueMs: -1, questionJson: undefined }],
    unknown: [{ kind: "send", outlet: "erp", key: undefined, contentType: "", headersJson: "{}", body: new Uint8Array(0) }, reply("x")],
    header: [{ kind: "done", reply: { status: 200, contentType: "", headersJson: '{"a b":"c"}', body: new Uint8Array(0) } }],
    beyond: [{ kind: "done", reply: { status: 200, contentType: "", headersJson: '{"a":"\u20ac"}', body: new Uint8Array(0) } }],
    status: [{ kind: "done", reply: { status: 199, contentType: "", headersJson: "{}", body: new Uint8Array(0) } }],
  };
  let which = "";
  const bench = await ServiceBench.create({ run: () => fails[which] ?? [] });
  const results = Object.keys(fails).map((name) => {
    which = name;
    const answer = bench.ask(post());
    return [name, statusOf(answer), codeOf(answer)];
  });
  deepEqual(results, [
    ["flow", 500, "MY_CODE"],
    ["given", 409, "NO"],
    ["caller", 400, "MF_MESSAGE_INVALID"],
    ["cpu", 500, "MF_CPU_LIMIT"],
    ["memory", 500, "MF_MEMORY_LIMIT"],
    ["room", 500, "MF_MEMORY_LIMIT"],
    ["lied", 500, "MF_MACHINE_LIED"],
    ["stalled", 500, "MF_FLOW_STALLED"],
    ["state", 500, "MF_STANDALONE_STATE"],
    ["wait", 500, "MF_STANDALONE_WAIT"],
    ["unknown", 500, "MF_OUTLET_UNKNOWN"],
    ["header", 500, "MF_HEADER_INVALID"],
    ["beyond", 500, "MF_HEADER_INVALID"],
    ["status", 500, "MF_MACHINE_LIED"],
  ]);
  match(bench.host.console, /"code":"MY_CODE","stack":"at x","msg":"secret detail"}\n/);
  which = "flow";
  equal(bench.ask(post()).includes("secret detail"), false);
  equal(bench.host.exports.takenBytes() < 64 * 32, true);
  deepEqual(new Set(bench.drops), new Set([0]));
});

test("timers wake the machine at its own time; others go on meanwhile", async () => {
  const steps: string[] = [];
  const bench = await ServiceBench.create({
    run: (event, slot) => {
      steps.push(`${event.kind} ${slot}`);
      if (event.kind === "deliver" && Buffer.from(event.body).toString() === "wait")
        return [
          { kind: "timer", timer: 7, dueMs: event.timeMs + 500 },
          { kind: "timer", timer: 8, dueMs: event.timeMs + 100 },
          { kind: "timer", timer: 8, dueMs: -1 },
        ];
      return [reply(event.kind === "wake" ? `woke ${event.timer}` : "at once")];
    },
  });
  const slow = opened(bench);
  bench.send(slow, post("wait"));
  equal(bodyOf(bench.ask(post())), "at once");
  bench.pass(499);
  equal(slow.text, "");
  bench.pass(2);
  equal(bodyOf(slow.text), "woke 7");
  deepEqual(steps, ["deliver 0", "deliver 1", "wake 0"]);
});

test("a message beyond its time is answered 504, cancelled and dropped; one whose caller leaves is cancelled", async () => {
  const seen: string[] = [];
  const bench = await ServiceBench.create({
    run: (event) => {
      if (event.kind === "cancel") {
        seen.push(event.reason.slice(0, 15));
        return [{ kind: "log", level: "warn", text: "cancelled", fieldsJson: undefined }];
      }
      return event.kind === "deliver" ? [{ kind: "timer", timer: 0, dueMs: event.timeMs + 1e9 }] : [];
    },
  });
  const late = opened(bench);
  bench.send(late, post());
  bench.pass(30_001);
  equal(statusOf(late.text), 504);
  equal(codeOf(late.text), "MF_TIME_LIMIT");
  const leaver = opened(bench);
  bench.send(leaver, post());
  bench.close(leaver);
  deepEqual(seen, ["the message exc", "the caller left"]);
  equal(bench.drops.length, 2);
  equal(bench.host.console.match(/"msg":"cancelled"/g)?.length, 2);
  match(bench.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), /mayfly_flow_running\{flow="orders"\} 0\n/);
});

test("messages that fill the room for timers are refused more; connections, deadlines and the power button have theirs", async () => {
  const bench = await ServiceBench.create({
    run: (event) => {
      if (event.kind !== "deliver") return [];
      const timers = Number(Buffer.from(event.body).toString());
      return Array.from({ length: timers }, (_, timer): Effect => ({ kind: "timer", timer, dueMs: event.timeMs + 1e9 }));
    },
  });
  for (const timers of [512, 32, 1])
    for (let refused = ""; refused === ""; ) {
      const peer = opened(bench);
      bench.send(peer, post(String(timers)));
      refused = peer.text;
      if (refused !== "") equal(codeOf(refused), "MF_MEMORY_BUSY");
    }
  const silent = opened(bench);
  bench.pass(11_000);
  ok(silent.finished, "a connection without a request is closed");
  bench.host.exports.button();
  bench.pass(10_001);
  equal(bench.host.ended, 0);
});

test("beyond its concurrency messages queue, and beyond its queue they are refused", async () => {
  const bench = await ServiceBench.create({
    service: { concurrency: 1, queue: 2 },
    run: (event) => (event.kind === "deliver" ? [{ kind: "timer", timer: 0, dueMs: event.timeMs + 10 }] : [reply("done")]),
  });
  const peers = [1, 2, 3].map(() => opened(bench));
  for (const peer of peers) bench.send(peer, post());
  match(peers[2]?.text ?? "", /^HTTP\/1\.1 503 Service Unavailable\r\nretry-after: 1\r\n/);
  equal(codeOf(peers[2]?.text ?? ""), "MF_FLOW_BUSY");
  bench.pass(30);
  deepEqual(
    peers.slice(0, 2).map(({ text }) => bodyOf(text)),
    ["done", "done"],
  );
});

const flowNamed = (name: string, change: Partial<ServiceFlow> = {}): ServiceFlow => ({
  ...{ ...plainFlow, name, routes: [{ ...route, path: `/${name}` }] },
  ...change,
});
const postTo = (path: string, body = ""): string => `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

test("several flows in one image: each message says which is its own, with that flow's values, outlets, limits and counters", async () => {
  const starts: object[] = [];
  const bench = await ServiceBench.create({
    service: {
      flows: [
        flowNamed("orders", { values: { region: "${REGION}" }, outlets: [outlet] }),
        flowNamed("stock", { limits: { ...plainFlow.limits, sends: 1, memoryBytes: 16 * 2 ** 20, cpuMs: 7 } }),
      ],
    },
    config: { settings: { REGION: "eu" } },
    names,
    run: (event) => {
      if (event.kind !== "deliver") return [reply("?")];
      const { "mayfly-flow": flow, "mayfly-value-region": region } = JSON.parse(event.headersJson) as Record<string, string>;
      starts.push({ flow, region });
      return event.body.length > 0 ? [send("one")] : [reply(flow ?? "")];
    },
  });
  equal(bodyOf(bench.ask(postTo("/orders"))), "orders");
  equal(bodyOf(bench.ask(postTo("/stock").replace("Host", "mayfly-flow: orders\r\nHost"))), "stock");
  deepEqual(starts, [
    { flow: "orders", region: "eu" },
    { flow: "stock", region: undefined },
  ]);
  match(bench.ask(postTo("/stock", "x")), /MF_OUTLET_UNKNOWN/);
  match(bench.host.console, /the flow stock has no outlet .* \(it has none\): add it under flows\.stock\.to/);
  bench.run = () => ({ end: jobEnd.interrupted });
  match(bench.ask(postTo("/stock")), /limits\.cpu \(7 ms\)/);
  const metrics = bench.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  for (const line of [
    'mayfly_source_received_total{flow="orders"} 1',
    'mayfly_source_received_total{flow="stock"} 3',
    'mayfly_flow_done_total{flow="stock"} 1',
    'mayfly_flow_failures_total{flow="stock",code="MF_OUTLET_UNKNOWN"} 1',
    'mayfly_flow_duration_seconds_count{flow="orders"} 1',
    'mayfly_flow_duration_seconds_count{flow="stock"} 1',
    'mayfly_outlet_sent_total{flow="orders",outlet="erp"} 0',
    'mayfly_flow_pending{flow="stock"} 0',
  ])
    ok(metrics.includes(`${line}\n`), line);
});

test("a flow whose places are taken holds up no other, and flows begin in turn", async () => {
  const begun: string[] = [];
  const bench = await ServiceBench.create({
    service: { flows: [flowNamed("a", { concurrency: 1, queue: 3 }), flowNamed("b"), flowNamed("c", { concurrency: 1 })] },
    run: undefined,
  });
  const ask = (path: string): Peer => {
    const peer = opened(bench);
    bench.send(peer, postTo(path));
    return peer;
  };
  const asked = ["/a", "/a", "/a", "/a", "/b", "/b", "/c"].map(ask);
  equal(codeOf(asked[3]?.text ?? ""), "MF_FLOW_BUSY", "its own queue is full");
  const waiting: number[] = [];
  const begin = (): void => {
    for (let job = bench.takeJob(); job !== undefined; job = bench.takeJob()) {
      ok(job.event.kind === "deliver");
      begun.push((JSON.parse(job.event.headersJson) as Record<string, string>)["mayfly-flow"] ?? "");
      waiting.push(job.slot);
      bench.finishJob(job.slot, [{ kind: "timer", timer: 0, dueMs: job.event.timeMs + 10 }]);
    }
  };
  begin();
  deepEqual(begun.splice(0), ["a", "b", "c", "b"]);
  bench.run = () => [reply("done")];
  bench.pass(11);
  bench.work();
  deepEqual(asked.map(({ text }) => bodyOf(text)).filter((body) => body === "done").length, 6);
});

test("the power button: what is under way is finished, new requests are refused, idle connections closed, then it is off", async () => {
  const bench = await ServiceBench.create({
    run: (event) => (event.kind === "deliver" ? [{ kind: "timer", timer: 0, dueMs: event.timeMs + 50 }] : [reply("done")]),
  });
  const [busy, idle, late] = [opened(bench), opened(bench), opened(bench)];
  bench.send(busy, post());
  bench.send(late, "POST / HTTP/1.1\r\nHost: x\r\nContent-Le");
  bench.host.exports.button();
  ok(idle.finished);
  bench.close(idle);
  deepEqual(bench.listening, [80, 0]);
  bench.send(late, "ngth: 0\r\n\r\n");
  equal(codeOf(late.text), "MF_STOPPING");
  bench.close(late);
  equal(bench.host.ended, undefined);
  bench.pass(60);
  equal(bodyOf(busy.text), "done");
  match(busy.text, /\r\nConnection: close\r\n/);
  ok(busy.finished);
  bench.close(busy);
  bench.pass(1);
  equal(bench.host.ended, 0);
});

test("a body in pieces, chunks and pipelined requests; a slow reader holds up its own connection only", async () => {
  const bench = await ServiceBench.create({ run: (event) => [reply(event.kind === "deliver" ? Buffer.from(event.body).toString() : "")] });
  const peer = opened(bench);
  peer.room = 10;
  const bytes =
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nT: u\r\n\r\n" + post("second");
  for (const byte of bytes) bench.send(peer, byte);
  equal(peer.text.length, 10);
  equal(statusOf(bench.ask(post())), 200);
  for (let times = 0; times < 100; times++) bench.allow(peer, 7);
  deepEqual(peer.text.match(/HTTP\/1\.1 200|hello!|second/g), ["HTTP/1.1 200", "hello!", "HTTP/1.1 200", "second"]);
  bench.pass(64_000);
  equal(peer.finished, false);
  bench.pass(2_000);
  ok(peer.finished, "an idle connection is closed");
});

test("behind bytes that are no request nothing is read, however slowly their sender takes the refusal", async () => {
  const events: Event[] = [];
  const bench = await ServiceBench.create({
    run: (event) => {
      events.push(event);
      return [reply("hi")];
    },
  });
  const refusal = bench.ask("broken\r\n\r\n");
  equal(statusOf(refusal), 400);
  const peer = opened(bench);
  peer.room = 10;
  bench.send(peer, "broken\r\n\r\n");
  bench.send(peer, post("hello"));
  bench.send(peer, "POST / HTTP/1.1\r\nHost: x\r\n");
  bench.allow(peer, 10_000);
  bench.send(peer, post("hello"));
  equal(peer.text, refusal);
  equal(peer.finished, true);
  deepEqual(events, []);
});

test("senders that take their time are told 408, and readers that do are cut", async () => {
  const bench = await ServiceBench.create({ run: () => [reply("x".repeat(100))] });
  const [head, body, reader] = [opened(bench), opened(bench), opened(bench)];
  reader.room = 5;
  bench.send(head, "POST / HT");
  bench.send(body, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab");
  bench.send(reader, post());
  bench.pass(10_001);
  equal(statusOf(head.text), 408);
  bench.pass(50_000);
  equal(statusOf(body.text), 408);
  ok(reader.aborted);
});

test("the log is bounded a message, and JSON of one line whatever a flow writes", async () => {
  const line = (text: string, fieldsJson?: string): Effect => ({ kind: "log", level: "info", text, fieldsJson });
  const bench = await ServiceBench.create({
    service: { limits: { ...plainFlow.limits, logBytes: 200 } },
    run: () => [
      line("a\nb\u009b", '{ "x" : [1, "\\n"] }'),
      line("raw", "{nonsense\n}"),
      line("x".repeat(200)),
      { kind: "done", reply: undefined },
    ],
  });
  equal(statusOf(bench.ask(post("", "Idempotency-Key: 1\r\n"))), 204);
  const lines = bench.host.console
    .trim()
    .split("\n")
    .slice(1)
    .map((text) => JSON.parse(text) as Record<string, unknown>);
  deepEqual(
    lines.map(({ level, flow, message, fields, msg }) => ({ level, flow, message, fields, msg })),
    [
      { level: "info", flow: "orders", message: "1", fields: { x: [1, "\n"] }, msg: "a\nb\u009b" },
      { level: "info", flow: "orders", message: "1", fields: "{nonsense\n}", msg: "raw" },
    ],
  );
  match(bench.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), /mayfly_flow_log_lines_dropped_total\{flow="orders"\} 1\n/);
});

// ---- outlets

const outlet = {
  name: "erp",
  scheme: "http",
  host: "erp.example",
  port: 8080,
  path: "/in",
  method: "POST",
  timeoutMs: 1000,
  attempts: 3,
  backoffMs: { least: 100, most: 200 },
  retryAgeMs: 60_000,
  basic: undefined,
  headers: { "x-fixed": "f" },
} as const;
const names = { "erp.example": 0x0a000203 };
const send = (body: string, headersJson = "{}"): Effect => ({
  kind: "send",
  outlet: "erp",
  key: undefined,
  contentType: "text/plain",
  headersJson,
  body: Buffer.from(body),
});
const call = (number: number, headersJson = "{}", timeoutMs = 0): Effect => ({
  kind: "call",
  call: number,
  operation: "request",
  target: "erp",
  method: "get",
  contentType: "",
  headersJson,
  timeoutMs,
  body: new Uint8Array(0),
});

/** The newest connection to an outlet, connected. */
function asked(bench: ServiceBench, index: number): Peer {
  const peer = bench.connected[index];
  ok(peer !== undefined, `there is no connection ${index} to the outlet`);
  bench.connect(peer);
  return peer;
}

test("sends are carried out in order, under one key over retries, before the caller has its reply", async () => {
  const bench = await ServiceBench.create({
    service: { outlets: [outlet] },
    names,
    run: () => [send("one", '{"X-Fixed":"mine","x-a":"b","connection":"evil"}'), send("two"), reply("done")],
  });
  const caller = opened(bench);
  bench.send(caller, post("", "Idempotency-Key: id 1\r\nX-Correlation-Id: c\r\ntraceparent: t\r\n"));
  const first = asked(bench, 0);
  match(
    first.text,
    /^POST \/in HTTP\/1\.1\r\nhost: erp\.example:8080\r\nx-fixed: f\r\nx-a: b\r\ncontent-type: text\/plain\r\ntraceparent: t\r\nx-correlation-id: c\r\nidempotency-key: orders\/id%201\/[\w-]{22}\/0\r\ncontent-length: 3\r\nconnection: close\r\n\r\none$/,
  );
  bench.send(first, "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nwait");
  equal(bench.connected.length, 1);
  bench.pass(250);
  const again = asked(bench, 1);
  equal(again.text, first.text);
  bench.send(again, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
  equal(caller.text, "");
  const second = asked(bench, 2);
  match(second.text, /\/1\r\ncontent-length: 3\r\nconnection: close\r\n\r\ntwo$/);
  bench.send(second, "HTTP/1.1 204 No Content\r\n\r\n");
  equal(bodyOf(caller.text), "done");
  for (const peer of bench.connected) bench.close(peer);
  bench.close(caller);
  equal(bench.host.exports.takenBytes(), 0);
  const metrics = bench.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  match(metrics, /mayfly_outlet_sent_total\{flow="orders",outlet="erp"\} 2\n/);
  match(metrics, /mayfly_outlet_retries_total\{flow="orders",outlet="erp"\} 1\n/);
  match(metrics, /mayfly_outlet_pending\{flow="orders",outlet="erp"\} 0\n/);
});

test("a send that its peer refuses fails the message with 502, and says nothing of the peer", async () => {
  const bench = await ServiceBench.create({ service: { outlets: [outlet] }, names, run: () => [send("one"), reply("done")] });
  const caller = opened(bench);
  bench.send(caller, post());
  bench.send(asked(bench, 0), "HTTP/1.1 400 Bad\r\nContent-Length: 6\r\n\r\nsecret");
  equal(statusOf(caller.text), 502);
  equal(codeOf(caller.text), "MF_HTTP_STATUS");
  equal(caller.text.includes("secret"), false);
  match(bench.host.console, /erp\.example:8080 answered 400: secret/);
});

test("a request returns the peer's answer to the flow, 4xx included, and its path stays below the outlet's", async () => {
  const results: unknown[] = [];
  const paths = ["a/b?c=d", "../x", "%2e%2E/x", "a%2fb", "..\\x", "/ü x", "./x", "a/.../b"];
  const bench = await ServiceBench.create({
    service: { outlets: [outlet] },
    names,
    run: (event) => {
      if (event.kind === "deliver") return paths.map((path, index) => call(index, JSON.stringify({ ":path": path })));
      if (event.kind === "resolve")
        results.push([event.call, event.error?.code, event.status, event.headersJson, Buffer.from(event.body).toString()]);
      return results.length === paths.length ? [reply("done")] : [];
    },
  });
  const caller = opened(bench);
  bench.send(caller, post());
  equal(bench.connected.length, 3);
  for (const index of [0, 1, 2]) {
    const peer = asked(bench, index);
    equal(peer.text.split("\r\n")[0], ["GET /in/a/b?c=d HTTP/1.1", "GET /in/%C3%BC%20x HTTP/1.1", "GET /in/a/.../b HTTP/1.1"][index]);
    bench.send(peer, `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 No\r\nX-A: 1\r\nx-a: 2\r\nConnection: close\r\n\r\nbody ${index}`);
    bench.end(peer);
  }
  deepEqual(
    results.sort((a, b) => ((a as number[])[0] as number) - ((b as number[])[0] as number)),
    [
      [0, undefined, 404, '{"x-a":["1","2"]}', "body 0"],
      ...[1, 2, 3, 4].map((number) => [number, "MF_PATH_REFUSED", 0, "{}", ""]),
      [5, undefined, 404, '{"x-a":["1","2"]}', "body 1"],
      [6, "MF_PATH_REFUSED", 0, "{}", ""],
      [7, undefined, 404, '{"x-a":["1","2"]}', "body 2"],
    ],
  );
  equal(bodyOf(caller.text), "done");
});

test("a peer that is away, silent, odd or too slow: the flow has a code, and its caller 502 or 504", async () => {
  const misbehave: Record<string, (bench: ServiceBench, peer: Peer) => void> = {
    MF_HTTP_FAILED: (bench, peer) => bench.close(peer, 3),
    MF_OUTLET_TIMEOUT: (bench, peer) => {
      bench.connect(peer);
      bench.pass(1001);
    },
    MF_HTTP_ANSWER_GARBAGE: (bench, peer) => {
      bench.connect(peer);
      bench.send(peer, "SMTP 220 hello\r\n\r\n");
    },
    MF_HTTP_ANSWER_TOO_BIG: (bench, peer) => {
      bench.connect(peer);
      bench.send(peer, "HTTP/1.1 200 OK\r\nContent-Length: 17000000\r\n\r\n");
    },
    MF_HTTP_STATUS: (bench, peer) => {
      bench.connect(peer);
      bench.send(peer, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
    },
  };
  for (const [code, act] of Object.entries(misbehave)) {
    const bench = await ServiceBench.create({
      service: { outlets: [outlet] },
      names,
      run: (event) => {
        if (event.kind === "deliver") return [call(0)];
        if (event.kind !== "resolve" || event.error === undefined) return [reply("no error")];
        return [{ kind: "fail", code: event.error.code, message: "passed on", stack: undefined, retry: false, status: 0 }];
      },
    });
    const caller = opened(bench);
    bench.send(caller, post());
    for (let attempt = 0; attempt < 3; attempt++) {
      const peer = bench.connected[attempt];
      ok(peer !== undefined, `${code}: attempt ${attempt + 1}`);
      act(bench, peer);
      bench.pass(250);
    }
    equal(bench.connected.length, 3, code);
    deepEqual([statusOf(caller.text), codeOf(caller.text)], [code === "MF_OUTLET_TIMEOUT" ? 504 : 502, code]);
    for (const peer of bench.connected) bench.close(peer);
    bench.close(caller);
    bench.pass(10_000);
    ok(bench.host.exports.takenBytes() <= 128, `${code}: memory is left over`); // its count by code
  }
});

test("what a flow asks of others than its outlets fails", async () => {
  const codes: unknown[] = [];
  const bench = await ServiceBench.create({
    run: (event) => {
      if (event.kind === "deliver")
        return [
          call(0),
          { ...call(1), operation: "fetch", target: "http://x/" } as Effect,
          { ...call(2), operation: "state", target: "k" } as Effect,
        ];
      if (event.kind === "resolve") codes.push(event.error?.code);
      return codes.length === 3 ? [reply("done")] : [];
    },
  });
  equal(bodyOf(bench.ask(post())), "done");
  deepEqual(codes, ["MF_OUTLET_UNKNOWN", "MF_HOST_NOT_DECLARED", "MF_STANDALONE_STATE"]);
});

test("a caller that leaves, or whose time is over, ends what is under way at outlets", async () => {
  const bench = await ServiceBench.create({
    service: { outlets: [outlet] },
    names,
    run: (event) => (event.kind === "deliver" ? [call(0)] : []),
  });
  const [first, second] = [opened(bench), opened(bench)];
  bench.send(first, post());
  bench.send(second, post());
  asked(bench, 0);
  bench.close(first);
  ok(bench.connected[0]?.aborted);
  equal(bench.connected[1]?.aborted, false);
  bench.close(second);
  ok(bench.connected[1]?.aborted);
  equal(bench.host.exports.takenBytes(), 0);
});
