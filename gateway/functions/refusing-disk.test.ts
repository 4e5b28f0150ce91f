/** Changes of functions on a disk that refuses: what was served is served again, and images that somebody sleeps in stay. */
import { deepEqual, equal, rejects } from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { connectors } from "#connectors";
import { type Disk, realDisk } from "../journal/log/disk.ts";
import { silentLogger } from "../logger.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { Functions } from "./functions.ts";
import type { FlowHost } from "./ports.ts";
import { onlyTenant, type Tenants } from "./tenants.ts";
import { fakeImages, hashOf, imageBytes } from "./testing/platform.ts";

let dir: string;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), "mayfly-refusing-"));
});
after(() => rm(dir, { recursive: true, force: true }));

const tenants: Tenants = onlyTenant({ memory: 2 ** 28, cpu: 1e4, time: 1e6, sends: 1e5, log: 1e6 });
const tenant = tenants.need("");

class World {
  /** Images that flows run now, by flow. */
  readonly running = new Map<string, string>();
  readonly loaded = new Map<string, number>();
  asleep: string[] = [];
  isFull = false;

  readonly host: FlowHost = {
    hasFlow: () => false,
    paths: () => [],
    keptBy: () => ({ state: 0, messages: 0, deadLetters: 0 }),
    asleepIn: () => this.asleep,
    start: async (flow, _config, { image }) => {
      this.running.set(flow, image.sha256);
      return { pending: 0, isIdle: true, figures: { received: 0, done: 0, dead: 0, cpuMs: 0 } };
    },
    replace: async (flow, _config, { image }) => void this.running.set(flow, image.sha256),
    end: async (flow) => void this.running.delete(flow),
  };

  open(): Promise<Functions> {
    const ports = {
      clock: new ManualClock(),
      host: this.host,
      images: fakeImages(this.loaded),
      connectors,
      base: dir,
      logger: silentLogger,
    };
    return Functions.open(dir, tenants, ports, (folder) => this.#disk(realDisk(folder)));
  }

  /** A disk without room for records once it is full. */
  #disk(disk: Disk): Disk {
    const full = Object.assign(new Error("no space"), { code: "ENOSPC" });
    return {
      ...disk,
      openSynced: async (name) => {
        const file = await disk.openSynced(name);
        const write = (bytes: Uint8Array, at: number): Promise<void> => (this.isFull ? Promise.reject(full) : file.write(bytes, at));
        return {
          name,
          write,
          sync: () => file.sync(),
          read: (into, at) => file.read(into, at),
          size: () => file.size(),
          truncate: (to) => file.truncate(to),
          isLinked: () => file.isLinked(),
          close: () => file.close(),
        };
      },
    };
  }
}

async function upload(functions: Functions, salt: number): Promise<string> {
  const bytes = imageBytes({ script: "any", salt });
  await functions.putImage(tenant, hashOf(bytes), bytes);
  return hashOf(bytes);
}

test("a deploy whose record can't be written is swapped back, also one that began a function", async () => {
  const world = new World();
  const functions = await world.open();
  const [one, two] = [await upload(functions, 1), await upload(functions, 2)];
  const changer = { tenant, name: "hello", by: "test", revision: undefined };
  const cron = 'from: [{ cron: { schedule: "0 0 * * *" } }]';
  await functions.deploy(changer, { image: one, fragment: cron, canary: undefined });
  deepEqual([...world.running], [["hello", one]]);
  world.isFull = true;
  await rejects(functions.deploy(changer, { image: two, fragment: cron, canary: undefined }), { code: "MF_FUNCTIONS_FULL" });
  await rejects(functions.deploy({ ...changer, name: "other" }, { image: two, fragment: cron, canary: undefined }), {
    code: "MF_FUNCTIONS_FULL",
  });
  await rejects(functions.remove(changer), { code: "MF_FUNCTIONS_FULL" });
  deepEqual([...world.running], [["hello", one]]);
  deepEqual([world.loaded.get(one), world.loaded.get(two)], [1, 0]);
  world.isFull = false;
  const { record } = await functions.deploy(changer, { image: two, fragment: cron, canary: undefined });
  deepEqual([record.live, [...world.running]], [2, [["hello", two]]]);
  await functions.close();
  const again = await world.open();
  deepEqual(
    again.deployed.list("").map(({ name, record: { live } }) => `${name} ${live}`),
    ["hello 2"],
  );
  await again.close();
});

test("an image that a machine sleeps in stays when its function is removed", async () => {
  const world = new World();
  const functions = await world.open();
  const images = [await upload(functions, 3), await upload(functions, 4)];
  for (const [index, image] of images.entries())
    await functions.deploy({ tenant, name: `f${index}`, by: "test", revision: undefined }, { image, fragment: "", canary: undefined });
  world.asleep = [images[0] as string];
  for (const index of images.keys()) await functions.remove({ tenant, name: `f${index}`, by: "test", revision: undefined });
  deepEqual(
    images.map((image) => existsSync(join(dir, "images", `${image}.mfi`))),
    [true, false],
  );
  equal((await functions.loadAsleep(images[0] as string, { tenant: "", name: "f0" })).image.sha256, images[0]);
  await functions.close();
});
