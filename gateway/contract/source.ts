/**
 * The contract of a source: where messages come from. One folder per connector, listed in connectors/mod.ts.
 *
 * A source's life: create → start → (pause ⇄ resume)* → stop. create does no I/O; start returns once the first attempt to
 * connect was made, and does not reject because a peer is away: it logs, reports itself not ready through health(), and
 * tries again with the bounds of limits.reconnectMs. It rejects (CodedError) only for what waiting can't mend, such as a
 * port in use or a folder that is not one.
 *
 *   peer ──message──▶ source ──accept(Incoming)──▶ gateway ──Outcome──▶ source ──ack / nack / reply──▶ peer
 *
 * - Never acknowledge upstream before the Outcome; see `Outcome` for what each means. `accept` never rejects.
 * - Call `accept` for as many messages at once as the peer's prefetch allows, at most `context.prefetch`. On `refused`, keep
 *   or nack the message and stop taking new ones for `retryAfterMs`.
 * - Order: messages handed to `accept` one after the other, in one turn of the event loop or in several, are queued in that order.
 * - Messages under one broker connection that is lost cannot be acknowledged any more: drop their Outcome; the broker gives
 *   them again and the gateway recognises those it completed (within `dedup`).
 */
import type { LongBodies } from "./stored-body.ts";
import type { ConnectorContext, ConnectorDescription, Health } from "./connector.ts";
import type { Incoming, Outcome } from "./message.ts";
import { CodedError } from "#base";
import type { HttpRoutes } from "./http/routes.ts";

/** Hands a message over. Resolves with what became of it, never rejects. Synchronous up to the queue: it keeps the order of calls. */
export type Accept = (message: Incoming) => Promise<Outcome>;

/** State that a source keeps over restarts, by name. */
export interface Recall {
  /** Undefined for what was never written, or was lost with a journal in memory. */
  read(name: string): Promise<string | undefined>;
  /** Resolves once it is kept, or the gateway closes. */
  write(name: string, fact: string): Promise<void>;
}

export interface SourceContext extends ConnectorContext {
  /** Most messages to have in `accept` at once: what the flow can queue and run. A lower number in the configuration wins. */
  readonly prefetch: number;
  /** Where large bodies are to go, as of now; absent or undefined: nowhere. A source that can't stream has no use for it. */
  readonly longBodies?: () => LongBodies | undefined;
  /** Absent where nothing is kept. */
  readonly recall?: Recall;
  /** Routes of the gateway's one HTTP server, for sources that are called. */
  readonly http: HttpRoutes;
}

export interface Source {
  start(accept: Accept): Promise<void>;
  /** The flow's queue is nearly full: take no new messages until `resume`. Called only between start and stop; must be cheap and idempotent. */
  pause?(): void;
  resume?(): void;
  /**
   * Takes no new messages from now on, waits until those in `accept` are settled and acknowledged (or returned), then
   * disconnects. The gateway bounds the wait: it settles everything open within the drain time.
   */
  stop(): Promise<void>;
  /** Cheap: called for every /ready and /metrics. */
  health(): Health;
}

/** A configuration with what the files that it names say. */
export interface Expanded {
  /** Plain data: a reload compares it with what is served. */
  readonly config: object;
  /** Files that were read, absolute: `mayfly dev` watches them. */
  readonly files: readonly string[];
}

/** An error of one setting of a connector. */
export class SettingError extends CodedError {
  /** Name of the setting; undefined for the connector as a whole. */
  readonly setting: string | undefined;
  /** Files that were read before, absolute. */
  readonly files: readonly string[];

  constructor(
    code: string,
    setting: string | undefined,
    message: string,
    { cause, files = [] }: { readonly cause?: unknown; readonly files?: readonly string[] } = {},
  ) {
    super(code, message, { cause });
    this.setting = setting;
    this.files = files;
  }
}

export interface SourceDefinition<Config = never> extends ConnectorDescription {
  /** True for a source that has nobody who gives its messages to one of several nodes: of a cluster, one node runs it at a time. */
  isSingle?(config: Config): boolean;
  /**
   * Reads the files that a checked configuration names, when mayfly.yaml is read. `shared`: of all sources of one reading, for files that
   * several name. Throws a SettingError. Absent: it names none.
   */
  expand?(config: Config, base: string, shared: Map<string, unknown>): Expanded;
  /** `config` has been checked against `schema`, with defaults filled in and units parsed. Throws a CodedError for what a schema can't say. */
  create(config: Config, context: SourceContext): Source;
}
