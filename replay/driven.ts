/**
 * Runs a recorded message through another image. Its calls may come in another order, so the record's events can't be given one after
 * another: the gateway's interpreter drives the machine in recorded time, and each call gets the record's answer to it.
 */
import type { CallEffect, DeliverEvent, FlowLimits, LogEffect, Recording, StepOutcome } from "#abi";
import { type EffectRules, failedCall, type FlowRules, peersFault, refusedCall } from "#gateway";
import type { LoadedImage } from "#monitors";
import { Drive, type DrivenMachine, type MachineStarter } from "./drive.ts";
import { type Redact, replayedLimits } from "./exact.ts";
import { replayLimits } from "./limits.ts";
import { type Outcome, outcomeOf } from "./outcome.ts";
import { callerWaited, endedFromOutside, headersOf, RecordedAnswers, type RecordedError, recordedOutcome } from "./recorded.ts";

export interface Driven {
  readonly outcome: Outcome;
  /** Calls that no record answers. */
  readonly unanswered: readonly CallEffect[];
}

export interface DrivenOptions {
  readonly deliver: DeliverEvent;
  /** The flow's rules in mayfly.yaml; without them every outlet exists and every host may be reached. */
  readonly rules?: FlowRules | undefined;
  /** Of the image that runs; the record's unless given. */
  readonly limits?: FlowLimits | undefined;
  /** Replaces in effects what was not recorded. */
  readonly redact?: Redact | undefined;
  /** Failure of the recorded message, if it failed. */
  readonly error?: RecordedError | undefined;
  readonly stepped?: ((outcome: StepOutcome) => void) | undefined;
}

export function effectRules({ flow, limits }: Pick<Recording, "flow" | "limits">, rules: FlowRules | undefined): EffectRules {
  return {
    name: rules?.name ?? flow,
    limits,
    outlets: rules?.outlets,
    retriesProgramErrors: rules?.retriesProgramErrors === true,
    sleepMostMs: rules?.sleepMostMs ?? replayLimits.sleepMostMs,
  };
}

export async function driveRecording(
  monitor: MachineStarter,
  image: LoadedImage,
  recording: Recording,
  { deliver, rules, error, redact, stepped, limits = recording.limits }: DrivenOptions,
): Promise<Driven> {
  const answers = new RecordedAnswers(recording);
  const headers = headersOf(recording);
  const unanswered: CallEffect[] = [];
  const logs: LogEffect[] = [];
  const own = effectRules({ flow: recording.flow, limits }, rules);
  const cancelledMs = answers.cancelledMs ?? sleeperEndedMs(recording, rules, error);
  const drive = new Drive({
    deliver,
    headers,
    limits,
    rules: own,
    answer: (call) => {
      const known = answers.answer(call);
      if (known !== undefined) return known;
      const refused =
        rules === undefined ? undefined : refusedCall(call, { name: own.name, outlets: own.outlets, hosts: rules.hosts }, headers);
      if (refused !== undefined) return { answer: refused, delayMs: 0 };
      unanswered.push(call);
      return { answer: failedCall("MF_REPLAY_UNANSWERED", `no record answers ${call.operation} ${call.target}`, peersFault), delayMs: 0 };
    },
    wake: (timer, dueMs) => answers.wake(timer, dueMs),
    timeout: (wait, dueMs) => answers.timeout(wait, dueMs),
    signals: answers.signals,
    callerWaits: callerWaited(recording, error),
    resumes: answers.resumes,
    cancel: cancelledMs === undefined ? undefined : { atMs: cancelledMs, failure: endedFromOutside(recording, error) },
    logged: (effect) => void logs.push(effect),
    stepped,
  });
  const machineLimits = replayedLimits({ limits, steps: recording.steps }, replayLimits.otherSlowness);
  const ended = await drive.run((event) => {
    const machine = monitor.start(image, event, machineLimits);
    return redact === undefined ? machine : redactedMachine(machine, redact);
  });
  return { outcome: outcomeOf(drive, ended, logs), unanswered };
}

/** Of a record that ends asleep though its message failed: it was ended from outside, without an event for that. */
function sleeperEndedMs(recording: Recording, rules: FlowRules | undefined, error: RecordedError | undefined): number | undefined {
  if (error === undefined || callerWaited(recording, error) || !recordedOutcome(recording, effectRules(recording, rules)).asleep)
    return undefined;
  return (recording.events.at(-1) ?? recording.deliver).timeMs;
}

function redactedMachine(machine: DrivenMachine, redact: Redact): DrivenMachine {
  const shown = (outcome: StepOutcome): StepOutcome => ({ ...outcome, effects: outcome.effects.map(redact) });
  return {
    first: machine.first.then(shown),
    step: async (event) => shown(await machine.step(event)),
    end: () => machine.end(),
  };
}
