/** The workers that a flow's messages ended lately, and the pauses they cost the flow. */
import { lossLimits } from "./limits.ts";

/** Part of the losses that remains after a step that did not end its worker: were none to remain, every second message could end one. */
const keptPart = 0.9;
/** Fewer losses than this are forgotten. */
const negligible = 0.5;

export class Losses {
  #recent = 0;
  #restUntilMs = 0;

  get any(): boolean {
    return this.#recent > 0;
  }

  /** The flow's next worker or step has to wait. */
  get rests(): boolean {
    return performance.now() < this.#restUntilMs;
  }

  lost(): void {
    const { pauseLeastMs, pauseMostMs } = lossLimits;
    const pauseMs = this.#recent < 1 ? 0 : Math.min(pauseMostMs, pauseLeastMs * 2 ** (this.#recent - 1));
    this.#recent += 1;
    this.#restUntilMs = performance.now() + pauseMs;
  }

  /** A step ended and its worker did not. */
  recovered(): void {
    this.#recent = this.#recent < negligible ? 0 : this.#recent * keptPart;
  }
}
