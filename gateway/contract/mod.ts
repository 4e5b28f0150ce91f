/** All that a connector may import of the gateway. The gateway imports no connector: it gets `Connectors` passed in. */
export { backoffMs } from "./backoff.ts";
export { ByteWindow } from "./byte-window.ts";
export { type GatewayConfig, type SourceConfig, type TelemetryConfig } from "./config.ts";
export { type ConnectorContext, type Health, type JsonSchema, type Logger } from "./connector.ts";
export { told } from "./failure.ts";
export { makeFolder, syncFolder } from "./folders.ts";
export { Networks } from "./http/addresses.ts";
export { type AuthConfig, type AuthenticatedCaller, Authentication, authSchema, type AuthWay } from "./http/authentication.ts";
export { clientCertificate } from "./http/client-certificate.ts";
export { type CorsConfig, corsProblem, corsSchema } from "./http/cors.ts";
export { type BodyBounds, noBody, readBody, tooBig, unknownEncoding, wrongEncoding } from "./http/body.ts";
export { exchange, type HttpAnswer, newAgent, newProxyAgent, retryAfterMs, unsendable } from "./http/exchange.ts";
export { connectionHeaders, headerSafe } from "./http/headers.ts";
export { networkOf } from "./http/network.ts";
export { failWith, type Problem, sendProblem } from "./http/problem.ts";
export { methodList, routesOf } from "./http/routes.ts";
export { type RouteHandler } from "./http/routes.ts";
export { signatureHeader } from "./http/signatures.ts";
export { decompressor } from "./http/unpack.ts";
export { isUnreached } from "./http/unreached.ts";
export { gatewayLimits } from "./limits.ts";
export { memoryBusyProblem } from "./memory.ts";
export {
  type Answer,
  type Caller,
  type Failure,
  type FailureOrigin,
  type Incoming,
  type Keeper,
  type Outcome,
  type Outgoing,
  type Reply,
} from "./message.ts";
export {
  type Attempt,
  finalBodyError,
  type Outlet,
  type OutletContext,
  type OutletDefinition,
  OutletError,
  type OutletRequest,
} from "./outlet.ts";
export { type IncomingSignal, type SignalOutcome } from "./sleep.ts";
export { type Accept, type Expanded, SettingError, type Source, type SourceContext, type SourceDefinition } from "./source.ts";
export {
  type Witness,
  type WitnessedAttempt,
  type WitnessedCall,
  type WitnessedDelivery,
  type WitnessedEnd,
  type WitnessedMessage,
} from "./witness.ts";
export { type LongBodies, type ReadableBody, type StagedBody } from "./stored-body.ts";
export { causes, type TraceHeaders, type Tracing, untraced, withTrace } from "./tracing.ts";
export { guarded, type ReportUnexpected } from "./unexpected.ts";
export { duration, network, quota, type Quota, size } from "./units.ts";
export { type Connector, type Connectors } from "./connectors.ts";
