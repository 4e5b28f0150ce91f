/** Processes told apart beyond their numbers, which are used again: by when they started. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

function text(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return undefined;
  }
}

/** Linux: ticks since the boot, and which boot. Elsewhere the date that `ps` gives. Undefined: there is no such process. */
export function startOf(pid: number): string | undefined {
  const boot = text("/proc/sys/kernel/random/boot_id");
  if (boot !== undefined) {
    // proc(5): the name in parentheses may contain anything; state is field 3, start time field 22.
    const fields = text(`/proc/${pid}/stat`)
      ?.replace(/^.*\)\s/s, "")
      .split(" ");
    if (fields === undefined || fields[0] === "Z" || fields[0] === "X") return undefined;
    return `${boot.trim()} ${fields[19] ?? ""}`;
  }
  try {
    const date = execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
    return date === "" ? undefined : date;
  } catch {
    return undefined;
  }
}

export interface ProcessMark {
  readonly pid: number;
  /** The result of `startOf` when the number was certainly its own. */
  readonly start: string;
}

export function isAlive({ pid, start }: ProcessMark): boolean {
  return startOf(pid) === start;
}
