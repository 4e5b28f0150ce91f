/** Stops a microVM: its power button, then its plug. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { standaloneLimits } from "../limits.ts";
import { type Machine, removeFolder } from "./folder.ts";
import { isAlive } from "./process.ts";
import { qmp } from "./qmp.ts";

async function endsWithin({ record }: Machine, timeMs: number): Promise<boolean> {
  const untilMs = performance.now() + timeMs;
  while (isAlive(record.process)) {
    if (performance.now() > untilMs) return false;
    await pause(standaloneLimits.lookMs);
  }
  return true;
}

/** `drained`: it finished its requests and powered off. `ended`: it had ended before. */
export type StopResult = "drained" | "killed" | "ended";

/** Asks it to finish what is under way, for `drain` of its service. `now`: it is not asked. */
export async function endMachine(machine: Machine, now: boolean): Promise<StopResult> {
  const { record, folder } = machine;
  if (!isAlive(record.process)) return "ended";
  const monitor = join(folder, "qmp.sock");
  if (!now && (await qmp(monitor, "system_powerdown")) && (await endsWithin(machine, record.drainMs + standaloneLimits.stopExtraMs)))
    return "drained";
  if (!((await qmp(monitor, "quit")) && (await endsWithin(machine, standaloneLimits.quitMs)))) {
    // Looked at again: the number could be another process's by now.
    if (isAlive(record.process)) process.kill(record.process.pid, "SIGKILL");
    await endsWithin(machine, standaloneLimits.quitMs);
  }
  return "killed";
}

/** Switches a microVM off and forgets it, at once: for a process that ends. */
export function killMachine({ record, folder }: Machine): void {
  if (isAlive(record.process)) process.kill(record.process.pid, "SIGKILL");
  rmSync(folder, { recursive: true, force: true });
}

/** As `endMachine`, and forgets the microVM with its files. */
export async function stopMachine(machine: Machine): Promise<StopResult> {
  const result = await endMachine(machine, false);
  await removeFolder(machine.folder);
  return result;
}
