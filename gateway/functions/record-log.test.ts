/**
 * The records of functions on a disk that loses power, fails and fills up. After every crash each key has the value of the last acknowledged
 * write, or of a write whose outcome nobody was told.
 */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { isCoded, prng, type Prng } from "#base";
import { seed } from "../../base/testing/seed.ts";
import { realDisk } from "../journal/log/disk.ts";
import { SimulatedDisk } from "../journal/testing/simulated-disk.ts";
import { type Change, RecordLog } from "./record-log.ts";

type State = ReadonlyMap<string, string>;

function applied(state: State, changes: readonly Change[]): State {
  const next = new Map(state);
  for (const [key, value] of changes) {
    if (value === undefined) next.delete(key);
    else next.set(key, value);
  }
  return next;
}

function contents(log: RecordLog): Record<string, string> {
  return Object.fromEntries([...log.keys("")].sort().map((key) => [key, log.get(key) ?? ""]));
}

const shown = (state: State): string => JSON.stringify(Object.fromEntries([...state].sort(([a], [b]) => (a < b ? -1 : 1))));

function someChanges(random: Prng): Change[] {
  return Array.from({ length: 1 + random.below(3) }, (): Change => {
    const key = `f /k${random.below(6)}`;
    return [key, random.below(4) === 0 ? undefined : `${random.below(1_000_000)}${"ä".repeat(random.below(700))}`];
  });
}

/** One life: opens, checks against what may be there, writes until the crash. Gives what may be there afterwards. */
async function live(disk: SimulatedDisk, random: Prng, possible: readonly State[], callsUntilCrash: number): Promise<State[]> {
  let crashed: () => void = () => undefined;
  const crash = new Promise<void>((resolve) => (crashed = resolve));
  disk.crashAt(disk.calls + callsUntilCrash, () => crashed());
  let now: State[] = [...possible];
  const work = async (): Promise<void> => {
    const log = await RecordLog.open(disk.mount());
    const found = shown(new Map(Object.entries(contents(log))));
    const known = now.find((state) => shown(state) === found);
    ok(known !== undefined, `${found} matches no state of ${now.map(shown).join(" or ")}`);
    now = [known];
    for (;;) {
      disk.faults.full = random.below(6) === 0 ? 3 : 0;
      disk.faults.broken = random.below(8) === 0 ? 4 : 0;
      const changes = someChanges(random);
      const acknowledged = now[0] as State;
      const after = applied(acknowledged, changes);
      now = [...now, after]; // until its outcome is known
      try {
        await log.write(changes, "a test");
        now = [after];
      } catch (error) {
        ok(isCoded(error) && /^MF_FUNCTIONS_(FULL|DISK)$/.test(error.code), String(error));
        deepEqual(
          contents(log),
          Object.fromEntries([...acknowledged].sort(([a], [b]) => (a < b ? -1 : 1))),
          "a write that failed does not count",
        );
      }
    }
  };
  await Promise.race([crash, work()]);
  return now;
}

test("records survive power losses and kills at every step, and disks that fail", async () => {
  for (let schedule = 0; schedule < 200; schedule += 1) {
    const random = prng(seed + schedule);
    const disk = new SimulatedDisk(random);
    let possible: readonly State[] = [new Map()];
    for (let life = 0; life < 6; life += 1) {
      possible = await live(disk, random, possible, 1 + random.below(random.below(2) === 0 ? 60 : 12)); // short lives read, and write little
      disk.restart(random.below(2) === 0);
    }
  }
});

test("a deploy is recovered whole or not at all after a crash at each of its steps", async () => {
  let steps = 1;
  for (let isOver = false; !isOver; steps += 1) {
    const random = prng(seed + steps);
    const disk = new SimulatedDisk(random);
    const first = await RecordLog.open(disk.mount());
    await first.write([["f /a", "1"]], "a test");
    let crashed: () => void = () => undefined;
    const crash = new Promise<"crashed">((resolve) => (crashed = () => resolve("crashed")));
    disk.crashAt(disk.calls + steps, () => crashed());
    const changes: Change[] = [
      ["f /a", "2"],
      ["s /b", "x".repeat(5_000)],
    ];
    isOver = (await Promise.race([crash, first.write(changes, "a test")])) !== "crashed";
    disk.restart(true);
    const found = contents(await RecordLog.open(disk.mount()));
    if (isOver) deepEqual(Object.keys(found), ["f /a", "s /b"]);
    else ok(JSON.stringify(found) === '{"f /a":"1"}' || (found["f /a"] === "2" && found["s /b"]?.length === 5_000), JSON.stringify(found));
  }
  ok(steps > 2);
});

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-records-"));
  try {
    await run(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test("an unfinished last line is cut off, damage before it is an error, and so is another version", async () => {
  await withFolder(async (folder) => {
    const log = await RecordLog.open(realDisk(folder));
    for (const value of ["1", "2", "3"]) await log.write([[`k${value}`, value]], "a test");
    await log.close();
    const file = join(folder, "functions.log");
    const whole = await readFile(file);
    for (let length = whole.length - 1; length > whole.lastIndexOf("\n", -2); length -= 37) {
      await writeFile(file, whole.subarray(0, length));
      const cut = await RecordLog.open(realDisk(folder));
      deepEqual(contents(cut), { k1: "1", k2: "2" });
      await cut.write([["k4", "4"]], "a test");
      await cut.close();
      deepEqual(contents(await RecordLog.open(realDisk(folder))), { k1: "1", k2: "2", k4: "4" });
    }
    const damaged = Buffer.from(whole);
    damaged[whole.indexOf("k1")] = 0x6a;
    await writeFile(file, damaged);
    await rejects(RecordLog.open(realDisk(folder)), { code: "MF_FUNCTIONS_DAMAGED" });
    await writeFile(file, `mayfly functions 2\n${whole.subarray(19).toString()}`);
    await rejects(RecordLog.open(realDisk(folder)), { code: "MF_FUNCTIONS_VERSION" });
  });
});

test("the file does not grow with changes of the same records", async () => {
  await withFolder(async (folder) => {
    const log = await RecordLog.open(realDisk(folder));
    const value = "x".repeat(100_000);
    for (let turn = 0; turn < 60; turn += 1) await log.write([["k", `${turn}${value}`]], "a test");
    const { length } = await readFile(join(folder, "functions.log"));
    ok(length < 3_000_000, String(length));
    await log.close();
    equal((await RecordLog.open(realDisk(folder))).get("k"), `59${value}`);
  });
});
