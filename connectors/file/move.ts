/** Moves of files that may be replaced or appended to meanwhile. */
import { randomBytes } from "node:crypto";
import { copyFile, lstat, rename, unlink } from "node:fs/promises";
import { join } from "node:path";

/** Identity of a file's content: another file under its name, or more in it, is another message. */
export interface Version {
  readonly ino: number;
  readonly size: number;
  readonly mtimeMs: number;
}

export function sameVersion(a: Version, b: Version | undefined): boolean {
  return b !== undefined && a.ino === b.ino && a.size === b.size && a.mtimeMs === b.mtimeMs;
}

/** A path in the folder for a file of this name; a file that is there already is not overwritten. */
export async function freeName(folder: string, name: string): Promise<string> {
  const plain = join(folder, name);
  return (await lstat(plain).catch(() => undefined)) === undefined ? plain : join(folder, `${name}.${randomBytes(4).toString("hex")}`);
}

/** False when the file was changed in between: then it is where it was. */
export async function moveFile(from: string, to: string, version: Version): Promise<boolean> {
  try {
    await rename(from, to);
    if (sameVersion(version, await lstat(to))) return true;
    await rename(to, from);
    return false;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
    await copyFile(from, to);
    const unchanged = sameVersion(version, await lstat(from).catch(() => undefined));
    await unlink(unchanged ? from : to);
    return unchanged;
  }
}
