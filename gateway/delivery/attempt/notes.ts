/** Facts that an attempt collects for witnesses: references to what it has anyway. */
import type { DeliverEvent, Event, LogEffect, StepOutcome } from "#abi";
import type { Failure, Reply } from "../../contract/message.ts";
import type { Flow } from "../../contract/runner.ts";
import type { WitnessedAttempt, WitnessedCall } from "../../contract/witness.ts";

/** The attempt, as its notes need it. */
interface Noted {
  readonly flow: Flow;
  readonly work: { readonly attempt: number };
  readonly startedMs: number;
  readonly logs: readonly LogEffect[];
}

export class AttemptNotes {
  deliver: DeliverEvent | undefined;
  readonly events: Exclude<Event, DeliverEvent>[] = [];
  readonly steps: StepOutcome[] = [];
  readonly calls: WitnessedCall[] = [];

  /** The attempt as it ended. Steps and logs that come later, after a cancel, are not in it. */
  witnessed(
    { work, flow, startedMs, logs }: Noted,
    endedMs: number,
    failure: Failure | undefined,
    reply: Reply | undefined,
  ): WitnessedAttempt {
    const { deliver, events, steps, calls } = this;
    return { attempt: work.attempt, flow, startedMs, endedMs, deliver, events, steps, calls, logs, failure, reply };
  }
}
