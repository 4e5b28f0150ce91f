/** How the monitors whose machines are processes tell the system's scheduler what a flow weighs. */
import { writeFileSync } from "node:fs";
import { setPriority } from "node:os";

/** One step of priority is a quarter more or less CPU time (sched(7)); without privileges it can only be lowered, and no further than 19. */
const perStep = 1.25;
const lowest = 19;

/** The priority ("nice" value, 0 to 19) of a flow's processes beside those of the heaviest flow, whose is 0. */
export function priorityOf(weight: number, heaviest: number): number {
  return Math.min(lowest, Math.max(0, Math.round(Math.log(heaviest / weight) / Math.log(perStep))));
}

/** Sets the priority of a process that leads a session of its own. False when the system wants it tried again later. */
export function prioritise(pid: number | undefined, priority: number): boolean {
  if (pid === undefined) return true;
  try {
    setPriority(pid, priority);
  } catch {
    // it is gone, or may not be raised again: it stays as it is
  }
  try {
    // Where the system groups processes by session, the priority of the group decides between sessions.
    writeFileSync(`/proc/${pid}/autogroup`, String(priority));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "EAGAIN"; // ten a second without privileges
  }
  return true;
}
