import { memoryCase } from "../memory.case.ts";
import { platformFault, processMonitor } from "./process.ts";

if (platformFault() === undefined) memoryCase("process monitor, waiting machines", (memory) => processMonitor({ memory }));
