import { deepEqual, equal, match } from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { getPriority } from "node:os";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { buildImage } from "#image";
import { fairnessCase } from "../fairness.case.ts";
import { deliver } from "../monitor.case.ts";
import { priorityOf } from "../priority.ts";
import { platformFault, processMonitor } from "./process.ts";

test("a weight is a priority beside the heaviest flow's, in steps of a quarter", () => {
  deepEqual(
    [1, 2, 4, 5, 100].map((weight) => priorityOf(weight, 5)),
    [7, 4, 1, 0, 0],
  );
  equal(priorityOf(1, 100), 19);
});

/** Processes that this one started, by the names of their executables. */
function children(): Map<string, number> {
  const pids = readdirSync("/proc/self/task").flatMap((thread) =>
    readFileSync(`/proc/self/task/${thread}/children`, "latin1").trim().split(" "),
  );
  return new Map(pids.filter((pid) => pid !== "").map((pid) => [readFileSync(`/proc/${pid}/cmdline`, "latin1"), Number(pid)]));
}

if (platformFault() === undefined) {
  fairnessCase("process monitor, fairness", () => processMonitor({ processes: 2, workers: 2 }));
  fairnessCase("process monitor, a process for each message, fairness", () => processMonitor({ processes: 2, workers: 2, reuse: false }));

  test("the system is told what flows weigh, also of those that run when a heavier one comes", async () => {
    const folder = await mkdtemp(join(tmpdir(), "mayfly-weights-"));
    const monitor = processMonitor({ workers: 1 });
    try {
      const weights = { light: 1, heavy: 10 };
      for (const [name, weight] of Object.entries(weights)) {
        await writeFile(join(folder, `${name}.ts`), 'import { flow } from "mayfly"; export default flow(() => { for (;;); });');
        const loaded = await monitor.load((await buildImage(join(folder, `${name}.ts`), { check: false })).image);
        void monitor.start(
          loaded,
          deliver(),
          { memoryBytes: 2 ** 24, cpuMs: 60_000, timeMs: 60_000, sends: 1, logBytes: 1 },
          { name, weight },
        );
      }
      const pidOf = (name: string): number => [...children()].find(([command]) => command.includes(`/${name}-`))?.[1] ?? 0;
      const [light, heavy] = [pidOf("light"), pidOf("heavy")];
      for (let looks = 0; getPriority(light) === 0 && looks < 1000; looks++) await new Promise((done) => setTimeout(done, 10));
      deepEqual([getPriority(light), getPriority(heavy)], [10, 0]);
      if (existsSync("/proc/self/autogroup")) match(readFileSync(`/proc/${light}/autogroup`, "latin1"), /nice 10$/m);
    } finally {
      await monitor.close();
      await rm(folder, { recursive: true, force: true });
    }
  });
}
