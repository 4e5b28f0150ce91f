/** The errors of `Intl`: what the standard refuses is a RangeError or TypeError, what a machine does not have is MF_NO_INTL. */
import { kernel } from "../link.ts";

/** `what` is the subject of the sentence, `advice` what to do instead. */
export function missing(what: string, advice: string): Error {
  return new kernel.FlowError("MF_NO_INTL", `a machine does not have ${what}: ${advice}`, false);
}
