import { monitorCase } from "../monitor.case.ts";
import { embeddedMonitor } from "./embedded.ts";

monitorCase(
  "embedded monitor, two workers",
  () => embeddedMonitor({ workers: 2 }),
  () => embeddedMonitor({ workers: 1, spin: 0 }),
);

monitorCase(
  "embedded monitor, one worker that spins",
  () => embeddedMonitor({ workers: 1, spin: 10_000 }),
  () => embeddedMonitor({ workers: 2 }),
);
