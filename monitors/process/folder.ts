/** Where executables lie while a monitor is open. */
import { chmodSync, lstatSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";

/** Process ids mean something within one namespace only: containers may share a folder for temporary files. Undefined where /proc is not there. */
function pidNamespace(): string | undefined {
  try {
    return /\d+/.exec(readlinkSync("/proc/self/ns/pid"))?.[0];
  } catch {
    return undefined;
  }
}

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}

/** Removes what monitors left whose process was killed: `prefix`, its process id, and letters. Only what belongs to this user. */
function sweep(parent: string, prefix: string): void {
  for (const name of readdirSync(parent)) {
    const pid = name.startsWith(prefix) ? Number(/^(\d+)-/.exec(name.slice(prefix.length))?.[1]) : Number.NaN;
    if (!Number.isInteger(pid) || !isGone(pid)) continue;
    const path = join(parent, name);
    try {
      const { uid } = lstatSync(path);
      if (uid === process.getuid?.()) rmSync(path, { recursive: true, force: true });
    } catch {
      // Another monitor was faster.
    }
  }
}

/** A new folder in `parent`, which users that may not look into it can run programs from. */
export function makeFolder(parent: string): string {
  const namespace = pidNamespace();
  const prefix = `mayfly-process-${namespace ?? "x"}-`;
  if (namespace !== undefined) sweep(parent, prefix);
  const folder = mkdtempSync(join(parent, `${prefix}${process.pid}-`));
  chmodSync(folder, 0o711); // another user runs what lies in it
  return folder;
}
