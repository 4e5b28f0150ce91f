/** Counts the effects of a step, so that there is always room left for the one that says how it ended. */
import { hardLimits } from "../../abi/limits.ts";
import { FlowError } from "./errors.ts";

/** Effects that the runtime itself may add to a step: a note of dropped log lines, and the end. */
const reserved = 16;
const mostEffects = hardLimits.effectsPerStep - reserved;

/** Infinite until the first event: the flow's top level, which runs when the image is built, may have none. */
let effects = Number.POSITIVE_INFINITY;

/** Throws MF_TOP_LEVEL while the flow's module is still being loaded. */
export function requireHandler(what: string): void {
  if (effects !== Number.POSITIVE_INFINITY) return;
  throw new FlowError(
    "MF_TOP_LEVEL",
    `${what}: not possible at a flow's top level, or in warm, which run once, when the image is built: do this in the handler`,
    false,
  );
}

/** While a sample's run is frozen into an image: gives the promises of requests, which nothing answers. */
export let heldBack: (() => Promise<never>) | undefined;

export function setHeldBack(value: typeof heldBack): void {
  heldBack = value;
}

export function isTopLevel(): boolean {
  return effects === Number.POSITIVE_INFINITY;
}

export function startCounting(): void {
  effects = 0;
}

/** True if the step may have one more effect, which then counts. */
export function spendEffect(): boolean {
  return ++effects <= mostEffects;
}

/** Throws MF_EFFECT_LIMIT when the step may not have one more effect. */
export function requireEffect(): void {
  if (spendEffect()) return;
  requireHandler("sends, requests, state and timers are not available yet");
  throw new FlowError(
    "MF_EFFECT_LIMIT",
    `the flow had more than ${mostEffects} effects in one step: split the message before it arrives`,
    false,
  );
}
