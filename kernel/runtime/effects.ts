/** Counts the effects of a step, so that there is always room left for the one that says how it ended. */
import { hardLimits } from "../../abi/limits.ts";
import { FlowError } from "./errors.ts";

/** What the runtime itself may add to a step: lines dropped, and the end. */
const reserved = 16;
const mostEffects = hardLimits.effectsPerStep - reserved;

let effects = 0;

export function startCounting(): void {
  effects = 0;
}

/** Whether the step may have one more effect, which then counts. */
export function claimEffect(): boolean {
  return ++effects <= mostEffects;
}

/** Throws MF_EFFECT_LIMIT when the step may not have one more effect. */
export function requireEffect(): void {
  if (!claimEffect())
    throw new FlowError(
      "MF_EFFECT_LIMIT",
      `the flow had more than ${mostEffects} effects in one step: split the message before it comes in`,
      false,
    );
}
