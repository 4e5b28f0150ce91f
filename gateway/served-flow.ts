/** One flow as it is served: its delivery, its sources and its outlets, wired together; and how they are swapped at a reload. */
import { assert, type Clock, CodedError, type Prng } from "#base";
import type { Dispatcher } from "undici";
import { type LongBodies, storedBodyOf } from "./contract/stored-body.ts";
import type { BodyStore } from "./stored-bodies/store.ts";
import type { FlowConfig, OutletConfig, SourceConfig } from "./contract/config.ts";
import type { Partition } from "./contract/cluster.ts";
import type { Connectors } from "./contract/connectors.ts";
import type { Health } from "./contract/connector.ts";
import { callPerformer } from "./delivery/attempt/calls.ts";
import { type HostPattern, parseHost } from "./contract/hosts.ts";
import type { Totals } from "./delivery/admission/admission.ts";
import { fitForJournal } from "./delivery/admission/message.ts";
import { FlowDelivery } from "./delivery/flow-delivery.ts";
import { Outbox } from "./delivery/outbox/outbox.ts";
import { OutletChannel } from "./delivery/outbox/outlet-channel.ts";
import type { Persistence } from "./delivery/persistence.ts";
import type { MessageIds, SeedPool } from "./delivery/seeds.ts";
import type { QuestionLinks } from "./delivery/sleep/questions.ts";
import type { Shares } from "./delivery/shares.ts";
import type { Witnesses } from "./delivery/witnesses.ts";
import type { OpenSteps } from "./ending.ts";
import { gatewayLimits } from "./contract/limits.ts";
import { ConnectorMaker, type PlacedOutlet, type PlacedSource, placeOf, type WantedSource, wantedSources } from "./connector-maker.ts";
import { journalRecall } from "./recall.ts";
import { Held } from "./held.ts";
import type { Reach } from "./contract/http/reach.ts";
import type { HttpRoutes } from "./contract/http/routes.ts";
import type { DeadLetters } from "./journal/dead-letters.ts";
import type { Journal } from "./journal/journal.ts";
import type { RootLogger } from "./logger.ts";
import type { GatewayMemory } from "./contract/memory.ts";
import type { Incoming, Outcome } from "./contract/message.ts";
import type { FlowState } from "./delivery/flow-state.ts";
import { type Stopped, Switches } from "./switches.ts";
import { limitsOf } from "./flow-rules.ts";
import type { Flow, FlowImage, Runner } from "./contract/runner.ts";
import type { IncomingSignal, SignalOutcome } from "./contract/sleep.ts";
import { signalAccept, type SignalOrigin, type SourcedSignal } from "./signal-sources.ts";
import type { Accept } from "./contract/source.ts";
import type { Tracing } from "./contract/tracing.ts";
import type { ReportUnexpected } from "./contract/unexpected.ts";

/** Dependencies shared by all flows. */
export interface ServedFlowPorts {
  readonly runner: Runner;
  readonly journal: Journal;
  readonly letters: Pick<DeadLetters, "list" | "idsOf" | "remove" | "asleep" | "put">;
  readonly persistence: Persistence;
  readonly clock: Clock;
  readonly random: Prng;
  readonly seeds: SeedPool;
  readonly ids: MessageIds;
  readonly totals: Totals;
  readonly memory: GatewayMemory;
  readonly logger: RootLogger;
  readonly tracing: Tracing;
  readonly agent: Dispatcher;
  /** Addresses that the flow's connectors may connect to, as `agent` does; undefined: any. */
  readonly reach?: Reach | undefined;
  readonly bodyStore?: BodyStore | undefined;
  readonly routes: HttpRoutes;
  readonly base: string;
  readonly connectors: Connectors;
  /** The image with this hash, whatever is deployed. Rejects with a CodedError. */
  readonly loadAsleep: (sha256: string, flow: string) => Promise<FlowImage>;
  readonly questions: QuestionLinks;
  readonly deliverTo: (flow: string, message: Incoming) => Promise<Outcome> | undefined;
  /** Undefined where there is no such flow. */
  readonly signalTo: (signal: IncomingSignal) => Promise<SignalOutcome> | undefined;
  readonly count: (flow: string, connector: string, event: string, amount: number) => void;
  readonly unexpected: ReportUnexpected;
  readonly witnesses: Witnesses;
  /** Absent: everything is this process's own. */
  readonly shares?: Shares | undefined;
  /** Steps of connectors, while they are under way. */
  readonly steps: OpenSteps;
}

/** A successor that is ready to be swapped in: everything that can go wrong with it has been tried. */
export interface Prepared {
  readonly flow: Flow;
  readonly sources: readonly PlacedSource[];
  readonly outlets: readonly PlacedOutlet[];
  readonly hosts: readonly HostPattern[];
}

function same(a: SourceConfig | OutletConfig, b: SourceConfig | OutletConfig): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function sameSource(a: WantedSource, b: WantedSource): boolean {
  return same(a.config, b.config) && JSON.stringify(a.signal) === JSON.stringify(b.signal);
}

export class ServedFlow {
  readonly name: string;
  readonly delivery: FlowDelivery;
  /** Dead letters that hold what comes behind them. */
  readonly held: Held;
  /** Stopped by an operator, as a whole or some outlets. */
  readonly switches: Switches;
  readonly #ports: ServedFlowPorts;
  readonly #logger: RootLogger;
  #sources: readonly PlacedSource[] = [];
  #outlets: readonly PlacedOutlet[] = [];
  #byName = new Map<string, PlacedOutlet>();
  #hosts: readonly HostPattern[] = [];
  /** It has taken up what the journal had, and has not ended. */
  #resumed = false;
  #started = false;
  /** Sources that were started and not stopped. */
  readonly #running = new Set<PlacedSource>();
  readonly #maker: ConnectorMaker;

  constructor(name: string, config: FlowConfig, image: FlowImage, ports: ServedFlowPorts) {
    this.name = name;
    this.#ports = ports;
    this.#logger = ports.logger.child({ flow: name });
    this.switches = new Switches({ recall: journalRecall(name, ports), logger: this.#logger, clock: ports.clock });
    this.#maker = new ConnectorMaker(name, { ...ports, logger: this.#logger, longBodies: () => this.#longBodies });
    const perform = callPerformer({
      ids: ports.ids,
      journal: ports.journal,
      clock: ports.clock,
      agent: ports.agent,
      memory: ports.memory,
      tracing: ports.tracing,
      channels: () => this.#byName,
      hosts: () => this.#hosts,
      bodyStore: ports.bodyStore,
    });
    const prepared = this.prepare(config, image);
    this.delivery = new FlowDelivery(prepared.flow, {
      ...ports,
      loadAsleep: (sha256, flow) => this.#asleepIn(sha256, flow),
      logger: this.#logger,
      perform,
      readWindow: (id, window) => {
        assert(ports.bodyStore !== undefined, "a window is of a stored body");
        return ports.bodyStore.windowNow(id, window);
      },
      mayFreeBody: (headers) => {
        if (storedBodyOf(headers) !== undefined) ports.bodyStore?.onFree();
      },
      outboxes: () => this.#byName,
      pressure: () => this.#restSources(),
    });
    this.held = new Held({
      ...ports,
      flow: name,
      logger: this.#logger,
      delivery: () => this.delivery,
      outboxes: () => this.#outlets.map(({ outbox }) => outbox),
    });
    this.#place(prepared);
  }

  get sources(): readonly PlacedSource[] {
    return this.#sources;
  }

  get outlets(): readonly PlacedOutlet[] {
    return this.#outlets;
  }

  /** Checks and makes what this configuration needs; what has not changed is kept as it is. Throws a CodedError, and then nothing has happened. */
  prepare(config: FlowConfig, image: FlowImage): Prepared {
    for (const outlet of [...(image.outlets ?? []), ...(image.canary?.outlets ?? [])]) {
      if (!Object.hasOwn(config.to, outlet))
        throw new CodedError(
          "MF_OUTLET_MISSING",
          `the flow ${this.name} uses the outlet "${outlet}", which mayfly.yaml does not define: add flows.${this.name}.to.${outlet}`,
        );
    }
    const flow = this.#flowOf(config, image);
    const hosts = config.hosts.flatMap((text) => {
      const parsed = parseHost(text);
      return parsed.ok ? [parsed.value] : [];
    });
    const outlets = Object.entries(config.to).map(([name, each]) => {
      const now = this.#byName.get(name);
      return now !== undefined && same(now.channel.config, each) ? now : this.#maker.outlet(name, each, now);
    });
    const free = new Set(this.#sources);
    const sources = wantedSources(config).map((each): PlacedSource => {
      const now = [...free].find((placed) => sameSource(placed, each));
      if (now === undefined) return this.#maker.source(each, config);
      free.delete(now);
      return now;
    });
    return { flow, sources, outlets, hosts };
  }

  #flowOf(config: FlowConfig, image: FlowImage): Flow {
    const { limits, capped } = limitsOf(config, image.limits);
    for (const name of capped)
      this.#logger.warn({}, `limits.${name} of the flow ${this.name} is above ceilings.${name} in mayfly.yaml: the ceiling applies`);
    const flow: Flow = {
      name: this.name,
      image: image.image,
      limits,
      share: config.share ?? { name: this.name, weight: config.weight },
      outlets: Object.keys(config.to),
      sleepMostMs: config.sleep.max,
      retriesProgramErrors: config.retry.programErrors,
      config,
      reads: image.reads,
      places: image.places,
    };
    const { canary } = image;
    if (config.canary === undefined || canary === undefined || canary.image.sha256 === image.image.sha256) return flow;
    const { share } = config.canary;
    const { limits: newLimits } = limitsOf(config, canary.limits);
    return { ...flow, canary: { flow: { ...flow, image: canary.image, limits: newLimits, places: canary.places }, share } };
  }

  /** The flow in the image that a machine sleeps in, to look at it. Rejects with a CodedError. */
  flowAsleep(sha256: string): Promise<Flow> {
    return this.#asleepIn(sha256, this.delivery.flow);
  }

  /** The flow as it is configured now, in the image that a machine sleeps in. Rejects with a CodedError. */
  async #asleepIn(sha256: string, flow: Flow): Promise<Flow> {
    const { canary } = flow;
    if (flow.image.sha256 === sha256) return flow;
    if (canary?.flow.image.sha256 === sha256) return canary.flow;
    const image = await this.#ports.loadAsleep(sha256, this.name);
    return { ...flow, image: image.image, limits: limitsOf(flow.config, image.limits).limits, places: image.places, canary: undefined };
  }

  /** Connects outlets, takes up what the journal has, then opens the sources. Those of one kind at once: a peer may be slow to answer. */
  async start(): Promise<void> {
    await this.switches.read();
    this.#applySwitches();
    await this.#connected(this.#outlets);
    await this.held.read();
    for (const { outbox } of this.#outlets) outbox.pump();
    await this.delivery.resume();
    this.#resumed = true;
    await Promise.all(this.#sources.map((placed) => this.#startSource(placed)));
    this.#started = true;
    this.#restSources();
  }

  /** The journal has a partition more. */
  async gain(partition: Partition): Promise<void> {
    if (!this.#resumed) return; // its start takes up all there is
    await this.held.read();
    for (const { outbox } of this.#outlets) outbox.pump();
    await this.delivery.gain();
    if (this.#ports.shares?.journal.partitionOfFlow(this.name) !== partition) return;
    await this.#readSwitches();
    await this.#startSingles();
  }

  /** The journal has the flow's switches now; what was stopped here meanwhile is kept in it. */
  async #readSwitches(): Promise<void> {
    const isKept = await this.switches.read();
    this.#applySwitches();
    this.#restSources();
    if (!isKept) await this.switches.write();
    const { stopped } = this.switches;
    if (stopped.state === "running" && stopped.outlets.length === 0) return;
    void this.#ports.shares?.cluster.askOthers({ kind: "switches", ask: "stop", flow: this.name, ...stopped }); // never rejects
  }

  /** Switches, if this node owns the flow's own partition and so knows them. */
  get switchesAsOwner(): Stopped | undefined {
    const { shares } = this.#ports;
    return shares?.cluster.isOwner(shares.journal.partitionOfFlow(this.name)) === true ? this.switches.stopped : undefined;
  }

  /** Stops what is stopped at another node. */
  stopAs(stopped: Stopped): void {
    if (!this.switches.stop(stopped)) return;
    this.#applySwitches();
    this.#restSources();
  }

  /** Nothing of the partition is begun any more. */
  async rest(partition: Partition): Promise<void> {
    if (this.#ports.shares?.journal.partitionOfFlow(this.name) === partition) await this.#stopSingles();
    this.delivery.handover.rest(partition);
  }

  /** True while something of the partition is under way. */
  isBusyWith(partition: Partition): boolean {
    const isOf = this.#isOf(partition);
    return this.delivery.handover.isBusyWith(partition) || this.#outlets.some(({ outbox }) => outbox.isSending(isOf));
  }

  /** The partition is another node's: what is under way ends without an effect, in this turn. */
  lose(partition: Partition): void {
    const isOf = this.#isOf(partition);
    for (const { outbox } of this.#outlets) outbox.lose(isOf);
    this.delivery.handover.lose(partition);
    if (this.#ports.shares?.journal.partitionOfFlow(this.name) === partition) void this.#stopSingles();
  }

  #isOf(partition: Partition): (number: number) => boolean {
    return (number) => this.#ports.shares?.journal.partitionOfNumber(number) === partition;
  }

  /** Sources that one node of a cluster runs, made anew: one that was stopped does not start again. */
  async #startSingles(): Promise<void> {
    const { config } = this.delivery.flow;
    this.#sources = this.#sources.map((placed) =>
      placed.isSingle && !this.#running.has(placed) ? this.#maker.source(placed, config) : placed,
    );
    await Promise.all(this.#sources.map(async (placed) => (placed.isSingle ? this.#startSource(placed) : undefined)));
    this.#restSources();
  }

  async #stopSingles(): Promise<void> {
    await Promise.all(this.#sources.map(async (placed) => (placed.isSingle ? this.#stopSource(placed) : undefined)));
  }

  /** Stops or starts the flow. False while that is not kept yet. */
  async turn(state: FlowState): Promise<boolean> {
    if (this.switches.state === state) return true;
    this.switches.state = state;
    this.#applySwitches();
    this.#restSources();
    this.#logger.warn(
      { state },
      state === "running" ? "the flow was resumed by an operator" : `the flow is ${state}, as an operator wants it`,
    );
    return await this.switches.write();
  }

  /** Pauses or resumes an outlet: sends rest in the outbox, requests fail with MF_OUTLET_PAUSED. Undefined where there is no such outlet, false while it is not kept yet. */
  async turnOutlet(name: string, paused: boolean): Promise<boolean | undefined> {
    const placed = this.#byName.get(name);
    const { outlets } = this.switches;
    if (placed === undefined && !outlets.has(name)) return undefined;
    if (outlets.has(name) === paused) return true;
    if (paused) outlets.add(name);
    else outlets.delete(name);
    placed?.channel.pause(paused);
    if (!paused && placed !== undefined) {
      placed.outbox.peerIsBack();
      this.delivery.peerIsBack(); // messages that rest because it did not answer
    }
    this.#logger.warn(
      { outlet: name, paused },
      paused ? "the outlet is paused, as an operator wants it" : "the outlet was resumed by an operator",
    );
    return await this.switches.write();
  }

  #applySwitches(): void {
    const { state, outlets } = this.switches;
    this.delivery.halt({ shut: state !== "running", idle: state === "paused" });
    for (const { channel } of this.#outlets) if (channel.paused !== outlets.has(channel.name)) channel.pause(outlets.has(channel.name));
  }

  /** Connects the outlets that only the successor has: the first step of a swap, which changes nothing yet. */
  async connect(next: Prepared): Promise<void> {
    await this.#connected(this.#added(next));
  }

  /** Closes them again: the swap is off. */
  async disconnect(next: Prepared): Promise<void> {
    await Promise.all(this.#added(next).map((placed) => this.#retire(placed)));
  }

  /** Resolves once the outlets have connected, or have had their moment: a peer that does not answer delays no source. */
  async #connected(outlets: readonly PlacedOutlet[]): Promise<void> {
    const starting = Promise.all(
      outlets.map(({ channel }) => this.#step(`to.${channel.name}`, channel.config, "start", () => channel.outlet.start?.())),
    );
    let late = false;
    await new Promise<void>((resolve, reject) => {
      const cancel = this.#ports.clock.after(gatewayLimits.outletStartMs, () => {
        late = true;
        resolve();
      });
      starting.then(
        () => {
          cancel();
          resolve();
        },
        (error: unknown) => {
          cancel();
          if (late) this.#ports.unexpected(error, `flows.${this.name}, the start of its outlets`);
          else reject(error instanceof Error ? error : new Error(String(error)));
        },
      );
    });
  }

  /**
   * Swaps in a successor: messages that run go on as they are, later ones meet the new image. Sources that go give up what they hold,
   * such as a route, within this turn; what is returned opens the new ones, in the same turn too, and resolves when the old ones are gone.
   */
  replace(next: Prepared): () => Promise<void> {
    const goneSources = this.#sources.filter((placed) => !next.sources.includes(placed));
    const newSources = next.sources.filter((placed) => !this.#sources.includes(placed));
    const goneOutlets = this.#outlets.filter((placed) => !next.outlets.includes(placed));
    const newOutlets = this.#added(next);
    for (const { outbox } of goneOutlets) outbox.stop();
    this.#place(next);
    this.#applySwitches();
    this.delivery.replace(next.flow);
    const stopping = goneSources.map((placed) => this.#stopSource(placed));
    return async () => {
      await Promise.all([...newSources.map((placed) => this.#startSource(placed)), ...stopping]);
      this.#restSources();
      await Promise.all(goneOutlets.map((placed) => this.#retire(placed)));
      await this.held.read();
      for (const { outbox } of newOutlets) outbox.peerIsBack(); // also what the outlet before held
    };
  }

  #added(next: Prepared): PlacedOutlet[] {
    return next.outlets.filter((placed) => !this.#outlets.includes(placed));
  }

  /** No new messages from now on. Resolves once sources have let go of theirs. */
  async stopSources(): Promise<void> {
    this.#resumed = false;
    this.#started = false;
    await Promise.all(this.#sources.map((placed) => this.#stopSource(placed)));
  }

  /** Messages and sends that have not ended, for people. */
  get underWay(): string[] {
    if (this.quiet) return [];
    const flow = `flows.${this.name}`;
    const { pending } = this.delivery;
    const outlets = this.#outlets.filter(({ outbox }) => !outbox.idle || (!this.#ports.journal.durable && outbox.depth > 0));
    return [
      ...(pending > 0 ? [`${flow}: ${pending} message${pending === 1 ? "" : "s"}`] : []),
      ...outlets.map(({ channel, outbox }) => `${flow}.to.${channel.name}: ${outbox.depth} send${outbox.depth === 1 ? "" : "s"}`),
    ];
  }

  /** Nothing of this flow is under way any more, and nothing is due. */
  get quiet(): boolean {
    const { durable } = this.#ports.journal;
    return this.delivery.pending === 0 && this.#outlets.every(({ outbox }) => outbox.idle && (durable || outbox.depth === 0));
  }

  /** The journal's remains of a flow that has ended. */
  get left(): { readonly pending: number; readonly sends: number; readonly sleepers: number } {
    const { journal } = this.#ports;
    if (!journal.durable) return { pending: 0, sends: 0, sleepers: 0 };
    const sends = this.#outlets.reduce((sum, { outbox }) => sum + outbox.depth, 0);
    return { pending: this.delivery.leftToJournal, sends, sleepers: journal.sleeperCount(this.name).sleepers };
  }

  /** Gives back or buries what is left, and closes the outlets. */
  async end(): Promise<void> {
    this.held.end();
    await this.delivery.endDrain();
    for (const { outbox, channel } of this.#outlets) {
      outbox.stop();
      channel.stop();
    }
    await Promise.resolve(); // aborted sends give their entries back first
    const ending = this.#outlets.map(async ({ outbox, channel }) => {
      if (!this.#ports.journal.durable && outbox.depth > 0) await outbox.bury();
      await this.#stopOutlet(channel);
    });
    await Promise.all(ending);
  }

  /** Connectors that can't work now. */
  unready(): { readonly flow: string; readonly connector: string; readonly detail: string }[] {
    const all: (readonly [string, Health])[] = [
      ...this.#sources.filter((placed) => this.#running.has(placed)).map(({ name, source }) => [name, source.health()] as const),
      ...this.#outlets.map(({ channel }) => [`to.${channel.name}`, channel.outlet.health()] as const),
    ];
    const unready = all.filter(([, health]) => !health.ready).map(([connector, { detail }]) => ({ flow: this.name, connector, detail }));
    const everything = "a dead letter without a key holds back all messages: inspect it with `mayfly dlq ls`, then retry or drop it";
    if (this.delivery.holds.all) unready.push({ flow: this.name, connector: "onDead", detail: everything });
    for (const { channel, outbox } of this.#outlets) {
      if (outbox.holds.all) unready.push({ flow: this.name, connector: `to.${channel.name}`, detail: everything });
      const openMs = channel.circuitOpenMs;
      if (openMs === 0) continue;
      const detail = `its circuit breaker stays open for ${Math.ceil(openMs / 1000)} s more, after ${channel.failuresInARow} failures in a row`;
      unready.push({ flow: this.name, connector: `to.${channel.name}`, detail });
    }
    return unready;
  }

  outbox(outlet: string): Outbox | undefined {
    return this.#byName.get(outlet)?.outbox;
  }

  #place(prepared: Prepared): void {
    this.#sources = prepared.sources;
    this.#outlets = prepared.outlets;
    this.#hosts = prepared.hosts;
    this.#byName = new Map(prepared.outlets.map((placed) => [placed.channel.name, placed]));
    for (const { channel, outbox } of prepared.outlets)
      channel.onRecovered = () => {
        outbox.peerIsBack();
        this.delivery.peerIsBack();
      };
  }

  get #longBodies(): LongBodies | undefined {
    const { bodyStore: store } = this.#ports;
    const { config, reads, limits } = this.delivery.flow;
    const { storedFromBytes, storedMemoryShare } = gatewayLimits;
    const own = reads === undefined ? undefined : Math.min(storedFromBytes[reads], limits.memoryBytes / storedMemoryShare);
    const thresholdBytes = config.claimCheck ?? own;
    return store === undefined || thresholdBytes === undefined ? undefined : { thresholdBytes, store };
  }

  /** Sources take nothing new while the queue is nearly full or the flow is stopped; those of signals only while it is paused: they are kept for machines that sleep on. */
  #restSources(): void {
    if (!this.#started) return;
    const { state } = this.switches;
    for (const placed of this.#sources) {
      const { name, source, signal } = placed;
      if (!this.#running.has(placed)) continue;
      const high = signal === undefined ? this.delivery.pressed || state !== "running" : state === "paused";
      try {
        if (high) source.pause?.();
        else source.resume?.();
      } catch (error) {
        this.#ports.unexpected(error, `flows.${this.name}.${name}, ${high ? "pause" : "resume"}`);
      }
    }
  }

  async #startSource(placed: PlacedSource): Promise<void> {
    const { name, source, config, figures, signal, isSingle } = placed;
    const { shares } = this.#ports;
    if (this.#running.has(placed) || (isSingle && shares !== undefined && !shares.runsSingles(this.name))) return;
    this.#running.add(placed);
    const origin = { source: config.connector, place: placeOf(config) };
    const take: Accept = signal === undefined ? (message) => this.delivery.accept(message, origin) : this.#signals(signal, origin);
    const accept: Accept = (message) => {
      figures.received += 1;
      return take(fitForJournal(message));
    };
    await this.#step(name, config, "start", () => source.start(accept));
  }

  /** Keeps a signal for the machine that waits for it. */
  signal(signal: IncomingSignal): Promise<SignalOutcome> {
    return this.delivery.sleepers.signal(signal);
  }

  #signals(signal: SourcedSignal, origin: SignalOrigin): Accept {
    return signalAccept(signal, origin, {
      ...this.#ports,
      flow: this.name,
      refusal: () => (this.switches.state === "paused" ? "MF_FLOW_PAUSED" : undefined),
      signal: (each) => this.signal(each),
    });
  }

  /** Never rejects. */
  async #stopSource(placed: PlacedSource): Promise<void> {
    const { name, source, config } = placed;
    if (!this.#running.delete(placed)) return;
    await this.#step(name, config, "stop", () => source.stop()).catch((error: unknown) =>
      this.#logger.error({ source: name }, `stopping failed: ${String(error)}`),
    );
  }

  /** Never rejects. */
  async #stopOutlet({ name, outlet, config }: OutletChannel): Promise<void> {
    await this.#step(`to.${name}`, config, "stop", () => outlet.stop()).catch((error: unknown) =>
      this.#logger.error({ outlet: name }, `stopping failed: ${String(error)}`),
    );
  }

  #step<T>(name: string, { connector }: SourceConfig | OutletConfig, step: string, work: () => Promise<T> | T): Promise<T> {
    return this.#ports.steps.during(`flows.${this.name}.${name} (${connector}): ${step}`, work);
  }

  /** Waits for what is under way through an outlet that was replaced, then closes it. */
  async #retire({ channel, outbox }: PlacedOutlet): Promise<void> {
    outbox.stop();
    const untilMs = this.#ports.clock.monotonicMs() + channel.config.timeout;
    while (channel.underWay > 0 && this.#ports.clock.monotonicMs() < untilMs)
      await new Promise<void>((resolve) => this.#ports.clock.after(20, resolve));
    channel.stop();
    await this.#stopOutlet(channel);
  }
}
