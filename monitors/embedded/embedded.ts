/** The embedded monitor: machines in V8's WebAssembly VM, on worker threads. Needs nothing but Node. */
import { availableParallelism } from "node:os";
import type { DeliverEvent, Event, FlowLimits } from "#abi";
import { CodedError, memoryBudget } from "#base";
import { hasOwnKernel, type Image, kernelOf } from "#image";
import type { Kernel } from "#kernel";
import type { Share } from "../fair-queue.ts";
import type { Life, LoadedImage, Machine, Monitor, MonitorMemory, MonitorStats } from "../monitor.ts";
import { OwnedMachine } from "../machine.ts";
import { trackedKernel, type TrackedModules, trackedModules } from "./kernels.ts";
import { embeddedLimits } from "./limits.ts";
import { PageStore } from "./page-store.ts";
import { Pool, type PoolOptions } from "./pool.ts";
import type { StartThread } from "./worker.ts";
import type { TaughtImage } from "./worker-port.ts";
import { wasmPageBytes } from "./wire.ts";

export interface EmbeddedOptions {
  /** Worker threads; by default one for each core but the main thread's. More are added for a while when a step takes long. */
  readonly workers?: number;
  /**
   * Turns a worker waits awake, some 5 ns each, before it sleeps, while messages come close together; 0 sleeps at once. With more than 0
   * the main thread looks for answers for a moment too. A wake-up takes some 25 µs; by default it is avoided where there is a core for it.
   */
  readonly spin?: number;
  /** The memory it may hold; without it there is no bound. */
  readonly memory?: MonitorMemory;
  /** Takes a line when a worker ended by itself. */
  readonly log?: ((line: string) => void) | undefined;
  /** True: idle workers don't keep the process from its end, and images are loaded once a worker can run them. */
  readonly background?: boolean;
  /** For tests: starts another thread in a worker's place. */
  readonly startThread?: StartThread;
}

interface EmbeddedImage extends LoadedImage, TaughtImage {
  readonly pool: Pool;
  readonly limits: FlowLimits;
  /** Share of steps without a flow of their own. */
  readonly share: Share;
}

interface Owned {
  readonly limits: FlowLimits | undefined;
  readonly share: Share | undefined;
  readonly memory?: Life["memory"];
}

function unbounded(): MonitorMemory {
  const all = memoryBudget(Number.POSITIVE_INFINITY);
  return { waiting: all.part("waiting"), workers: all.part("workers") };
}

const cores = availableParallelism();

class EmbeddedMonitor implements Monitor {
  readonly name = "embedded";
  readonly #store = new PageStore();
  readonly #options: Omit<PoolOptions, "size" | "setup"> & { readonly setup: Omit<PoolOptions["setup"], keyof TrackedModules> };
  readonly #pool: Pool;
  readonly #pools: Pool[] = [];
  /** By the hash of their kernel: of images of older versions, in which machines sleep. */
  readonly #olderPools = new Map<string, Promise<Pool>>();
  #closed = false;
  readonly #images = new Map<string, EmbeddedImage & { users: number }>();
  #nextImage = 1;
  #nextMachine = 1;

  readonly #memory: MonitorMemory;

  constructor(options: EmbeddedOptions) {
    const { workers = Math.max(1, cores - 1), memory = unbounded(), background = false, log } = options;
    const { spin = cores > workers ? 10_000 : 0 } = options;
    this.#memory = memory;
    const keptBytes = Math.min(
      embeddedLimits.keptMostBytes,
      Math.max(embeddedLimits.keptLeastBytes, memory.workers.mostBytes / (2 * workers)),
    );
    const setup = {
      spin,
      keptPages: Math.floor(keptBytes / wasmPageBytes),
      waitingBytes: memory.waiting.mostBytes / 2, // workers keep machines before the main thread knows of them
    };
    this.#options = { setup, store: this.#store, memory, background, log, start: options.startThread };
    this.#pool = this.#newPool(workers, trackedModules());
  }

  #newPool(size: number, modules: TrackedModules): Pool {
    const pool = new Pool({ ...this.#options, size, setup: { ...this.#options.setup, ...modules } });
    this.#pools.push(pool);
    return pool;
  }

  async load(image: Image): Promise<EmbeddedImage> {
    const kernel = kernelOf(image);
    const pool = hasOwnKernel(image) ? this.#pool : await this.#olderPool(kernel);
    if (this.#options.background === true) await pool.started();
    const known = this.#images.get(image.sha256); // looked up after the wait: another load may have been first
    if (known !== undefined) {
      known.users++;
      return known;
    }
    const { manifest } = image;
    const loaded = {
      pool,
      sha256: image.sha256,
      name: manifest.name,
      slot: this.#nextImage++,
      table: this.#store.add(image),
      limits: manifest.limits,
      share: { name: manifest.name, weight: 1 },
      users: 1,
    };
    this.#images.set(image.sha256, loaded);
    return loaded;
  }

  /** One worker runs what is left of an older version. */
  #olderPool(kernel: Kernel): Promise<Pool> {
    const known = this.#olderPools.get(kernel.hash);
    if (known !== undefined) return known;
    if (this.#olderPools.size >= embeddedLimits.olderKernels)
      throw new CodedError(
        "MF_IMAGE_VERSION",
        `machines of ${embeddedLimits.olderKernels} older versions of Mayfly run already: restart the gateway once some of them have ended`,
      );
    const opened = trackedKernel(kernel).then((modules) => {
      if (this.#closed) throw new CodedError("MF_MONITOR_CLOSED", "the monitor is closed: create a new one");
      return this.#newPool(1, modules);
    });
    this.#olderPools.set(kernel.hash, opened);
    opened.catch(() => this.#olderPools.delete(kernel.hash));
    return opened;
  }

  unload(image: LoadedImage): void {
    const known = this.#images.get(image.sha256);
    if (known === undefined || --known.users > 0) return;
    // Its pages stay: machines of it may still run or be replayed, and what another image shares costs nothing.
    this.#images.delete(image.sha256);
  }

  start(image: LoadedImage, event: DeliverEvent, limits?: FlowLimits, share?: Share): Machine {
    return this.#owned(image as EmbeddedImage, [event], { limits, share });
  }

  resume(image: LoadedImage, { events, memory }: Life, limits?: FlowLimits, share?: Share): Machine {
    const known = memory === undefined || memory.events >= events.length ? undefined : memory;
    return this.#owned(image as EmbeddedImage, [...events], { limits, share, memory: known });
  }

  #owned(known: EmbeddedImage, events: Event[], { limits, share, memory }: Owned): Machine {
    const number = this.#nextMachine;
    this.#nextMachine = (number % 0x7fff_ffff) + 1;
    const line = known.pool.line(share ?? known.share);
    const seat = { number, image: known, line, home: undefined, replayMs: 0 };
    return new OwnedMachine(known.pool, events, { seat, limits: limits ?? known.limits, memory });
  }

  stats(): MonitorStats {
    const stats = { queued: 0, running: 0, waiting: 0, workers: 0, replaced: 0, waitingBytes: this.#memory.waiting.takenBytes };
    for (const { workers, queued, waiting, replaced } of this.#pools) {
      stats.queued += queued;
      stats.running += workers.filter((worker) => worker.outstanding.length > 0).length;
      stats.waiting += waiting;
      stats.workers += workers.length;
      stats.replaced += replaced;
    }
    return stats;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#olderPools.values());
    await Promise.all(this.#pools.map((pool) => pool.close()));
  }
}

/** Starts the monitor's threads. */
export function embeddedMonitor(options: EmbeddedOptions = {}): Monitor {
  return new EmbeddedMonitor(options);
}
