/** The embedded monitor: machines in V8's WebAssembly VM, on worker threads. Needs nothing but Node. */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { setFlagsFromString } from "node:v8";
import { brotliDecompressSync } from "node:zlib";
import type { DeliverEvent, Event, FlowLimits } from "#abi";
import { memoryBudget } from "#base";
import type { Image } from "#image";
import type { Share } from "../fair-queue.ts";
import { checkVersion } from "../image-version.ts";
import type { Life, LoadedImage, Machine, Monitor, MonitorMemory, MonitorStats } from "../monitor.ts";
import { OwnedMachine } from "../machine.ts";
import { embeddedLimits } from "./limits.ts";
import { PageStore } from "./page-store.ts";
import { Pool } from "./pool.ts";
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
  /** For tests: starts another thread in a worker's place. */
  readonly startThread?: StartThread;
}

interface EmbeddedImage extends LoadedImage, TaughtImage {
  readonly limits: FlowLimits;
  /** Share of steps without a flow of their own. */
  readonly share: Share;
}

interface Owned {
  readonly limits: FlowLimits | undefined;
  readonly share: Share | undefined;
  readonly memory?: Life["memory"];
}

let modules: { readonly engine: WebAssembly.Module; readonly native: WebAssembly.Module } | undefined;

/**
 * The write-tracking engine and natives, compiled once and shared by all threads. V8 11 (Node 20) can inline WebAssembly functions but
 * does so only when told; later versions do it by themselves. It takes a quarter off a step. What it compiles is always these two modules.
 */
export function trackedModules(): { readonly engine: WebAssembly.Module; readonly native: WebAssembly.Module } {
  if (modules === undefined && process.versions.v8.startsWith("11.")) setFlagsFromString("--wasm-inlining");
  const file = (name: string): Uint8Array<ArrayBuffer> => readFileSync(new URL(name, import.meta.url));
  modules ??= {
    engine: new WebAssembly.Module(brotliDecompressSync(file("./engine.wasm.br"))),
    native: new WebAssembly.Module(file("./native.wasm")),
  };
  return modules;
}

function unbounded(): MonitorMemory {
  const all = memoryBudget(Number.POSITIVE_INFINITY);
  return { waiting: all.part("waiting"), workers: all.part("workers") };
}

const cores = availableParallelism();

class EmbeddedMonitor implements Monitor {
  readonly name = "embedded";
  readonly #store = new PageStore();
  readonly #pool: Pool;
  readonly #images = new Map<string, EmbeddedImage & { users: number }>();
  #nextImage = 1;
  #nextMachine = 1;

  readonly #memory: MonitorMemory;

  constructor(options: EmbeddedOptions) {
    const { workers = Math.max(1, cores - 1), memory = unbounded(), log } = options;
    const { spin = cores > workers ? 10_000 : 0 } = options;
    this.#memory = memory;
    const keptBytes = Math.min(
      embeddedLimits.keptMostBytes,
      Math.max(embeddedLimits.keptLeastBytes, memory.workers.mostBytes / (2 * workers)),
    );
    const setup = {
      ...trackedModules(),
      spin,
      keptPages: Math.floor(keptBytes / wasmPageBytes),
      waitingBytes: memory.waiting.mostBytes / 2, // workers keep machines before the main thread knows of them
    };
    this.#pool = new Pool({ size: workers, setup, store: this.#store, memory, log, start: options.startThread });
  }

  async load(image: Image): Promise<EmbeddedImage> {
    const known = this.#images.get(image.sha256);
    if (known !== undefined) {
      known.users++;
      return known;
    }
    checkVersion(image);
    const { manifest } = image;
    const loaded = {
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
    const line = this.#pool.line(share ?? known.share);
    const seat = { number, image: known, line, home: undefined, replayMs: 0 };
    return new OwnedMachine(this.#pool, events, { seat, limits: limits ?? known.limits, memory });
  }

  stats(): MonitorStats {
    const { workers, queued, waiting, replaced } = this.#pool;
    const running = workers.filter((worker) => worker.outstanding.length > 0).length;
    return { queued, running, waiting, workers: workers.length, replaced, waitingBytes: this.#memory.waiting.takenBytes };
  }

  close(): Promise<void> {
    return this.#pool.close();
  }
}

/** Starts the monitor's threads. */
export function embeddedMonitor(options: EmbeddedOptions = {}): Monitor {
  return new EmbeddedMonitor(options);
}
