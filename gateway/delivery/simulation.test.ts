/** Thousands of schedules of the delivery core: crashes, full disks, peers that are down or lose answers, flows that hang or break. */
import { ok } from "node:assert/strict";
import { test } from "node:test";
import { SimulatedGateway } from "../testing/simulated-gateway.ts";

const seeds = Number(process.env["MAYFLY_SEEDS"] ?? 80);
const first = Number(process.env["MAYFLY_SEED"] ?? 1);

async function simulated(seeds: number, holds: boolean): Promise<void> {
  let crashes = 0;
  let duplicates = 0;
  let dead = 0;
  for (let seed = first; seed < first + seeds; seed += 1) {
    try {
      const report = await new SimulatedGateway(seed, 60, holds).run();
      crashes += report.crashes;
      duplicates += report.duplicates;
      dead += report.dead;
    } catch (error) {
      throw new Error(`MAYFLY_SEED=${seed} MAYFLY_SEEDS=1: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  }
  ok(crashes > seeds && duplicates > 0 && dead > 0, "the schedules were worth running");
}

test(`nothing is lost, run twice or out of order, over ${seeds} seeds from ${first}`, () => simulated(seeds, false));

const holding = Math.ceil(seeds / 2);
test(`with onDead: hold nothing overtakes a dead letter, over ${holding} seeds from ${first}`, () => simulated(holding, true));
