import { fairnessCase } from "../fairness.case.ts";
import { qemuMonitor } from "./qemu.ts";
import { qemuMissing } from "./testing/guests.ts";

const missing = qemuMissing();
const options = missing === undefined ? {} : { skip: missing };
fairnessCase("qemu monitor, fairness", () => qemuMonitor({ most: 2 }), options);
fairnessCase("qemu monitor, a virtual machine for each message, fairness", () => qemuMonitor({ most: 2, isolation: "message" }), options);
