import { equal, rejects } from "node:assert/strict";
import { test } from "node:test";
import { openMonitor } from "./monitors.ts";

test("a process for every message is what `isolation: message` asks for, and the embedded monitor says that it has none", async (t) => {
  await rejects(openMonitor("embedded", { workers: 1, isolation: "message" }), { code: "MF_MONITOR_ISOLATION" });
  await rejects(openMonitor("nothing", { workers: 1, isolation: "flow" }), { code: "MF_MONITOR_MISSING" });
  if (process.platform !== "linux" || process.arch !== "x64") return t.skip("the process monitor is for x86-64 Linux");
  for (const isolation of ["flow", "message"] as const) {
    const monitor = await openMonitor("process", { workers: 1, isolation });
    equal((monitor as { reuse?: boolean }).reuse, isolation === "flow");
    await monitor.close();
  }
});
