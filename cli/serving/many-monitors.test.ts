/** Machines run in the monitor that their image was loaded for; a monitor that can't be opened is tried again. */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { DeliverEvent } from "#abi";
import { CodedError } from "#base";
import { buildImage, type Image } from "#image";
import { embeddedMonitor, processMonitor } from "#monitors";
import { ManyMonitors } from "./many-monitors.ts";

let folder: string;
let image: Image;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-monitors-"));
  await writeFile(join(folder, "hello.ts"), 'import { flow } from "mayfly";\nexport default flow((msg) => `hello ${msg.text()}`);\n');
  ({ image } = await buildImage(join(folder, "hello.ts"), { check: false }));
});
after(() => rm(folder, { recursive: true, force: true }));

const event: DeliverEvent = {
  kind: "deliver",
  id: "1",
  headersJson: "{}",
  source: "test",
  attempt: 1,
  timeMs: 0,
  seed: new Uint8Array(32),
  key: undefined,
  stateJson: undefined,
  body: new TextEncoder().encode("you"),
};

test("an image runs where it was loaded for, and the figures are those of all", {
  skip: process.platform !== "linux" && "needs Linux",
}, async () => {
  const main = embeddedMonitor({ workers: 1 });
  const names: string[] = [];
  let fails = true;
  const monitors = new ManyMonitors(main, async (name) => {
    names.push(name);
    if (fails) throw new CodedError("MF_TEST", "it can't be opened");
    return await processMonitor({ workers: 1 });
  });
  try {
    await rejects(monitors.load(image, "process"), { code: "MF_TEST" });
    fails = false;
    const [own, same, other] = [
      await monitors.load(image, undefined),
      await monitors.load(image, "embedded"),
      await monitors.load(image, "process"),
    ];
    equal(own, same);
    ok(own !== other);
    await monitors.load(image, "process");
    deepEqual(names, ["process", "process"], "it is opened once");
    for (const loaded of [own, other]) {
      const { status, effects } = await monitors.start(loaded, event).first;
      equal(status, "done");
      const done = effects.at(-1);
      equal(done?.kind === "done" && Buffer.from(done.reply?.body ?? "").toString(), "hello you");
    }
    ok(monitors.stats().workers > main.stats().workers, "a process of its own");
    monitors.unload(other);
  } finally {
    await monitors.close();
    await main.close();
  }
});
