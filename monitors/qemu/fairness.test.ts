import { deepEqual } from "node:assert/strict";
import { getPriority } from "node:os";
import { test } from "node:test";
import type { FlowLimits } from "#abi";
import { fairnessCase } from "../fairness.case.ts";
import { deliver } from "../monitor.case.ts";
import { qemuMonitor, qemuMonitorForTest } from "./qemu.ts";
import { imageOf, qemuMissing } from "./testing/guests.ts";

const missing = qemuMissing();
const options = missing === undefined ? {} : { skip: missing };
fairnessCase("qemu monitor, fairness", () => qemuMonitor({ most: 2 }), options);
fairnessCase("qemu monitor, a virtual machine for each message, fairness", () => qemuMonitor({ most: 2, isolation: "message" }), options);

test("the system is told what flows weigh, also of those that run when a heavier one comes", options, async () => {
  const limits: FlowLimits = { memoryBytes: 2 ** 24, cpuMs: 60_000, timeMs: 60_000, sends: 1, logBytes: 1 };
  const monitor = qemuMonitorForTest({ perFlow: 1 });
  const pids: number[] = [];
  try {
    for (const [name, weight] of Object.entries({ light: 1, heavy: 10 })) {
      const source = `import { flow } from "mayfly"; export default flow(() => { for (;;) Math.abs(${weight}); });`;
      void monitor.start(await monitor.load(await imageOf(source)), deliver(), limits, { name, weight });
      pids.push(monitor.vms.at(-1)?.pid ?? 0);
    }
    const [light = 0, heavy = 0] = pids;
    for (let looks = 0; getPriority(light) === 0 && looks < 1000; looks++) await new Promise((done) => setTimeout(done, 10));
    deepEqual([getPriority(light), getPriority(heavy)], [10, 0]);
  } finally {
    await monitor.close();
  }
});
