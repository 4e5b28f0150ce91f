/** A gateway, its monitor and its images, wired from a mayfly.yaml: what `serve`, `dev` and the examples' tests start. */
import { resolve } from "node:path";
import {
  createGateway,
  createLogger,
  DeadLetters,
  type FlowConfig,
  type FlowImage,
  type Gateway,
  type GatewayConfig,
  type Journal,
  loadConfig,
  MemoryJournal,
  openJournal,
  type RootLogger,
} from "#gateway";
import { loadImage } from "#image";
import type { LoadedImage, Monitor } from "#monitors";
import { cachedImage } from "../images/cache.ts";
import { openMonitor } from "../monitors.ts";

export interface ServingOptions {
  /** Path of mayfly.yaml. */
  readonly file: string;
  /** Overrides `http.port`; 0 takes a free one. */
  readonly port?: number | undefined;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Default: as `log:` says. */
  readonly logger?: RootLogger;
}

async function journalOf(config: GatewayConfig, deadLetters: DeadLetters): Promise<Journal> {
  const { dir } = config.journal;
  if (dir === undefined) return new MemoryJournal(deadLetters);
  return await openJournal(resolve(config.base, dir), { deadLetters });
}

/** Images by flow: built or read when asked for, unloaded when no flow uses them any more. */
class Images {
  readonly #monitor: Monitor;
  readonly #logger: RootLogger;
  /** What the flows of the newest configuration use. */
  #current = new Map<string, LoadedImage>();
  #next = new Map<string, LoadedImage>();
  readonly #inputs = new Map<string, readonly string[]>();

  constructor(monitor: Monitor, logger: RootLogger) {
    this.#monitor = monitor;
    this.#logger = logger;
  }

  /** Every file the flows are made of, absolute. */
  get inputs(): string[] {
    return [...new Set([...this.#inputs.values()].flat())];
  }

  async load(base: string, name: string, config: FlowConfig): Promise<FlowImage> {
    const { image: imagePath, flow: flowPath } = config;
    const path = resolve(base, imagePath ?? flowPath ?? "");
    // Remembered before the build, so that a flow that does not build is watched as well.
    if (!this.#inputs.has(name)) this.#inputs.set(name, [path]);
    const { image, inputs, buildMs } =
      imagePath === undefined ? await cachedImage(path, { name }) : { image: await loadImage(path), inputs: [path], buildMs: undefined };
    this.#inputs.set(name, inputs);
    if (buildMs !== undefined) this.#logger.info({ flow: name, sha256: image.sha256.slice(0, 12), ms: Math.round(buildMs) }, "built");
    const loaded = await this.#monitor.load(image);
    this.#next.set(name, loaded);
    return { image: loaded, outlets: image.manifest.outlets ?? undefined, limits: image.manifest.limits };
  }

  /** The newest configuration is served: what the one before it used goes. Every load counts, so every one is undone once. */
  settle(): void {
    for (const image of this.#current.values()) this.#monitor.unload(image);
    this.#current = this.#next;
    this.#next = new Map();
  }

  /** The newest configuration was refused. */
  abandon(): void {
    for (const image of this.#next.values()) this.#monitor.unload(image);
    this.#next = new Map();
  }
}

export interface Serving {
  readonly gateway: Gateway;
  readonly logger: RootLogger;
  /** What is served now. */
  readonly config: GatewayConfig;
  /** `http://127.0.0.1:8080` */
  readonly url: string;
  /** Files to watch: the configuration, and all that its flows are made of. */
  readonly inputs: readonly string[];
  /** Reads the configuration again and swaps what has changed. Rejects, with everything as it was, when something is wrong with it. */
  reload(): Promise<void>;
  /** Resolves once everything is closed. */
  stop(): Promise<void>;
}

function withPort(config: GatewayConfig, port: number | undefined): GatewayConfig {
  return port === undefined ? config : { ...config, http: { ...config.http, port } };
}

class TheServing implements Serving {
  readonly gateway: Gateway;
  readonly logger: RootLogger;
  readonly #options: ServingOptions;
  readonly #monitor: Monitor;
  readonly #images: Images;
  #config: GatewayConfig;

  constructor(options: ServingOptions, config: GatewayConfig, monitor: Monitor, images: Images, gateway: Gateway, logger: RootLogger) {
    this.#options = options;
    this.#config = config;
    this.#monitor = monitor;
    this.#images = images;
    this.gateway = gateway;
    this.logger = logger;
  }

  get config(): GatewayConfig {
    return this.#config;
  }

  get inputs(): readonly string[] {
    return [resolve(this.#options.file), ...this.#images.inputs];
  }

  get url(): string {
    const { host, port } = this.gateway.address ?? this.#config.http;
    return `${this.#config.http.tls === undefined ? "http" : "https"}://${host.includes(":") ? `[${host}]` : host}:${port}`;
  }

  async reload(): Promise<void> {
    const config = withPort(await loadConfig(this.#options.file, this.#options.environment), this.#options.port);
    try {
      await this.gateway.reload(config);
    } catch (error) {
      this.#images.abandon();
      throw error;
    }
    this.#config = config;
    this.#images.settle();
  }

  async stop(): Promise<void> {
    await this.gateway.stop();
    await this.#monitor.close();
  }
}

/** Starts serving. Rejects with a CodedError, and then nothing runs. */
export async function startServing(options: ServingOptions): Promise<Serving> {
  const config = withPort(await loadConfig(options.file, options.environment), options.port);
  const logger = options.logger ?? createLogger({ log: config.log, terminal: process.stdout.isTTY === true });
  const monitor = openMonitor(config.monitor, config.workers);
  try {
    const images = new Images(monitor, logger);
    const deadLetters = new DeadLetters(resolve(config.base, config.deadLetters.dir));
    const journal = await journalOf(config, deadLetters);
    const gateway = createGateway(config, {
      runner: monitor,
      journal,
      deadLetters,
      logger,
      loadFlow: (name, flow) => images.load(config.base, name, flow),
    });
    await gateway.start();
    images.settle();
    return new TheServing(options, config, monitor, images, gateway, logger);
  } catch (error) {
    await monitor.close();
    throw error;
  }
}
