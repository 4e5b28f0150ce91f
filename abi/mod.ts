/** The one door between a machine and the outside: events in, effects out, their wire form, versions and limits. Pure, no I/O. */
export {
  type CallEffect,
  type ContinueEffect,
  decodeEffects,
  type Effect,
  EffectKind,
  flawByte,
  encodeEffects,
  isLast,
  isLastKind,
  type DoneEffect,
  type FailEffect,
  type LogEffect,
  type LogLevel,
  type SendEffect,
  type StateEffect,
  type TimerEffect,
  type WaitEffect,
} from "./effects.ts";
export {
  type CancelEvent,
  decodeEvent,
  type DeliverEvent,
  encodeEvent,
  encodeEventInto,
  type Event,
  EventKind,
  eventParts,
  type ResolveEvent,
  type ResumeEvent,
  type SignalEvent,
  type WakeEvent,
} from "./events.ts";
export {
  absentPart,
  decodeFrame,
  encodeFrame,
  type Frame,
  type FrameForm,
  frameHeaderBytes,
  frameMagic,
  lastRecordKind as lastEffectKind,
  type Part,
  PartRecord,
  recordHeaderBytes,
  writeFrameHeader,
  writeRecord,
} from "./frame.ts";
export {
  appendHeader,
  type Headers,
  type HeadersDraft,
  headerList,
  headerPairs,
  headerText,
  type HeaderValue,
  isHeaderText,
} from "./headers.ts";
export { abiVersion, type FlowLimits, defaultFlowLimits, hardLimits, recordingVersion, serviceLimits, serviceVersion } from "./limits.ts";
export { machineErrors, type MachineErrorCode, type StepFailure, type StepOutcome } from "./outcome.ts";
export {
  decodeRecording,
  encodeRecording,
  encodeRecordingInto,
  type Recordable,
  type RecordedStep,
  type Recording,
  type Redaction,
} from "./recording.ts";
export {
  decodeService,
  encodeService,
  type Service,
  type ServiceAuth,
  ServiceKind,
  type ServiceOutlet,
  type ServiceRoute,
} from "./service.ts";
