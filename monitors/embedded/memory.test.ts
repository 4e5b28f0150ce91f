import { memoryCase, memoryFor } from "../memory.case.ts";
import { monitorCase } from "../monitor.case.ts";
import { embeddedMonitor } from "./embedded.ts";

monitorCase(
  "embedded monitor, no room for a machine that waits",
  () => embeddedMonitor({ workers: 2, memory: memoryFor(0) }),
  () => embeddedMonitor({ workers: 1, spin: 0 }),
);

memoryCase("embedded monitor, waiting machines", (memory) => embeddedMonitor({ workers: 1, memory }));
