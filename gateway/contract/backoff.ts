/** When to try again. */
import type { Prng } from "#base";
import type { DurationRange } from "./config.ts";

/**
 * The wait before the attempt after `attempt` (1 for the first): doubled each time from the least to the most, of which a random
 * half to whole is taken, so that what failed together does not come back together.
 */
export function backoffMs(attempt: number, range: DurationRange, random: Prng): number {
  const whole = Math.min(range.most, range.least * 2 ** Math.min(attempt - 1, 40));
  return Math.round(whole / 2 + (whole / 2) * random.float());
}
