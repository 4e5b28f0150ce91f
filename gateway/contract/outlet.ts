/**
 * The contract of an outlet: where messages go. One folder per connector, listed in connectors/mod.ts.
 *
 * An outlet's life: create → start → send / request … → stop. create does no I/O; start makes the first attempt to connect
 * and does not reject because a peer is away: it says so through health() and tries again by itself.
 *
 * The gateway, not the outlet, does retries, backoff, rate limits, the circuit breaker, order per key and the bound on what is
 * under way at once. An outlet makes one attempt, and says truthfully how it went:
 * - send resolves only once the peer has taken responsibility: a 2xx, a publisher confirm, a PUBACK, a rename after fsync.
 * - Otherwise it rejects with an OutletError. When it can't be known whether the peer has it (connection cut after writing), that
 *   is a retryable error: delivery is at least once, and `idempotencyKey` lets the peer recognise the second.
 * - Anything else that is thrown counts as retryable, code MF_OUTLET_FAILED.
 * - When `signal` aborts, stop trying and reject; what is thrown then is ignored.
 */
import { CodedError, isCoded } from "#base";
import type { ConnectorContext, ConnectorDescription, Health } from "./connector.ts";
import type { IncomingSignal, SignalOutcome } from "./sleep.ts";
import type { Expanded } from "./source.ts";
import type { Answer, FailureOrigin, Incoming, Outcome, Outgoing } from "./message.ts";

export interface OutletErrorHow {
  readonly retryable: boolean;
  readonly retryAfterMs?: number | undefined;
  readonly status?: number;
  readonly origin?: FailureOrigin;
  readonly callerStatus?: number;
  readonly unreached?: boolean;
  readonly answer?: Answer;
  readonly cause?: unknown;
}

export class OutletError extends CodedError {
  /** True when a later attempt may succeed. */
  readonly retryable: boolean;
  /** Retry-After of the peer, in milliseconds; undefined if it sent none. */
  readonly retryAfterMs: number | undefined;
  /** HTTP status; 0 without one. */
  readonly status: number;
  /** Origin of the failure: the peer, unless the outlet says otherwise. */
  readonly origin: FailureOrigin;
  /** Status a caller gets whose flow does not handle it; 0 for the origin's own. */
  readonly callerStatus: number;

  /** True when there was no connection and the peer can't have anything of it: such an attempt does not count, and is repeated for the whole of `retry.age`. */
  readonly unreached: boolean;
  /** Of a request: the answer itself, for a flow that is not to wait as long as the peer asks. */
  readonly answer: Answer | undefined;

  constructor(code: string, message: string, how: OutletErrorHow) {
    super(code, message, { cause: how.cause });
    this.name = "OutletError";
    this.retryable = how.retryable;
    this.retryAfterMs = how.retryAfterMs;
    this.status = how.status ?? 0;
    this.origin = how.origin ?? "peer";
    this.callerStatus = how.callerStatus ?? 0;
    this.unreached = how.unreached ?? false;
    this.answer = how.answer;
  }
}

export interface Attempt {
  /** The same for every attempt at this send, also after a restart. At most 600 characters, printable ASCII. */
  readonly idempotencyKey: string;
  /** 1 for the first. */
  readonly attempt: number;
  /** Aborts when the attempt's time is over, the message was cancelled or the gateway stops. */
  readonly signal: AbortSignal;
}

/** A request whose answer the flow awaits. */
export interface OutletRequest extends Outgoing {
  /** HTTP method, or empty for the outlet's own. */
  readonly method: string;
}

export interface Outlet {
  /** True where `message.storedBody` is sent as a stream; others are given a stored body as a whole, up to limits.bodyLoadBytes. */
  readonly streams?: boolean;
  start?(): Promise<void>;
  send(message: Outgoing, attempt: Attempt): Promise<void>;
  /** Absent where the outlet can't answer: the flow then gets MF_OUTLET_NO_ANSWER. At most limits.answerBytes of body. */
  request?(message: OutletRequest, attempt: Attempt): Promise<Answer>;
  health(): Health;
  /** Nothing is sent any more. Flushes, disconnects, never rejects. */
  stop(): Promise<void>;
}

export interface OutletContext extends ConnectorContext {
  /** Hands a message to another flow of this gateway, durably; `undefined` when there is no such flow. */
  readonly deliverTo: (flow: string, message: Incoming) => Promise<Outcome> | undefined;
  /** Gives a signal to the sleeping machines of a flow of this gateway, durably; `undefined` when there is no such flow. */
  readonly signalTo: (signal: IncomingSignal) => Promise<SignalOutcome> | undefined;
  /** An expression as in a flow's `key`, over what is sent. Throws MF_EXPRESSION. */
  readonly expression: (text: string) => (message: Outgoing) => string | undefined;
}

export interface OutletDefinition<Config = never> extends ConnectorDescription {
  /** False when `request` is never there; for the documentation. */
  readonly answers: boolean;
  /** As with sources. */
  expand?(config: Config, base: string, shared: Map<string, unknown>): Expanded;
  /** As with sources. */
  create(config: Config, context: OutletContext): Outlet;
}

/** Failures that another attempt will not fix. */
export function finalBodyError(error: unknown): OutletError | undefined {
  if (error instanceof OutletError) return error;
  if (!isCoded(error) || (error.code !== "MF_CLAIM_MISSING" && error.code !== "MF_CLAIM_DAMAGED")) return undefined;
  return new OutletError(error.code, error.message, { retryable: false, cause: error });
}

export type { Health };
