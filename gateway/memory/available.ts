/** Memory the operating system lets this process use. */
import { readFileSync } from "node:fs";
import { totalmem } from "node:os";
import { join } from "node:path";

export type ReadText = (path: string) => string;

/** The smallest of the computer's memory and the limits of the control groups this process is in, version 1 or 2, in bytes. */
export function availableMemory(read: ReadText = (path) => readFileSync(path, "utf8"), totalBytes: number = totalmem()): number {
  return Math.min(totalBytes, ...groupLimits(read));
}

function groupLimits(read: ReadText): number[] {
  const limits: number[] = [];
  for (const line of lines(read, "/proc/self/cgroup")) {
    const [id, controllers = "", path = "/"] = line.split(":");
    if (id === "0") limits.push(...upwards(path, (group) => limitOf(read, join("/sys/fs/cgroup", group, "memory.max"))));
    else if (controllers.split(",").includes("memory"))
      limits.push(...upwards(path, (group) => limitOf(read, join("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes"))));
  }
  return limits;
}

/** Of a group and of all that hold it. Inside a container the path may be the host's: then the mounted folder itself is the group. */
function upwards(path: string, limit: (group: string) => number | undefined): number[] {
  const found: number[] = [];
  const names = path.split("/").filter((name) => name !== "" && name !== "..");
  for (let depth = names.length; depth >= 0; depth--) {
    const bytes = limit(names.slice(0, depth).join("/"));
    if (bytes !== undefined) found.push(bytes);
  }
  return found;
}

function limitOf(read: ReadText, file: string): number | undefined {
  const [text = ""] = lines(read, file);
  return /^\d+$/.test(text) ? Number(text) : undefined; // "max": no limit
}

function lines(read: ReadText, file: string): string[] {
  try {
    return read(file).trim().split("\n");
  } catch {
    return []; // not Linux, or not mounted
  }
}
