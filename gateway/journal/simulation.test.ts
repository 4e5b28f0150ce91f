/**
 * Thousands of schedules of calls with crashes and disk faults, each checked against what was acknowledged (log/simulation.ts).
 * The first seed is printed; MAYFLY_SEED=n runs one schedule again, MAYFLY_SCHEDULES=n runs that many.
 */
import { ok } from "node:assert/strict";
import { test } from "node:test";
import { runSchedule } from "./log/simulation.ts";

const only = process.env["MAYFLY_SEED"];
const schedules = Number(process.env["MAYFLY_SCHEDULES"] ?? 2_000);

test("schedules of calls, crashes and faults lose nothing and complete nothing twice", async (t) => {
  if (only !== undefined) {
    await runSchedule(Number(only));
    return;
  }
  const first = Math.floor(Date.now() % 1e9);
  t.diagnostic(`seeds ${first} to ${first + schedules - 1}`);
  let crashes = 0;
  let messages = 0;
  for (let seed = first; seed < first + schedules; seed++) {
    const result = await runSchedule(seed);
    crashes += result.crashes;
    messages += result.messages;
  }
  t.diagnostic(`${crashes} crashes, ${messages} messages`);
  ok(messages > schedules);
});

test("one schedule, crashed at every call of the disk", async (t) => {
  const seed = Number(only ?? 7);
  const { calls } = await runSchedule(seed, { crashAt: Infinity, lives: 1 });
  for (let crashAt = 1; crashAt <= calls; crashAt++) await runSchedule(seed, { crashAt, lives: 2 });
  t.diagnostic(`${calls} places to crash`);
});
