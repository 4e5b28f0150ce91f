import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Recording } from "#abi";
import type { RecordedMessage } from "#gateway";
import { embeddedMonitor, type Monitor } from "#monitors";
import { defaultFlowLimits } from "#abi";
import { type Backtest, backtest } from "#replay";
import { Groups, shapeOf } from "./groups.ts";
import { answer, delivered, imageOf, record, refusal } from "./testing/record.ts";

/** Fails for an order without lines, asks for the rate of one in another currency. */
const source = (rule: string, more = ""): string => `import { flow, fail } from "mayfly";
export default flow(async (msg, { to, fetch, sleep }) => {
  const order = msg.json();
  ${rule}
  let rate = 1;
  if (order.currency !== undefined) rate = (await to.rates.request({ of: order.currency })).json().rate;
  ${more}
  await sleep(5);
  return { id: order.id, lines: order.lines.map(({ price }) => price * rate), total: order.lines.length };
});`;
const strict = `if (order.lines.length === 0) fail("empty", { code: "ORDER_EMPTY", retry: false });`;

let monitor: Monitor;
let messages: RecordedMessage[];
before(async () => {
  monitor = embeddedMonitor({ workers: 2 });
  const image = await monitor.load(await imageOf(source(strict)));
  messages = [];
  for (let id = 0; id < 400; id++) {
    const lines = Array.from({ length: id % 5 }, (_, index) => ({ price: index + 1 }));
    const order = { id, lines, ...(id % 4 === 0 ? { currency: "EUR" } : {}) };
    const recording = await record(monitor, image, delivered(JSON.stringify(order), { id: `order-${id}` }), () => answer({ rate: 2 }));
    const failed = recording.steps.at(-1)?.status === "failed";
    messages.push(messageOf(recording, failed ? { code: "ORDER_EMPTY", message: "empty" } : null));
  }
});
after(() => monitor.close());

function messageOf(recording: Recording, error: RecordedMessage["summary"]["error"]): RecordedMessage {
  const { id, timeMs, source: from } = recording.deliver;
  return {
    recording,
    summary: {
      id,
      flow: recording.flow,
      status: error === null ? "done" : "failed",
      receivedAt: timeMs,
      durationMs: 20,
      attempts: 1,
      source: from,
      key: null,
      correlationId: null,
      image: recording.imageSha256,
      error,
    },
  };
}

async function* each(of: readonly RecordedMessage[]): AsyncGenerator<RecordedMessage> {
  yield* of;
}

async function tested(text: string, of: readonly RecordedMessage[] = messages): Promise<Backtest> {
  return await backtest(monitor, await monitor.load(await imageOf(text)), each(of), { limits: defaultFlowLimits });
}

test("the same code has the same outcomes, failures included", async () => {
  const result = await tested(`${source(strict)}\nglobalThis.version = 2;`);
  deepEqual(
    { ...result, perSecond: 0, image: "" },
    {
      messages: 400,
      same: 400,
      different: 0,
      failsNow: 0,
      passesNow: 0,
      unanswered: 0,
      skipped: 0,
      perSecond: 0,
      image: "",
      groups: [],
    },
  );
  ok(result.perSecond > 0);
});

test("one rule more, one less, one outlet more: each message is counted once, and grouped by what changed", async () => {
  const dearer = await tested(source(strict).replace("price * rate", "price * rate + 1"));
  deepEqual(
    [dearer.same, dearer.different, dearer.groups.map(({ shape, count }) => [shape, count])],
    [80, 320, [["reply.body.lines[] changed", 320]]],
  );
  deepEqual(dearer.groups[0]?.examples.length, 3);
  for (const { differences } of dearer.groups[0]?.examples ?? [])
    deepEqual(differences[0], {
      path: "reply.body.lines[0]",
      recorded: differences[0]?.recorded,
      replayed: Number(differences[0]?.recorded) + 1,
    });

  const lenient = await tested(source(""));
  deepEqual(
    [lenient.same, lenient.groups.map(({ verdict, shape, count }) => [verdict, shape, count])],
    [
      320,
      [
        ["passesNow", "ORDER_EMPTY", 60],
        ["unanswered", "request rates", 20],
      ],
    ],
    "those in euros ask for a rate now, which their records lack",
  );

  const stricter = await tested(source(`${strict} if (order.lines.length > 3) throw new TypeError("many");`));
  deepEqual([stricter.failsNow, stricter.same, stricter.groups[0]?.shape], [80, 320, "MF_FLOW_THREW"]);

  const curious = await tested(source(strict, `await fetch("https://tax.test/" + order.lines.length);`));
  deepEqual([curious.unanswered, curious.same], [320, 80]);
  deepEqual(
    curious.groups.map(({ shape }) => shape).sort(),
    [1, 2, 3, 4].map((n) => `fetch GET https://tax.test/${n}`),
  );
});

test("a message whose call failed then fails alike now", async () => {
  const image = await monitor.load(await imageOf(source("")));
  const order = JSON.stringify({ id: 1, lines: [], currency: "EUR" });
  const recording = await record(monitor, image, delivered(order), () => refusal("MF_PEER_DOWN"));
  const failed = messageOf(recording, { code: "MF_PEER_DOWN", message: "the peer says no" });
  equal((await tested(`${source("")}\nglobalThis.version = 2;`, [failed])).same, 1);
});

test("an outlet that mayfly.yaml no longer has: the flow does the same, and fails now", async () => {
  const text = `import { flow } from "mayfly"; export default flow((msg, { to }) => { to.bills.send(msg.json()); });`;
  const image = await monitor.load(await imageOf(text));
  const sent = messageOf(await record(monitor, image, delivered("{}")), null);
  const rules = (outlets: readonly string[]): NonNullable<Parameters<typeof backtest>[3]["rules"]> => ({
    name: "flow",
    outlets,
    hosts: [],
    retriesProgramErrors: false,
    sleepMostMs: 1e9,
    earlySignalMs: 1e9,
    values: {},
    limits: (own) => own,
    keyOf: () => undefined,
    timeoutMs: () => 1_000,
  });
  const run = (outlets: readonly string[]): Promise<Backtest> =>
    backtest(monitor, image, each([sent]), { limits: defaultFlowLimits, rules: rules(outlets) });
  equal((await run(["bills"])).same, 1);
  const { failsNow, groups } = await run(["audit"]);
  deepEqual([failsNow, groups[0]?.shape], [1, "MF_OUTLET_UNKNOWN"]);
  const refused = { ...sent, summary: { ...sent.summary, status: "failed" as const, error: { code: "MF_OUTLET_UNKNOWN", message: "" } } };
  const again = backtest(monitor, image, each([refused]), { limits: defaultFlowLimits, rules: rules(["bills"]) });
  equal((await again).passesNow, 1, "it was refused then");
});

test("messages without bodies or without a machine are skipped and counted; a reader's error ends the backtest", async () => {
  const [first] = messages as [RecordedMessage];
  const bare = { ...first, recording: { ...first.recording, redaction: { headers: [], paths: [], bodies: "none" as const } } };
  const unrun = { ...first, recording: { ...first.recording, steps: [] } };
  const result = await tested(source(strict), [bare, first, unrun]);
  deepEqual([result.messages, result.skipped], [1, 2]);
  const broken = async function* (): AsyncGenerator<RecordedMessage> {
    yield first;
    throw new Error("the segment is gone");
  };
  const image = await monitor.load(await imageOf(source(strict)));
  await rejects(backtest(monitor, image, broken(), { limits: defaultFlowLimits }), /the segment is gone/);
});

test("shapes: indices and lines stand for all, long lists are cut, and beyond the bound groups are one", () => {
  equal(
    shapeOf([
      { path: "a[1].b", recorded: 1, replayed: 2 },
      { path: "a[22].b", recorded: 1, replayed: 2 },
    ]),
    "a[].b changed",
  );
  equal(shapeOf([{ path: "reply.body line 7", replayed: "x" }]), "reply.body added");
  match(shapeOf(Array.from({ length: 9 }, (_, index) => ({ path: `p${index}`, recorded: 1 }))), /p3 removed, and 5 more$/);
  const groups = new Groups();
  for (let index = 0; index < 5_000; index++)
    groups.add("m", 0, { verdict: "different", differences: [{ path: `p${index}`, recorded: 1 }] });
  ok(groups.groups.length <= 202);
  equal(
    groups.groups.reduce((sum, { count }) => sum + count, 0),
    5_000,
  );
});
