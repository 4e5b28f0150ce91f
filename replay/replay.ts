/** Runs a recorded message again. With the record's image bit for bit, with another one by its outcome. */
import type { CallEffect, FlowLimits, Recording } from "#abi";
import { type FlowRules, Redactor } from "#gateway";
import type { LoadedImage } from "#monitors";
import type { MachineStarter } from "./drive.ts";
import type { Difference } from "./differences.ts";
import { driveRecording, effectRules } from "./driven.ts";
import { type Redact, replayExactly } from "./exact.ts";
import { outcomeDifferences } from "./outcome.ts";
import { checkWhole, type RecordedError, recordedOutcome } from "./recorded.ts";
import { redactionRemarks } from "./remarks.ts";
import { withValues } from "./values.ts";

/** The contract of `mayfly replay --json`. */
export interface Replay {
  readonly identical: boolean;
  readonly differences: readonly Difference[];
  /** Number of all differences, if more were found than are listed. */
  readonly moreDifferences?: number;
  /** Hash of the image that ran. */
  readonly image: string;
  readonly monitor: string;
  /** `bits`: every step was compared bit for bit. `outcome`: another image, compared by reply, sends, state, calls, logs and failure. */
  readonly compared: "bits" | "outcome";
  /** Calls that no record answers. */
  readonly unanswered: readonly { readonly operation: string; readonly target: string; readonly method: string }[];
  /** Sentences for people: what was left out of the recording, what could not be compared. */
  readonly remarks: readonly string[];
}

export interface ReplayOptions {
  /** Rules of the flow in mayfly.yaml, where they are known. */
  readonly rules?: FlowRules | undefined;
  /** Limits of another image; the record's unless given. */
  readonly limits?: FlowLimits | undefined;
  /** Applied to the effects of both sides before they are compared. */
  readonly alike?: Redact | undefined;
  /** Failure of the recorded message, if it failed. */
  readonly error?: RecordedError | undefined;
}

/** Replaces in effects what the recording's redaction replaces; undefined for a recording that is whole. */
export function redactOf(recording: Recording): Redact | undefined {
  const { redaction } = recording;
  if (redaction === undefined) return undefined;
  const redactor = new Redactor({ record: "all", sample: 1, bodies: "all", redact: redaction });
  return (effect) => {
    const step = { status: "waiting", effects: [effect], cpuMs: 0 } as const;
    const shown = redactor.recording({ ...recording, events: [], steps: [step] }).recording;
    return shown.steps[0]?.effects[0] ?? effect;
  };
}

function both(first: Redact | undefined, second: Redact | undefined): Redact | undefined {
  if (first === undefined || second === undefined) return first ?? second;
  return (effect) => second(first(effect));
}

function brief({ operation, target, method }: CallEffect): Replay["unanswered"][number] {
  return { operation, target, method };
}

/** Never rejects for what the flow does; MF_REPLAY_NO_BODIES for a recording without bodies. */
export async function replayRecording(
  monitor: MachineStarter & { readonly name: string },
  image: LoadedImage,
  given: Recording,
  { rules, limits, error, alike }: ReplayOptions = {},
): Promise<Replay> {
  const recording =
    alike === undefined ? given : { ...given, steps: given.steps.map((step) => ({ ...step, effects: step.effects.map(alike) })) };
  checkWhole(recording);
  const deliver = withValues(recording, rules);
  const redact = both(redactOf(recording), alike);
  const remarks = redactionRemarks(recording);
  const ran = { image: image.sha256, monitor: monitor.name };
  const hasSteps = recording.steps.length > 0;
  if (!hasSteps) remarks.push("The attempt ended before its machine answered, so no step is recorded: compared is how it ends now.");
  if (hasSteps && image.sha256 === recording.imageSha256) {
    const exact = await replayExactly(monitor, image, recording, { deliver, redact });
    return { ...shown(exact.differences), ...ran, compared: "bits", unanswered: [], remarks: [...remarks, ...exact.remarks] };
  }
  const { outcome, unanswered } = await driveRecording(monitor, image, recording, { deliver, rules, limits, redact, error });
  const recorded = recordedOutcome(recording, effectRules(recording, rules), error);
  const found = outcomeDifferences(recorded, outcome);
  const { identical, ...differences } = shown(found);
  return {
    identical: identical && unanswered.length === 0,
    ...differences,
    ...ran,
    compared: "outcome",
    unanswered: unanswered.map(brief),
    remarks,
  };
}

function shown({ found, count }: ReturnType<typeof outcomeDifferences>): Pick<Replay, "identical" | "differences" | "moreDifferences"> {
  return { identical: count === 0, differences: found, ...(count > found.length ? { moreDifferences: count - found.length } : {}) };
}
