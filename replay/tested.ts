/**
 * Runs a recorded message as a flow test runs it: answers of an outlet in turn, reads of the state at once, timers on time. A recording has
 * them as late as they were.
 */
import type { LogEffect, Recording } from "#abi";
import { answered, failedCall, type FlowRules, peersFault } from "#gateway";
import type { LoadedImage, Monitor } from "#monitors";
import { jsonValue } from "./differences.ts";
import { Drive, type TimedAnswer } from "./drive.ts";
import { effectRules } from "./driven.ts";
import { replayedLimits } from "./exact.ts";
import { type Outcome, outcomeOf } from "./outcome.ts";
import { callerWaited, headersOf, RecordedAnswers, type RecordedCall, type RecordedError } from "./recorded.ts";
import { stateAnswer } from "./stimulus.ts";
import { withValues } from "./values.ts";

function timed({ answer, askedMs, call }: RecordedCall): TimedAnswer {
  const none = { status: 200, contentType: "", headers: {}, body: new Uint8Array(0) };
  if (answer === undefined) return { answer: answered(none), delayMs: Number.POSITIVE_INFINITY };
  const { event } = answer;
  if (call.operation === "state") {
    const { headers, body } = stateAnswer(jsonValue(Buffer.from(event.body).toString("utf8"))) as { headers: object; body: Uint8Array };
    return { answer: answered({ ...none, headers: { ...headers }, body }), delayMs: 0 };
  }
  const { error, status, headersJson, body } = event;
  return {
    answer: { error, status, headersJson, body, ...(error === undefined ? {} : { blame: peersFault }) },
    delayMs: event.timeMs - askedMs,
  };
}

export async function testedOutcome(
  monitor: Monitor,
  image: LoadedImage,
  recording: Recording,
  { rules, error }: { readonly rules?: FlowRules | undefined; readonly error?: RecordedError | undefined },
): Promise<Outcome> {
  const turns = new Map<string, RecordedCall[]>();
  const { all, signals } = new RecordedAnswers(recording);
  for (const recorded of all) {
    const place = `${recorded.call.operation} ${recorded.call.target}`;
    turns.set(place, [...(turns.get(place) ?? []), recorded]);
  }
  const { limits } = recording;
  const deliver = withValues(recording, rules);
  const logs: LogEffect[] = [];
  const drive = new Drive({
    deliver,
    headers: headersOf(recording),
    limits,
    rules: effectRules(recording, rules),
    answer: ({ operation, target }) => {
      const next = turns.get(`${operation} ${target}`)?.shift();
      const none = failedCall("MF_REPLAY_UNANSWERED", `no record answers ${operation} ${target}`, peersFault);
      return next === undefined ? { answer: none, delayMs: 0 } : timed(next);
    },
    callerWaits: callerWaited(recording, error),
    signals: signals.map(({ order: _, ...signal }) => signal),
    logged: (effect) => void logs.push(effect),
  });
  const machineLimits = replayedLimits(recording);
  const ended = await drive.run((event) => monitor.start(image, event, machineLimits));
  return outcomeOf(drive, ended, logs);
}
