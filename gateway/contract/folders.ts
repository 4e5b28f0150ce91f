/** Folders that outlast a power loss: a name is safe once the folder it stands in is synced. */
import { chmod, mkdir, open } from "node:fs/promises";
import { dirname, resolve } from "node:path";

/** Makes the names in `path` safe. Rejects as the disk does. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/**
 * Makes `path` and what is missing above it, and the names of all that were made safe unless `sync` is false. With a mode those that were
 * made have it, whatever the process's umask says. Rejects as the disk does.
 */
export async function makeFolder(path: string, mode?: number, sync = true): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode });
  if (first === undefined) return;
  for (let made = resolve(path); made.length >= first.length; made = dirname(made)) {
    if (mode !== undefined) await chmod(made, mode);
    if (sync) await syncFolder(dirname(made));
  }
}
