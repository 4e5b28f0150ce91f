/** The gateway: receives messages, keeps them safe, starts machines, and carries out their effects. */
export { WindowEvent } from "./stored-bodies/window-event.ts";
export { positionHeader, type StoredBody, storedBodyOf } from "./contract/stored-body.ts";
export { letterBody } from "./stored-bodies/letter-body.ts";
export { BodyStore, configuredBodyStore } from "./stored-bodies/store.ts";
export { configFiles, loadConfig, loadConfigWithout, loadTemplate, publishedSchema, showConfig } from "./config/load.ts";
export { type ConfigTemplate } from "./config/template.ts";
export { type Places, readAdminToken, readPlaces } from "./config/places.ts";
export { ConfigError, type ConfigProblem, type Path, type Report } from "./config/problem.ts";
export { readConfig, type ReadOptions } from "./config/read.ts";
export {
  type ClusterConfig,
  type FlowConfig,
  type GatewayConfig,
  type OutletConfig,
  type SourceConfig,
  type TelemetryConfig,
} from "./contract/config.ts";
export { sameSecret } from "./contract/http/authentication.ts";
export { type Problem, sendProblem } from "./contract/http/problem.ts";
export { type Connectors } from "./contract/connectors.ts";
export {
  type Cluster,
  type ClusterDesk,
  type ClusterReload,
  type ClusterStatus,
  type ForwardedMessage,
  type ForwardedOrigin,
  type Partition,
  type NodeAnswer,
  type NodeReload,
  type PartitionHost,
  type PartitionLoad,
  partitionOf,
  type ShownNode,
  type ShownPartition,
} from "./contract/cluster.ts";
export {
  type ConnectorContext,
  type ConnectorDescription,
  type ConnectorMetrics,
  type Health,
  type JsonSchema,
  type Logger,
} from "./contract/connector.ts";
export {
  answered,
  type CallAnswer,
  failedCall,
  failedWith,
  fetchTimedOut,
  peersFault,
  refusedCall,
} from "./delivery/attempt/answer.ts";
export {
  type AttemptEnd,
  type Cancel,
  type EffectHost,
  type EffectMessage,
  type EffectRules,
  Effects,
  type NextMessage,
} from "./delivery/attempt/effects.ts";
export { messageTooLong } from "./delivery/attempt/message-limit.ts";
export { outletTimedOut } from "./delivery/failures.ts";
export { settles } from "./ending.ts";
export { type ImageKeeper, type StoredImage } from "./controls.ts";
export { createGateway, type Gateway, type GatewayPorts, type Injected } from "./gateway.ts";
export {
  type FunctionBuilder,
  type FunctionImages,
  type ImageFacts,
  type ShownFunction,
  type TenantUsage,
  type Trial,
} from "./functions/mod.ts";
export { type FlowRules, flowRules, limitsOf } from "./flow-rules.ts";
export { bodyJson, outcomeJson } from "./http/admin.ts";
export { denied as adminDenied } from "./http/guard.ts";
export { originCheck } from "./http/origin.ts";
export { adminSocketPaths, socketAnswers } from "./http/admin-socket.ts";
export { ByteReader, ByteWriter } from "./journal/format/bytes.ts";
export { readHeaders, readReply, writeHeaders, writeReply } from "./journal/format/fields.ts";
export { configuredJournal } from "./journal/configured.ts";
export { type DeadLetter, DeadLetters, type DeadLetterFs } from "./journal/dead-letters.ts";
export { type Journal, type JournalStats, type NewSend, type StateChange } from "./journal/journal.ts";
export { numbersOf, PartitionedJournal, partitionLost } from "./journal/partitions/partitioned-journal.ts";
export {
  type Disk,
  type DiskFile,
  exportDisk,
  type ExportPart,
  LogJournal,
  type LogJournalOptions,
  type LogLimits,
  logLimits,
  openJournal,
  type OpenOptions,
} from "./journal/log/mod.ts";
export { importJournal, type ImportReport } from "./journal/import.ts";
export { MemoryJournal } from "./journal/memory.ts";
export { sleepersInFolder } from "./sleepers-shown.ts";
export { stateRefusal } from "./journal/state-limit.ts";
export { gatewayLimits } from "./contract/limits.ts";
export { createLogger, type LoggerOptions, type RootLogger, silentLogger } from "./logger.ts";
export { type GatewayMemory } from "./contract/memory.ts";
export { availableMemory } from "./memory/available.ts";
export { defaultMemoryBytes, gatewayMemory } from "./memory/budget.ts";
export {
  type Answer,
  type Failure,
  type Headers,
  type Incoming,
  type Outcome,
  type Outgoing,
  type ParentMessage,
  type Reply,
} from "./contract/message.ts";
export { type IncomingSignal, type SignalOutcome } from "./contract/sleep.ts";
export {
  type Attempt,
  type Outlet,
  type OutletContext,
  type OutletDefinition,
  OutletError,
  type OutletRequest,
} from "./contract/outlet.ts";
export {
  type Flow,
  type FlowImage,
  type ImageHandle,
  type LoadFlow,
  type SourcePlaces,
  type Runner,
  type RunnerStats,
  type RunningMachine,
} from "./contract/runner.ts";
export { earliestDueMs, type OpenTimer, type OpenWait, type Question, type Waits } from "./contract/sleep.ts";
export { type Tracing } from "./contract/tracing.ts";
export { type Accept, type Source, type SourceContext, type SourceDefinition } from "./contract/source.ts";
export { writeHistory } from "./history/fill.ts";
export { configuredHistory, type History, historyFolder, type HistoryStats, openHistory, Redactor } from "./history/mod.ts";
export {
  type HistoryPage,
  type HistoryQuery,
  type HistoryReader,
  type MessageDetail,
  type MessageStatus,
  type MessageSummary,
  type RecordedMessage,
  type ReplayPort,
  type ReplayResult,
} from "./history/history.ts";
export {
  type Witness,
  type WitnessedAttempt,
  type WitnessedCall,
  type WitnessedDelivery,
  type WitnessedEnd,
  type WitnessedMessage,
} from "./contract/witness.ts";
export { type PreparedReload } from "./reloads.ts";
