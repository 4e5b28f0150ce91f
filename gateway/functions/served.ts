/**
 * Deployed functions in memory. One that nobody calls is a record and nothing else; its first request starts it, and once there are many, those
 * that were not called for the longest time leave memory again.
 *
 *   dormant ──first request, or its own sources──▶ starting ──▶ served ──idle, and others are in demand──▶ ending ──▶ dormant
 *
 * Steps of one function are taken in turn: a deploy, a start and an end never overlap.
 */
import { type Clock, CodedError, isCoded } from "#base";
import type { FlowConfig } from "../contract/config.ts";
import type { Problem } from "../contract/http/problem.ts";
import type { FlowImage } from "../contract/runner.ts";
import { isResident } from "./fragment.ts";
import { functionLimits } from "./limits.ts";
import type { FunctionLogs } from "./logs.ts";
import type { FlowHost, FunctionImages, FunctionLogger, ServedFunction } from "./ports.ts";
import { flowNameOf, type FunctionName, keyOf, shownName } from "./records.ts";

/** Settings and images of a function, ready to be served. */
export interface Loaded {
  readonly config: FlowConfig;
  readonly image: FlowImage;
}

export interface ServedPorts {
  readonly clock: Clock;
  readonly host: FlowHost;
  readonly images: Pick<FunctionImages, "unload">;
  readonly logger: FunctionLogger;
  readonly logs: FunctionLogs;
  /** As it is deployed; undefined where it is not. Rejects with a CodedError. */
  readonly load: (name: FunctionName) => Promise<Loaded | undefined>;
  /** Before a function leaves memory. */
  readonly leaving: (name: FunctionName, served: ServedFunction) => void;
  /** Functions beyond which some leave memory. */
  readonly most?: number;
}

interface Entry {
  readonly name: FunctionName;
  served: ServedFunction;
  image: FlowImage;
  isResident: boolean;
  calledMs: number;
}

function imagesIn(image: FlowImage): FlowImage["image"][] {
  return [image.image, ...(image.canary === undefined ? [] : [image.canary.image])];
}

export class ServedFunctions {
  readonly #ports: ServedPorts;
  /** Those called last come last. */
  readonly #served = new Map<string, Entry>();
  readonly #starting = new Map<string, Promise<Problem | undefined>>();
  readonly #turns = new Map<string, Promise<unknown>>();
  /** Until when a function that failed to start is not tried again, by the monotonic clock. */
  readonly #failed = new Map<string, { readonly untilMs: number; readonly problem: Problem }>();
  #isClosed = false;
  #isRelieving = false;

  constructor(ports: ServedPorts) {
    this.#ports = ports;
  }

  get size(): number {
    return this.#served.size;
  }

  *all(): Generator<{ readonly tenant: string; readonly served: ServedFunction }> {
    for (const { name, served } of this.#served.values()) yield { tenant: name.tenant, served };
  }

  get names(): readonly FunctionName[] {
    return [...this.#served.values()].map(({ name }) => name);
  }

  of(name: FunctionName): ServedFunction | undefined {
    return this.#served.get(keyOf(name))?.served;
  }

  /** Counts a call. False for a function that is not served. */
  called(name: FunctionName): boolean {
    const key = keyOf(name);
    const entry = this.#served.get(key);
    if (entry === undefined) return false;
    entry.calledMs = this.#ports.clock.monotonicMs();
    this.#served.delete(key);
    this.#served.set(key, entry);
    return true;
  }

  /** One step of a function after the other. */
  inTurn<T>(name: FunctionName, step: () => Promise<T>): Promise<T> {
    const key = keyOf(name);
    const next = (this.#turns.get(key) ?? Promise.resolve()).then(step);
    const settled = next.then(
      () => undefined,
      () => undefined,
    );
    this.#turns.set(key, settled);
    void settled.then(() => {
      if (this.#turns.get(key) === settled) this.#turns.delete(key);
    });
    return next;
  }

  /** Starts a function that is deployed. Resolves with the problem that its caller is told, undefined once it is served. */
  wake(name: FunctionName): Promise<Problem | undefined> {
    const key = keyOf(name);
    const failed = this.#failed.get(key);
    if (failed !== undefined) {
      if (failed.untilMs > this.#ports.clock.monotonicMs()) return Promise.resolve(failed.problem);
      this.#failed.delete(key);
    }
    let starting = this.#starting.get(key);
    if (starting === undefined) {
      starting = this.inTurn(name, () => this.#wake(name)).finally(() => this.#starting.delete(key));
      this.#starting.set(key, starting);
    }
    return starting;
  }

  async #wake(name: FunctionName): Promise<Problem | undefined> {
    if (this.#served.has(keyOf(name))) return undefined;
    if (this.#isClosed) return stopping;
    try {
      const loaded = await this.#ports.load(name);
      if (loaded === undefined) return undefined; // removed meanwhile: the path has no route
      await this.start(name, loaded);
      return undefined;
    } catch (error) {
      const problem = isCoded(error) && error.code === "MF_STOPPING" ? stopping : unstarted;
      const code = isCoded(error) ? error.code : "MF_INTERNAL";
      const message = error instanceof Error ? error.message : String(error);
      this.#ports.logs
        .kept(keyOf(name), this.#ports.logger)
        .error({ flow: flowNameOf(name), code }, `the function can't be started: ${message}`);
      this.#failed.set(keyOf(name), { untilMs: this.#ports.clock.monotonicMs() + functionLimits.startAgainMs, problem });
      return problem;
    }
  }

  /** Serves a function from now on; within its turn. Rejects with a CodedError; then it is not served, and its images are unloaded. */
  async start(name: FunctionName, { config, image }: Loaded): Promise<void> {
    const { host, logs, logger, clock } = this.#ports;
    const key = keyOf(name);
    try {
      if (this.#isClosed) throw new CodedError("MF_STOPPING", "the gateway is stopping: try the next gateway");
      const served = await host.start(flowNameOf(name), config, image, logs.kept(key, logger));
      this.#served.set(key, { name, served, image, isResident: isResident(config), calledMs: clock.monotonicMs() });
      this.#failed.delete(key);
    } catch (error) {
      this.#unload(image);
      throw error;
    }
    void this.#relieve();
  }

  /** Swaps a served function between two messages; within its turn. Rejects with a CodedError; then nothing has changed. */
  async replace(name: FunctionName, { config, image }: Loaded): Promise<void> {
    const entry = this.#served.get(keyOf(name));
    if (entry === undefined) throw new CodedError("MF_FUNCTION_UNKNOWN", `the function ${shownName(name)} is not served`);
    try {
      await this.#ports.host.replace(flowNameOf(name), config, image);
    } catch (error) {
      this.#unload(image);
      throw error;
    }
    this.#unload(entry.image);
    entry.image = image;
    entry.isResident = isResident(config);
    this.#failed.delete(keyOf(name));
  }

  /** Takes a function out of memory; within its turn. Never rejects. */
  async end(name: FunctionName): Promise<void> {
    const key = keyOf(name);
    const entry = this.#served.get(key);
    this.#failed.delete(key);
    if (entry === undefined) return;
    this.#served.delete(key);
    await this.#ports.host.end(flowNameOf(name));
    this.#ports.leaving(name, entry.served);
    this.#unload(entry.image);
  }

  /** No function starts from now on. Resolves once no start is under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#turns.values());
  }

  #unload(image: FlowImage): void {
    for (const each of imagesIn(image)) this.#ports.images.unload(each);
  }

  /** Functions that were not called for the longest time leave memory, while there are too many. */
  async #relieve(): Promise<void> {
    const { clock, most = functionLimits.served } = this.#ports;
    if (this.#isRelieving) return;
    this.#isRelieving = true;
    for (const entry of this.#served.values()) {
      const wasCalledLately = clock.monotonicMs() - entry.calledMs < functionLimits.lately;
      if (this.#served.size <= most || this.#isClosed || wasCalledLately) break;
      if (this.#mayLeave(entry))
        await this.inTurn(entry.name, async () => (this.#mayLeave(entry) ? await this.end(entry.name) : undefined));
    }
    this.#isRelieving = false;
  }

  #mayLeave(entry: Entry): boolean {
    return this.#served.get(keyOf(entry.name)) === entry && !entry.isResident && entry.served.isIdle;
  }
}

const stopping: Problem = {
  status: 503,
  code: "MF_STOPPING",
  detail: "the gateway is stopping: try the next gateway",
  headers: { "retry-after": "1" },
};

const unstarted: Problem = {
  status: 503,
  code: "MF_FUNCTION_START",
  detail: "the function can't be started; its log has the reason: `mayfly functions logs`",
  headers: { "retry-after": "5" },
};
