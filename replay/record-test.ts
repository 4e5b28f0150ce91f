/** A recorded message as a flow test that passes on the image that ran it. */
import type { Recording } from "#abi";
import { CodedError } from "#base";
import type { FlowRules } from "#gateway";
import type { LoadedImage, Monitor } from "#monitors";
import { flowTest } from "./flow-test.ts";
import { replayLimits } from "./limits.ts";
import { outcomeDifferences } from "./outcome.ts";
import { effectRules } from "./driven.ts";
import { checkWhole, type RecordedError, recordedOutcome } from "./recorded.ts";
import { redactionRemarks } from "./remarks.ts";
import { testedOutcome } from "./tested.ts";

export interface RecordTestOptions {
  /** Path of the flow's source, relative to the test. */
  readonly flow: string;
  readonly rules?: FlowRules | undefined;
  readonly error?: RecordedError | undefined;
  /** The record's image; without it the record's own effects are expected, and timers may be off. */
  readonly ran?: { readonly monitor: Monitor; readonly image: LoadedImage } | undefined;
}

export interface RecordedTest {
  /** Of a *.flow-test.yaml. */
  readonly text: string;
  /** Sentences for people; they stand at the head of the text as well. */
  readonly remarks: readonly string[];
}

/** Of all bodies in a recording. */
function bodyBytes({ deliver, events, steps }: Recording): number {
  let bytes = deliver.body.length;
  for (const event of events) if ("body" in event) bytes += event.body.length;
  for (const { effects } of steps)
    for (const effect of effects)
      bytes += effect.kind === "done" ? (effect.reply?.body.length ?? 0) : "body" in effect ? effect.body.length : 0;
  return bytes;
}

/** Rejects with MF_REPLAY_NO_BODIES and MF_TEST_TOO_LONG. */
export async function recordedTest(recording: Recording, { flow, rules, error, ran }: RecordTestOptions): Promise<RecordedTest> {
  checkWhole(recording);
  if (bodyBytes(recording) > replayLimits.testBytes)
    throw new CodedError(
      "MF_TEST_TOO_LONG",
      `the bodies of the message ${recording.deliver.id} have more than ${replayLimits.testBytes} bytes, too many for a test that people read: write a case by hand, with \`file:\` for the long ones`,
    );
  const recorded = recordedOutcome(recording, effectRules(recording, rules), error);
  const outcome = ran === undefined ? recorded : await testedOutcome(ran.monitor, ran.image, recording, { rules, error });
  const { id, timeMs } = recording.deliver;
  const changed = ran === undefined ? [] : outcomeDifferences(recorded, outcome).found.map(({ path }) => path);
  const remarks = [
    `Recorded: message ${id} of the flow ${recording.flow}, image sha256:${recording.imageSha256.slice(0, 12)}.`,
    ...redactionRemarks(recording),
    ...(ran === undefined
      ? ["The image that ran was not at hand: expectations are the recorded ones, and times after a wait may be off."]
      : []),
    ...(changed.length === 0
      ? []
      : [`Not as recorded, since a test has its answers and timers exactly on time: ${changed.slice(0, 10).join(", ")}.`]),
  ];
  const name = `message ${id} of ${new Date(timeMs).toISOString().slice(0, 10)}`;
  return { text: flowTest(recording, { flow, name, outcome, remarks: remarks.map((remark) => remark.replace(/\s+/g, " ")) }), remarks };
}
