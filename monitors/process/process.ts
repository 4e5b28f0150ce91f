/**
 * The process monitor: machines in Linux processes, each of them one image as machine code under a seccomp filter of its own.
 * docs/PROCESS.md says what that keeps out. Needs x86-64 Linux and nothing else: no V8 runs a machine here.
 */
import { rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import type { DeliverEvent, FlowLimits } from "#abi";
import { CodedError, type MemoryAccount } from "#base";
import { type ExecutableSettings, type Image, kernelOf, linuxExecutable, linuxProgram } from "#image";
import { layout } from "#kernel";
import type { Share } from "../fair-queue.ts";
import type { Life, LoadedImage, Machine, Monitor, MonitorMemory, MonitorStats } from "../monitor.ts";
import { OwnedMachine } from "../machine.ts";
import { stepToStop } from "../make-way.ts";
import { priorityOf } from "../priority.ts";
import type { Child } from "./worker.ts";
import { makeFolder } from "./folder.ts";
import { processLimits } from "./limits.ts";
import { type Household, ImagePool } from "./pool.ts";
import { noBerth, startFaults } from "./wire.ts";

export interface ProcessOptions extends ExecutableSettings {
  /** Processes of one image under load; one for each core by default, two at least. One is started when an image is loaded. */
  readonly workers?: number;
  /** Processes of all images together; 64 by default. When there are as many, one that idles longest is ended for a new one. */
  readonly processes?: number;
  /** False runs every message in a process of its own, a new one: slower by what starting a process costs, and a machine that broke out of the engine meets nothing of another. True by default. */
  readonly reuse?: boolean;
  /** User id the processes run under when the monitor runs as root; 65534 (nobody) by default. Ignored otherwise. */
  readonly uid?: number;
  /** Where executables lie while the monitor is open: a folder of its own is made in it. The system's folder for temporary files by default. */
  readonly folder?: string;
  /** The memory waiting machines may hold; without it there is no bound. */
  readonly memory?: MonitorMemory;
}

interface ProcessImage extends LoadedImage {
  readonly pool: ImagePool;
  readonly limits: FlowLimits;
  users: number;
}

const nobody = 65_534;

export function platformFault(platform: string = process.platform, architecture: string = process.arch): CodedError | undefined {
  if (platform === "linux" && architecture === "x64") return undefined;
  return new CodedError(
    "MF_PLATFORM",
    `the process monitor runs only on x86-64 Linux, and this is ${architecture} ${platform}: use \`monitor: embedded\`, which runs everywhere`,
  );
}

class ProcessMonitor implements Monitor, Household {
  readonly name = "process";
  readonly workers: number;
  readonly reuse: boolean;
  readonly #processes: number;
  readonly #waiting: MemoryAccount | undefined;
  readonly #settings: ExecutableSettings;
  readonly #identity: { readonly uid?: number; readonly gid?: number };
  readonly #folder: string;
  readonly #images = new Map<string, ProcessImage>();
  readonly #pools = new Set<ImagePool>();
  readonly #ends = new Set<Promise<void>>();
  readonly #removeFolder = (): void => rmSync(this.#folder, { recursive: true, force: true });
  #nextFile = 0;
  #replaced = 0;
  #watchdog: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: ProcessOptions) {
    const {
      workers = Math.max(2, availableParallelism()),
      processes = 64,
      reuse = true,
      uid = nobody,
      folder = tmpdir(),
      memory,
      ...settings
    } = options;
    const fault = platformFault();
    if (fault !== undefined) throw fault;
    this.workers = workers;
    this.reuse = reuse;
    this.#waiting = memory?.waiting;
    this.#processes = Math.max(processes, 1);
    this.#settings = settings;
    this.#identity = process.getuid?.() === 0 ? { uid, gid: uid } : {};
    this.#folder = makeFolder(folder);
    process.once("exit", this.#removeFolder);
  }

  async load(image: Image): Promise<LoadedImage> {
    if (this.#closed) throw new CodedError("MF_MONITOR_CLOSED", "the monitor is closed: create a new one");
    const known = this.#images.get(image.sha256);
    if (known !== undefined) {
      known.users++;
      return known;
    }
    const settings = { ...this.#settings, kernel: kernelOf(image) };
    const { manifest } = image;
    const file = join(this.#folder, `${manifest.name.replace(/[^\w.-]/g, "_").slice(0, 64)}-${this.#nextFile++}`);
    writeFileSync(file, linuxExecutable(image, settings), { mode: 0o555 });
    const pool = new ImagePool(this, { command: file, values: [], ...this.#identity }, linuxProgram(settings));
    const loaded: ProcessImage = { sha256: image.sha256, name: manifest.name, pool, limits: manifest.limits, users: 1 };
    this.#images.set(image.sha256, loaded);
    this.#pools.add(pool);
    try {
      await this.#firstProcess(pool);
    } catch (error) {
      this.#images.delete(image.sha256);
      this.#dispose(pool, file);
      throw error;
    }
    pool.onEmpty = () => {
      if (loaded.users === 0) this.#dispose(pool, file);
    };
    return loaded;
  }

  /** Starts a process to see that the system lets one run. */
  async #firstProcess(pool: ImagePool): Promise<void> {
    const child = pool.start();
    if (child === undefined || (await child.ready) || this.#closed) return;
    const why =
      child.failure?.message ?? startFaults[child.exitCode ?? 0] ?? `it ended with ${child.exitSignal ?? `code ${child.exitCode}`}`;
    const who = this.#identity.uid === undefined ? "this user" : `user ${this.#identity.uid}`;
    throw new CodedError(
      "MF_PLATFORM",
      `a machine's process can't be started (${why}): ${who} must be able to run programs from ${this.#folder}, and the kernel must have seccomp; or use \`monitor: embedded\``,
      { cause: child.failure },
    );
  }

  unload(image: LoadedImage): void {
    const known = this.#images.get(image.sha256);
    if (known === undefined || known !== image || --known.users > 0) return;
    this.#images.delete(image.sha256);
    if (known.pool.machines.size === 0) known.pool.onEmpty?.();
  }

  #dispose(pool: ImagePool, file: string): void {
    this.#replaced += pool.replaced;
    pool.replaced = 0;
    this.#pools.delete(pool);
    pool.close();
    rmSync(file, { force: true });
  }

  start(image: LoadedImage, event: DeliverEvent, limits?: FlowLimits, share?: Share): Machine {
    return this.resume(image, { events: [event] }, limits, share);
  }

  resume(image: LoadedImage, { events }: Life, limits?: FlowLimits, share?: Share): Machine {
    const { pool, limits: own } = image as ProcessImage;
    pool.weight = share?.weight ?? 1;
    return new OwnedMachine(pool, [...events], { seat: { home: undefined, berth: noBerth, heldPages: 0 }, limits: limits ?? own });
  }

  room(asker: ImagePool): boolean {
    const all = [...this.#pools].flatMap((pool) => pool.children.map((child) => ({ pool, child })));
    if (all.length < this.#processes) return true;
    if (all.some(({ child }) => child.closed || (child.leaving && this.reuse))) return false; // there will be: `lost` feeds whoever waits
    const idle = all.filter(({ child }) => child.greeted && child.idle);
    const better = (a: Child, b: Child): boolean =>
      (a.machines.size === 0) === (b.machines.size === 0) ? a.lastUsedMs < b.lastUsedMs : a.machines.size === 0;
    const least = idle.reduce<(typeof idle)[number] | undefined>(
      (best, one) => (best === undefined || better(one.child, best.child) ? one : best),
      undefined,
    );
    if (least !== undefined) least.pool.retire(least.child);
    else if (asker.children.length === 0) {
      // All are at work: the image with the most processes gives one up once it has done what it was given.
      const largest = all.reduce((best, one) => (one.pool.children.length > best.pool.children.length ? one : best));
      largest.child.leaving = true;
    }
    return false;
  }

  roomForStopped(): boolean {
    let stopped = 0;
    for (const pool of this.#pools)
      for (const { outstanding } of pool.children) if (outstanding.some(({ job }) => job?.machine.stopped === true)) stopped++;
    return stopped < Math.max(1, this.#processes - 1);
  }

  /** While a flow starves, a long step of another makes way. */
  #makeWay(): void {
    const starving = [...this.#pools].filter(({ starves }) => starves);
    if (starving.length === 0) return;
    const all = [...this.#pools].flatMap((pool) => pool.children.map((child) => ({ child, places: pool.children.length })));
    if (all.length < this.#processes || all.some(({ child }) => child.closed)) return;
    const long = all
      .filter(({ child }) => child.slow && child.outstanding[0]?.job?.machine.stopped !== true)
      .map(({ child, places }) => ({ child, places, ranMs: performance.now() - child.watchedSinceMs }));
    stepToStop(long, Math.min(...starving.map(({ children }) => children.length)))?.child.makeWay();
  }

  held(bytes: number): void {
    if (bytes > 0) this.#waiting?.force(bytes);
    else this.#waiting?.give(-bytes);
  }

  evict(): void {
    if (this.#waiting === undefined || this.#waiting.roomBytes >= 0) return;
    for (const pool of this.#pools)
      for (const machine of pool.machines) {
        machine.evict();
        if (this.#waiting.roomBytes >= 0) return;
      }
  }

  wake(): void {
    this.#watchdog ??= setInterval(() => this.#watch(), processLimits.watchMs);
  }

  #watch(): void {
    let busy = false;
    const heaviest = Math.max(...[...this.#pools].map(({ weight }) => weight));
    for (const pool of this.#pools) {
      pool.watch(priorityOf(pool.weight, heaviest));
      busy ||= pool.busy;
    }
    this.#makeWay();
    if (busy) return;
    clearInterval(this.#watchdog);
    this.#watchdog = undefined;
  }

  born(child: Child): void {
    this.#ends.add(child.gone);
    void child.gone.then(() => this.#ends.delete(child.gone));
  }

  lost(): void {
    // One of them may have waited for room; those without any process first.
    for (const pool of [...this.#pools].sort((a, b) => a.children.length - b.children.length)) pool.feed();
  }

  stats(): MonitorStats {
    const stats = { queued: 0, running: 0, waiting: 0, workers: 0, replaced: this.#replaced, waitingBytes: 0 };
    for (const pool of this.#pools) {
      stats.queued += pool.queued;
      stats.waiting += pool.waiting;
      stats.replaced += pool.replaced;
      stats.workers += pool.children.length;
      for (const child of pool.children) {
        if (!child.idle) stats.running++;
        stats.waitingBytes += child.waitingPages * layout.pageBytes;
      }
    }
    return stats;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#watchdog);
    this.#watchdog = undefined;
    for (const pool of this.#pools) pool.close();
    await Promise.all(this.#ends);
    process.removeListener("exit", this.#removeFolder);
    this.#removeFolder();
  }
}

/** Makes a process monitor. Throws MF_PLATFORM when this is not x86-64 Linux. */
export function processMonitor(options: ProcessOptions = {}): Monitor {
  return new ProcessMonitor(options);
}
