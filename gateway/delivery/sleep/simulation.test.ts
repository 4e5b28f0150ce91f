/** Thousands of schedules of sleeping messages: crashes, full disks, clocks that are set, signals early, late and twice, peers that lose answers. */
import { ok } from "node:assert/strict";
import { test } from "node:test";
import { SimulatedSleepers } from "../../testing/simulated-sleepers.ts";

const seeds = Number(process.env["MAYFLY_SEEDS"] ?? 40);
const first = Number(process.env["MAYFLY_SEED"] ?? 1);

test(`sleepers and signals: nothing is lost, nobody is woken twice, over ${seeds} seeds from ${first}`, async () => {
  const all = { crashes: 0, bySignal: 0, byTimeout: 0, unclaimed: 0, dead: 0 };
  for (let seed = first; seed < first + seeds; seed += 1) {
    try {
      const report = await new SimulatedSleepers(seed, 40).run();
      for (const name of Object.keys(all) as (keyof typeof all)[]) all[name] += report[name];
    } catch (error) {
      throw new Error(`MAYFLY_SEED=${seed} MAYFLY_SEEDS=1: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  }
  ok(
    all.crashes > seeds && all.bySignal > seeds && all.byTimeout > seeds && all.unclaimed > 0,
    `the schedules were worth running: ${JSON.stringify(all)}`,
  );
});
