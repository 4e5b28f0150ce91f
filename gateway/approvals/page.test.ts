/** The page behind a link, over HTTP: it shows, it takes one answer, and it gives nothing to strangers. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { fetch, type RequestInit, type Response } from "undici";
import { fromUtf8, systemClock } from "#base";
import type { FailureOrigin } from "../contract/message.ts";
import type { IncomingSignal, SignalOutcome } from "../contract/sleep.ts";
import { HttpServer } from "../http/server.ts";
import type { Lease, Sequence } from "../journal/journal.ts";
import { silentLogger } from "../logger.ts";
import { gatewayMemory } from "../memory/budget.ts";
import { Approvals } from "./approvals.ts";
import { addApprovals } from "./endpoint.ts";
import { Links } from "./links.ts";
import { approvalLimits } from "./limits.ts";
import { escaped, questionPage } from "./page.ts";
import type { Preview } from "./preview.ts";
import { until } from "../testing/rig.ts";
import { type Asleep, fallAsleep } from "./testing/asleep.ts";

const source = `import { flow } from "mayfly";
export default flow(async (msg, { to, approve }) => {
  const { name } = msg.json();
  const choice = await approve("Pay 4,000 € to " + name + "?", { options: ["pay <b>", "reject"], to: "book", timeout: "2d" });
  if (choice === "pay <b>") to.bank.send({ pay: 400000, note: "<img src=x onerror=alert(1)>" });
  else to.book.send({ released: choice ?? "nobody answered" });
});`;

let asleep: Asleep;
let server: HttpServer;
let base = "";
const links = new Links(() => "https://mayfly.example.com", new Uint8Array(32).fill(1));

/** Changed by tests. */
let nowMs = 0;
let isAsleep = true;
let waiter = 1;
/** The machine runs, and has not committed yet: its signal is still with the journal. */
let isWoken = false;
/** Searches wait for it; how many have begun. */
let gate: Promise<void> | undefined;
let gated = 0;
const signals: IncomingSignal[] = [];
let outcome: (signal: IncomingSignal) => SignalOutcome | Promise<SignalOutcome>;

function keep(signal: IncomingSignal): SignalOutcome {
  if (signals.some(({ id }) => id === signal.id)) return { status: "duplicate", id: signal.id ?? "" };
  signals.push(signal);
  return { status: "kept", id: signal.id ?? "", waiting: true };
}

before(async () => {
  asleep = await fallAsleep(source, { name: '<script>alert("Ada")</script>\u202e' });
  const { flow, message, sleeper } = asleep.forked;
  const lease = { sequence: 1, message, sleeper } as unknown as Lease;
  const memory = gatewayMemory(undefined, systemClock);
  const clock = {
    ...systemClock,
    now: () => nowMs,
    after: systemClock.after.bind(systemClock),
    monotonicMs: () => systemClock.monotonicMs(),
  };
  const approvals = new Approvals({
    runner: asleep.runner,
    clock,
    journal: {
      findSleeper: async (id, name) => {
        gated += 1;
        await gate;
        return isAsleep && id === message.id && name === "pay" ? (1 as Sequence) : undefined;
      },
      readSleeper: async () => lease,
      readState: async () => ({ version: 0, json: undefined }),
      hasSignal: (flow, name, key) => isWoken && signals.some((each) => each.flow === flow && each.name === name && each.key === key),
      waiterFor: () => waiter as Sequence,
    },
    flowAsleep: async () => flow,
    signal: async (signal) => outcome(signal),
  });
  server = new HttpServer({
    tls: undefined,
    base: ".",
    connectionsPerAddress: 100,
    clock: systemClock,
    logger: silentLogger,
    unexpected: (error) => {
      throw error;
    },
  });
  addApprovals(server.routes, { approvals, links, memory, logger: silentLogger, now: () => nowMs });
  await server.listen("127.0.0.1", 0);
  base = `http://127.0.0.1:${server.address?.port}/approve/`;
});
after(async () => {
  server.beginClose();
  server.endClose();
  await asleep.close();
});
beforeEach(() => {
  nowMs = Date.now();
  isAsleep = true;
  waiter = 1;
  isWoken = false;
  gated = 0;
  signals.length = 0;
  outcome = keep;
});

function token(untilMs = Date.now() + 3_600_000): string {
  const [wait] = asleep.forked.sleeper.waits;
  ok(wait !== undefined);
  return links.tokenOf({ flow: "pay", id: "m1", wait, untilMs, question: { question: "", options: [] } });
}

const get = (path: string, init?: RequestInit): Promise<Response> => fetch(base + path, init);
const answer = (path: string, form: Record<string, string>): Promise<Response> =>
  fetch(base + path, { method: "POST", body: new URLSearchParams(form) });

test("of two answers at once by two links one is kept, and one that was not kept leaves the question open", {
  timeout: 30_000,
}, async () => {
  const [first, second] = [token(), token(Date.now() + 7_200_000)];
  const kept: (() => void)[] = [];
  let refuses = true;
  outcome = async (signal) => {
    await new Promise<void>((resolve) => kept.push(resolve));
    if (refuses) return { status: "refused", code: "MF_JOURNAL_FULL", message: "the disk is full", final: false, retryAfterMs: 1 };
    isWoken = true;
    return keep(signal);
  };
  const refused = answer(first, { option: "reject" });
  await until(() => kept.length === 1);
  const both = [answer(second, { option: "pay <b>" }), answer(first, { option: "reject" })];
  await until(() => gated >= 3);
  kept[0]?.();
  equal((await refused).status, 503);
  await until(() => kept.length === 2);
  refuses = false;
  kept[1]?.();
  deepEqual((await Promise.all(both)).map(({ status }) => status).sort(), [200, 410]);
  equal(signals.length, 1);
});

test("the page shows question, options, what each would send, and what comes of no answer; nothing of it is markup", async () => {
  const response = await get(token());
  const html = await response.text();
  equal(response.status, 200);
  match(html, /Pay 4,000 € to &lt;script&gt;alert\(&quot;Ada&quot;\)&lt;\/script&gt;\ufffd\?/);
  match(html, /<button name="option" value="pay &lt;b&gt;">/);
  match(html, /Sends to <bdi>bank<\/bdi>/);
  match(html, /&quot;note&quot;: &quot;&lt;img src=x onerror=alert\(1\)&gt;&quot;/);
  match(html, /&quot;released&quot;: &quot;reject&quot;/);
  match(html, /If nobody answers until .*UTC[\s\S]*&quot;released&quot;: &quot;nobody answered&quot;/);
  ok(!/<script|<img|\u202e/.test(html));
  match(response.headers.get("content-security-policy") ?? "", /default-src 'none'; style-src 'sha256-[^']+'; form-action 'self'/);
  for (const [name, value] of [
    ["referrer-policy", "no-referrer"],
    ["cache-control", "no-store"],
    ["x-robots-tag", "noindex, nofollow"],
    ["x-frame-options", "DENY"],
    ["set-cookie", null],
  ] as const)
    equal(response.headers.get(name), value, name);
});

test("a link is followed by scanners without an answer: GET, HEAD and OPTIONS decide nothing", async () => {
  for (const method of ["GET", "HEAD", "OPTIONS"]) await (await get(`${token()}?option=reject`, { method })).text();
  equal((await get(token(), { method: "HEAD" })).status, 200);
  equal((await get(token(), { method: "PUT", body: "option=reject" })).status, 405);
  deepEqual(signals, []);
});

test("POST answers once: the signal has option, name and comment; a second answer, also another one, changes nothing", async () => {
  const link = token();
  const first = await answer(link, { option: "reject", by: " Grace ", comment: "too <much>" });
  equal(first.status, 200);
  match(await first.text(), /Your answer “reject” is kept safe, and the flow goes on/);
  const [signal] = signals;
  ok(signal !== undefined);
  const { flow, name, key, source: from, contentType } = signal;
  deepEqual([flow, name, key, from, contentType], ["pay", "approval", "m1/1", "approval", "application/json"]);
  deepEqual(JSON.parse(fromUtf8(signal.body)), { option: "reject", by: "Grace", comment: "too <much>" });
  for (const option of ["reject", "pay <b>"]) {
    const again = await answer(link, { option });
    equal(again.status, 410);
    match(await again.text(), /MF_APPROVAL_CLOSED/);
  }
  const [, other] = await Promise.all([
    answer(token(nowMs + 9_000_000), { option: "reject" }),
    answer(token(nowMs + 9_000_000), { option: "pay <b>" }),
  ]);
  await other.text();
  equal(signals.length, 2, "of two answers by one link at once, one counts");
});

test("while the machine that has its answer runs, the question is closed for every link", async () => {
  isWoken = true;
  equal((await answer(token(), { option: "reject" })).status, 200);
  const other = token(nowMs + 9_000_000);
  deepEqual([(await get(other)).status, (await answer(other, { option: "pay <b>" })).status], [410, 410]);
  equal(signals.length, 1);
});

test("forged, foreign, cut, expired and closed links get a plain page, the same for all that are no links", async () => {
  const foreign = new Links(() => undefined, new Uint8Array(32).fill(2));
  const [wait] = asleep.forked.sleeper.waits;
  ok(wait !== undefined);
  const forged = foreign.tokenOf({ flow: "pay", id: "m1", wait, untilMs: nowMs + 1e6, question: { question: "", options: [] } });
  const bodies = new Set<string>();
  for (const path of [forged, "x", "", "..%2f..%2fadmin", "a/b/c", `${token()}x`, token().slice(0, -1), "%ff", "A".repeat(4_000)]) {
    for (const response of [await get(path), await answer(path, { option: "reject" })]) {
      ok([404, 400].includes(response.status), `${path.slice(0, 20)}: ${response.status}`);
      const html = await response.text();
      ok(!/Ada|4,000|pay/.test(html.replaceAll(path, "")), html);
      if (response.headers.get("content-type")?.startsWith("text/html") === true) bodies.add(html);
    }
  }
  equal(bodies.size, 1);
  const late = token(nowMs - 1);
  equal((await get(late)).status, 410);
  match(await (await answer(late, { option: "reject" })).text(), /MF_APPROVAL_EXPIRED/);
  const open = token();
  isAsleep = false;
  equal((await answer(open, { option: "reject" })).status, 410);
  isAsleep = true;
  nowMs += 3 * 86_400_000;
  const long = token(nowMs + 1_000);
  match(await (await get(long)).text(), /MF_APPROVAL_CLOSED/, "the time of the wait is over, the machine is about to wake");
  const elsewhere = links.tokenOf({
    flow: "pay",
    id: "m1",
    wait: { ...wait, questionJson: '{"question":"Another?","options":["reject"]}' },
    untilMs: nowMs + 1e6,
    question: { question: "", options: [] },
  });
  nowMs = Date.now();
  match(await (await answer(elsewhere, { option: "reject" })).text(), /MF_APPROVAL_CLOSED/, "the machine asks something else now");
  deepEqual(signals, []);
});

test("what is no answer is refused with its reason: another option, no form, a huge one, too much of a field", async () => {
  const link = token();
  const cases: [Promise<Response>, number, RegExp][] = [
    [answer(link, { option: "steal" }), 409, /MF_APPROVAL_OPTION/],
    [answer(link, {}), 400, /MF_APPROVAL_FORM/],
    [answer(link, { option: "reject", by: "x".repeat(201) }), 400, /longer than 200/],
    [answer(link, { option: "reject", comment: "x".repeat(2_001) }), 400, /longer than 2000/],
    [answer(link, { option: "reject", comment: "x".repeat(20_000) }), 413, /MF_BODY_LIMIT/],
    [get(link, { method: "POST", body: '{"option":"reject"}', headers: { "content-type": "application/json" } }), 400, /something else/],
    [
      get(link, {
        method: "POST",
        body: "option=reject&option=pay",
        headers: { "content-type": "application/x-www-form-urlencoded" },
      }),
      400,
      /more than once/,
    ],
  ];
  for (const [response, status, says] of cases) {
    const got = await response;
    equal(got.status, status);
    match(await got.text(), says);
  }
  deepEqual(signals, []);
});

test("an answer that would reach another machine is refused, and so is one that can't be kept now", async () => {
  waiter = 2;
  const ambiguous = await answer(token(), { option: "reject" });
  equal(ambiguous.status, 409);
  match(await ambiguous.text(), /MF_APPROVAL_AMBIGUOUS/);
  waiter = 1;
  outcome = () => ({ status: "refused", code: "MF_JOURNAL_UNAVAILABLE", message: "try again later", final: false, retryAfterMs: 1000 });
  equal((await answer(token(), { option: "reject" })).status, 503);
  outcome = () => {
    throw new Error("secret detail");
  };
  const broken = await answer(token(), { option: "reject" });
  equal(broken.status, 503);
  ok(!(await broken.text()).includes("secret detail"));
});

test("escaping leaves nothing that is markup or turns text around", () => {
  equal(escaped(`<a href="x" title='y'>&\u0000\u202e\n`), "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;\ufffd\ufffd\n");
});

const previewed = (more: Partial<Preview>): string => {
  const preview: Preview = { sends: [], state: [], logs: [], end: { kind: "done", continues: null }, more: 0, ...more };
  return questionPage({ flow: "f", id: "i", question: "?", options: ["a"], previews: [{ option: "a", preview }], unanswered: undefined });
};

test("deep JSON stays as it is: a page is not much longer than its texts; texts with brackets are no depth", () => {
  const nested = (depth: number, within = ""): string => `${"[".repeat(depth)}${within}${"]".repeat(depth)}`;
  const inLines = (text: string): boolean => previewed({ state: [{ name: "s", value: { text, bytes: text.length } }] }).includes("\n  ");
  deepEqual([inLines('{"a":1}'), inLines(nested(32)), inLines(nested(33)), inLines(nested(8_000))], [true, true, false, false]);
  deepEqual([inLines(`["${"[".repeat(99)}"]`), inLines('["\\"[[",1]')], [true, true]);
  for (const evading of [`["${"]".repeat(5_000)}",${nested(3_000)}]`, `["\\"${"]".repeat(5_000)}",${nested(3_000)}]`]) {
    JSON.parse(evading);
    equal(inLines(evading), false);
  }
  const body = { text: nested(8_000), bytes: 16_000 };
  const send = { outlet: "o", key: null, contentType: "", headers: {}, body, due: null };
  ok(previewed({ sends: Array<typeof send>(100).fill(send) }).length < 2_000_000);
});

test("who has the link is told of failures as callers are, and sees no log line", () => {
  const log = { kind: "log", level: "info", text: "s3cret", fieldsJson: undefined } as const;
  const failed = (origin: FailureOrigin, status = 0): string =>
    previewed({ logs: [log], end: { kind: "failed", origin, status, code: "MF_CODE", message: "at db.internal: s3cret", retry: false } });
  for (const [html, isTold] of [
    [failed("flow"), false],
    [failed("peer"), false],
    [failed("flow", 409), true],
    [failed("gateway"), true],
    [previewed({ logs: [log], end: { kind: "unknown", code: "MF_CODE", message: "/srv/s3cret/flow.mfi is gone" } }), false],
  ] as const) {
    match(html, /MF_CODE/);
    equal(html.includes("s3cret"), isTold, html);
  }
});

test("so many pages of links are made at once and no more; an invalid link takes no place", async () => {
  const status = async (path: string, init: RequestInit = {}): Promise<number> =>
    (await get(path, { ...init, signal: AbortSignal.timeout(5_000) })).status;
  let open = (): void => undefined;
  gate = new Promise((resolve) => (open = resolve));
  try {
    const path = token();
    const all = Array.from({ length: approvalLimits.pagesAtOnce }, () => get(path));
    await until(() => gated === approvalLimits.pagesAtOnce);
    deepEqual(
      [await status(path), await status(path, { method: "POST", body: new URLSearchParams({ option: "reject" }) }), await status("x")],
      [503, 503, 404],
    );
    open();
    deepEqual(new Set((await Promise.all(all)).map(({ status }) => status)), new Set([200]));
    await Promise.all((await Promise.all(all)).map((response) => response.text()));
    gate = undefined;
    await until(async () => (await get(path)).status === 200);
  } finally {
    gate = undefined;
    open();
  }
});
