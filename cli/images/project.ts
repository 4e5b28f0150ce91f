/** A flow's project as commands see it that read no configuration: its folder, and what its mayfly.yaml lets a build read besides. */
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parse } from "yaml";
import { CodedError } from "#base";
import { projectFolder, readableFor, refusedFile } from "#image";

/**
 * The folders under `build.include` of the mayfly.yaml in the flow's project, absolute. Read without the environment that the rest of the
 * file may need; empty for a file that can't be read, which `serve` and `lint` complain about.
 */
export async function includedFolders(flow: string): Promise<readonly string[]> {
  const folder = projectFolder(flow);
  if (folder === undefined) return [];
  try {
    const config = parse(await readFile(join(folder, "mayfly.yaml"), "utf8")) as { build?: { include?: unknown } } | null;
    const include = config?.build?.include;
    return Array.isArray(include) ? include.filter((each) => typeof each === "string").map((each) => resolve(folder, each)) : [];
  } catch {
    return [];
  }
}

/** Throws MF_FILE_OUTSIDE for a file below neither the project of `folder` nor the current folder; `what` names it. */
export async function checkReadable(path: string, folder: string, what: string): Promise<void> {
  const anyFlow = join(folder, "flow.ts");
  const refused = refusedFile(resolve(path), readableFor(anyFlow, [process.cwd(), ...(await includedFolders(anyFlow))]));
  if (refused === undefined) return;
  throw new CodedError("MF_FILE_OUTSIDE", `the ${what} ${refused}${what === "message" ? ", or pipe it in with --message -" : ""}`);
}
