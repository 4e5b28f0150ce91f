/** Images that gateways serve or machines sleep in stay in the store, whoever builds; pins last over a restart, and go with their journal. */
import { deepEqual, equal } from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { cliLimits } from "../limits.ts";
import { cachedImage } from "./cache.ts";
import { Pins, pinnedImages } from "./pins.ts";
import { storeFolder } from "./store.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-pins-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const nameOf = (number: number): string => number.toString(16).padStart(64, "0");

test("what is pinned is never pruned, however old, whoever builds", async () => {
  await writeFile(join(folder, "mayfly.yaml"), "flows: {}\n");
  await writeFile(join(folder, "flow.ts"), 'import { flow } from "mayfly";\nexport default flow(() => "built");\n');
  const store = storeFolder(folder);
  await mkdir(store, { recursive: true });
  for (let number = 0; number < cliLimits.unusedImages + 3; number += 1) {
    const file = join(store, `${nameOf(number)}.mfi`);
    await writeFile(file, "image");
    await utimes(file, number, number);
  }
  await new Pins(store, undefined).add(nameOf(0));
  await cachedImage(join(folder, "flow.ts"));
  const left = new Set(await readdir(store));
  deepEqual(
    [0, 1, 2, 3].map((number) => left.has(`${nameOf(number)}.mfi`)),
    [true, false, false, true],
  );
});

test("pins last over a restart until they are settled; those of a journal that is gone do not count", async () => {
  const journal = join(folder, "journal");
  await mkdir(journal);
  await new Pins(folder, journal).add(nameOf(0xa));
  await new Pins(folder, join(folder, "other")).add(nameOf(0xf));
  const again = new Pins(folder, journal);
  await again.open();
  await again.add(nameOf(0xb));
  deepEqual([...(await pinnedImages(folder))].sort(), [nameOf(0xa), nameOf(0xb)]);
  await again.settle([nameOf(0xb), nameOf(0xc)]);
  deepEqual([...(await pinnedImages(folder))].sort(), [nameOf(0xb), nameOf(0xc)]);
  await again.settle([]);
  equal((await pinnedImages(folder)).size, 0);
  await writeFile(join(folder, `${"0".repeat(16)}.pins`), "not JSON"); // of a disk that was full
  equal((await pinnedImages(folder)).size, 0);
});

test("a hash that is being pinned is waited for by all who want it, and fails for all of them", async () => {
  const pins = new Pins(folder, undefined);
  await pins.add(nameOf(1));
  const first = pins.add(nameOf(2));
  await pins.add(nameOf(2));
  equal((await pinnedImages(folder)).has(nameOf(2)), true);
  await first;
  const away = new Pins(folder, undefined);
  await away.add(nameOf(3));
  await rm(folder, { recursive: true });
  const results = await Promise.allSettled([away.add(nameOf(4)), away.add(nameOf(4))]);
  deepEqual(
    results.map(({ status }) => status),
    ["rejected", "rejected"],
  );
});
