/** Serves deployed functions beside the flows of mayfly.yaml. */
import { type Clock, CodedError } from "#base";
import type { FlowConfig, GatewayConfig } from "./contract/config.ts";
import { type HttpPlace, routesOf } from "./contract/http/routes.ts";
import type { FlowImage } from "./contract/runner.ts";
import type { FetchAgents } from "./fetch-agent.ts";
import { Ending } from "./ending.ts";
import type { FlowHost, FunctionFigures, FunctionLogger, ServedFunction } from "./functions/mod.ts";
import { ServedFlow, type ServedFlowPorts } from "./served-flow.ts";

export interface FunctionHostPorts {
  readonly clock: Clock;
  /** All flows that are served. */
  readonly flows: Map<string, ServedFlow>;
  readonly shared: ServedFlowPorts;
  readonly agents: Pick<FetchAgents, "to">;
  readonly config: () => GatewayConfig;
  readonly isRunning: () => boolean;
  /** Ends a flow in order. Never rejects. */
  readonly end: (served: ServedFlow, ending: Ending) => Promise<void>;
  /** Rules of flows have changed. */
  readonly configured: () => void;
  readonly asleepIn: () => Iterable<string>;
}

/** Paths of HTTP sources, each with its flow. */
export function* pathsOf({ flows }: Pick<GatewayConfig, "flows">): Generator<readonly [flow: string, path: string]> {
  for (const [flow, { from, signals }] of Object.entries(flows))
    for (const { connector, config } of [...from, ...Object.values(signals).flatMap((signal) => signal.from)])
      if (connector === "http") for (const { path } of routesOf(config as HttpPlace)) yield [flow, path];
}

/** A flow as the functions see it. */
class Hosted implements ServedFunction {
  readonly #served: ServedFlow;

  constructor(served: ServedFlow) {
    this.#served = served;
  }

  get pending(): number {
    return this.#served.delivery.pending;
  }

  get isIdle(): boolean {
    const { pending, sends, sleepers } = this.#served.left;
    return this.#served.quiet && pending + sends + sleepers === 0;
  }

  get figures(): FunctionFigures {
    const { received, done, dead, cpuMs } = this.#served.delivery.metrics;
    return { received, done, dead, cpuMs };
  }
}

export class FunctionHost implements FlowHost {
  /** Of the functions that are served. */
  readonly configs = new Map<string, FlowConfig>();
  readonly #ports: FunctionHostPorts;

  constructor(ports: FunctionHostPorts) {
    this.#ports = ports;
  }

  hasFlow(flow: string): boolean {
    return Object.hasOwn(this.#ports.config().flows, flow);
  }

  paths(): Iterable<readonly [flow: string, path: string]> {
    return pathsOf(this.#ports.config());
  }

  async start(flow: string, config: FlowConfig, image: FlowImage, logger: FunctionLogger): Promise<ServedFunction> {
    const { flows, shared, agents, clock } = this.#ports;
    if (this.hasFlow(flow) || flows.has(flow))
      throw new CodedError("MF_FUNCTION_TAKEN", `mayfly.yaml has a flow ${flow} as well: rename it there, or remove the function`);
    const served = new ServedFlow(flow, config, image, {
      ...shared,
      ...(config.networks === undefined ? {} : agents.to(config.networks)),
      logger,
    });
    this.configs.set(flow, config);
    flows.set(flow, served);
    this.#ports.configured();
    try {
      await served.start();
      if (!this.#ports.isRunning()) throw new CodedError("MF_STOPPING", "the gateway is stopping: try the next gateway");
    } catch (error) {
      await this.#ports.end(served, new Ending(clock, this.#ports.config().drain));
      this.#forget(flow);
      throw error;
    }
    return new Hosted(served);
  }

  async replace(flow: string, config: FlowConfig, image: FlowImage): Promise<void> {
    const served = this.#ports.flows.get(flow);
    if (served === undefined) throw new CodedError("MF_FLOW_UNKNOWN", `the flow ${flow} is not served`);
    const next = served.prepare(config, image);
    await served.connect(next);
    this.configs.set(flow, config);
    this.#ports.configured();
    await served.replace(next)();
  }

  /** Requests whose bodies are still read are finished first. */
  async end(flow: string): Promise<void> {
    const served = this.#ports.flows.get(flow);
    if (served === undefined) return;
    const ending = new Ending(this.#ports.clock, this.#ports.config().drain);
    await ending.by(ending.workMs, served.stopSources());
    await this.#ports.end(served, ending);
    this.#forget(flow);
  }

  keptBy(tenant: string): ReturnType<FlowHost["keptBy"]> {
    return this.#ports.shared.journal.keptBy(tenant);
  }

  asleepIn(): Iterable<string> {
    return this.#ports.asleepIn();
  }

  #forget(flow: string): void {
    this.#ports.flows.delete(flow);
    this.configs.delete(flow);
    this.#ports.configured();
  }
}
