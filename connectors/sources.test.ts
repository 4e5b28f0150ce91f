/** File and cron sources: real files, a clock of our own. */
import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { appendFile, chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { headerText } from "#abi";
import { type Clock, prng } from "#base";
import { gatewayMemory } from "../gateway/memory/budget.ts";
import type { Incoming, Outcome } from "../gateway/contract/message.ts";
import { silentLogger } from "../gateway/logger.ts";
import { until } from "../gateway/testing/rig.ts";
import { ManualClock } from "../gateway/testing/manual-clock.ts";
import { text } from "../gateway/testing/scripted.ts";
import { cronSource, type CronSourceConfig } from "./cron/source.ts";
import { fileSource, type FileSourceConfig, globPattern } from "./file/source.ts";
import type { SourceContext } from "../gateway/contract/source.ts";

function context(base: string, clock: Clock): SourceContext {
  return {
    flow: "f",
    name: "from[0]",
    base,
    logger: silentLogger,
    clock,
    random: prng(1),
    metrics: { count: () => undefined },
    unexpected: (error) => {
      throw error;
    },
    memory: gatewayMemory(),
    prefetch: 8,
    http: { add: () => () => undefined },
  };
}

const settings: FileSourceConfig = {
  dir: "in",
  pattern: "*",
  done: "done",
  failed: "failed",
  marker: undefined,
  stable: 1000,
  every: 100,
  contentType: undefined,
  maxSize: 1000,
};

async function inFolder(run: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-file-"));
  try {
    await mkdir(join(dir, "in"));
    await run(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Lets real file work happen, then the clock run, until `check` holds. */
async function scanUntil(clock: ManualClock, check: () => boolean | Promise<boolean>): Promise<void> {
  await until(async () => {
    clock.advance(100);
    return check();
  });
}

test("finished files are taken in order, once, and moved to done or failed", async () => {
  await inFolder(async (dir) => {
    const clock = new ManualClock();
    const taken: Incoming[] = [];
    const source = fileSource.create({ ...settings, pattern: "*.csv" } as never, context(dir, clock));
    await writeFile(join(dir, "in/a.csv"), "1");
    await writeFile(join(dir, "in/b.csv"), "2");
    for (const name of ["c.csv.tmp", ".hidden.csv", "d.txt"]) await writeFile(join(dir, "in", name), "x");
    await source.start(async (message) => {
      taken.push(message);
      return text(message.body) === "2"
        ? { status: "dead", id: "x", failure: { origin: "flow", code: "NO", message: "", status: 0, retry: false }, kept: true }
        : { status: "done", id: "x", reply: undefined };
    });
    await scanUntil(
      clock,
      async () => (await readdir(join(dir, "in/done"))).length === 1 && (await readdir(join(dir, "in/failed"))).length === 1,
    );
    await source.stop();
    deepEqual(
      taken.map((message) => [text(message.body), message.contentType, message.headers["mayfly-file-name"], message.keeper]),
      [
        ["1", "text/csv", "a.csv", "source"],
        ["2", "text/csv", "b.csv", "source"],
      ],
    );
    deepEqual((await readdir(join(dir, "in"))).sort(), [".hidden.csv", "c.csv.tmp", "d.txt", "done", "failed"]);
  });
});

test("a long file is handed over before the short ones behind it, and what is behind a refused one waits", async () => {
  await inFolder(async (dir) => {
    const clock = new ManualClock();
    const taken: string[] = [];
    let refusals = 0;
    const source = fileSource.create({ ...settings, maxSize: 2 ** 24 } as never, context(dir, clock));
    await writeFile(join(dir, "in/a"), Buffer.alloc(2 ** 23, "a"));
    for (const name of ["b", "c", "d"]) await writeFile(join(dir, "in", name), name);
    await source.start(async (message) => {
      const name = text(message.body.subarray(0, 1));
      if (name === "b" && refusals++ === 0) return { status: "refused", id: "x", code: "MF_BUSY", message: "", retryAfterMs: 1_000 };
      taken.push(name);
      return { status: "done", id: "x", reply: undefined };
    });
    await scanUntil(clock, async () => (await readdir(join(dir, "in/done"))).length === 4);
    await source.stop();
    deepEqual(taken, ["a", "b", "c", "d"]);
  });
});

test("a file that still grows is left alone until it keeps still; a name that is there already is not overwritten", async () => {
  await inFolder(async (dir) => {
    const clock = new ManualClock();
    const taken: string[] = [];
    const source = fileSource.create(settings as never, context(dir, clock));
    const path = join(dir, "in/a");
    await writeFile(path, "1");
    await source.start(async (message) => (taken.push(text(message.body)), { status: "done", id: "x", reply: undefined }));
    for (let round = 2; round < 12; round += 1) {
      clock.advance(500);
      await new Promise((resolve) => setTimeout(resolve, 2));
      await writeFile(path, String(round));
      await utimes(path, round, round);
    }
    deepEqual(taken, []);
    await writeFile(join(dir, "in/done/a"), "older");
    await scanUntil(clock, () => taken.length === 1);
    await until(async () => (await readdir(join(dir, "in/done"))).length === 2);
    await source.stop();
    deepEqual(taken, ["11"]);
  });
});

test("a file that is replaced or appended to while it is worked on stays, and is the next message", async () => {
  await inFolder(async (dir) => {
    const clock = new ManualClock();
    const taken: string[] = [];
    const source = fileSource.create({ ...settings, stable: 0 } as never, context(dir, clock));
    for (const name of ["appended", "replaced", "gone", "kept"]) await writeFile(join(dir, "in", name), `${name} 1`);
    await source.start(async (message) => {
      const body = text(message.body);
      taken.push(body);
      if (body === "appended 1") await appendFile(join(dir, "in/appended"), " and more");
      if (body === "gone 1") await rm(join(dir, "in/gone"));
      if (body === "replaced 1") {
        await writeFile(join(dir, "other"), "replaced 2"); // as long as before
        await rename(join(dir, "other"), join(dir, "in/replaced"));
      }
      return { status: "done", id: body, reply: undefined };
    });
    await scanUntil(clock, async () => (await readdir(join(dir, "in/done"))).length === 3);
    await source.stop();
    deepEqual(taken.sort(), ["appended 1", "appended 1 and more", "gone 1", "kept 1", "replaced 1", "replaced 2"]);
    deepEqual((await readdir(join(dir, "in"))).sort(), ["done", "failed"]);
    equal(text(await readFile(join(dir, "in/done/appended"))), "appended 1 and more");
  });
});

test("symbolic links and names that are not UTF-8 are told of once, and counted", async () => {
  await inFolder(async (dir) => {
    const clock = new ManualClock();
    const told: string[] = [];
    let ignored = 0;
    const given = context(dir, clock);
    const source = fileSource.create({ ...settings, stable: 0 } as never, {
      ...given,
      logger: { ...given.logger, warn: (fields: object) => void told.push((fields as { file: string }).file) },
      metrics: { count: (event: string) => (ignored += event === "ignored" ? 1 : 0) },
    });
    await writeFile(join(dir, "outside"), "x");
    await symlink(join(dir, "outside"), join(dir, "in/link"));
    await symlink(join(dir, "nowhere"), join(dir, "in/dangling"));
    await writeFile(Buffer.concat([Buffer.from(join(dir, "in/")), Buffer.from([0x66, 0xfc, 0x72])]), "latin1");
    await writeFile(join(dir, "in/good"), "good");
    const taken: string[] = [];
    await source.start(async (message) => {
      taken.push(text(message.body));
      return { status: "done", id: "x", reply: undefined };
    });
    await scanUntil(clock, async () => (await readdir(join(dir, "in/done"))).length === 1 && told.length >= 3);
    for (let scan = 0; scan < 5; scan += 1) await scanUntil(clock, () => true);
    await source.stop();
    deepEqual([taken, told.sort(), ignored], [["good"], ["dangling", "f\ufffdr", "link"], 3]);
  });
});

test("with a marker a file is taken once it is there, and the marker goes with it", async () => {
  await inFolder(async (dir) => {
    const clock = new ManualClock();
    const taken: string[] = [];
    const source = fileSource.create({ ...settings, marker: ".done" } as never, context(dir, clock));
    await writeFile(join(dir, "in/a"), "1");
    await writeFile(join(dir, "in/b"), "2");
    await writeFile(join(dir, "in/b.done"), "");
    await source.start(async (message) => (taken.push(text(message.body)), { status: "done", id: "x", reply: undefined }));
    await scanUntil(clock, async () => (await readdir(join(dir, "in/done"))).length === 1);
    await until(async () => !(await readdir(join(dir, "in"))).includes("b.done"));
    await source.stop();
    deepEqual(taken, ["2"]);
    ok((await readdir(join(dir, "in"))).includes("a"));
  });
});

test("a refused file stays and comes again; one that is too big goes to failed unread; one in hand at stop is settled first", async () => {
  await inFolder(async (dir) => {
    const clock = new ManualClock();
    const answers: Outcome[] = [{ status: "refused", id: undefined, code: "MF_FLOW_BUSY", message: "", retryAfterMs: 5000 }];
    let release: ((outcome: Outcome) => void) | undefined;
    let calls = 0;
    const source = fileSource.create(settings as never, context(dir, clock));
    await writeFile(join(dir, "in/a"), "1");
    await writeFile(join(dir, "in/big"), "x".repeat(1001));
    await source.start((message) => {
      equal(text(message.body), "1");
      calls += 1;
      const answer = answers.shift();
      return answer === undefined ? new Promise((resolve) => (release = resolve)) : Promise.resolve(answer);
    });
    await scanUntil(clock, () => release !== undefined);
    equal(calls, 2);
    deepEqual((await readdir(join(dir, "in"))).sort(), ["a", "done", "failed"]);
    let stopped = false;
    const stopping = source.stop().then(() => (stopped = true));
    await new Promise((resolve) => setTimeout(resolve, 5));
    equal(stopped, false);
    release?.({ status: "done", id: "x", reply: undefined });
    await stopping;
    deepEqual([await readdir(join(dir, "in/done")), await readdir(join(dir, "in/failed"))], [["a"], ["big"]]);
  });
});

test("a settled file that can't be moved is not taken again, says so through health, and is moved once it can be", async () => {
  await inFolder(async (dir) => {
    const clock = new ManualClock();
    let calls = 0;
    const source = fileSource.create(settings as never, context(dir, clock));
    await writeFile(join(dir, "in/a"), "1");
    await source.start(async () => {
      calls += 1;
      if (calls === 1) {
        await rm(join(dir, "in/done"), { recursive: true });
        await writeFile(join(dir, "in/done"), "not a folder");
        await chmod(join(dir, "in/done"), 0o444);
      }
      return { status: "done", id: "x", reply: undefined };
    });
    await scanUntil(clock, () => !source.health().ready);
    await rename(join(dir, "in/done"), join(dir, "away"));
    await mkdir(join(dir, "in/done"));
    await scanUntil(clock, async () => (await readdir(join(dir, "in/done"))).includes("a"));
    await scanUntil(clock, () => source.health().ready);
    await source.stop();
    equal(calls, 1);
  });
});

test("globs", () => {
  deepEqual(
    ["a.csv", "b.CSV", "a.csv.gz"].map((name) => globPattern("*.csv").test(name)),
    [true, false, false],
  );
  equal(globPattern("a?(1).x").test("ab(1).x"), true);
});

const cronSettings: CronSourceConfig = {
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
    const source = cronSource.create({ ...cronSettings, every: 1000, missed } as never, context("/", clock));
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

test("a cron expression keeps its time zone over a change of clocks", async () => {
  const clock = new ManualClock(Date.parse("2026-03-28T12:00:00Z"));
  const fired: string[] = [];
  const source = cronSource.create(
    { ...cronSettings, schedule: "30 6 * * *", timezone: "Europe/Berlin", body: { a: 1 } } as never,
    context("/", clock),
  );
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
      cronSource.create({ ...cronSettings, ...config } as never, context("/", clock));
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
    throws(() => cronSource.create({ ...cronSettings, schedule } as never, context("/", new ManualClock(Date.parse("2026-01-01")))), {
      code: "MF_CRON_INVALID",
    });
  cronSource.create({ ...cronSettings, schedule: "0 0 29 2 *" } as never, context("/", new ManualClock(Date.parse("2026-03-01"))));
});

test("runs that were due while nothing ran are made up for by one, unless there was no start before", async () => {
  const hourMs = 3_600_000;
  const facts = new Map<string, string>();
  const recall = { read: async (name: string) => facts.get(name), write: async (name: string, fact: string) => void facts.set(name, fact) };
  let nowMs = Date.parse("2026-03-10T00:30:00Z");
  /** Serves from now on for some hours, then is down for others; gives the runs' dates. */
  async function life(settings: object, hours: number, downHours: number, ended: Outcome["status"] = "done"): Promise<string[]> {
    const clock = new ManualClock(nowMs);
    const dates: string[] = [];
    const source = cronSource.create({ ...cronSettings, ...settings } as never, { ...context("/", clock), recall });
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
  const interval = { schedule: undefined, every: 2 * hourMs, missed: "once" };
  deepEqual([(await life(interval, 3, 1)).length, (await life(interval, 0, 3)).length, (await life(interval, 1, 0)).length], [1, 1, 1]);
  deepEqual((await life({ ...interval, atStart: true }, 0, 0)).length, 1);
});
