import assert from "node:assert/strict";
import { test } from "node:test";
import { bootMachine, deliver, deliverBody, run } from "./testing/fake-machine.ts";

const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

test("the reference flow: log, send, request, reply", async () => {
  const machine = await bootMachine(
    `import { flow } from "mayfly";
     export default flow<"erp" | "big">(async (msg: any, { to, log }: any) => {
       const order = msg.json();
       const total = order.lines.reduce((sum: number, l: any) => sum + l.qty * l.price, 0);
       log.info("order received", { id: order.id, total });
       if (total > 10) to.big.send({ ...order, total }, { key: "k" });
       const answer = await to.erp.request({ id: order.id });
       return { status: "accepted", erp: answer.json(), late: msg.json().id, text: msg.text().length };
     });`,
    { outlets: ["erp", "big"] },
  );
  const first = machine.event(deliverBody({ id: 7, lines: [{ qty: 2, price: 30 }] }));
  assert.equal(first.outcome, 0);
  assert.deepEqual(first.effects.map((effect) => effect.kind), ["log", "send", "call"]);
  const second = machine.event({ kind: "resolve", timeMs: deliver.timeMs + 5, call: 0, error: undefined, status: 200, headersJson: "{}", body: new TextEncoder().encode('{"ok":1}') });
  assert.equal(second.outcome, 1);
  const done = second.effects[0];
  assert.ok(done?.kind === "done");
  assert.deepEqual(JSON.parse(text(done.reply?.body)), { status: "accepted", erp: { ok: 1 }, late: 7, text: 39 });
});

test("a throw, a stall, an unhandled rejection, a sleep", async () => {
  const header = 'import { flow, fail } from "mayfly"; export default flow(';
  const threw = (await run(`${header}() => { throw new TypeError("x"); });`)).effects[0];
  assert.ok(threw?.kind === "fail");
  assert.deepEqual([threw.code, threw.message, threw.retry], ["MF_FLOW_THREW", "TypeError: x", true]);
  const failed = (await run(`${header}() => fail("no", { retry: false, status: 422, code: "BAD" }));`)).effects[0];
  assert.ok(failed?.kind === "fail");
  assert.deepEqual([failed.code, failed.message, failed.retry, failed.status], ["BAD", "no", false, 422]);
  const stalled = (await run(`${header}() => new Promise(() => {}));`)).effects[0];
  assert.ok(stalled?.kind === "fail");
  assert.equal(stalled.code, "MF_FLOW_STALLED");
  const lost = (await run(`${header}async () => { Promise.reject(new Error("lost")); });`)).effects[0];
  assert.ok(lost?.kind === "fail");
  assert.equal(lost.code, "MF_UNHANDLED_REJECTION");
  const machine = await bootMachine(`${header}async (m, { sleep }) => { await sleep("2s"); return "late"; });`);
  const asleep = machine.event(deliver);
  assert.deepEqual(asleep.effects, [{ kind: "timer", timer: 1, dueMs: deliver.timeMs + 2000 }]);
  const awake = machine.event({ kind: "wake", timeMs: deliver.timeMs + 2000, timer: 1 });
  assert.equal(awake.outcome, 1);
});
