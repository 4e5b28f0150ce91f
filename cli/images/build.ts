/** Builds a flow; what goes wrong at its top level is placed in its source. */
import { buildExplained, type BuildOptions, type Built } from "#image";
import { includedFolders } from "./project.ts";
import { probeTopLevel } from "../machine/top-level.ts";

/**
 * As `buildImage`, with the folders that the nearest mayfly.yaml includes unless others are given; every CodedError says where: by the
 * engine's own stack, and where that says nothing by running the top level once more.
 */
export async function buildFlow(path: string, options: BuildOptions = {}): Promise<Built> {
  const include = options.include ?? (await includedFolders(path));
  return buildExplained(path, { ...options, include }, async () => (await probeTopLevel(path)).failedAt);
}
