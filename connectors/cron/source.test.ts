/** Schedules and intervals, on a clock of our own. */
import { deepEqual, equal, throws } from "node:assert/strict";
import { test } from "node:test";
import { headerText } from "#abi";
import type { Clock } from "#base";
import type { Incoming, Outcome } from "../../gateway/contract/message.ts";
import type { SourceContext } from "../../gateway/contract/source.ts";
import { ManualClock } from "../../gateway/testing/manual-clock.ts";
import { text, utf8 } from "../../gateway/testing/scripted.ts";
import { cronSource, type CronSourceConfig } from "./source.ts";
import { testContext } from "../testing/rig.ts";

const at = (clock: Clock): SourceContext => ({ ...testContext(8), clock });

const settings: CronSourceConfig = {
  schedule: undefined,
  timezone: undefined,
  every: undefined,
  atStart: false,
  missed: "skip",
  body: undefined,
  contentType: undefined,
};

test("an interval fires on time; a run that is still going is not overlapped: the next is skipped, or made up for once", async () => {
  for (const missed of ["skip", "once"] as const) {
    const clock = new ManualClock(0);
    const fired: string[] = [];
    const pending: ((outcome: Outcome) => void)[] = [];
    const source = cronSource.create({ ...settings, every: 1000, missed } as never, at(clock));
    await source.start((message) => {
      fired.push(headerText(message.headers["mayfly-scheduled-time"]) ?? "");
      return new Promise((resolve) => pending.push(resolve));
    });
    clock.advance(999);
    equal(fired.length, 0);
    clock.advance(1);
    deepEqual(fired, ["1970-01-01T00:00:01.000Z"]);
    clock.advance(2500);
    equal(fired.length, 1);
    pending.shift()?.({ status: "done", id: "x", reply: undefined });
    await new Promise((resolve) => setTimeout(resolve, 0));
    equal(fired.length, missed === "once" ? 2 : 1);
    pending.shift()?.({ status: "done", id: "x", reply: undefined });
    await new Promise((resolve) => setTimeout(resolve, 0));
    clock.advance(1000);
    equal(fired.length, missed === "once" ? 3 : 2);
    for (const settle of pending) settle({ status: "done", id: "x", reply: undefined });
    await source.stop();
    clock.advance(10_000);
    equal(fired.length, missed === "once" ? 3 : 2);
  }
});

test("a timer that is late by a whole interval skips the run that is due now", async () => {
  const clock = new ManualClock(0);
  const late: Clock = {
    now: () => clock.now(),
    monotonicMs: () => clock.monotonicMs(),
    after: (ms, run) => clock.after(ms + 1000, run),
  };
  const fired: string[] = [];
  const source = cronSource.create({ ...settings, every: 1000 } as never, at(late));
  await source.start(async (message) => {
    fired.push(headerText(message.headers["mayfly-scheduled-time"])?.slice(17, 19) ?? "");
    return { status: "done", id: "x", reply: undefined };
  });
  for (let second = 0; second < 6; second += 1) {
    clock.advance(1000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await source.stop();
  deepEqual(fired, ["01", "03", "05"]);
});

test("a run is a message whose id is its date, so that a second one for it is a duplicate; nobody waits for its reply", async () => {
  const clock = new ManualClock(0);
  const got: Incoming[] = [];
  const source = cronSource.create({ ...settings, every: 1000 } as never, at(clock));
  await source.start(async (message) => {
    got.push(message);
    return { status: "done", id: "x", reply: undefined };
  });
  clock.advance(1000);
  await source.stop();
  const due = "1970-01-01T00:00:01.000Z";
  deepEqual(got, [
    {
      id: `tested-from[0]-${due}`,
      headers: { "mayfly-scheduled-time": due },
      contentType: "application/json",
      body: utf8(JSON.stringify({ scheduled: due })),
      replyWanted: false,
      keeper: "source",
    },
  ]);
});

test("stop waits for the run in progress", async () => {
  const clock = new ManualClock(0);
  let settle: (outcome: Outcome) => void = () => undefined;
  const source = cronSource.create({ ...settings, every: 1000 } as never, at(clock));
  await source.start(() => new Promise((resolve) => (settle = resolve)));
  clock.advance(1_000);
  let stopped = false;
  const stopping = source.stop().then(() => (stopped = true));
  await new Promise((resolve) => setImmediate(resolve));
  equal(stopped, false);
  settle({ status: "done", id: "x", reply: undefined });
  await stopping;
});

test("a cron expression keeps its time zone over a change of clocks", async () => {
  const clock = new ManualClock(Date.parse("2026-03-28T12:00:00Z"));
  const fired: string[] = [];
  const source = cronSource.create({ ...settings, schedule: "30 6 * * *", timezone: "Europe/Berlin", body: { a: 1 } } as never, at(clock));
  await source.start(async (message) => {
    fired.push(`${message.headers["mayfly-scheduled-time"]} ${message.contentType} ${text(message.body)}`);
    return { status: "done", id: "x", reply: undefined };
  });
  for (let hour = 0; hour < 72; hour += 1) {
    clock.advance(3_600_000);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  await source.stop();
  deepEqual(
    fired,
    ["2026-03-29T04:30:00.000Z", "2026-03-30T04:30:00.000Z", "2026-03-31T04:30:00.000Z"].map((time) => `${time} application/json {"a":1}`),
  );
});

test("somebody sets the clock: a schedule goes by the new dates, an interval goes on as before", async () => {
  for (const [jumpMs, scheduled] of [
    [-3_600_000, ["0 09:20:00", "1 09:20:30", "0 09:30:00", "1 09:30:30"]],
    [3_600_000, ["0 10:20:00", "0 11:20:00", "1 11:20:30", "0 11:30:00", "1 11:30:30"]], // of the hour that never was one run is made up for
  ] as const) {
    const clock = new ManualClock(Date.parse("2026-06-01T10:00:30Z"));
    const fired: string[] = [];
    const make = (config: object): ReturnType<typeof cronSource.create> =>
      cronSource.create({ ...settings, ...config } as never, at(clock));
    const sources = [make({ schedule: "*/10 * * * *" }), make({ every: 600_000 })];
    for (const [index, source] of sources.entries())
      await source.start(async (message) => {
        fired.push(`${index} ${message.headers["mayfly-scheduled-time"]?.slice(11, 19)}`);
        return { status: "done", id: "x", reply: undefined };
      });
    const pass = async (ms: number): Promise<void> => {
      for (let left = ms; left > 0; left -= 30_000) {
        clock.advance(Math.min(left, 30_000));
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await pass(15 * 60_000);
    deepEqual(fired.splice(0), ["0 10:10:00", "1 10:10:30"]);
    clock.jump(jumpMs);
    await pass(15 * 60_000);
    deepEqual(fired, scheduled);
    for (const source of sources) await source.stop();
  }
});

test("a schedule that is never due is refused", () => {
  for (const schedule of ["0 0 31 2 *", "0 0 30 2 *", "0 0 31 4,6,9,11 *"])
    throws(() => cronSource.create({ ...settings, schedule } as never, at(new ManualClock(Date.parse("2026-01-01")))), {
      code: "MF_CRON_INVALID",
    });
  cronSource.create({ ...settings, schedule: "0 0 29 2 *" } as never, at(new ManualClock(Date.parse("2026-03-01"))));
});

test("runs that were due while nothing ran are made up for by one, unless there was no start before", async () => {
  const hourMs = 3_600_000;
  const facts = new Map<string, string>();
  const recall = { read: async (name: string) => facts.get(name), write: async (name: string, fact: string) => void facts.set(name, fact) };
  let nowMs = Date.parse("2026-03-10T00:30:00Z");
  /** Serves from now on for some hours, then is down for others; gives the runs' dates. */
  async function life(changes: object, hours: number, downHours: number, ended: Outcome["status"] = "done"): Promise<string[]> {
    const clock = new ManualClock(nowMs);
    const dates: string[] = [];
    const source = cronSource.create({ ...settings, ...changes } as never, { ...at(clock), recall });
    await source.start(async ({ id = "", headers }) => {
      dates.push(headerText(headers["mayfly-scheduled-time"]) ?? "");
      return (
        ended === "refused"
          ? { status: "refused", id, code: "MF_STOPPING", message: "", retryAfterMs: 1 }
          : { status: "done", id, reply: undefined }
      ) as Outcome;
    });
    for (let minute = 0; minute < hours * 60; minute += 1) {
      clock.advance(60_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await source.stop();
    nowMs += (hours + downHours) * hourMs;
    return dates.map((date) => date.slice(11, 16));
  }
  const hourly = { schedule: "0 * * * *", missed: "once" };
  deepEqual(await life(hourly, 2, 5), ["01:00", "02:00"], "the first start makes up for nothing");
  deepEqual(await life(hourly, 1, 0), ["07:00", "08:00"], "one for five");
  deepEqual(await life(hourly, 0, 0), [], "nothing was due");
  deepEqual(await life(hourly, 1, 0, "refused"), ["09:00"]);
  deepEqual(await life(hourly, 0, 3), ["09:00"], "one that was refused is due still");
  deepEqual(await life({ ...hourly, missed: "skip" }, 0, 3), []);
  deepEqual(await life({ ...hourly, schedule: "30 * * * *" }, 0, 2), [], "another schedule begins anew");
  const named = { ...hourly, timezone: "UTC" };
  deepEqual([await life(named, 0, 3), (await life(named, 0, 0)).length], [[], 1], "a start without a run is remembered too");
  const interval = { schedule: undefined, every: 2 * hourMs, missed: "once" };
  deepEqual([(await life(interval, 3, 1)).length, (await life(interval, 0, 3)).length, (await life(interval, 1, 0)).length], [1, 1, 1]);
  deepEqual((await life({ ...interval, atStart: true }, 0, 0)).length, 1);
});
