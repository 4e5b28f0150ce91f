/** The gateway's monitor, and others beside it for tenants whose functions run elsewhere: each is opened with the first image for it. */
import type { DeliverEvent, FlowLimits } from "#abi";
import type { ImageHandle, Runner, RunnerStats, RunningMachine } from "#gateway";
import type { Image } from "#image";
import type { LoadedImage, Life, Monitor } from "#monitors";

type Share = Parameters<Monitor["start"]>[3];

export class ManyMonitors implements Runner {
  readonly #main: Monitor;
  readonly #openOther: (name: string) => Promise<Monitor>;
  readonly #others = new Map<string, Promise<Monitor>>();
  readonly #opened: Monitor[] = [];
  readonly #owners = new WeakMap<object, Monitor>();

  /** `openOther`: rejects with a CodedError where the monitor can't be used on this computer. */
  constructor(main: Monitor, openOther: (name: string) => Promise<Monitor>) {
    this.#main = main;
    this.#openOther = openOther;
  }

  /** Opens a monitor; undefined: the gateway's own. Rejects with a CodedError, and is tried again the next time. */
  async monitor(name: string | undefined): Promise<Monitor> {
    if (name === undefined || name === this.#main.name) return this.#main;
    const known = this.#others.get(name);
    if (known !== undefined) return await known;
    const opening = this.#openOther(name);
    this.#others.set(name, opening);
    opening.then(
      (monitor) => this.#opened.push(monitor),
      () => this.#others.delete(name),
    );
    return await opening;
  }

  async load(image: Image, name: string | undefined): Promise<LoadedImage> {
    const monitor = await this.monitor(name);
    const loaded = await monitor.load(image);
    if (monitor !== this.#main) this.#owners.set(loaded, monitor);
    return loaded;
  }

  unload(image: ImageHandle): void {
    this.#ownerOf(image).unload(image as LoadedImage);
  }

  start(image: ImageHandle, event: DeliverEvent, limits?: FlowLimits, share?: Share): RunningMachine {
    return this.#ownerOf(image).start(image as LoadedImage, event, limits, share);
  }

  resume(image: ImageHandle, life: Life, limits?: FlowLimits, share?: Share): RunningMachine {
    return this.#ownerOf(image).resume(image as LoadedImage, life, limits, share);
  }

  stats(): RunnerStats {
    const sum = { queued: 0, running: 0, waiting: 0, workers: 0, replaced: 0, waitingBytes: 0 };
    for (const monitor of [this.#main, ...this.#opened]) {
      const stats = monitor.stats();
      for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += stats[name];
    }
    return sum;
  }

  /** Closes the others; the gateway's own is closed by whoever opened it. */
  async close(): Promise<void> {
    await Promise.all([...this.#others.values()].map(async (opening) => await (await opening.catch(() => undefined))?.close()));
  }

  #ownerOf(image: ImageHandle): Monitor {
    return this.#owners.get(image) ?? this.#main;
  }
}
