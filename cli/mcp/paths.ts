/** Paths that a client gives, which stay in the project's folder: no `..` and no link leads out of it. */
import { lstatSync, realpathSync } from "node:fs";
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { CodedError } from "#base";

function outside(given: string): CodedError {
  return new CodedError("MF_MCP_PATH", `${given} is not below the project's folder: give a path relative to the folder of mayfly.yaml`);
}

function unlinked(path: string, given: string): string {
  try {
    return realpathSync(path);
  } catch (cause) {
    throw new CodedError("MF_MCP_PATH", `${given} does not exist: give a path relative to the folder of mayfly.yaml`, { cause });
  }
}

/** `path` relative to `root`. Throws MF_MCP_PATH where links lead out of it. `root` is without links. */
function within(root: string, path: string, given: string): string {
  const found = relative(root, path);
  if (found === ".." || found.startsWith(`..${sep}`) || isAbsolute(found)) throw outside(given);
  return found === "" ? "." : found;
}

/** A file or folder that exists, relative to `root`, links resolved. Throws MF_MCP_PATH. */
export function pathIn(root: string, given: string): string {
  const path = resolve(root, given);
  within(root, path, given); // the same answer for what exists outside and what does not
  return within(root, unlinked(path, given), given);
}

/** A file to be written, relative to `root`, in a folder that exists. Throws MF_MCP_PATH, also for a file that is a link. */
export function outputIn(root: string, given: string, ending: string): string {
  if (!given.endsWith(ending)) throw new CodedError("MF_MCP_PATH", `${given}: the file must end in ${ending}`);
  const path = resolve(root, given);
  within(root, path, given);
  const folder = within(root, unlinked(dirname(path), given), given);
  const written = join(folder, basename(path));
  if (lstatSync(join(root, written), { throwIfNoEntry: false })?.isFile() === false)
    throw new CodedError("MF_MCP_PATH", `${given} is a link or a folder: name a file`);
  return written;
}
