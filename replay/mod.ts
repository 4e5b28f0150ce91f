/** Recordings → machines: replay, backtest, recording → flow test, debug. And messages that somebody made up, through the same drive. */
export { withBody } from "./body.ts";
export {
  driveMachine,
  type Reply,
  type RunFailure,
  type RunResult,
  type Stacks,
  stateAnswer,
  type Stimulus,
  type StimulusSignal,
  type StimulusOptions,
  type Stub,
  type StubAnswer,
} from "./stimulus.ts";
export { type GivenSignal, type KnownWait, SignalBox } from "./signals.ts";
export type { Transaction } from "./drive.ts";
export type { Difference } from "./differences.ts";
export { type Replay, type ReplayOptions, replayRecording } from "./replay.ts";
export { headersOf, type RecordedError } from "./recorded.ts";
export { replayedLimits, sameStep } from "./exact.ts";
export { type Backtest, backtest, type BacktestOptions } from "./backtest.ts";
export { type Bisect, bisect, type Candidate } from "./bisect.ts";
export type { Group, Verdict } from "./groups.ts";
export { recordedTest, type RecordedTest, type RecordTestOptions } from "./record-test.ts";
export { alike, engineRemark } from "./debug/engines.ts";
export { debugMonitor, type DebugOptions } from "./debug/machine.ts";
export type { DebugScript } from "./debug/realm.ts";
export { type DebugBundle, debugBundle } from "./debug/script.ts";
