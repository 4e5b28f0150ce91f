/**
 * Very many machines that are due in the same moment: how fast they are woken and end, and what others notice of it. Others are one caller who asks
 * at a fixed rate, whether the last answer has come or not.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BenchGateway, callAll, cpuTime, startGateway } from "./gateway.ts";
import { percentiles, type Row, type Sample, say } from "./rows.ts";

const suite = "storm";
const callers = 64;
/** Between two looks at how many sleep. */
const lookMs = 500;
/** Between two requests of the live traffic. */
const everyMs = 10;

const sleeper = `import { flow } from "mayfly";
export default flow<"out">(async (msg, { to, at }) => {
  const { due, id } = msg.json<{ due: number; id: string }>();
  await at(new Date(due));
  to.out.send({ id });
});
`;
const live = `import { flow } from "mayfly";
export default flow((msg) => ({ seen: msg.json() }));
`;
const flows = `sleeper:
    flow: sleeper.ts
    queue: 16384
    from: [ { http: { path: /sleepers, mode: accept } } ]
    to: { out: { log: { level: debug } } }
  live:
    flow: live.ts
    from: [ { http: { path: /live } } ]`;

/** Asks at the rate until told to stop; a request's time begins when it was due. */
async function liveTraffic(gateway: BenchGateway, goesOn: () => boolean): Promise<Sample> {
  const latencies: number[] = [];
  const open: Promise<unknown>[] = [];
  for (let dueAt = performance.now(); goesOn(); dueAt += everyMs) {
    const waitMs = dueAt - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    const startedAt = dueAt;
    open.push(gateway.post("/live", { n: latencies.length }).then(() => latencies.push(performance.now() - startedAt)));
  }
  await Promise.all(open);
  return percentiles(latencies);
}

async function asleep(gateway: BenchGateway): Promise<number> {
  const text = await (await fetch(`${gateway.url}/metrics`)).text();
  return Number(/^mayfly_sleepers\{[^}]*flow="sleeper"[^}]*\} (\d+)/m.exec(text)?.[1] ?? Number.NaN);
}

async function asleepAre(gateway: BenchGateway, count: number, withinMs: number): Promise<void> {
  const untilMs = Date.now() + withinMs;
  for (let now = await asleep(gateway); now !== count; now = await asleep(gateway)) {
    if (Date.now() > untilMs) throw new Error(`${now} machines sleep, and not ${count}`);
    await new Promise((resolve) => setTimeout(resolve, lookMs)); // a look costs the gateway some milliseconds
  }
}

async function storm(gateway: BenchGateway, count: number): Promise<{ perSecond: number; cpuMs: number; before: Sample; during: Sample }> {
  const ids = Array.from({ length: count }, (_, index) => `s${index}`);
  const dueMs = Date.now() + 10_000 + 2 * count; // five hundred a second are put to sleep on any machine
  await callAll(ids, callers, (id) => gateway.post("/sleepers", { due: dueMs, id }));
  if (Date.now() + 5_000 > dueMs) throw new Error("the machines were put to sleep too slowly");
  await asleepAre(gateway, count, dueMs - Date.now());
  const calmUntilMs = Math.min(Date.now() + 5_000, dueMs);
  const before = await liveTraffic(gateway, () => Date.now() < calmUntilMs);
  await new Promise((resolve) => setTimeout(resolve, dueMs - Date.now()));
  const cpuBefore = cpuTime(gateway.child);
  let isOver = false;
  const during = liveTraffic(gateway, () => !isOver);
  try {
    await asleepAre(gateway, 0, 300_000);
  } finally {
    isOver = true;
  }
  const perSecond = (1_000 * count) / (Date.now() - dueMs);
  return { perSecond, cpuMs: (cpuTime(gateway.child) - cpuBefore) / count, before, during: await during };
}

export async function stormRows(quick: boolean): Promise<Row[]> {
  const count = quick ? 10_000 : 100_000;
  const folder = mkdtempSync(join(tmpdir(), "mayfly-bench-storm-"));
  writeFileSync(join(folder, "sleeper.ts"), sleeper);
  writeFileSync(join(folder, "live.ts"), live);
  const name = `${count} machines due at once`;
  let gateway: BenchGateway | undefined;
  try {
    gateway = await startGateway(folder, flows);
    say(`putting ${count} to sleep`);
    const { perSecond, cpuMs, before, during } = await storm(gateway, count);
    const ratio = before.p99 / during.p99;
    return [
      { suite, name: `${name}: woken and ended`, value: perSecond, unit: "/s", aim: "≥ 10,000/s", met: perSecond >= 10_000 },
      { suite, name: `${name}: CPU of the gateway for each`, value: cpuMs, unit: "ms" },
      {
        suite,
        name: `${name}: p99 of a request in the meantime`,
        value: during.p99,
        unit: "ms",
        beside: { name: "before it", value: before.p99 },
        ratio,
        aim: "≥ 0.5×",
        met: ratio >= 0.5,
      },
    ];
  } catch (error) {
    return [{ suite, name, value: Number.NaN, unit: "", skipped: error instanceof Error ? error.message : String(error) }];
  } finally {
    await gateway?.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
