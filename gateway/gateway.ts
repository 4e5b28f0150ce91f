/**
 * The gateway: builds flows' deliveries from a configuration, starts and stops them in order, and swaps them at a reload.
 *
 *   start   journal read back ─▶ flows loaded ─▶ port bound ─▶ outlets, backlog, sources of each flow
 *   stop    sources closed ─▶ what is under way finished, or given back ─▶ outbox flushed ─▶ outlets, journal closed
 */
import type { Readable } from "node:stream";
import { type Clock, CodedError, isCoded, prng, type Prng, systemClock } from "#base";
import type { BodyStore } from "./stored-bodies/store.ts";
import { approvalAnswer } from "./approvals-elsewhere.ts";
import { Approving } from "./approving.ts";
import { Asleep, noImage } from "./asleep.ts";
import type { SleepDesk } from "./contract/sleep-desk.ts";
import { Sweeper } from "./stored-bodies/sweep.ts";
import type { FlowConfig, GatewayConfig } from "./contract/config.ts";
import type { Totals } from "./delivery/admission/admission.ts";
import { purgedCode } from "./delivery/failures.ts";
import { Persistence } from "./delivery/persistence.ts";
import { type Entropy, MessageIds, SeedPool, systemEntropy } from "./delivery/seeds.ts";
import { Ending, OpenSteps } from "./ending.ts";
import { imageOf, type PreparedReload, Reloads } from "./reloads.ts";
import { ServedFlow, type ServedFlowPorts } from "./served-flow.ts";
import { type Administered, addAdmin, addMetrics, addProbes } from "./http/admin.ts";
import type { Access } from "./http/guard.ts";
import type { HttpRoutes } from "./contract/http/routes.ts";
import { FetchAgents } from "./fetch-agent.ts";
import { FunctionHost, pathsOf } from "./function-host.ts";
import { addFunctions, configuredTenants, type FunctionBuilder, type FunctionImages, Functions } from "./functions/mod.ts";
import { Listeners } from "./listeners.ts";
import { MessageEvents } from "./http/message-events.ts";
import { addMessages } from "./http/messages.ts";
import { addWatched } from "./http/watched.ts";
import { historyAnswer } from "./history-elsewhere.ts";
import { Recorded } from "./recorded.ts";
import type { ReplayPort } from "./history/history.ts";
import { LetterRetries, unknownFlow } from "./letter-retries.ts";
import type { DeadLetters } from "./journal/dead-letters.ts";
import type { Journal } from "./journal/journal.ts";
import { gatewayLimits } from "./contract/limits.ts";
import type { RootLogger } from "./logger.ts";
import type { GatewayMemory } from "./contract/memory.ts";
import { gatewayMemory } from "./memory/budget.ts";
import type { Headers, Incoming, Outcome, ParentMessage } from "./contract/message.ts";
import { createRegistry, type Exported, type MetricFamily } from "./metrics.ts";
import type { Witness } from "./contract/witness.ts";
import type { History } from "./history/mod.ts";
import { Witnesses } from "./delivery/witnesses.ts";
import type { Cluster, ClusterDesk } from "./contract/cluster.ts";
import type { Connectors } from "./contract/connectors.ts";
import type { Readiness } from "./contract/readiness.ts";
import type { FlowImage, LoadFlow, Runner } from "./contract/runner.ts";
import { type Tracing, untraced } from "./contract/tracing.ts";
import { type ReportUnexpected } from "./contract/unexpected.ts";
import { UnexpectedErrors } from "./unexpected-errors.ts";
import { controlAnswer, ControlsEverywhere } from "./controls-elsewhere.ts";
import { lookForSwitches, switchesAnswer } from "./switches-elsewhere.ts";
import { Controls, type ImageKeeper } from "./controls.ts";
import { addSleepers } from "./http/sleepers.ts";
import { sleeperAnswer, SleepersEverywhere } from "./sleepers-elsewhere.ts";
import { SleepersShown } from "./sleepers-shown.ts";
import { addCluster } from "./http/cluster.ts";
import { addControl } from "./http/control.ts";
import { checkForCluster, Partitions, sharesOf } from "./partitions.ts";
import { readinessOf } from "./readiness.ts";
import { Watching } from "./watching.ts";

export interface GatewayPorts {
  readonly runner: Runner;
  /** Not recovered yet; the gateway closes it. */
  readonly journal: Journal;
  /** The store the journal buries in. */
  readonly deadLetters: DeadLetters;
  /** Where stored bodies are; absent: there is no `claimCheck`. */
  readonly bodyStore?: BodyStore | undefined;
  readonly loadFlow: LoadFlow;
  /** Loads the image with this hash, for a machine that sleeps in it. Rejects with a CodedError. Absent: only the flow's own is there. */
  readonly loadAsleep?: ((sha256: string, flow: string) => Promise<FlowImage>) | undefined;
  /** Shared with the runner; absent: a budget as the configuration says. */
  readonly memory?: GatewayMemory | undefined;
  readonly logger: RootLogger;
  readonly clock?: Clock;
  /** For jitter. */
  readonly random?: Prng;
  /** For seeds and ids. */
  readonly entropy?: Entropy;
  readonly connectors: Connectors;
  /** Absent: trace headers are passed on as they came. */
  readonly tracing?: Tracing | undefined;
  /** Absent: images are neither listed nor put back. */
  readonly images?: ImageKeeper | undefined;
  /** Absent: no function can be deployed, whatever the configuration says. `environment`: of the file of tenants. */
  readonly functions?:
    | {
        readonly images: FunctionImages;
        readonly builder?: FunctionBuilder | undefined;
        readonly environment: Readonly<Record<string, string | undefined>>;
      }
    | undefined;
  /** Folder of the page, for the admin listener; absent: no page is served. */
  readonly dashboard?: string | undefined;
  /** Items that telemetry exported and dropped, by signal; absent without telemetry. */
  readonly exported?: (() => Exported) | undefined;
  /** Listeners for what happens to messages, besides history: telemetry. */
  readonly witnesses?: readonly Witness[];
  /** Absent: nothing is recorded. The gateway closes it. */
  readonly history?: History | undefined;
  /** The cluster that this process is a node of; `journal` is that of its partitions then. Absent: everything is its own. */
  readonly cluster?: Cluster | undefined;
  /** Absent: there is no /api/cluster. */
  readonly clusterDesk?: ClusterDesk | undefined;
  /** Absent: /api can't run recordings again. */
  readonly replay?: ReplayPort | undefined;
}

/** A message put in by hand. */
export interface Injected {
  readonly id?: string | undefined;
  readonly headers?: Headers | undefined;
  readonly contentType?: string | undefined;
  readonly body: Uint8Array;
  readonly key?: string | undefined;
  readonly correlationId?: string | undefined;
  /** The message of which it is a copy. */
  readonly parent?: ParentMessage | undefined;
  /** True: resolve with the flow's reply. False: once the journal has the message. */
  readonly wait: boolean;
}

export interface Gateway {
  /**
   * Waits for a journal whose disk is full. Rejects with a CodedError when it can't start, MF_STOPPING when it was told to stop
   * before it ran; then everything is closed again.
   */
  start(): Promise<void>;
  /** Resolves once everything is closed, or when the configuration's `drain` is over; then the log names what was still open. */
  stop(): Promise<void>;
  /** Swaps flows without dropping a message. Rejects, with nothing changed, when a flow can't be built or a connector be made. */
  reload(config: GatewayConfig): Promise<void>;
  /** Builds and checks as `reload` does, and leaves the swap to the caller. Other reloads wait meanwhile. */
  prepareReload(config: GatewayConfig): Promise<PreparedReload>;
  /** The configuration that is served and its images, as a text that is the same at each node that serves the same. It has secrets in it. */
  readonly revision: string;
  /** Rejects with MF_FLOW_UNKNOWN. */
  inject(flow: string, message: Injected): Promise<Outcome>;
  /** Puts a dead letter in again, with another body if one is given, and removes it once it was taken. Undefined for an unknown id. */
  retryDeadLetter(id: string, body?: Uint8Array, wait?: boolean): Promise<Outcome | undefined>;
  /** Readiness, with the parts that are not ready; remarks are on what keeps no message waiting, such as history. */
  ready(): Readiness;
  /** Takes an error that reached the process: it is logged, counted and shown by `ready`. */
  readonly unexpected: ReportUnexpected;
  /** Where the admin endpoints are served. */
  readonly admin: { readonly socket: string | undefined; readonly address: Gateway["address"]; readonly page: boolean };
  /** Sleeping machines, and signals for them. */
  readonly sleepers: SleepDesk;
  /** The metrics of /metrics as data: a list of families. */
  measurements(): Promise<readonly MetricFamily[]>;
  /** Undefined before start and after stop. */
  readonly address: { readonly host: string; readonly port: number } | undefined;
}

export function createGateway(config: GatewayConfig, ports: GatewayPorts): Gateway {
  return new TheGateway(config, ports);
}

class TheGateway implements Gateway, Administered {
  #config: GatewayConfig;
  readonly #ports: GatewayPorts;
  readonly #clock: Clock;
  readonly #logger: RootLogger;
  readonly #persistence: Persistence;
  readonly #flows = new Map<string, ServedFlow>();
  readonly #totals: Totals = { pending: 0 };
  readonly #memory: GatewayMemory;
  readonly #events = new Map<string, number>();
  readonly #agents: FetchAgents;
  readonly #listeners: Listeners;
  readonly #unexpected: UnexpectedErrors;
  readonly #watching: Watching;
  readonly #recorded: Recorded;
  readonly #approving: Approving;
  readonly sleepers: SleepDesk;
  readonly #sleepersShown: SleepersShown;
  readonly #controls: Controls;
  readonly #shared: ServedFlowPorts;
  readonly #host: FunctionHost;
  #functions: Functions | undefined;
  readonly #sweeper: Sweeper | undefined;
  #registry: ReturnType<typeof createRegistry> | undefined;
  #state: "new" | "starting" | "running" | "stopping" | "stopped" = "new";
  #starting: Promise<void> | undefined;
  /** Tells who started it that it has stopped, for a connector whose start never ends. */
  #abandonStart: () => void = () => undefined;
  #stopped: Promise<void> | undefined;
  #endLooks: () => void = () => {};
  #closed: Promise<void> | undefined;
  #ending: Ending | undefined;
  readonly #steps = new OpenSteps();
  readonly #retries: LetterRetries;
  readonly #reloads: Reloads;

  constructor(config: GatewayConfig, ports: GatewayPorts) {
    this.#config = config;
    this.#ports = ports;
    this.#clock = ports.clock ?? systemClock;
    this.#logger = ports.logger;
    this.#memory = ports.memory ?? gatewayMemory(config.memory, this.#clock);
    const random = ports.random ?? prng(Math.floor(this.#clock.now()));
    const entropy = ports.entropy ?? systemEntropy;
    this.#persistence = new Persistence(this.#clock, random, ports.logger);
    const { bodyStore, journal, deadLetters, logger } = ports;
    if (bodyStore !== undefined) this.#sweeper = new Sweeper({ bodyStore, journal, deadLetters, clock: this.#clock, logger });
    deadLetters.decideHolds(({ kind, flow, outlet, failure }) => {
      if (kind === "signal") return false;
      const found = this.#configOf(flow);
      const onDead = outlet === undefined ? found?.onDead : found?.to[outlet]?.onDead;
      return onDead === "hold" && failure.code !== "MF_MESSAGE_SET_ASIDE" && failure.code !== purgedCode; // one that is set aside was run
    });
    this.sleepers = new Asleep({ journal, clock: this.#clock, flows: this.#flows });
    this.#approving = new Approving({
      config,
      journal,
      runner: ports.runner,
      clock: this.#clock,
      memory: this.#memory,
      logger,
      entropy,
      sleepers: this.sleepers,
      flows: this.#flows,
      cluster: ports.cluster,
      address: () => this.address,
    });
    this.#sleepersShown = new SleepersShown({
      sleepers: this.sleepers,
      memory: this.#memory,
      clock: this.#clock,
      configOf: (flow) => this.#configOf(flow),
    });
    this.#retries = new LetterRetries({ ...ports, clock: this.#clock, flows: this.#flows, shares: () => this.#shared.shares });
    this.#unexpected = new UnexpectedErrors(this.#clock, ports.logger);
    this.#agents = new FetchAgents(config);
    this.#listeners = new Listeners(config, { clock: this.#clock, logger: ports.logger, unexpected: this.#unexpected.report });
    this.#watching = this.#newWatching();
    this.#reloads = this.#newReloads();
    this.#recorded = new Recorded({
      memory: this.#memory,
      history: ports.history,
      cluster: ports.cluster,
      replay: ports.replay,
      now: () => this.#clock.now(),
      inject: (flow, message) => this.inject(flow, message),
    });
    this.#controls = new Controls({
      flows: this.#flows,
      memory: this.#memory,
      images: ports.images,
      sleepers: () => this.sleepers.byImage(),
      reloadFlow: (name) => this.#reloads.reloadFlow(name, () => unknownFlow(name, this.#flows.keys())),
    });
    this.#shared = {
      runner: ports.runner,
      journal: ports.journal,
      letters: ports.deadLetters,
      persistence: this.#persistence,
      clock: this.#clock,
      random,
      seeds: new SeedPool(entropy),
      ids: new MessageIds(entropy),
      totals: this.#totals,
      memory: this.#memory,
      logger: ports.logger,
      tracing: ports.tracing ?? untraced,
      agent: this.#agents.own,
      routes: this.#listeners.routes,
      base: config.base,
      connectors: ports.connectors,
      bodyStore: ports.bodyStore,
      loadAsleep: (sha256, flow) => {
        const name = this.#functions?.nameOfFlow(flow);
        if (this.#functions !== undefined && name !== undefined) return this.#functions.loadAsleep(sha256, name);
        return ports.loadAsleep?.(sha256, flow) ?? noImage(sha256);
      },
      questions: this.#approving,
      deliverTo: (flow, message) => {
        const accepted = this.#flows.get(flow)?.delivery.accept(message, { source: "flow", place: "flow" });
        if (accepted === undefined || message.storedBody === undefined || ports.bodyStore === undefined) return accepted;
        return accepted.finally(ports.bodyStore.hold(message.storedBody.id)); // the sender may leave earlier
      },
      signalTo: (signal) => this.#flows.get(signal.flow)?.signal(signal),
      count: (flow, connector, event, amount) => {
        const key = `${flow}\0${connector}\0${event}`;
        this.#events.set(key, (this.#events.get(key) ?? 0) + amount);
      },
      unexpected: this.#unexpected.report,
      witnesses: this.#newWitnesses(),
      shares: sharesOf(ports, config),
      steps: this.#steps,
    };
    this.#host = new FunctionHost({
      clock: this.#clock,
      flows: this.#flows,
      shared: this.#shared,
      agents: this.#agents,
      config: () => this.#config,
      isRunning: () => this.#state === "running" || this.#state === "starting",
      end: (served, ending) => this.#end([served], ending, () => undefined),
      configured: () => this.#configureHistory(),
      asleepIn: () => this.sleepers.byImage().keys(),
    });
  }

  get address(): Gateway["address"] {
    return this.#listeners.address;
  }

  get unexpected(): ReportUnexpected {
    return this.#unexpected.report;
  }

  get admin(): Gateway["admin"] {
    return this.#listeners.admin;
  }

  get memory(): GatewayMemory {
    return this.#memory;
  }

  get deadLetters(): DeadLetters {
    return this.#ports.deadLetters;
  }

  start(): Promise<void> {
    if (this.#starting !== undefined || this.#stopped !== undefined)
      return Promise.reject(new CodedError("MF_GATEWAY_STATE", "the gateway was already started: create a new one"));
    const starting = (this.#starting = this.#start());
    return new Promise((resolve, reject) => {
      this.#abandonStart = () => reject(stoppedEarly());
      starting.then(resolve, reject);
    });
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  reload(config: GatewayConfig): Promise<void> {
    return this.#reloads.reload(config);
  }

  prepareReload(config: GatewayConfig): Promise<PreparedReload> {
    return this.#reloads.prepare(config);
  }

  get revision(): string {
    return this.#reloads.revision;
  }

  async inject(flow: string, message: Injected): Promise<Outcome> {
    const served = this.#flows.get(flow);
    if (served === undefined) throw unknownFlow(flow, this.#flows.keys());
    const { id, headers = {}, contentType = "", body, key, correlationId, parent, wait } = message;
    const incoming: Incoming = {
      id,
      headers,
      contentType,
      body,
      key,
      correlationId,
      parent,
      replyWanted: wait,
      keeper: wait ? "source" : "journal",
    };
    return served.delivery.accept(incoming, { source: "direct", place: "direct" });
  }

  retryDeadLetter(id: string, body?: Uint8Array, wait?: boolean): Promise<Outcome | undefined> {
    return this.#retries.retry(id, body, wait);
  }

  letterBody(id: string): Promise<{ readonly bytes: number; readonly stream: Readable } | undefined> {
    return this.#retries.body(id);
  }

  ready(): Readiness {
    return readinessOf({
      state: this.#state,
      clock: this.#clock,
      persistence: this.#persistence,
      journal: this.#ports.journal,
      memory: this.#memory,
      history: this.#ports.history,
      unexpected: this.#unexpected.problem,
      flows: [...this.#flows.values()],
      fullTenants: this.#functions?.fullTenants ?? [],
      loads: this.#ports.clusterDesk?.loads(),
      difference: this.#ports.clusterDesk?.difference,
    });
  }

  async metrics(): Promise<{ readonly contentType: string; readonly text: string }> {
    const registry = this.#measured();
    return { contentType: registry.contentType, text: await registry.metrics() };
  }

  async measurements(): Promise<readonly MetricFamily[]> {
    return (await this.#measured().getMetricsAsJSON()) as unknown as readonly MetricFamily[];
  }

  #measured(): ReturnType<typeof createRegistry> {
    this.#registry ??= createRegistry({
      flows: () => this.#flows.values(),
      runner: this.#ports.runner,
      journal: this.#ports.journal,
      memory: this.#memory,
      events: this.#events,
      unexpected: this.#unexpected,
      connections: this.#listeners.connections,
      history: this.#ports.history,
      witnesses: this.#shared.witnesses,
      exported: this.#ports.exported,
      loads: () => this.#ports.clusterDesk?.loads(),
    });
    return this.#registry;
  }

  flows(): readonly object[] {
    return [...this.#flows.values()].map(({ name, delivery }) => ({
      name,
      image: delivery.flow.image.sha256,
      from: delivery.flow.config.from.map((source) => source.connector),
      to: Object.keys(delivery.flow.config.to),
      pending: delivery.pending,
      running: delivery.running,
      received: delivery.metrics.received,
      done: delivery.metrics.done,
      dead: delivery.metrics.dead,
    }));
  }

  async #start(): Promise<void> {
    this.#state = "starting";
    try {
      const recovery = await this.#persistence.keepTrying(() => this.#ports.journal.recover(), isFull);
      if (recovery === undefined) throw stoppedEarly();
      await this.deadLetters.check();
      await this.#sweeper?.start();
      for (const remark of recovery.remarks) this.#logger.warn({}, remark);
      await this.#openFunctions();
      const left = new Set([
        ...Object.keys(recovery.pending),
        ...Object.keys(recovery.sleepers),
        ...recovery.outbox.map(({ flow }) => flow),
      ]);
      for (const flow of left)
        if (!Object.hasOwn(this.#config.flows, flow) && this.#functions?.nameOfFlow(flow) === undefined)
          this.#logger.warn(
            { flow, pending: recovery.pending[flow], sleepers: recovery.sleepers[flow] },
            "the journal has messages of a flow that is not configured: they wait until it is configured again",
          );
      const images = await this.#loadAll(this.#config.flows);
      if (this.#stopped !== undefined) throw stoppedEarly();
      for (const [name, flow] of Object.entries(this.#config.flows))
        this.#flows.set(name, new ServedFlow(name, flow, imageOf(images, name), this.#shared));
      await this.#listeners.startAdmin((routes, access) => this.#addEndpoints(routes, access), this.#ports.dashboard);
      if (this.#listeners.admin.address !== undefined) this.#watching.begin();
      const access = { kind: "public", token: this.#config.http.admin.token } as const;
      addProbes(this.#listeners.routes, this, access);
      if (this.#config.http.metrics === "public") addMetrics(this.#listeners.routes, this, access);
      this.#approving.start(this.#listeners.routes);
      await this.#listeners.start();
      await this.#startAll([...this.#flows.values()]);
      await this.#functions?.start(left);
      if (this.#stopped !== undefined) throw stoppedEarly();
      this.#listeners.show(this.#ports.connectors.describe?.(this.#config));
      this.#listeners.routesAreThere();
      const answers = [
        (question: unknown) => historyAnswer(question, () => this.#recorded.own),
        (question: unknown) => controlAnswer(question, this.#controls),
        (question: unknown) => switchesAnswer(question, this.#flows),
        (question: unknown) => approvalAnswer(question, this.#approving),
        (question: unknown) => sleeperAnswer(question, this.#sleepersShown, this.#ports.cluster?.node ?? ""),
      ];
      const { shares } = this.#shared;
      shares?.cluster.serves(this.revision);
      await shares?.cluster.begin(new Partitions(this.#flows, this.#retries, answers, this.#shared));
      if (shares !== undefined) this.#endLooks = lookForSwitches({ flows: this.#flows, shares, clock: this.#clock });
      this.#state = "running";
    } catch (error) {
      await this.#close();
      throw error;
    }
  }

  /** Listeners that are there: history, telemetry, and the event stream where there are admin endpoints. */
  #newWitnesses(): Witnesses {
    const { history, witnesses = [] } = this.#ports;
    const events = this.#config.http.admin.enabled ? [new MessageEvents(this.#watching.events, this.#clock)] : [];
    return new Witnesses([...(history === undefined ? [] : [history]), ...witnesses, ...events], this.#unexpected.report);
  }

  #newWatching(): Watching {
    const { journal, runner, deadLetters } = this.#ports;
    return new Watching(
      {
        clock: this.#clock,
        flows: () => this.#flows.values(),
        ready: () => this.ready(),
        state: () => this.#state,
        journal,
        memory: this.#memory,
        runner,
        events: this.#events,
        lettersOf: (flow) => deadLetters.count(flow),
      },
      { letters: deadLetters, retry: (id) => this.retryDeadLetter(id) },
    );
  }

  /** The endpoints of one admin listener. */
  #addEndpoints(routes: HttpRoutes, access: Access): void {
    for (const add of [addProbes, addMetrics, addAdmin]) add(routes, this, access);
    addWatched(routes, this.#watching, access);
    addMessages(routes, this.#recorded, access);
    const { cluster } = this.#ports;
    addControl(routes, cluster === undefined ? this.#controls : new ControlsEverywhere(this.#controls, cluster), access);
    if (this.#ports.clusterDesk !== undefined) addCluster(routes, this.#memory, this.#ports.clusterDesk, access);
    this.#approving.addEndpoints(routes, access);
    addSleepers(routes, cluster === undefined ? this.#sleepersShown : new SleepersEverywhere(this.#sleepersShown, cluster), access);
    if (this.#functions !== undefined) this.#addFunctions(routes, access, this.#functions);
  }

  #addFunctions(routes: HttpRoutes, access: Access, functions: Functions): void {
    const publicUrl = (): string => {
      const { host, port } = this.#listeners.address ?? this.#config.http;
      return `${this.#config.http.tls === undefined ? "http" : "https"}://${host.includes(":") ? `[${host}]` : host}:${port}`;
    };
    const inject = (flow: string, message: Injected): Promise<Outcome> => this.inject(flow, message);
    addFunctions(routes, { functions, memory: this.#memory, unexpected: this.#unexpected.report, publicUrl, inject }, access);
  }

  async #openFunctions(): Promise<void> {
    const { functions } = this.#config;
    const { functions: ports, connectors, logger } = this.#ports;
    if (functions === undefined || ports === undefined) return;
    const tenants = await configuredTenants(this.#config, ports.environment);
    const { images, builder } = ports;
    this.#functions = await Functions.open(functions.dir, tenants, {
      clock: this.#clock,
      host: this.#host,
      images,
      builder,
      connectors,
      base: this.#config.base,
      logger,
    });
    this.#ports.history?.boundBy(this.#functions.history);
    this.#listeners.gate = (path) => this.#functions?.admit(path);
  }

  /** Of a flow of mayfly.yaml, or of a function that is served. */
  #configOf(flow: string): FlowConfig | undefined {
    return this.#config.flows[flow] ?? this.#host.configs.get(flow);
  }

  #configureHistory(): void {
    this.#ports.history?.configure({ ...Object.fromEntries(this.#host.configs), ...this.#config.flows });
  }

  async #loadAll(flows: Readonly<Record<string, FlowConfig>>): Promise<Map<string, FlowImage>> {
    const images = new Map<string, FlowImage>();
    const names = Object.keys(flows);
    const load = async (): Promise<void> => {
      for (let name = names.shift(); name !== undefined; name = names.shift()) {
        const flow = flows[name];
        if (flow !== undefined) images.set(name, await this.#ports.loadFlow(name, flow));
      }
    };
    await Promise.all(Array.from({ length: gatewayLimits.imageLoadsAtOnce }, load));
    return images;
  }

  /** Many at once: a peer that does not answer keeps the flow waiting that needs it, not the others. */
  async #startAll(flows: ServedFlow[]): Promise<void> {
    const failures: unknown[] = [];
    const start = async (): Promise<void> => {
      for (let served = flows.shift(); served !== undefined && failures.length === 0; served = flows.shift())
        await served.start().catch((error: unknown) => failures.push(error));
    };
    await Promise.all(Array.from({ length: gatewayLimits.flowStartsAtOnce }, start));
    if (failures.length > 0) throw failures[0];
  }

  #newReloads(): Reloads {
    return new Reloads({
      flows: this.#flows,
      shared: () => this.#shared,
      logger: this.#logger,
      config: () => this.#config,
      check: (config) => {
        if (this.#state !== "running") throw new CodedError("MF_GATEWAY_STATE", "the gateway is not running");
        if (this.#ports.cluster !== undefined) checkForCluster(config);
        if (this.#functions !== undefined) checkApart(config, this.#functions);
      },
      extras: async (config) => {
        const hasFunctions = this.#functions !== undefined && config.functions !== undefined;
        const tenants = hasFunctions ? await configuredTenants(config, this.#ports.functions?.environment ?? {}) : undefined;
        return async () => (tenants === undefined ? undefined : this.#functions?.use(tenants));
      },
      load: (flows) => this.#loadAll(flows),
      adopt: (config) => {
        this.#config = config;
        this.#configureHistory();
      },
      isConfigured: (flow) => Object.hasOwn(this.#config.flows, flow) || this.#host.configs.has(flow),
      end: (gone) => this.#end(gone, new Ending(this.#clock, this.#config.drain), () => undefined),
      startAll: (flows) => this.#startAll(flows),
      changed: () => this.#ports.cluster?.serves(this.revision),
      show: (isShown) => this.#listeners.show(isShown ? this.#ports.connectors.describe?.(this.#config) : undefined),
    });
  }

  async #stop(): Promise<void> {
    const ending = (this.#ending = new Ending(this.#clock, this.#config.drain));
    if (this.#state === "starting") this.#persistence.close(); // it may be waiting for its disk
    if (this.#starting !== undefined) await ending.by(ending.workMs, this.#starting); // whoever started it is told
    await this.#close();
    this.#abandonStart();
  }

  #close(): Promise<void> {
    this.#ending ??= new Ending(this.#clock, this.#config.drain);
    this.#closed ??= this.#closeAll(this.#ending);
    return this.#closed;
  }

  async #closeAll(ending: Ending): Promise<void> {
    const wasRunning = this.#state === "running";
    this.#state = "stopping";
    this.#watching.end();
    this.#endLooks();
    this.#ports.cluster?.stopTaking();
    await ending.by(ending.workMs, this.#reloads.under);
    await ending.by(
      ending.workMs,
      this.#step("the functions", () => this.#functions?.close()),
    );
    this.#listeners.beginClose();
    await this.#end([...this.#flows.values()], ending, () => this.#persistence.close());
    this.#listeners.endClose();
    this.#persistence.close();
    const closing = [
      this.#step("the HTTP client", () => this.#agents.destroy()),
      this.#step("the sweep of stored bodies", () => this.#sweeper?.stop()),
      this.#step("the journal", () => this.#ports.journal.close().finally(() => this.#ports.cluster?.end())),
      this.#step("history", () => this.#ports.history?.close()),
    ];
    await ending.by(ending.endMs, Promise.all(closing));
    const open = this.#steps.names;
    if (open.length > 0)
      this.#logger.error({ code: "MF_STOP_INCOMPLETE", open }, `not closed within ${this.#config.drain} ms, abandoned: ${open.join("; ")}`);
    this.#state = "stopped";
    if (wasRunning) this.#logger.info({}, "stopped");
  }

  /** Never rejects. */
  async #step(name: string, work: () => Promise<unknown> | undefined): Promise<void> {
    await this.#steps
      .during(name, work)
      .catch((error: unknown) =>
        this.#logger.error({}, `${name} could not be closed: ${error instanceof Error ? error.message : String(error)}`),
      );
  }

  /** Stops flows in order: no new messages, then what is under way within its time, then the rest is given back. */
  async #end(flows: readonly ServedFlow[], ending: Ending, timeIsOver: () => void): Promise<void> {
    const sourcesStopped = Promise.all(flows.map((served) => served.stopSources()));
    for (const served of flows) served.delivery.beginDrain();
    while (flows.some((served) => !served.quiet) && this.#clock.monotonicMs() < ending.workMs) await this.#sleep(10);
    const open = flows.flatMap((served) => served.underWay);
    if (open.length > 0)
      this.#logger.warn(
        { open },
        `not finished within ${this.#config.drain} ms, returned to its sources or the journal: ${open.slice(0, gatewayLimits.unfinishedShown).join("; ")}`,
      );
    timeIsOver(); // what waits for a disk that refuses is given back as well
    await ending.by(ending.closedMs, Promise.all([sourcesStopped, ...flows.map((served) => served.end())]));
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.#clock.after(ms, resolve));
  }
}

function isFull(error: unknown): boolean {
  return isCoded(error) && error.code === "MF_JOURNAL_FULL";
}

function stoppedEarly(): CodedError {
  return new CodedError("MF_STOPPING", "the gateway was stopped before it ran");
}

/** Throws MF_FUNCTION_TAKEN for a configuration that has the name or the path of a function. */
function checkApart(config: GatewayConfig, functions: Functions): void {
  const flow = Object.keys(config.flows).find((name) => functions.nameOfFlow(name) !== undefined);
  const path = [...pathsOf(config)].find(([, each]) => functions.at(each) !== undefined)?.[1];
  const taken = flow ?? path;
  if (taken === undefined) return;
  throw new CodedError(
    "MF_FUNCTION_TAKEN",
    `a function is deployed as ${taken}: name the flow or its path otherwise in mayfly.yaml, or remove the function`,
  );
}
