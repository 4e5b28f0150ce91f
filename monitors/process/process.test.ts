import { monitorCase } from "../monitor.case.ts";
import { embeddedMonitor } from "../embedded/embedded.ts";
import { platformFault, processMonitor } from "./process.ts";

if (platformFault() === undefined)
  monitorCase(
    "process monitor",
    () => processMonitor(),
    () => embeddedMonitor({ workers: 1, spin: 0 }),
  );
