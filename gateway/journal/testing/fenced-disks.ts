/** One simulated disk per partition, behind a fence: whoever opened it last may change it, and everybody before is refused for ever. */
import { prng } from "#base";
import type { Partition } from "../../contract/cluster.ts";
import type { Disk, DiskFile } from "../log/disk.ts";
import { partitionLost } from "../partitions/partitioned-journal.ts";
import { SimulatedDisk } from "./simulated-disk.ts";

interface Fenced {
  readonly disk: SimulatedDisk;
  writer: number;
  /** Changes under way. */
  readonly open: Set<Promise<unknown>>;
}

export class FencedDisks {
  readonly #disks = new Map<Partition, Fenced>();
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** The partition's disk; all that have it from before are deposed. A change of theirs that is under way comes before the fence. */
  async open(partition: Partition): Promise<Disk> {
    let fenced = this.#disks.get(partition);
    if (fenced === undefined) {
      fenced = { disk: new SimulatedDisk(prng(this.#seed + partition)), writer: 0, open: new Set() };
      this.#disks.set(partition, fenced);
    }
    const writer = ++fenced.writer;
    await Promise.allSettled(fenced.open);
    const { disk } = fenced;
    const mounted = disk.mount();
    const check = (): void => {
      if (fenced.writer !== writer) throw partitionLost(partition);
    };
    const guarded = <T>(call: () => Promise<T>): Promise<T> => {
      check();
      const change = call();
      fenced.open.add(change);
      return change.finally(() => fenced.open.delete(change));
    };
    /** A file that is missing may have been removed by another owner. */
    const read = <T>(call: () => Promise<T>): Promise<T> => call().finally(check);
    const file = (inner: DiskFile): DiskFile => ({
      ...inner,
      name: inner.name,
      write: async (bytes, at) => guarded(() => inner.write(bytes, at)),
      truncate: async (length) => guarded(() => inner.truncate(length)),
      read: (into, at) => read(() => inner.read(into, at)),
    });
    return {
      ...mounted,
      create: async (name) => guarded(async () => file(await mounted.create(name))),
      createSynced: async (name) => guarded(async () => file(await mounted.createSynced(name))),
      openSynced: async (name) => file(await read(() => mounted.openSynced(name))),
      open: async (name) => file(await read(() => mounted.open(name))),
      rename: async (from, to) => guarded(() => mounted.rename(from, to)),
      remove: async (name) => guarded(() => mounted.remove(name)),
    };
  }
}
