/** Messages by the clock, signatures of bodies, and outlets into the log. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import type { Effect, Event, ServiceAuth, ServiceSchedule } from "#abi";
import { checkSignature } from "../../../gateway/contract/http/signatures.ts";
import { seed } from "../../../base/testing/seed.ts";
import { bodyOf, plainFlow, ServiceBench, statusOf } from "../testing/service.ts";

const route = plainFlow.routes[0] as (typeof plainFlow.routes)[number];
const nothing: Effect = { kind: "done", reply: undefined };
const post = (body: string, headers: Readonly<Record<string, string>> = {}): string =>
  `POST / HTTP/1.1\r\nHost: x\r\n${Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("")}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

const all = {
  minutes: "1".repeat(60),
  hours: "1".repeat(24),
  days: "1".repeat(31),
  months: "1".repeat(12),
  weekdays: "1".repeat(7),
  either: false,
};
const only = (length: number, ...numbers: readonly number[]): string =>
  Array.from({ length }, (_, index) => (numbers.includes(index) ? "1" : "0")).join("");
const schedule: ServiceSchedule = {
  name: "from[1]",
  when: { everyMs: 1000 },
  atStart: false,
  contentType: "application/json",
  body: undefined,
};

interface Run {
  readonly id: string;
  readonly source: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}

function runOf(event: Event): Run {
  ok(event.kind === "deliver");
  return {
    id: event.id,
    source: event.source,
    headers: JSON.parse(event.headersJson) as Record<string, string>,
    body: Buffer.from(event.body).toString(),
  };
}

test("an interval gives messages as the gateway's cron source does; a run that is still under way is not overlapped", async () => {
  const runs: Run[] = [];
  let isSlow = false;
  const bench = await ServiceBench.create({
    service: { routes: [], values: { region: "eu" }, schedules: [schedule] },
    run: (event) => {
      if (event.kind !== "deliver") return [nothing];
      runs.push(runOf(event));
      return isSlow ? [{ kind: "timer", timer: 0, dueMs: event.timeMs + 2_500 }] : [nothing];
    },
  });
  bench.pass(999);
  equal(runs.length, 0);
  bench.pass(1);
  const [first] = runs.splice(0);
  ok(first !== undefined);
  const due = first.headers["mayfly-scheduled-time"] ?? "";
  match(due, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  deepEqual(first, {
    id: `orders-from[1]-${due}`,
    source: "cron",
    headers: { "mayfly-scheduled-time": due, "content-type": "application/json", "mayfly-value-region": "eu" },
    body: JSON.stringify({ scheduled: due }),
  });
  isSlow = true;
  bench.pass(4_000);
  equal(runs.length, 2, "of four runs that are due two begin: each takes two and a half");
  match(bench.host.console, /"level":"warn".*"msg":"orders from\[1\]: the previous run is still in progress: the run of .* is skipped"/);
  match(bench.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), /mayfly_source_received_total\{flow="orders"\} 3\n/);
  isSlow = false;
  bench.host.exports.button();
  bench.pass(10_000);
  equal(runs.length, 2, "nothing begins while it stops");
  equal(bench.host.ended, 0);
});

test("a run at the start, a body of its own, and a failure that is logged and ends nothing", async () => {
  const runs: Run[] = [];
  const bench = await ServiceBench.create({
    service: { schedules: [{ ...schedule, atStart: true, contentType: "text/plain", body: "go" }] },
    run: (event) => {
      runs.push(runOf(event));
      return [{ kind: "fail", code: "BROKEN", message: "no", stack: undefined, retry: false, status: 0 }];
    },
  });
  bench.work();
  deepEqual([runs[0]?.body, runs[0]?.headers["content-type"]], ["go", "text/plain"]);
  match(bench.host.console, /"code":"BROKEN","msg":"no"/);
  bench.pass(1_000);
  equal(runs.length, 2);
});

test("dates are those of the wall clock, in UTC: by minute, hour, day, month and weekday", async () => {
  const dates = async (when: object, minutes: number): Promise<string[]> => {
    const found: string[] = [];
    const bench = await ServiceBench.create({
      service: { schedules: [{ ...schedule, when: { ...all, ...when } }] },
      run: (event) => {
        found.push(runOf(event).headers["mayfly-scheduled-time"] ?? "");
        return [nothing];
      },
    });
    bench.pass(minutes * 60_000);
    return found;
  };
  const daily = await dates({ minutes: only(60, 30), hours: only(24, 6) }, 3 * 1440);
  equal(daily.length, 3);
  for (const date of daily) match(date, /T06:30:00\.000Z$/);
  const sundays = await dates({ minutes: only(60, 0), hours: only(24, 0), weekdays: only(7, 0) }, 15 * 1440);
  ok(sundays.length >= 2);
  for (const date of sundays) equal(new Date(date).getUTCDay(), 0, date);
  const firsts = await dates(
    { minutes: only(60, 0), hours: only(24, 0), days: only(31, 0), weekdays: only(7, 1), either: true },
    40 * 1440,
  );
  for (const date of firsts) ok(new Date(date).getUTCDate() === 1 || new Date(date).getUTCDay() === 1, date);
  ok(firsts.some((date) => new Date(date).getUTCDay() !== 1));
});

test("a clock that is set back runs no minute twice in a row, and one that is set on goes by the new date", async () => {
  const found: string[] = [];
  const bench = await ServiceBench.create({
    service: { schedules: [{ ...schedule, when: all }] },
    run: (event) => {
      found.push(runOf(event).headers["mayfly-scheduled-time"] ?? "");
      return [nothing];
    },
  });
  bench.pass(60_000);
  const [last] = found.splice(0).slice(-1);
  bench.host.wallMs -= 20_000;
  bench.pass(61_000);
  ok(
    found.every((date) => date > (last ?? "")),
    found.join(),
  );
  found.length = 0;
  bench.host.wallMs += 3_600_000;
  bench.pass(121_000);
  ok(found.length >= 1 && found.every((date) => Date.parse(date) - Date.parse(last ?? "") >= 3_600_000), found.join());
});

const secret = "s3cret";
const seconds = (bench: ServiceBench): number => Math.floor(bench.host.wallMs / 1000);
const way = (form: NonNullable<ServiceAuth["signature"]>["form"], header: string, prefix: string, key = secret): ServiceAuth => ({
  type: "signature",
  header,
  caller: undefined,
  secret: key,
  signature: { form, prefix, toleranceMs: 300_000 },
});
const mac = (text: string, encoding: "hex" | "base64", key: string | Buffer = secret): string =>
  createHmac("sha256", key).update(text).digest(encoding);

/** Each form as its sender makes it, at a time. */
const forms: Readonly<
  Record<string, { readonly way: ServiceAuth; readonly sign: (body: string, time: number) => Readonly<Record<string, string>> }>
> = {
  github: { way: way("hex", "x-hub-signature-256", "sha256="), sign: (body) => ({ "x-hub-signature-256": `sha256=${mac(body, "hex")}` }) },
  shopify: { way: way("base64", "x-shopify-hmac-sha256", ""), sign: (body) => ({ "x-shopify-hmac-sha256": mac(body, "base64") }) },
  stripe: {
    way: way("stripe", "stripe-signature", "v1="),
    sign: (body, time) => ({ "stripe-signature": `t=${time}, v1=${"0".repeat(64)},v1=${mac(`${time}.${body}`, "hex")},v0=x` }),
  },
  slack: {
    way: way("slack", "x-slack-signature", "v0="),
    sign: (body, time) => ({ "x-slack-request-timestamp": `${time}`, "x-slack-signature": `v0=${mac(`v0:${time}:${body}`, "hex")}` }),
  },
  standard: {
    way: way("standard", "webhook-signature", "v1,", `whsec_${Buffer.from("key of bytes").toString("base64")}`),
    sign: (body, time) => ({
      "webhook-id": "msg_1",
      "webhook-timestamp": `${time}`,
      "webhook-signature": `v1a,x v1,${mac(`msg_1.${time}.${body}`, "base64", Buffer.from("key of bytes"))}`,
    }),
  },
};

test("signatures of bodies are checked once the body is whole, before anything is done with it", async () => {
  for (const [name, { way: auth, sign }] of Object.entries(forms)) {
    const bodies: string[] = [];
    const bench = await ServiceBench.create({
      service: {
        routes: [{ ...route, auth: 0 }],
        auth: [[{ type: "bearer", header: "authorization", caller: undefined, secret: "t" }, auth]],
      },
      run: (event) => {
        bodies.push(runOf(event).body);
        return [{ kind: "done", reply: { status: 200, contentType: "text/plain", headersJson: "{}", body: Buffer.from("ok") } }];
      },
    });
    const now = seconds(bench);
    const body = "x".repeat(200) + name;
    equal(statusOf(bench.ask(post(body, sign(body, now)))), 200, name);
    deepEqual(bodies.splice(0), [body]);
    equal(statusOf(bench.ask(post(body, { authorization: "Bearer t" }))), 200, "another way of the group");
    bodies.length = 0;
    const changed = bench.ask(post(`${body}!`, sign(body, now)));
    equal(statusOf(changed), 401);
    equal((JSON.parse(bodyOf(changed)) as { code: string }).code, "MF_SIGNATURE_INVALID");
    match(bench.ask(post(body)), /MF_UNAUTHORIZED|requires credentials: send the authorization header or a signature in /);
    if (auth.signature?.form === "hex" || auth.signature?.form === "base64") continue;
    for (const time of [now - 301, now + 302]) match(bench.ask(post(body, sign(body, time))), /MF_SIGNATURE_EXPIRED/, name);
    equal(statusOf(bench.ask(post(body, sign(body, now - 299)))), 200);
    equal(bench.host.exports.takenBytes() <= 1024, true, "a few bytes count failures by code");
  }
});

test("whatever a signature looks like, it is taken or refused as the gateway does", async () => {
  const presets = { github: "github", shopify: "shopify", stripe: "stripe", slack: "slack", standard: "standard" } as const;
  for (const [name, { way: auth, sign }] of Object.entries(forms)) {
    const bench = await ServiceBench.create({ service: { routes: [{ ...route, auth: 0 }], auth: [[auth]] }, run: () => [nothing] });
    const now = seconds(bench);
    const damage = fc.record({
      header: fc.nat(2),
      at: fc.nat(90),
      text: fc.string({ unit: fc.constantFrom(..."0afZ=, .v1t-+/"), maxLength: 3 }),
      cut: fc.nat(2),
    });
    fc.assert(
      fc.property(fc.option(damage, { nil: undefined }), fc.stringMatching(/^[a-z]{0,130}$/), (damaged, body) => {
        const headers = { ...sign(body, now) };
        const names = Object.keys(headers);
        if (damaged !== undefined) {
          const header = names[damaged.header % names.length] ?? "";
          const value = headers[header] ?? "";
          const at = damaged.at % (value.length + 1);
          Object.assign(headers, { [header]: (value.slice(0, at) + damaged.text + value.slice(at + damaged.cut)).trim() });
        }
        const config = {
          preset: presets[name as keyof typeof presets],
          secret: auth.secret,
          algorithm: "sha256",
          encoding: "hex",
          prefix: "",
          tolerance: 300_000,
        } as const;
        const expected = checkSignature(config, headers, Buffer.from(body), bench.host.wallMs);
        const answer = bench.ask(post(body, headers));
        const found = statusOf(answer) === 204 ? "valid" : /MF_SIGNATURE_EXPIRED/.test(answer) ? "expired" : "invalid";
        equal(found, expected, JSON.stringify(headers));
      }),
      { seed, numRuns: 300 },
    );
  }
});

test("an outlet into the log is a line for each send, in its place among the others, and can't be asked", async () => {
  const send = (outlet: string, body: string, key?: string): Effect => ({
    kind: "send",
    outlet,
    key,
    contentType: "text/plain",
    headersJson: "{}",
    body: Buffer.from(body),
  });
  const bench = await ServiceBench.create({
    service: {
      lines: [
        { name: "seen", level: "warn", text: "sent", maxBytes: 4 },
        { name: "quiet", level: "debug", text: "x", maxBytes: 4 },
      ],
    },
    run: (event) => {
      if (event.kind !== "deliver")
        return [{ kind: "done", reply: { status: 200, contentType: "text/plain", headersJson: "{}", body: Buffer.from("asked") } }];
      if (event.body.length === 0)
        return [
          {
            kind: "call",
            call: 1,
            operation: "request",
            target: "seen",
            method: "",
            contentType: "",
            headersJson: "{}",
            timeoutMs: 0,
            body: new Uint8Array(0),
          },
        ];
      return [send("seen", "hello", "k"), send("quiet", "a"), send("seen", "b"), nothing];
    },
  });
  equal(statusOf(bench.ask(post("x"))), 204);
  const lines = bench.host.console
    .split("\n")
    .filter((line) => line.includes('"outlet"'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  deepEqual(
    lines.map(({ level, outlet, key, contentType, bytes, body, msg }) => [level, outlet, key, contentType, bytes, body, msg]),
    [
      ["warn", "seen", "k", "text/plain", 5, "hell", "sent"],
      ["warn", "seen", undefined, "text/plain", 1, "b", "sent"],
    ],
  );
  equal(new Set(lines.map((line) => line["send"])).size, 2);
  match(bench.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), /mayfly_outlet_sent_total\{flow="orders",outlet="seen"\} 2\n/);
  equal(bodyOf(bench.ask(post(""))), "asked");
  equal(bench.host.exports.takenBytes(), 0);
});
