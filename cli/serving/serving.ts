/** A gateway, its monitor and its images, wired from a mayfly.yaml: what `serve`, `dev` and the examples' tests start. */
import { resolve } from "node:path";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { collectGarbage, isCoded, systemClock } from "#base";
import { connectors } from "#connectors";
import {
  configuredBodyStore,
  configuredHistory,
  configuredJournal,
  createGateway,
  createLogger,
  DeadLetters,
  type Gateway,
  type GatewayConfig,
  type PreparedReload,
  gatewayMemory,
  configFiles,
  loadConfig,
  type RootLogger,
  settles,
} from "#gateway";
import type { OpenedCluster } from "#cluster";
import type { Monitor } from "#monitors";
import type { Telemetry } from "#telemetry";
import { openMonitor } from "../monitors.ts";
import { openedCluster, ownFolders } from "./cluster.ts";
import { catchUnexpected } from "./last-resort.ts";
import { functionBuilder } from "./function-builder.ts";
import { functionImages } from "./function-images.ts";
import { Images } from "./images.ts";
import { ManyMonitors } from "./many-monitors.ts";
import { Replays } from "./replays.ts";
import { configuredTelemetry } from "./telemetry.ts";
import { cliLimits } from "../limits.ts";

export interface ServingOptions {
  /** Path of mayfly.yaml. */
  readonly file: string;
  /** Overrides `http.port`; 0 takes a free one. */
  readonly port?: number | undefined;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Default: as `log:` says. */
  readonly logger?: RootLogger;
  /** True: the log is lines of JSON, whatever `log:` says. */
  readonly json?: boolean | undefined;
  /** Ends a start that is not over yet. */
  readonly ended?: Promise<unknown>;
}

export interface Serving {
  readonly gateway: Gateway;
  readonly logger: RootLogger;
  /** Images that are served now. */
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

/** Resolves once the monitor has closed, or has had its time. */
async function closed(monitor: Pick<Monitor, "close">, logger: RootLogger): Promise<void> {
  if (!(await settles(systemClock, cliLimits.monitorCloseMs, monitor.close())))
    logger.error({ code: "MF_STOP_INCOMPLETE" }, `the monitor did not close within ${cliLimits.monitorCloseMs} ms and is abandoned`);
}

function withPort(config: GatewayConfig, port: number | undefined): GatewayConfig {
  return port === undefined ? config : { ...config, http: { ...config.http, port } };
}

/** The files as they are now, by a hash: they are short. */
function secretsOf(files: readonly string[]): string {
  const hash = createHash("sha256");
  for (const file of files) {
    try {
      hash.update(readFileSync(file));
    } catch {
      hash.update("\0missing");
    }
    hash.update("\0");
  }
  return hash.digest("hex");
}

/** A configuration, and the secrets it was read with. */
interface Loaded {
  readonly config: GatewayConfig;
  readonly secrets: string;
}

async function load({ file, environment = process.env, port }: ServingOptions): Promise<Loaded> {
  const config = await ownFolders(withPort(await loadConfig(file, connectors, environment), port), environment);
  return { config, secrets: secretsOf(config.secretFiles) };
}

interface Parts extends Loaded {
  readonly monitor: Monitor;
  readonly monitors: ManyMonitors;
  readonly images: Images;
  readonly gateway: Gateway;
  readonly logger: RootLogger;
  readonly telemetry: Telemetry | undefined;
  readonly opened: OpenedCluster | undefined;
  /** Leaves the process's uncaught errors to others. */
  readonly letGo: () => void;
}

class TheServing implements Serving {
  readonly gateway: Gateway;
  readonly logger: RootLogger;
  readonly #options: ServingOptions;
  readonly #monitor: Monitor;
  readonly #monitors: ManyMonitors;
  readonly #images: Images;
  readonly #telemetry: Telemetry | undefined;
  readonly #letGo: () => void;
  readonly #opened: OpenedCluster | undefined;
  #config: GatewayConfig;
  /** Secrets of the served configuration, by a hash. */
  #secrets: string;
  #watch: NodeJS.Timeout | undefined;
  #reloads = 0;
  /** The end of the last of them. */
  #turn: Promise<void> = Promise.resolve();

  constructor(options: ServingOptions, { config, secrets, monitor, monitors, images, gateway, logger, telemetry, letGo, opened }: Parts) {
    this.#options = options;
    this.#config = config;
    this.#secrets = secrets;
    this.#monitor = monitor;
    this.#monitors = monitors;
    this.#images = images;
    this.#telemetry = telemetry;
    this.#letGo = letGo;
    this.#opened = opened;
    this.gateway = gateway;
    this.logger = logger;
  }

  get config(): GatewayConfig {
    return this.#config;
  }

  get inputs(): readonly string[] {
    const { file, environment } = this.#options;
    return [...configFiles(resolve(file), environment), ...this.#config.contractFiles, ...this.#images.inputs];
  }

  get url(): string {
    const { host, port } = this.gateway.address ?? this.#config.http;
    return `${this.#config.http.tls === undefined ? "http" : "https"}://${host.includes(":") ? `[${host}]` : host}:${port}`;
  }

  /** Reloads when a file that mayfly.yaml refers to has changed: a secret was replaced. While that fails it is tried again, and logged once. */
  watchSecrets(): void {
    let refused: string | undefined;
    this.#watch = setInterval(() => {
      if (this.#reloads > 0) return;
      const now = secretsOf(this.#config.secretFiles);
      if (now === this.#secrets) return;
      this.reload().then(
        () => this.logger.info({}, "reloaded: a file that mayfly.yaml refers to has changed"),
        (error: unknown) => {
          if (refused === now) return;
          refused = now;
          this.logger.error(
            { code: isCoded(error) ? error.code : undefined },
            `a file that mayfly.yaml refers to has changed, and the previous configuration keeps serving: ${error instanceof Error ? error.message : String(error)}`,
          );
        },
      );
    }, cliLimits.secretsMs).unref();
  }

  async reload(): Promise<void> {
    const prepared = await this.prepareReload();
    await prepared.commit();
  }

  /** Reads the configuration again, builds and checks. Rejects as `reload` does, and then all is as it was. */
  async prepareReload(): Promise<PreparedReload> {
    const images = this.#images;
    this.#reloads += 1;
    const before = this.#turn;
    let over!: () => void;
    this.#turn = new Promise((resolve) => (over = resolve));
    await before; // the images of two reloads are not told apart
    const { include, trust } = images;
    const end = (): void => {
      this.#reloads -= 1;
      over();
    };
    const abandoned = (): void => {
      images.abandon();
      Object.assign(images, { include, trust });
      end();
    };
    try {
      const { config, secrets } = await load(this.#options);
      images.include = config.build.include;
      images.trust = config.images.trust;
      const prepared = await this.gateway.prepareReload(config);
      const adopt = (): void => {
        this.#config = config;
        this.#secrets = secrets;
        images.settleAll();
        end();
      };
      return {
        revision: prepared.revision,
        commit: () => prepared.commit().finally(adopt),
        abandon: () => prepared.abandon().finally(abandoned),
      };
    } catch (error) {
      abandoned();
      throw error;
    }
  }

  async stop(): Promise<void> {
    const untilMs = systemClock.monotonicMs() + this.#config.drain;
    clearInterval(this.#watch);
    await this.gateway.stop();
    await this.#opened?.close();
    const leftMs = Math.max(untilMs - systemClock.monotonicMs(), cliLimits.telemetryFlushMs);
    await Promise.all([closed(this.#monitor, this.logger), closed(this.#monitors, this.logger), this.#telemetry?.stop(leftMs)]);
    this.#letGo();
  }
}

/** Starts serving. Rejects with a CodedError, MF_STOPPING when `ended` came first; then nothing runs. */
export async function startServing(options: ServingOptions): Promise<Serving> {
  const { config, secrets } = await load(options);
  const written =
    options.logger ??
    createLogger({ log: options.json === true ? { ...config.log, format: "json" } : config.log, terminal: process.stdout.isTTY === true });
  const telemetry = await configuredTelemetry(config, options.environment ?? process.env, written);
  const logger = telemetry?.logger ?? written;
  const memory = gatewayMemory(config.memory);
  const settings = { ...config, memory, log: (line: string) => logger.info({}, line) };
  const monitor = await openMonitor(config.monitor, settings);
  const monitors = new ManyMonitors(monitor, (name) => openMonitor(name, { ...settings, isolation: "flow" }));
  let served: TheServing | undefined;
  let history: ReturnType<typeof configuredHistory>;
  let opened: OpenedCluster | undefined;
  try {
    const { dir } = config.journal;
    const images = new Images({ base: config.base, journal: dir === undefined ? undefined : resolve(config.base, dir) }, monitor, logger);
    await images.open();
    images.include = config.build.include;
    images.trust = config.images.trust;
    const keepsCredentials = (flow: string): boolean => (served?.config ?? config).flows[flow]?.keepCredentials === true;
    opened = await openedCluster(config, {
      logger,
      memory,
      environment: options.environment ?? process.env,
      keepsCredentials,
      address: () => served?.url,
    });
    const deadLetters = opened?.deadLetters ?? new DeadLetters(resolve(config.base, config.deadLetters.dir), undefined, keepsCredentials);
    const journal = opened?.journal ?? configuredJournal(config, deadLetters, logger, memory.journal);
    history = configuredHistory(config, logger);
    const gateway = createGateway(config, {
      history,
      replay: new Replays({ file: options.file, config: () => served?.config ?? config, served: (flow) => images.served(flow), monitor }),
      runner: monitors,
      journal,
      deadLetters,
      cluster: opened?.cluster,
      clusterDesk: opened,
      // A body stored beside one node's journal is not there for the others.
      bodyStore: opened === undefined ? configuredBodyStore(config) : undefined,
      memory,
      connectors,
      logger,
      tracing: telemetry?.tracing,
      witnesses: telemetry?.witness === undefined ? [] : [telemetry.witness],
      exported: telemetry === undefined ? undefined : () => telemetry.counts,
      dashboard: fileURLToPath(new URL("../../dashboard/page/", import.meta.url)),
      images,
      functions: {
        images: functionImages(monitors),
        builder: functionBuilder(config.monitor),
        environment: options.environment ?? process.env,
      },
      loadFlow: (name, flow) => images.load(name, flow),
      loadAsleep: (sha256, flow) => images.loadAsleep(sha256, flow),
    });
    const letGo = catchUnexpected(gateway.unexpected);
    options.ended?.then(() => gateway.stop()).catch((error: unknown) => gateway.unexpected(error, "stopping"));
    await gateway.start().catch((error: unknown) => {
      letGo();
      throw error;
    });
    telemetry?.observe(() => gateway.measurements());
    images.sleepers = () => gateway.sleepers.byImage();
    images.settleAll();
    collectGarbage(); // of the builds
    const serving = (served = new TheServing(options, {
      config,
      secrets,
      monitors,
      monitor,
      images,
      gateway,
      opened,
      logger,
      telemetry,
      letGo,
    }));
    served.watchSecrets();
    await opened?.serveReloads(() => serving.prepareReload());
    return served;
  } catch (error) {
    await opened?.close();
    await Promise.all([closed(monitor, logger), closed(monitors, logger), history?.close(), telemetry?.stop(cliLimits.telemetryFlushMs)]);
    throw error;
  }
}
