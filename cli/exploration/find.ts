/** Finds explorations. */
import { findFiles } from "../flow-tests/runner.ts";
import { explorationShape } from "./build.ts";

/** At or below the paths, absolute. Throws MF_TEST_NOT_FOUND. */
export async function findExplorations(paths: readonly string[]): Promise<string[]> {
  return await findFiles(paths, explorationShape, "exploration", "*.explore.ts");
}
