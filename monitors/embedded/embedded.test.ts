import { monitorCase } from "../monitor.case.ts";
import { embeddedMonitor } from "./embedded.ts";

monitorCase(
  "embedded monitor, two workers",
  () => embeddedMonitor({ workers: 2 }),
  () => embeddedMonitor({ workers: 1, spin: 0 }),
);
