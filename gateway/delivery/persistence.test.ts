/** Journal calls that must succeed: repeated with growing waits, visible meanwhile, and given up only at the end. */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { test } from "node:test";
import { CodedError, prng } from "#base";
import { gatewayLimits } from "../contract/limits.ts";
import { silentLogger } from "../logger.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { Persistence } from "./persistence.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A call that fails so many times before it gives 7. */
function failing(times: number, code = "MF_JOURNAL_FULL"): { readonly call: () => Promise<number>; readonly made: () => number } {
  let made = 0;
  return { made: () => made, call: () => (made++ < times ? Promise.reject(new CodedError(code, `no ${made}`)) : Promise.resolve(7)) };
}

/** Lets the next repetition happen; gives how long it was waited for. */
async function repetition(clock: ManualClock): Promise<number> {
  await turn();
  const waitMs = (clock.nextMs ?? Number.NaN) - clock.monotonicMs();
  clock.advance(waitMs);
  await turn();
  return waitMs;
}

test("a call that succeeds is made once, and nobody is troubled", async () => {
  const clock = new ManualClock();
  const persistence = new Persistence(clock, prng(1), silentLogger);
  const { call, made } = failing(0);
  equal(await persistence.keepTrying(call), 7);
  deepEqual([made(), persistence.troubled, clock.waiting], [1, undefined, 0]);
});

test("one that fails is repeated after growing waits, within bounds, and its message shown until it succeeds", async () => {
  const clock = new ManualClock();
  const persistence = new Persistence(clock, prng(1), silentLogger);
  const { call, made } = failing(9);
  const result = persistence.keepTrying(call);
  await turn();
  equal(persistence.troubled, "no 1");
  const { least, most } = gatewayLimits.journalBackoffMs;
  for (let times = 0; times < 9; times += 1) {
    const waitMs = await repetition(clock);
    const whole = Math.min(least * 2 ** times, most);
    ok(waitMs >= whole / 2 && waitMs <= whole, `wait ${times}: ${waitMs} ms`);
  }
  equal(await result, 7);
  deepEqual([made(), persistence.troubled, clock.waiting], [10, undefined, 0]);
});

test("a dead letter that can't be written troubles its own message, not new ones", async () => {
  const clock = new ManualClock();
  const persistence = new Persistence(clock, prng(1), silentLogger);
  const result = persistence.keepTrying(failing(1, "MF_DEAD_LETTER_WRITE").call);
  await turn();
  deepEqual([persistence.troubled, persistence.buryTrouble], [undefined, "no 1"]);
  await repetition(clock);
  await result;
  equal(persistence.buryTrouble, undefined);
});

test("closing ends the repetitions, and so does a journal that is closed", async () => {
  const clock = new ManualClock();
  const persistence = new Persistence(clock, prng(1), silentLogger);
  const { call, made } = failing(Number.POSITIVE_INFINITY);
  const result = persistence.keepTrying(call);
  await turn();
  persistence.close();
  equal(await result, undefined);
  deepEqual([made(), clock.waiting], [1, 0]);
  const other = new Persistence(clock, prng(1), silentLogger);
  equal(await other.keepTrying(failing(1, "MF_JOURNAL_CLOSED").call), undefined);
});

test("an error that does not pass is given on", async () => {
  const persistence = new Persistence(new ManualClock(), prng(1), silentLogger);
  await rejects(
    persistence.keepTrying(failing(1).call, () => false),
    { code: "MF_JOURNAL_FULL" },
  );
  equal(persistence.troubled, undefined);
});

test("a call that is not repeated troubles for a moment", () => {
  const clock = new ManualClock();
  const persistence = new Persistence(clock, prng(1), silentLogger);
  persistence.failed(new Error("once"));
  equal(persistence.troubled, "once");
  clock.advance(gatewayLimits.journalBackoffMs.least - 1);
  equal(persistence.troubled, "once");
  clock.advance(1);
  equal(persistence.troubled, undefined);
});

for (const code of ["MF_JOURNAL_RECORD", "MF_JOURNAL_RECORD_LIMIT"])
  test(`${code}: a record's own fault troubles nobody else`, async () => {
    const clock = new ManualClock();
    const persistence = new Persistence(clock, prng(1), silentLogger);
    persistence.failed(new CodedError(code, "odd"));
    equal(persistence.troubled, undefined);
    const result = persistence.keepTrying(failing(1, code).call);
    await turn();
    equal(persistence.troubled, undefined);
    await repetition(clock);
    equal(await result, 7);
  });
