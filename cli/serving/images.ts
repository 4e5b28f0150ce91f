/** Images by flow: built or read when asked for, put back where somebody said so, unloaded when no flow uses them any more. */
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { CodedError, isCoded, systemClock } from "#base";
import type { FlowConfig, FlowImage, ImageKeeper, RootLogger, StoredImage } from "#gateway";
import { hasOwnKernel, type Image, loadImage, memoryShortage, readImage, StackMapper } from "#image";
import type { LoadedImage, Monitor } from "#monitors";
import { cachedImage } from "../images/cache.ts";
import { Pins } from "../images/pins.ts";
import { ociScheme, pulledImage, trustedKeys } from "../images/pulled.ts";
import { type Rollback, Rollbacks } from "../images/rollbacks.ts";
import { flowOf, getImage, keepImage, keepKernel, listImages, namedImage, storeFolder, used } from "../images/store.ts";

/** Images as a flow uses them: its own, and the new one beside it. */
interface UsedImages {
  readonly loaded: LoadedImage[];
  /** Where its own lies; undefined if it could not be kept. */
  file: string | undefined;
  /** Files they are made of. */
  readonly inputs: string[];
}

interface FoundImage {
  readonly image: Image;
  readonly inputs: readonly string[];
  /** Where it lies; undefined when it could not be kept. */
  readonly file: string | undefined;
  /** The flow's source; undefined when nothing is known of it. */
  readonly source: string | undefined;
}

/** The source map of the image at `file`, unless another was built there since. In memory it would be the largest part of an idle flow. */
function readSourceMap(file: string | undefined, sha256: string): Uint8Array | undefined {
  const image = file === undefined ? undefined : readImage(readFileSync(file));
  return image?.sha256 === sha256 ? image.sourceMap : undefined;
}

/** The image's file: `image:` names it by its path or, as `sha256:DIGITS`, among those that were built here. */
async function imagePath(base: string, image: string): Promise<string> {
  if (!image.startsWith("sha256:")) return resolve(base, image);
  const file = await namedImage(base, image.slice("sha256:".length));
  await used(file);
  return file;
}

const short = (sha256: string): string => `sha256:${sha256.slice(0, 12)}`;

export class Images implements ImageKeeper {
  /** Folders that builds may read, and keys that images of a registry are trusted by, as the newest configuration says. */
  include: readonly string[] = [];
  trust: readonly string[] = [];
  readonly #base: string;
  readonly #monitor: Monitor;
  readonly #logger: RootLogger;
  readonly #rollbacks: Rollbacks;
  /** Images in use by the flows of the newest configuration. */
  #current = new Map<string, UsedImages>();
  #next = new Map<string, UsedImages>();
  /** Images that machines sleep in and that no flow meets any more: loaded while the gateway runs. */
  readonly #asleep = new Map<string, Promise<FlowImage>>();
  readonly #pins: Pins;
  /** Images that are in the store and pinned, as far as this process has seen to it. */
  #kept = new Set<string>();
  #hasKernel = false;
  #isReadOnly = false;
  /** Machines asleep, by the hash of their image. Unknown before the journal was read. */
  sleepers: (() => ReadonlyMap<string, number>) | undefined;
  /** The hash each flow was given last. */
  readonly #given = new Map<string, string>();

  /** `base`: the folder of mayfly.yaml. `journal`: that of the journal, absolute; undefined for one in memory. */
  constructor({ base, journal }: { readonly base: string; readonly journal: string | undefined }, monitor: Monitor, logger: RootLogger) {
    this.#base = base;
    this.#pins = new Pins(storeFolder(base), journal);
    this.#monitor = monitor;
    this.#logger = logger;
    this.#rollbacks = new Rollbacks(base);
  }

  /** Before the first load. */
  async open(): Promise<void> {
    await this.#rollbacks.read();
    await this.#pins.open();
  }

  /** Every file the flows are made of, absolute. */
  get inputs(): string[] {
    return [...new Set([...this.#current.values()].flatMap(({ inputs }) => inputs))];
  }

  async load(name: string, config: FlowConfig): Promise<FlowImage> {
    const inUse: UsedImages = { loaded: [], inputs: [], file: undefined };
    this.#next.set(name, inUse);
    const found = await this.#chosen(name, config);
    const own = await this.#use(name, config, found, inUse);
    this.#given.set(name, found.image.sha256);
    inUse.file = found.file;
    if (config.canary === undefined) return own;
    const { new: path } = config.canary;
    const isBuilt = path.startsWith("sha256:") || path.startsWith(ociScheme) || path.endsWith(".mfi");
    const canary = await this.#find(name, isBuilt ? { image: path, flow: undefined } : { image: undefined, flow: path });
    return { ...own, canary: await this.#use(name, config, canary, inUse) };
  }

  /** The newest configuration is served: what the one before it used goes. Every load counts, so every one is undone once. */
  settleAll(): void {
    for (const { loaded } of this.#current.values()) this.#unload(loaded);
    this.#current = this.#next;
    this.#next = new Map();
    this.#settlePins();
  }

  /** The newest configuration was refused. */
  abandon(): void {
    for (const { loaded } of this.#next.values()) this.#unload(loaded);
    this.#next = new Map();
  }

  settle(flow: string, taken: boolean): void {
    const next = this.#next.get(flow);
    if (next === undefined) return;
    this.#next.delete(flow);
    this.#unload((taken ? this.#current.get(flow) : next)?.loaded ?? []);
    if (taken) this.#current.set(flow, next);
    this.#settlePins();
  }

  /** The image that machines sleep in, whatever is deployed. Rejects with MF_SLEEPER_IMAGE, MF_IMAGE_VERSION or MF_IMAGE_CORRUPT. */
  async loadAsleep(sha256: string, flow: string): Promise<FlowImage> {
    const known = this.#asleep.get(sha256);
    if (known !== undefined) return await known;
    const loading = this.#loadAsleep(sha256, flow);
    this.#asleep.set(sha256, loading);
    loading.catch(() => this.#asleep.delete(sha256)); // it may be put back
    return await loading;
  }

  async #loadAsleep(sha256: string, flow: string): Promise<FlowImage> {
    const folder = storeFolder(this.#base);
    let found: Awaited<ReturnType<typeof getImage>>;
    try {
      found = await getImage(folder, sha256);
    } catch (cause) {
      if (!isCoded(cause) || cause.code !== "MF_IMAGE_NOT_FOUND") throw cause;
      const text = `the image ${short(sha256)}, in which machines of ${flow} sleep, is not in ${folder}: put ${sha256}.mfi back there, or begin them again with \`mayfly sleepers migrate\``;
      throw new CodedError("MF_SLEEPER_IMAGE", text, { cause });
    }
    const { image, file } = found;
    if (image.sha256 !== sha256)
      throw new CodedError("MF_IMAGE_CORRUPT", `${file} is not the image that its name says: put the right one there`);
    const loaded = await this.#monitor.load(image);
    const places = this.#places(image, file, await flowOf(this.#base, sha256));
    return {
      image: loaded,
      outlets: image.manifest.outlets ?? undefined,
      limits: image.manifest.limits,
      reads: image.manifest.reads,
      places,
    };
  }

  #places({ manifest, sha256 }: Image, file: string | undefined, source: string | undefined): StackMapper {
    const folder = source === undefined ? undefined : dirname(source);
    return new StackMapper(() => readSourceMap(file, sha256), folder, `${manifest.name}.js`);
  }

  /** An image stays as long as it is served or somebody sleeps in it. */
  #settlePins(): void {
    if (this.sleepers === undefined) return;
    const served = [...this.#current.values(), ...this.#next.values()].flatMap(({ loaded }) => loaded.map(({ sha256 }) => sha256));
    const pinned = new Set([...served, ...this.sleepers().keys()]);
    for (const each of this.#kept) if (!pinned.has(each)) this.#kept.delete(each);
    this.#pins.settle(pinned).catch((error: unknown) => this.#unpinned(error));
  }

  /** Said once: it is so for every image. */
  #unpinned(error: unknown): void {
    if (this.#isReadOnly) return;
    this.#isReadOnly = true;
    this.#logger.warn(
      {},
      `the store of images can't be written to: an image that machines sleep in may be lost with the next build: ${String(error)}`,
    );
  }

  /** Before a machine may fall asleep in it: it is in the store, and stays. */
  async #keep(image: Image): Promise<void> {
    if (this.#kept.has(image.sha256)) return;
    try {
      await keepImage(storeFolder(this.#base), image);
      if (hasOwnKernel(image)) await this.#keepKernel();
      await this.#pins.add(image.sha256);
      this.#kept.add(image.sha256);
    } catch (error) {
      this.#unpinned(error);
    }
  }

  async #keepKernel(): Promise<void> {
    if (this.#hasKernel) return;
    await keepKernel(storeFolder(this.#base));
    this.#hasKernel = true;
  }

  /** The image that the flow is served from, read again; undefined where it was not kept. */
  async served(name: string): Promise<Image | undefined> {
    const { file, loaded } = this.#current.get(name) ?? {};
    const image = file === undefined ? undefined : await loadImage(file).catch(() => undefined);
    return image?.sha256 === loaded?.[0]?.sha256 ? image : undefined;
  }

  list(): Promise<readonly StoredImage[]> {
    return listImages(storeFolder(this.#base));
  }

  pinned(flow: string): string | undefined {
    return this.#rollbacks.of(flow)?.image;
  }

  async pin(flow: string, image: string | undefined): Promise<string | undefined> {
    if (image === undefined) {
      if (this.pinned(flow) !== undefined) this.#logger.warn({ flow }, "the rollback is undone: the flow runs what its source is built to");
      await this.#rollbacks.put(flow, undefined);
      return undefined;
    }
    const running = this.#given.get(flow) ?? "";
    const rollback = await this.#rollbacks.set(flow, image, { running, at: systemClock.now() });
    this.#logger.warn({ flow, by: rollback.by }, `rollback: the flow runs ${short(rollback.image)} instead of ${short(running)}`);
    return rollback.image;
  }

  #unload(loaded: readonly LoadedImage[]): void {
    for (const each of loaded) this.#monitor.unload(each);
  }

  /** The image of the configuration, unless the flow was put back and nothing was deployed since. */
  async #chosen(name: string, config: FlowConfig): Promise<FoundImage> {
    const rollback = this.#rollbacks.of(name);
    if (rollback === undefined) return await this.#find(name, config);
    const own = await this.#find(name, config).catch((error: unknown): undefined => {
      this.#logger.warn(
        { flow: name },
        `the source can't be built; the flow runs ${short(rollback.image)}, to which it was put back: ${String(error)}`,
      );
    });
    if (own !== undefined && own.image.sha256 !== rollback.replaces && own.image.sha256 !== rollback.image) {
      await this.#rollbacks.put(name, undefined);
      this.#logger.warn({ flow: name }, `a new deploy, ${short(own.image.sha256)}: it ends the rollback to ${short(rollback.image)}`);
      return own;
    }
    return await this.#putBack(name, rollback, own);
  }

  async #putBack(name: string, rollback: Rollback, own: FoundImage | undefined): Promise<FoundImage> {
    try {
      const found = await this.#find(name, { image: `sha256:${rollback.image}`, flow: undefined });
      const at = new Date(rollback.at).toISOString();
      this.#logger.warn(
        { flow: name, by: rollback.by, at },
        `the flow runs ${short(rollback.image)}, to which it was put back; \`mayfly rollback ${name} --undo\` ends that`,
      );
      return { ...found, inputs: [...found.inputs, ...(own?.inputs ?? [])] };
    } catch (error) {
      if (own === undefined || !isCoded(error) || error.code !== "MF_IMAGE_NOT_FOUND") throw error;
      this.#logger.error(
        { flow: name, code: error.code },
        `the image the flow was put back to is gone; it runs ${short(own.image.sha256)}: ${error.message}`,
      );
      return own;
    }
  }

  async #find(name: string, { image: given, flow }: Pick<FlowConfig, "image" | "flow">): Promise<FoundImage> {
    if (given?.startsWith(ociScheme) === true) return await this.#pulled(name, given.slice(ociScheme.length));
    if (given !== undefined) {
      const file = await imagePath(this.#base, given);
      const image = await loadImage(file);
      return { image, inputs: [file], file, source: await flowOf(this.#base, image.sha256) };
    }
    const source = resolve(this.#base, flow ?? "");
    const { image, inputs, file, buildMs } = await cachedImage(source, { name, include: this.include });
    if (buildMs !== undefined) this.#logger.info({ flow: name, sha256: image.sha256.slice(0, 12), ms: Math.round(buildMs) }, "built");
    return { image, inputs, file, source };
  }

  async #pulled(name: string, reference: string): Promise<FoundImage> {
    const options = { folder: storeFolder(this.#base), trust: await trustedKeys(this.trust), env: process.env };
    const { image, digest, file, signedBy, fetched } = await pulledImage(reference, options, (error) =>
      this.#logger.warn({ flow: name, code: error.code }, `${reference} is served as it was pulled before: ${error.message}`),
    );
    if (fetched) this.#logger.info({ flow: name, digest, sha256: image.sha256.slice(0, 12), signedBy }, `pulled from ${reference}`);
    return { image, inputs: [], file, source: undefined };
  }

  async #use(name: string, config: FlowConfig, { image, inputs, file, source }: FoundImage, inUse: UsedImages): Promise<FlowImage> {
    const { manifest } = image;
    const shortage = memoryShortage(manifest, config.limits.memory ?? manifest.limits.memoryBytes);
    if (shortage !== undefined) throw new CodedError("MF_IMAGE_MEMORY", `the flow ${name}: ${shortage}`);
    await this.#keep(image);
    const loaded = await this.#monitor.load(image);
    inUse.loaded.push(loaded);
    inUse.inputs.push(...inputs);
    return {
      image: loaded,
      outlets: manifest.outlets ?? undefined,
      limits: manifest.limits,
      reads: manifest.reads,
      places: this.#places(image, file, source),
    };
  }
}
