/** Previews of real machines: what each option would do, and that nothing is done. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { after, before, test } from "node:test";
import { systemClock, toUtf8 } from "#base";
import { approvalLimits } from "./limits.ts";
import { type Forked, type Preview, Previews } from "./preview.ts";
import { type Asleep, fallAsleep } from "./testing/asleep.ts";

const source = `import { flow } from "mayfly";
export default flow(async (msg, { to, wait, sleep, approve, state, log, continueAs }) => {
  const { amount, name } = msg.json();
  class Payment { constructor(cents) { this.cents = cents; } get text() { return (this.cents / 100).toFixed(2); } }
  const payment = new Payment(amount);
  to.book.send({ reserved: payment.text });
  const choice = await approve("Pay " + payment.text + " € to " + name + "?", { options: ["pay", "ask", "later", "loop", "boom", "flood", "big", "again"], key: "k1", timeout: "2d" });
  log.info("chosen", { choice: choice ?? null, token: "s3cret" });
  if (choice === undefined) return void to.book.send({ released: payment.text });
  if (choice === "pay") {
    await sleep(50);
    to.bank.send({ pay: payment.text, iban: "DE1" }, { key: "DE1", headers: { authorization: "Basic abc", "x-kind": "sepa" }, after: "1h" });
    state.set("paid", { cents: payment.cents, token: "s3cret" });
    state.delete("open");
  }
  if (choice === "ask") { to.book.send("asking"); await to.bank.request({ may: payment.text }); to.book.send("asked"); }
  if (choice === "later") { to.book.send("later"); await wait("reminder", { timeout: "1d" }); }
  if (choice === "loop") for (;;) {}
  if (choice === "boom") { to.book.send("never"); throw new Error("no money"); }
  if (choice === "flood") for (let n = 0; n < 40; n += 1) to.book.send("x".repeat(200_000));
  if (choice === "big") state.set("big", "x".repeat(20_000));
  if (choice === "again") continueAs({ amount: amount + 1, name });
});`;

let asleep: Asleep;
let forked: Forked;
let previews: Previews;

before(async () => {
  asleep = await fallAsleep(source, { amount: 400_000, name: "Ada" });
  ({ forked } = asleep);
  previews = new Previews({ runner: asleep.runner, clock: systemClock, readState: async () => ({ version: 0, json: undefined }) });
});
after(() => asleep.close());

const choose = (option: string): Promise<Preview> =>
  previews.preview(async () => forked, { wait: 1, signal: { contentType: "application/json", body: toUtf8(JSON.stringify({ option })) } });
const sent = ({ sends }: Preview): unknown[] => sends.map(({ outlet, body }) => [outlet, body.text]);

test("an option's preview is exactly what would be sent and changed, in the machine's own time; what history hides is hidden", async () => {
  const before = JSON.stringify([...forked.sleeper.recording]);
  const preview = await choose("pay");
  deepEqual(preview.end, { kind: "done", continues: null });
  deepEqual(sent(preview), [["bank", '{"pay":"4000.00","iban":"[redacted]"}']]);
  const [send] = preview.sends;
  equal(send?.key, "DE1");
  equal(send?.contentType, "application/json");
  deepEqual(send?.headers, { authorization: "[redacted]", "x-kind": "sepa" });
  ok((send?.due ?? 0) >= Date.now() + 3_500_000, "a delayed send says when");
  const paid = '{"cents":400000,"token":"[redacted]"}';
  deepEqual(preview.state, [{ name: "paid", value: { text: paid, bytes: paid.length } }, { name: "open" }]);
  deepEqual(
    preview.logs.map(({ text, fieldsJson }) => [text, fieldsJson]),
    [["chosen", '{"choice":"pay","token":"[redacted]"}']],
  );
  equal(JSON.stringify([...forked.sleeper.recording]), before, "the sleeper is as it was");
  deepEqual(sent(await choose("pay")), sent(preview), "and it can be previewed again");
});

test("of a long value of state only the beginning is shown", async () => {
  const [change] = (await choose("big")).state;
  deepEqual([change?.value?.text?.length, change?.value?.bytes, change?.value?.cut], [approvalLimits.shownBytes, 20_002, true]);
});

test("a preview ends where the machine asks somebody, waits again, continues as another, or its time is over", async () => {
  const asks = await choose("ask");
  deepEqual(sent(asks), [["book", "asking"]]);
  ok(asks.end.kind === "asks");
  deepEqual(
    asks.end.calls.map(({ operation, target, body }) => [operation, target, body.text]),
    [["request", "bank", '{"may":"4000.00"}']],
  );
  const later = await choose("later");
  ok(later.end.kind === "asleep");
  deepEqual(
    later.end.waits.map(({ name, key, question }) => [name, key, question]),
    [["reminder", "Ada", null]],
  );
  const again = await choose("again");
  ok(again.end.kind === "done");
  equal(again.end.continues?.text, '{"amount":400001,"name":"Ada"}');
  const timeout = await previews.preview(async () => forked, { wait: 1, signal: undefined });
  deepEqual(timeout.end, { kind: "done", continues: null });
  deepEqual(sent(timeout), [["book", '{"released":"4000.00"}']]);
});

test("a machine that fails, loops, sends too much or is not asked shows that, and nothing it sent", async () => {
  const boom = await choose("boom");
  ok(boom.end.kind === "failed" && boom.end.message.includes("no money") && boom.end.origin === "flow", JSON.stringify(boom.end));
  deepEqual(boom.sends, []);
  const loop = await choose("loop");
  ok(loop.end.kind === "failed" && loop.end.code === "MF_CPU_LIMIT", JSON.stringify(loop.end));
  const flood = await choose("flood");
  ok(flood.end.kind === "unknown" && flood.end.code === "MF_PREVIEW_LIMIT", JSON.stringify(flood.end));
  deepEqual(flood.sends, []);
  const odd = await choose("something else");
  ok(odd.end.kind === "failed" && odd.end.code === "MF_SIGNAL_INVALID", JSON.stringify(odd.end));
  const gone = await previews.preview(async () => forked, { wait: 7, signal: undefined });
  ok(gone.end.kind === "unknown" && gone.end.code === "MF_WAIT_UNKNOWN");
  const damaged = { ...forked, sleeper: { ...forked.sleeper, recording: new Uint8Array(3) } };
  const unread = await previews.preview(async () => damaged, { wait: 1, signal: undefined });
  ok(unread.end.kind === "unknown" && unread.end.code === "MF_SLEEPER_DAMAGED");
});

test("more previews at once than allowed are refused", async () => {
  const all = await Promise.all(Array.from({ length: 6 }, () => choose("later")));
  const refused = all.filter(({ end }) => end.kind === "unknown" && end.code === "MF_PREVIEW_BUSY");
  equal(refused.length, 2);
  equal((await choose("later")).end.kind, "asleep");
});
