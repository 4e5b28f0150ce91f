/**
 * Reloads in two steps: everything that can fail is tried first, then all flows are swapped in one turn.
 *
 *   prepare ──▶ flows built and checked, new outlets connected ──┬── commit ──▶ swapped
 *                                                                └── abandon ─▶ new outlets closed, all as before
 */
import { CodedError } from "#base";
import type { FlowConfig, GatewayConfig } from "./contract/config.ts";
import type { Flow, FlowImage } from "./contract/runner.ts";
import { keptSettings } from "./kept-settings.ts";
import type { RootLogger } from "./logger.ts";
import { ServedFlow, type Prepared, type ServedFlowPorts } from "./served-flow.ts";
import { contractsOf, revisionText } from "./revision.ts";

/** A configuration that is ready to be served. Exactly one of its functions is called, once. */
export interface PreparedReload {
  /** As `Gateway.revision`, of the new configuration. */
  readonly revision: string;
  /** Swaps. Rejects when a part of what is new did not start; the new configuration is served then all the same. */
  commit(): Promise<void>;
  abandon(): Promise<void>;
}

/** The parts of a gateway that a reload changes. */
export interface ReloadedParts {
  readonly flows: Map<string, ServedFlow>;
  readonly shared: () => ServedFlowPorts;
  readonly logger: RootLogger;
  readonly config: () => GatewayConfig;
  /** Throws what is wrong with the gateway's state, or with the configuration for this gateway. */
  readonly check: (config: GatewayConfig) => void;
  /** Reads the file of tenants; the function that puts it in place. */
  readonly extras: (config: GatewayConfig) => Promise<() => Promise<void>>;
  readonly load: (flows: GatewayConfig["flows"]) => Promise<ReadonlyMap<string, FlowImage>>;
  readonly adopt: (config: GatewayConfig) => void;
  readonly isConfigured: (flow: string) => boolean;
  /** Stops flows that go, in order. */
  readonly end: (flows: readonly ServedFlow[]) => Promise<void>;
  readonly startAll: (flows: ServedFlow[]) => Promise<void>;
  /** Shows the document of contracts of the configuration that is served, or takes it away. */
  readonly show: (isShown: boolean) => void;
  /** A reload is over, and may have changed what is served. */
  readonly changed: () => void;
}

interface Next {
  readonly config: GatewayConfig;
  readonly contracts: string;
  readonly swapped: readonly (readonly [ServedFlow, Prepared])[];
  readonly fresh: readonly ServedFlow[];
  readonly putExtras: () => Promise<void>;
}

export class Reloads {
  readonly #parts: ReloadedParts;
  #contracts: string;
  #turn: Promise<void> = Promise.resolve();

  constructor(parts: ReloadedParts) {
    this.#parts = parts;
    this.#contracts = contractsOf(parts.config());
  }

  /** The end of all reloads that were begun. */
  get under(): Promise<void> {
    return this.#turn;
  }

  /** One after the other. */
  inTurn(work: () => Promise<void>): Promise<void> {
    const next = this.#turn.then(work).finally(this.#parts.changed);
    this.#turn = next.catch(() => undefined);
    return next;
  }

  get revision(): string {
    const { flows, config } = this.#parts;
    return revisionText(
      config(),
      [...flows.values()].map(({ delivery }) => delivery.flow),
      this.#contracts,
    );
  }

  reload(config: GatewayConfig): Promise<void> {
    return this.inTurn(async () => this.#commit(await this.#prepare(config)));
  }

  /** Keeps other reloads waiting until it is committed or abandoned. Rejects as `reload` does before it swaps. */
  prepare(config: GatewayConfig): Promise<PreparedReload> {
    return new Promise((resolve, reject) => {
      const turn = async (): Promise<void> => {
        const next = await this.#prepare(config);
        await new Promise<void>((over) => {
          const end = (work: Promise<void>): Promise<void> => work.finally(over);
          resolve({
            revision: this.#revisionOf(next),
            commit: () => end(this.#commit(next)),
            abandon: () => end(this.#abandon(next)),
          });
        });
      };
      this.inTurn(turn).catch(reject);
    });
  }

  #revisionOf({ config, contracts, swapped, fresh }: Next): string {
    const flows: Flow[] = [...swapped.map(([, { flow }]) => flow), ...fresh.map(({ delivery }) => delivery.flow)];
    return revisionText(config, flows, contracts);
  }

  async #prepare(config: GatewayConfig): Promise<Next> {
    const { flows, shared, check, extras, load, logger, config: served } = this.#parts;
    check(config);
    const kept = keptSettings(served());
    if (JSON.stringify(kept) !== JSON.stringify(keptSettings(config)) || served().functions?.dir !== config.functions?.dir)
      logger.warn(
        { code: "MF_RELOAD_RESTART" },
        "http, fetch, journal, cluster, deadLetters, telemetry, approvals, the folder of functions and the folder, size and age of history change only at a restart",
      );
    const contracts = contractsOf(config);
    const putExtras = await extras(config);
    const images = await load(config.flows);
    const swapped: [ServedFlow, Prepared][] = [];
    const fresh: ServedFlow[] = [];
    for (const [name, flow] of Object.entries(config.flows)) {
      const now = flows.get(name);
      if (now === undefined) fresh.push(new ServedFlow(name, flow, imageOf(images, name), shared()));
      else swapped.push([now, now.prepare(flow, imageOf(images, name))]);
    }
    const next = { config: { ...config, ...kept }, contracts, swapped, fresh, putExtras };
    try {
      await Promise.all(swapped.map(([now, prepared]) => now.connect(prepared)));
    } catch (error) {
      await this.#abandon(next);
      throw error;
    }
    return next;
  }

  async #abandon({ swapped }: Next): Promise<void> {
    await Promise.all(swapped.map(([now, prepared]) => now.disconnect(prepared)));
  }

  async #commit(next: Next): Promise<void> {
    const { flows, check, adopt, isConfigured, end, startAll, show, logger } = this.#parts;
    const { config, contracts, swapped, fresh, putExtras } = next;
    check(config); // it may have been stopped since
    adopt(config);
    this.#contracts = contracts;
    await putExtras();
    const gone = [...flows.values()].filter(({ name }) => !isConfigured(name));
    // In one turn everything that goes lets go, also of resources that another flow gets, such as a path.
    const opening = swapped.map(([now, prepared]) => now.replace(prepared));
    const ending = end(gone);
    for (const served of fresh) flows.set(served.name, served);
    show(false); // its path may be one that a flow gets
    await Promise.all([...opening.map((open) => open()), startAll([...fresh]), ending]);
    show(true);
    for (const served of gone) {
      flows.delete(served.name);
      const { pending, sends, sleepers } = served.left;
      if (pending + sends + sleepers > 0)
        logger.warn(
          { flow: served.name, pending, sends, sleepers },
          "the journal has messages of the removed flow: they wait until it is configured again",
        );
    }
  }

  /** Swaps the image of one flow, whose configuration stays. `missing`: the error for a flow that is not there. */
  reloadFlow(name: string, missing: () => Error): Promise<void> {
    return this.inTurn(async () => {
      const { flows, config, load, check } = this.#parts;
      check(config());
      const served = flows.get(name);
      const flow: FlowConfig | undefined = config().flows[name];
      if (served === undefined || flow === undefined) throw missing();
      const next = served.prepare(flow, imageOf(await load({ [name]: flow }), name));
      await served.connect(next);
      await served.replace(next)();
    });
  }
}

export function imageOf(images: ReadonlyMap<string, FlowImage>, name: string): FlowImage {
  const image = images.get(name);
  if (image === undefined) throw new CodedError("MF_FLOW_UNKNOWN", `the flow ${name} was not loaded`);
  return image;
}
