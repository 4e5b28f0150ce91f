/** New code over recorded messages: many at once on the monitor's workers, each with the record's answers, none sent anywhere. */
import type { FlowLimits } from "#abi";
import type { FlowRules, RecordedMessage } from "#gateway";
import type { LoadedImage, Monitor } from "#monitors";
import { driveRecording, effectRules } from "./driven.ts";
import { sameStep } from "./exact.ts";
import { type Group, Groups, type Judged, type Verdict } from "./groups.ts";
import { replayLimits } from "./limits.ts";
import { outcomeDifferences } from "./outcome.ts";
import { recordedOutcome } from "./recorded.ts";
import { redactOf } from "./replay.ts";
import { withValues } from "./values.ts";

/** The contract of `mayfly backtest --json`. */
export interface Backtest extends Readonly<Record<Verdict, number>> {
  readonly messages: number;
  /** Recorded without bodies, or ended before a machine answered: nothing to compare. Not among `messages`. */
  readonly skipped: number;
  readonly perSecond: number;
  readonly image: string;
  readonly groups: readonly Group[];
}

export interface BacktestOptions {
  /** Limits of the image that runs. */
  readonly limits: FlowLimits;
  readonly rules?: FlowRules | undefined;
  /** Told the number of messages that are done, now and then. */
  readonly progress?: ((done: number) => void) | undefined;
  /** Told of each message that is not the same. */
  readonly found?: ((message: RecordedMessage) => void) | undefined;
}

/** Runs one message. Never rejects for what the flow does. */
export async function judge(
  monitor: Monitor,
  image: LoadedImage,
  { summary, recording }: RecordedMessage,
  { rules, limits }: Pick<BacktestOptions, "rules" | "limits">,
): Promise<Judged> {
  const { steps } = recording;
  const error = summary.error ?? undefined;
  let step = 0;
  let same = true;
  const { outcome, unanswered } = await driveRecording(monitor, image, recording, {
    deliver: withValues(recording, rules),
    rules,
    limits,
    error,
    redact: redactOf(recording),
    stepped: (replayed) => {
      const recorded = steps[step++];
      same &&= recorded !== undefined && sameStep(recorded, replayed);
    },
  });
  const [first] = unanswered;
  if (first !== undefined) {
    const what = `${first.operation} ${first.method === "" ? "" : `${first.method} `}${first.target}`;
    return { verdict: "unanswered", differences: [], shape: what };
  }
  // With the same effects, mayfly.yaml may still refuse today what it took then.
  const endsAlike = (outcome.failure === undefined) === (error === undefined);
  if (same && endsAlike && step === steps.length) return { verdict: "same", differences: [] };
  const before = recordedOutcome(recording, effectRules(recording, rules), error);
  const { found, count } = outcomeDifferences(before, outcome);
  if (count === 0) return { verdict: "same", differences: [] };
  const [failed, fails] = [before.failure, outcome.failure];
  if (failed === undefined && fails !== undefined) return { verdict: "failsNow", differences: found, shape: fails.code };
  if (failed !== undefined && fails === undefined) return { verdict: "passesNow", differences: found, shape: failed.code };
  return { verdict: "different", differences: found };
}

export async function backtest(
  monitor: Monitor,
  image: LoadedImage,
  messages: AsyncIterable<RecordedMessage>,
  options: BacktestOptions,
): Promise<Backtest> {
  const groups = new Groups();
  /** When the first message was done: threads have started then. */
  let firstMs: number | undefined;
  let done = 0;
  let skipped = 0;
  let open = 0;
  let failure: { readonly cause: unknown } | undefined;
  let wake: (() => void) | undefined;
  const ended = (): void => {
    open -= 1;
    wake?.();
  };
  const room = async (most: number): Promise<void> => {
    while (open > most) await new Promise<void>((go) => (wake = go));
    if (failure !== undefined) throw failure.cause;
  };
  const one = async (message: RecordedMessage): Promise<void> => {
    const judged = await judge(monitor, image, message, options);
    groups.add(message.summary.id, message.summary.receivedAt, judged);
    if (judged.verdict !== "same") options.found?.(message);
    done += 1;
    firstMs ??= performance.now();
    if (done % replayLimits.progressEvery === 0) options.progress?.(done);
  };
  for await (const message of messages) {
    const { redaction, steps } = message.recording;
    if (steps.length === 0 || (redaction !== undefined && redaction.bodies !== "all")) {
      skipped += 1;
      continue;
    }
    if (open >= replayLimits.inFlight) await room(replayLimits.inFlight - 1);
    open += 1;
    one(message)
      .catch((cause: unknown) => (failure ??= { cause }))
      .finally(ended);
  }
  await room(0);
  const seconds = (performance.now() - (firstMs ?? 0)) / 1000;
  const { counts } = groups;
  return {
    messages: done,
    ...counts,
    skipped,
    perSecond: done < 2 ? done : Math.round((done - 1) / seconds),
    image: image.sha256,
    groups: groups.groups,
  };
}
