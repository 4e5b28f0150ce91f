/** Makes the sources and outlets of one flow: each with its context, an outlet with its channel and its outbox. */
import { type Clock, CodedError, type Prng } from "#base";
import type { FlowConfig, OutletConfig, SourceConfig } from "./contract/config.ts";
import type { ConnectorContext } from "./contract/connector.ts";
import type { Connectors } from "./contract/connectors.ts";
import type { Reach } from "./contract/http/reach.ts";
import type { HttpRoutes } from "./contract/http/routes.ts";
import type { GatewayMemory } from "./contract/memory.ts";
import type { Incoming, Outcome } from "./contract/message.ts";
import type { IncomingSignal, SignalOutcome } from "./contract/sleep.ts";
import type { Source } from "./contract/source.ts";
import type { LongBodies } from "./contract/stored-body.ts";
import type { Tracing } from "./contract/tracing.ts";
import type { ReportUnexpected } from "./contract/unexpected.ts";
import { expression } from "./delivery/admission/expression.ts";
import { Outbox } from "./delivery/outbox/outbox.ts";
import { OutletChannel } from "./delivery/outbox/outlet-channel.ts";
import type { Persistence } from "./delivery/persistence.ts";
import type { Witnesses } from "./delivery/witnesses.ts";
import type { Journal } from "./journal/journal.ts";
import type { RootLogger } from "./logger.ts";
import { journalRecall } from "./recall.ts";
import type { SourcedSignal } from "./signal-sources.ts";
import type { BodyStore } from "./stored-bodies/store.ts";

export interface ConnectorMakerPorts {
  readonly connectors: Connectors;
  readonly journal: Journal;
  readonly persistence: Persistence;
  readonly clock: Clock;
  readonly random: Prng;
  readonly memory: GatewayMemory;
  /** The flow's. */
  readonly logger: RootLogger;
  readonly tracing: Tracing;
  readonly witnesses: Witnesses;
  readonly bodyStore?: BodyStore | undefined;
  readonly routes: HttpRoutes;
  readonly base: string;
  readonly deliverTo: (flow: string, message: Incoming) => Promise<Outcome> | undefined;
  readonly signalTo: (signal: IncomingSignal) => Promise<SignalOutcome> | undefined;
  readonly count: (flow: string, connector: string, event: string, amount: number) => void;
  readonly unexpected: ReportUnexpected;
  /** As of now: a reload changes them. */
  readonly longBodies: () => LongBodies | undefined;
  /** Addresses that the flow may connect to; undefined: any. */
  readonly reach?: Reach | undefined;
}

/** A source as a configuration has it. */
export interface WantedSource {
  /** `from[0]`, `signals.payment.from[0]` */
  readonly name: string;
  readonly config: SourceConfig;
  readonly signal: SourcedSignal | undefined;
}

export interface PlacedSource {
  readonly name: string;
  readonly config: SourceConfig;
  readonly source: Source;
  /** The signal it is for; undefined for a source of messages. */
  readonly signal: SourcedSignal | undefined;
  /** Of a cluster, one node runs it at a time. */
  readonly isSingle: boolean;
  readonly figures: { received: number };
}

export interface PlacedOutlet {
  readonly channel: OutletChannel;
  readonly outbox: Outbox;
}

/** Settings that say where a source's messages come from; how it takes them may change without their ids meaning others. */
const placeSettings = ["url", "servers", "path", "openapi", "operation", "queue", "topic", "subject", "stream", "table", "dir"];

/** The same for a source with the same place, whatever else its configuration says. Holds no credentials. */
export function placeOf({ connector, config }: SourceConfig): string {
  const settings = config as Readonly<Record<string, unknown>>;
  const named = placeSettings.flatMap((name) =>
    settings[name] === undefined ? [] : [String(settings[name]).replace(/\/\/[^/@]*@/g, "//")],
  );
  return [connector, ...named.map(encodeURI)].join(" ");
}

/** The flow's own sources, then those of its signals. */
export function wantedSources({ from, signals }: FlowConfig): WantedSource[] {
  return [
    ...from.map((config, index) => ({ name: `from[${index}]`, config, signal: undefined })),
    ...Object.entries(signals).flatMap(([name, { from: sources, key }]) =>
      sources.map((config, index) => ({ name: `signals.${name}.from[${index}]`, config, signal: { name, key } })),
    ),
  ];
}

export class ConnectorMaker {
  readonly #flow: string;
  readonly #ports: ConnectorMakerPorts;

  constructor(flow: string, ports: ConnectorMakerPorts) {
    this.#flow = flow;
    this.#ports = ports;
  }

  #context(name: string): ConnectorContext {
    const { base, clock, random, count, unexpected, memory, reach } = this.#ports;
    return {
      memory,
      reach,
      flow: this.#flow,
      name,
      base,
      clock,
      random,
      logger: this.#ports.logger.child({ connector: name }),
      metrics: { count: (event, amount = 1) => count(this.#flow, name, event, amount) },
      unexpected: (error, where) => unexpected(error, `flows.${this.#flow}.${name}, ${where}`),
    };
  }

  /** Throws MF_CONNECTOR_UNKNOWN, and what the connector does not take. */
  source({ name, config, signal }: WantedSource, flow: FlowConfig): PlacedSource {
    const definition = this.#ports.connectors.sources.find((each) => each.name === config.connector);
    if (definition === undefined)
      throw new CodedError("MF_CONNECTOR_UNKNOWN", `flows.${this.#flow}.${name}: there is no source "${config.connector}"`);
    return {
      name,
      config,
      signal,
      isSingle: definition.isSingle?.(config.config as never) === true,
      figures: { received: 0 },
      source: definition.create(config.config as never, {
        ...this.#context(name),
        prefetch: flow.queue,
        http: this.#ports.routes,
        recall: journalRecall(this.#flow, this.#ports),
        ...(signal === undefined ? { longBodies: this.#ports.longBodies } : {}), // a signal is in memory as a whole
      }),
    };
  }

  /** `before`: the outlet that this one replaces, whose figures go on. Throws as `source` does. */
  outlet(name: string, config: OutletConfig, before: PlacedOutlet | undefined): PlacedOutlet {
    const { clock, random, journal, persistence, bodyStore, memory, witnesses } = this.#ports;
    const definition = this.#ports.connectors.outlets.find((each) => each.name === config.connector);
    if (definition === undefined)
      throw new CodedError("MF_CONNECTOR_UNKNOWN", `flows.${this.#flow}.to.${name}: there is no outlet "${config.connector}"`);
    const outlet = definition.create(config.config as never, {
      ...this.#context(name),
      deliverTo: this.#ports.deliverTo,
      signalTo: this.#ports.signalTo,
      expression,
    });
    const channel = new OutletChannel({
      flow: this.#flow,
      name,
      outlet,
      config,
      clock,
      random,
      metrics: before?.channel.metrics,
      bodyStore,
    });
    return {
      channel,
      outbox: new Outbox(channel, {
        journal,
        persistence,
        clock,
        random,
        memory,
        witnesses,
        tracing: this.#ports.tracing,
        logger: this.#ports.logger.child({ outlet: name }),
      }),
    };
  }
}
