/** Flows that sleep, under `mayfly run` and `mayfly test`: signals in virtual time, and what a test can say of a life. */
import { deepEqual, equal, match } from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture } from "#cli";

let folder: string;
const at = (name: string): string => join(folder, name);

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-asleep-"));
  await writeFile(at("package.json"), "{}");
  await writeFile(at("order.json"), '{"id":"4711"}');
  await writeFile(at("paid.json"), '{"amount":12}');
  await writeFile(
    at("saga.ts"),
    `import { flow } from "mayfly";
interface Order { id: string; ask?: boolean; turns?: number }
export default flow<"stock" | "billing" | "mail">(async (msg, { to, wait, sleep, approve, continueAs }) => {
  const order = msg.json<Order>();
  if (order.turns !== undefined) { await sleep("30d"); return continueAs({ ...order, turns: order.turns - 1 }); }
  to.stock.send({ reserve: order.id });
  if (order.ask === true) {
    const answer = await approve("Pay?", { options: ["yes", "no"], timeout: "1d" });
    to.mail.send({ answer: answer ?? "none" });
    return;
  }
  const payment = await wait<{ amount: number }>("payment", { key: order.id, timeout: "2d" });
  if (payment === undefined) { to.stock.send({ release: order.id }); return; }
  await sleep("3h");
  to.billing.send({ order: order.id, paid: payment.json().amount }, { after: "1h" });
});`,
  );
});
after(() => rm(folder, { recursive: true, force: true }));

interface RunJson {
  readonly status: string;
  readonly sends: readonly { readonly outlet: string; readonly transaction?: number; readonly due?: string }[];
  readonly transactions?: readonly Readonly<Record<string, unknown>>[];
  readonly waits?: readonly unknown[];
  readonly timings: { readonly virtualMs: number };
  readonly unclaimed?: readonly unknown[];
}

async function run(...more: string[]): Promise<{ code: number; out: string; err: string }> {
  return await capture(["run", at("saga.ts"), "-m", at("order.json"), "--time", "2026-01-01", ...more]);
}

test("run: a signal ends its wait in virtual time, and the life is shown by transaction", async () => {
  const signal = ["--signal", `payment:4711=${at("paid.json")}@1h`];
  const { code, out } = await run(...signal, "--json");
  equal(code, 0, out);
  const result = JSON.parse(out) as RunJson;
  equal(result.status, "done");
  deepEqual(
    result.sends.map(({ outlet, transaction, due }) => [outlet, transaction, due]),
    [
      ["stock", 1, undefined],
      ["billing", 3, "2026-01-01T05:00:00.000Z"],
    ],
  );
  deepEqual(
    result.transactions?.map(({ began, wokenBy }) => [began, wokenBy]),
    [
      ["2026-01-01T00:00:00.000Z", undefined],
      ["2026-01-01T01:00:00.000Z", [{ signal: "payment", key: "4711", id: "signal-1" }]],
      ["2026-01-01T04:00:00.000Z", [{ timer: true }]],
    ],
  );
  deepEqual(result.transactions?.[0]?.["asleep"], { waits: [{ name: "payment", key: "4711", until: "2026-01-03T00:00:00.000Z" }] });
  const shown = await run(...signal);
  match(shown.out, /\+0s {6}asleep: 1 send committed; waits for payment 4711 for 2d\n/);
  match(shown.out, /\+1h {6}awake: payment 4711 \(signal-1\)\n/);
  match(shown.out, /→ billing after 1h/);
});

test("run: no signal, and the time of the wait passes; a signal that nothing waits for is told", async () => {
  const { out } = await run("--signal", "other@1h");
  match(out, /\+2d {6}awake: no payment 4711 in time\n/);
  match(out, /nothing waited for the signal other\n/);
  match(out, /done/);
  const { code, err } = await run("--signal", ":x");
  equal(code, 2);
  match(err, /MF_USAGE.*--signal :x: give it as --signal NAME:KEY=FILE@AFTER/);
});

test("run: a flow that only has callers who wait can't sleep, as in the gateway", async () => {
  const from = async (mode: string): Promise<string> => {
    const text = `flows: { saga: { flow: saga.ts, from: [{ http: { path: /, mode: ${mode} } }], to: { stock: { log: {} }, billing: { log: {} }, mail: { log: {} } } } }`;
    await writeFile(at("mayfly.yaml"), text);
    return (await run("--json")).out;
  };
  try {
    match(await from("reply"), /"code": "MF_SLEEP_CALLER"/);
    match(await from("accept"), /"status": "done"/);
  } finally {
    await rm(at("mayfly.yaml"));
  }
});

test("flow tests: signals, sends by transaction and delay, approvals, sleepers, continueAs", async () => {
  await writeFile(
    at("saga.flow-test.yaml"),
    `
defaults: { message: { json: { id: "4711" } } }
cases:
  - name: paid
    signals: [{ name: payment, key: "4711", json: { amount: 12 }, after: 1h }]
    expect:
      sends:
        - { outlet: stock, json: { reserve: "4711" }, transaction: 1, after: 0s }
        - { outlet: billing, json: { order: "4711", paid: 12 }, transaction: 3, after: 1h }
  - name: paid late
    signals: [{ name: payment, key: "4711", file: paid.json, after: 48h }]
    expect: { sends: [{ outlet: stock }, { outlet: stock, json: { release: "4711" }, transaction: 2 }] }
  - name: approved
    message: { json: { id: "1", ask: true } }
    signals: [{ name: approval, json: { option: "yes" }, after: 2h }]
    expect: { sends: [{ outlet: stock }, { outlet: mail, json: { answer: "yes" } }] }
  - name: years
    message: { json: { id: "1", turns: 3 } }
    expect: { continue: { json: { id: "1", turns: 2 } } }
`,
  );
  const { code, out } = await capture(["test", at("saga.flow-test.yaml")]);
  equal(code, 0, out);
  match(out, /4 passed/);
});

test("flow tests: a flow that still waits is asleep, which the test must expect; what differs is told", async () => {
  await writeFile(
    at("endless.ts"),
    `import { flow } from "mayfly";
export default flow<"out">(async (msg, { to, wait, approve }) => {
  to.out.send("begun");
  await (msg.text() === "ask" ? approve("Go?", { options: ["a", "b"] }) : Promise.all([wait("one"), wait("two", { timeout: "1d" })]));
});`,
  );
  await writeFile(
    at("endless.flow-test.yaml"),
    `
defaults: { message: { text: x, key: k } }
cases:
  - name: as it is
    expect: { asleep: { waits: [{ name: one, key: k, timeout: null }], timers: [] }, sends: [{ text: begun }] }
  - name: a question
    message: { text: ask }
    expect: { asleep: { waits: [{ name: approval, question: "Go?", options: [a, b] }] } }
  - name: not expected
    expect: { sends: [{ text: begun }] }
  - name: another wait
    expect: { asleep: { waits: [{ name: one, timeout: 1h }] } }
  - name: no wait
    signals: [{ name: one }, { name: two }]
    expect: { asleep: {} }
`,
  );
  const { code, out } = await capture(["test", at("endless.flow-test.yaml"), "--json"]);
  equal(code, 1);
  const { cases } = JSON.parse(out) as { cases: { name: string; differences: { path: string; expected?: string; actual?: string }[] }[] };
  deepEqual(
    cases.map(({ name, differences }) => [name, differences.map(({ path, expected, actual }) => [path, expected, actual])]),
    [
      ["as it is", []],
      ["a question", []],
      ["not expected", [["status", "done", "asleep: waits for one k"]]],
      ["another wait", [["asleep.waits[0].timeout", '"1h"', "null"]]],
      ["no wait", [["status", "asleep", "done"]]],
    ],
  );
});

test("flow tests in TypeScript: signals in, waits, transactions and the message it continues as out", async () => {
  await writeFile(
    at("saga.flow-test.ts"),
    `import { deepEqual, equal } from "node:assert/strict";
import { test } from "mayfly/test";
test("paid", async ({ run }) => {
  const { status, sends, transactions } = await run({ message: { json: { id: "a" } }, signals: [{ name: "payment", key: "a", json: { amount: 5 }, after: "1h" }] });
  deepEqual([status, transactions], ["done", 3]);
  deepEqual(sends.map((send) => [send.outlet, send.transaction, send.afterMs]), [["stock", 1, 0], ["billing", 3, 3600000]]);
});
test("on and on", async ({ run }) => {
  const { continues } = await run({ message: { json: { id: "a", turns: 1 } } });
  deepEqual(continues?.json(), { id: "a", turns: 0 });
});
test("asks", async ({ run }) => {
  const { status, asleep } = await run({ message: { text: "ask" } }, "endless.ts");
  equal(status, "asleep");
  deepEqual(asleep?.waits[0]?.options, ["a", "b"]);
});
`,
  );
  const { code, out } = await capture(["test", at("saga.flow-test.ts")]);
  equal(code, 0, out);
});
