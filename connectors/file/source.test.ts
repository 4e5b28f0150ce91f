/** Files that are taken from a folder: real files, a clock of our own. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { appendFile, chmod, mkdir, readdir, readFile, rename, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { Incoming, Outcome } from "../../gateway/contract/message.ts";
import type { SourceContext } from "../../gateway/contract/source.ts";
import { ManualClock } from "../../gateway/testing/manual-clock.ts";
import { until } from "../../gateway/testing/rig.ts";
import { text } from "../../gateway/testing/scripted.ts";
import { globPattern } from "../shared/dropped-files.ts";
import { fileSource, type FileSourceConfig } from "./source.ts";
import { testContext, withFolder } from "../testing/rig.ts";

const at = (dir: string, clock: ManualClock): SourceContext => ({ ...testContext(8, dir), clock });

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

function inFolder(run: (dir: string) => Promise<void>): Promise<void> {
  return withFolder(async (dir) => {
    await mkdir(join(dir, "in"));
    await run(dir);
  });
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
    const source = fileSource.create({ ...settings, pattern: "*.csv" } as never, at(dir, clock));
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
    const context = at(dir, clock);
    const source = fileSource.create({ ...settings, maxSize: 2 ** 24 } as never, context);
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
    equal(context.memory.all.takenBytes, 0, "those that were read and had to wait gave their memory back");
  });
});

test("no more files are handed over at once than the flow can queue", async () => {
  await inFolder(async (dir) => {
    const clock = new ManualClock();
    let settle: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (settle = resolve));
    let calls = 0;
    const source = fileSource.create({ ...settings, stable: 0 } as never, { ...at(dir, clock), prefetch: 2 });
    for (const name of ["a", "b", "c", "d"]) await writeFile(join(dir, "in", name), name);
    await source.start(async () => {
      calls += 1;
      await held;
      return { status: "done", id: "x", reply: undefined };
    });
    await scanUntil(clock, () => calls === 2);
    for (let scan = 0; scan < 5; scan += 1) await scanUntil(clock, () => true);
    equal(calls, 2);
    settle();
    await scanUntil(clock, async () => (await readdir(join(dir, "in/done"))).length === 4);
    await source.stop();
  });
});

test("a file that still grows is left alone until it keeps still; a name that is there already is not overwritten", async () => {
  await inFolder(async (dir) => {
    const clock = new ManualClock();
    const taken: string[] = [];
    const source = fileSource.create(settings as never, at(dir, clock));
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
    const source = fileSource.create({ ...settings, stable: 0 } as never, at(dir, clock));
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
    const given = at(dir, clock);
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
    const source = fileSource.create({ ...settings, marker: ".done" } as never, at(dir, clock));
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
    const source = fileSource.create(settings as never, at(dir, clock));
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
    const source = fileSource.create(settings as never, at(dir, clock));
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

test("a glob matches whole names, case and all, and takes other signs as they are", () => {
  deepEqual(
    ["a.csv", "b.CSV", "a.csv.gz"].map((name) => globPattern("*.csv").test(name)),
    [true, false, false],
  );
  equal(globPattern("a?(1).x").test("ab(1).x"), true);
});
