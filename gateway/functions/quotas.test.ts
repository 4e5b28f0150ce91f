/** Quotas of tenants: rates, messages under way, CPU time of a day; and usage, which outlives a restart. */
import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import { prng } from "#base";
import { seed } from "../../base/testing/seed.ts";
import { SimulatedDisk } from "../journal/testing/simulated-disk.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { functionLimits } from "./limits.ts";
import type { ServedFunction } from "./ports.ts";
import { Quotas, Rate } from "./quotas.ts";
import { RecordLog } from "./record-log.ts";
import { onlyTenant, type Tenant } from "./tenants.ts";

const tenant: Tenant = { ...onlyTenant({ memory: 1, cpu: 1, time: 1, sends: 1, log: 1 }).need(""), name: "acme" };
const noon = Date.UTC(2026, 10, 30, 12);

const nothing = { state: 0, messages: 0, deadLetters: 0 };

test("a rate lets through what it says, at once or evenly, and never more", () => {
  const random = prng(seed);
  const clock = new ManualClock(noon);
  const rate = new Rate(clock);
  const passed: number[] = [];
  for (let turn = 0; turn < 5_000; turn += 1) {
    clock.advance(random.below(40));
    if (rate.take("acme", { count: 10, windowMs: 1_000 }) === 0) passed.push(clock.monotonicMs());
  }
  for (const [index, atMs] of passed.entries())
    equal(passed.filter((each, other) => other <= index && each > atMs - 1_000).length <= 20, true);
  const seconds = (clock.monotonicMs() - noon) / 1_000;
  equal(passed.length <= seconds * 10 + 10, true);
  equal(passed.length >= seconds * 10 - 10, true);
  clock.advance(10_000);
  deepEqual(Array.from({ length: 12 }, () => rate.take("other", { count: 10, windowMs: 1_000 }) === 0).filter(Boolean).length, 10);
});

test("messages under way and CPU time of the day bound a tenant, and the next day it begins anew", async () => {
  const clock = new ManualClock(noon);
  const records = await RecordLog.open(new SimulatedDisk(prng(1)).mount());
  const served = { pending: 0, isIdle: true, figures: { received: 0, done: 0, dead: 0, cpuMs: 0 } };
  const all = [{ tenant: "acme", served: served as ServedFunction }];
  const quotas = new Quotas({ clock, records, served: () => all, keptBy: () => nothing });
  const bounded: Tenant = { ...tenant, queue: 5, cpuMs: 1_000 };
  const code = (): string | undefined => {
    clock.advance(functionLimits.usageMs);
    return quotas.request(bounded)?.code;
  };
  equal(code(), undefined);
  served.pending = 5;
  equal(code(), "MF_TENANT_BUSY");
  served.pending = 4;
  equal(code(), undefined);
  served.figures = { received: 7, done: 6, dead: 1, cpuMs: 1_000 };
  equal(code(), "MF_TENANT_CPU");
  equal(quotas.isSpent(bounded), true);
  deepEqual(quotas.usage("acme"), { day: "2026-11-30", received: 7, done: 6, dead: 1, cpuMs: 1_000 });
  await quotas.keep();
  const again = new Quotas({ clock, records, served: () => [], keptBy: () => nothing });
  equal(again.request(bounded)?.code, "MF_TENANT_CPU", "also after a restart");
  equal(again.request({ ...tenant, name: "other", cpuMs: 1 })?.code, undefined);
  clock.advance(12 * 3_600_000);
  equal(code(), undefined);
  equal(quotas.usage("acme").cpuMs, 0);
  equal(again.request(bounded), undefined);
});
