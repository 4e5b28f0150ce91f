/** Shared by sources and outlets: the description of a connector, and its dependencies. */
import type { Clock, Prng } from "#base";
import type { Reach } from "./http/reach.ts";
import type { ReportUnexpected } from "./unexpected.ts";
import type { GatewayMemory } from "./memory.ts";

/** A JSON Schema (2020-12) as plain data. */
export type JsonSchema = { readonly [keyword: string]: unknown };

/** Structurally pino's logger, so that a test can pass a plain object. */
export interface Logger {
  debug(fields: object, text: string): void;
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
  error(fields: object, text: string): void;
}

/** Readiness of a connector. `/ready` is 200 only while every connector is ready. */
export interface Health {
  readonly ready: boolean;
  /** One line for people: `connected to amqp://broker`, `MF_AMQP_AUTH: the broker refused user guest`. No secrets. */
  readonly detail: string;
}

/** Counters of a connector's own; received, sent, failed and durations are counted by the gateway already. */
export interface ConnectorMetrics {
  /** Adds to `mayfly_connector_events_total{flow, connector, event}`. Few, constant names: `reconnect`, `nack`. */
  count(event: string, amount?: number): void;
}

export interface ConnectorContext {
  /** The flow this connector belongs to. */
  readonly flow: string;
  /** `from[0]`, or the outlet's name: unique within the flow. */
  readonly name: string;
  /** Folder of mayfly.yaml: what relative paths in a configuration start from. */
  readonly base: string;
  /** Bound to flow and connector already. */
  readonly logger: Logger;
  /** The only clock and timers a connector may use. */
  readonly clock: Clock;
  /** For jitter; not for secrets. */
  readonly random: Prng;
  readonly metrics: ConnectorMetrics;
  /** Handler of unexpected errors in callbacks: see `guarded`. */
  readonly unexpected: ReportUnexpected;
  /** The process's memory budget: bytes are taken before they are read, or a source does not read. */
  readonly memory: GatewayMemory;
  /** Addresses that may be connected to; undefined: any. Only for connectors that a tenant may use. */
  readonly reach?: Reach | undefined;
}

/**
 * Description of a connector. mayfly.schema.json and docs/CONNECTORS.md are generated from it.
 * The schema is of one object with `additionalProperties: false`; durations, sizes and the like use the fragments of
 * config/units.ts and reach `create` as numbers (milliseconds, bytes). `default`s are filled in before `create`.
 */
export interface ConnectorDescription {
  /** As it stands in mayfly.yaml: `http`, `amqp`. */
  readonly name: string;
  /** One line, for lists. */
  readonly summary: string;
  /** Markdown: delivery guarantees, acknowledgement, headers it sets, what its errors mean. */
  readonly description: string;
  readonly schema: JsonSchema;
  /** YAML of one entry under `from:` or `to:`; a test checks it against the schema. */
  readonly example: string;
}
