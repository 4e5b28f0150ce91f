/** The QEMU monitor: machines in virtual machines of their flow's or their own, without an operating system in them. */
import { availableParallelism } from "node:os";
import type { DeliverEvent, FlowLimits } from "#abi";
import { assert } from "#base";
import { type Image, kernelOf, type PvhSettings, writePvh } from "#image";
import type { Share } from "../fair-queue.ts";
import { OwnedMachine } from "../machine.ts";
import type { Life, LoadedImage, Machine, Monitor, MonitorMemory, MonitorStats } from "../monitor.ts";
import { namelessFile } from "./elf-file.ts";
import { QemuImage } from "./image.ts";
import { qemuLimits } from "./limits.ts";
import { Fleet } from "./pool.ts";
import { type Probed, probeQemu } from "./probe.ts";
import type { Vm } from "./vm.ts";

export interface QemuOptions {
  /** `flow` (the default): one virtual machine takes message after message, each pristine. `message`: each message gets its own. */
  readonly isolation?: "flow" | "message";
  /** Virtual machines of one flow at most; by default one for each core, two at least, or as many as there may be with isolation `message`. */
  readonly perFlow?: number;
  /** Virtual machines at most, over all flows; 16 by default. */
  readonly most?: number;
  /** Booted virtual machines of a flow that stand by, with isolation per message; 1 by default. */
  readonly standby?: number;
  /** How many times limits.cpuMs a step may take: 1 with KVM, 10 with TCG, which emulates the processor. */
  readonly cpuFactor?: number;
  /** Memory of one virtual machine for machines that wait in it, in bytes; 64 MiB by default. */
  readonly parkedBytes?: number;
  /** Wall time a step may take without using any CPU, in milliseconds: its virtual machine sleeps and won't answer. 30 s by default. */
  readonly hangMs?: number;
  /** Takes a line now and then: the accelerator, virtual machines that ended. */
  readonly log?: (line: string) => void;
  readonly pvh?: PvhSettings;
  /** The memory waiting machines may hold, over all flows; without it there is no bound but `parkedBytes`. */
  readonly memory?: MonitorMemory;
}

/** Under TCG a compiled step takes some ten times as long as on the processor itself. */
const tcgFactor = 10;

class QemuMonitor implements Monitor {
  readonly name = "qemu";
  readonly #options: QemuOptions;
  readonly #images = new Map<string, Promise<QemuImage>>();
  readonly #started: Promise<Fleet>;
  #fleet: Fleet | undefined;
  #closed = false;
  readonly #loaded = new Set<QemuImage>();
  readonly #disposals = new Set<Promise<void>>();

  constructor(options: QemuOptions) {
    this.#options = options;
    this.#started = this.#start();
    this.#started.catch(() => undefined); // `load` tells
  }

  async #start(): Promise<Fleet> {
    const probed = await probeQemu();
    const { isolation = "flow", most = 16, standby = 1, log = () => undefined } = this.#options;
    const perFlow = this.#options.perFlow ?? (isolation === "flow" ? Math.max(2, availableParallelism()) : most);
    log(probed.reason);
    const cpuFactor = this.#options.cpuFactor ?? factorOf(probed);
    const hangMs = this.#options.hangMs ?? qemuLimits.hangMs;
    const parkedBytes = this.#options.parkedBytes ?? qemuLimits.parkedBytes;
    this.#fleet = new Fleet(probed, {
      isolation,
      perFlow,
      most,
      standby,
      cpuFactor,
      parkedBytes,
      hangMs,
      waiting: this.#options.memory?.waiting,
      log,
    });
    return this.#fleet;
  }

  async load(image: Image): Promise<QemuImage> {
    const { sha256 } = image;
    const known = this.#images.get(sha256);
    if (known !== undefined) {
      const loaded = await known;
      loaded.users++;
      return loaded;
    }
    kernelOf(image); // refuses it at once
    const loading = this.#write(image);
    this.#images.set(sha256, loading);
    loading.catch(() => this.#images.delete(sha256));
    return loading;
  }

  async #write(image: Image): Promise<QemuImage> {
    await this.#started;
    const loaded = new QemuImage(image, await namelessFile(writePvh(image, this.#options.pvh)), (unused) => this.#dispose(unused));
    this.#loaded.add(loaded);
    return loaded;
  }

  /** Its virtual machines end, then its file is closed. */
  #dispose(image: QemuImage): void {
    if (this.#closed || !this.#loaded.delete(image)) return;
    const disposal = (this.#fleet?.dispose(image.elf.fd) ?? Promise.resolve()).then(() => image.elf.close());
    this.#disposals.add(disposal);
    void disposal.finally(() => this.#disposals.delete(disposal));
  }

  unload(image: LoadedImage): void {
    const known = image as QemuImage;
    if (known.users === 0 || --known.users > 0) return;
    this.#images.delete(known.sha256);
    known.settle();
  }

  start(image: LoadedImage, event: DeliverEvent, limits?: FlowLimits, share?: Share): Machine {
    return this.resume(image, { events: [event] }, limits, share);
  }

  resume(image: LoadedImage, { events }: Life, limits?: FlowLimits, share?: Share): Machine {
    const known = image as QemuImage;
    assert(this.#fleet !== undefined, "an image was loaded, so the fleet is there");
    known.retain();
    const seat = { image: known, weight: share?.weight ?? 1, home: undefined, slot: -1 };
    return new OwnedMachine(this.#fleet, [...events], { seat, limits: limits ?? known.limits });
  }

  stats(): MonitorStats {
    const figures = this.#fleet?.figures ?? { queued: 0, running: 0, waiting: 0, workers: 0, waitingBytes: 0 };
    return { ...figures, replaced: this.#fleet?.replaced ?? 0 };
  }

  /** The virtual machines alive, for tests and measurements. */
  get vms(): readonly Vm[] {
    return this.#fleet?.vms ?? [];
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#started.catch(() => undefined);
    await this.#fleet?.close();
    await Promise.all(this.#disposals);
    await Promise.all([...this.#loaded].map(({ elf }) => elf.close()));
  }
}

function factorOf({ accelerator }: Probed): number {
  return accelerator === "kvm" ? 1 : tcgFactor;
}

/** Looks for QEMU and for what accelerates it; `load` rejects with MF_QEMU_MISSING or MF_QEMU_FAILED when that fails. */
export function qemuMonitor(options: QemuOptions = {}): Monitor {
  return new QemuMonitor(options);
}

/** The same, with its virtual machines in view. */
export function qemuMonitorForTest(options: QemuOptions = {}): Monitor & { readonly vms: readonly Vm[] } {
  return new QemuMonitor(options);
}
