/** The run-time half of "mayfly/explore". */
import type { Exploration } from "./explore.d.ts";

export function explore(exploration: Exploration): Exploration {
  return exploration;
}
