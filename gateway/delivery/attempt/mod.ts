/** The one interpreter of effects, and the answers to calls, for whoever drives machines. Imports no client and no server. */
export {
  answered,
  type CallAnswer,
  failedCall,
  checkedRequest,
  failedWith,
  fetchTimedOut,
  flowsFault,
  noBody,
  peersFault,
  refusedCall,
} from "./answer.ts";
export { overState, stateAfter, type StateValues } from "./committed.ts";
export {
  type AttemptEnd,
  type Cancel,
  type EffectHost,
  type EffectMessage,
  type EffectRules,
  Effects,
  type NextMessage,
} from "./effects.ts";
export { parseHeaders } from "./headers.ts";
export { messageTooLong } from "./message-limit.ts";
export { outletTimedOut } from "../failures.ts";
export { type Entropy, MessageIds, SeedPool, systemEntropy } from "../seeds.ts";
export { connectionHeaders, isHeaderValue } from "../../contract/http/headers.ts";
export { gatewayLimits } from "../../contract/limits.ts";
export type { Answer, Failure, Headers, Reply } from "../../contract/message.ts";
export type { NewSend, StateChange } from "../../journal/journal.ts";
