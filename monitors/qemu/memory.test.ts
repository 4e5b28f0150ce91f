import { memoryCase } from "../memory.case.ts";
import { qemuMonitor } from "./qemu.ts";

memoryCase("qemu monitor, waiting machines", (memory) => qemuMonitor({ cpuFactor: 5, memory }));
