import { monitorCase } from "../monitor.case.ts";
import { embeddedMonitor } from "../embedded/embedded.ts";
import { qemuMonitor } from "./qemu.ts";

monitorCase(
  "qemu monitor, a virtual machine for each flow",
  () => qemuMonitor({ cpuFactor: 5 }),
  () => embeddedMonitor({ workers: 1, spin: 0 }),
);
