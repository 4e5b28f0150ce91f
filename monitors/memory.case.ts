/** Memory of waiting machines is counted and bounded by every monitor that has an account for it. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { memoryBudget } from "#base";
import { buildImage, type Image } from "#image";
import { deliver, effect, replyText, resolve } from "./monitor.case.ts";
import type { LoadedImage, Machine, Monitor, MonitorMemory } from "./monitor.ts";

const mib = 2 ** 20;

/** A budget of which waiting machines may have so much. */
export function memoryFor(waitingBytes: number): MonitorMemory {
  const all = memoryBudget(1024 * mib);
  return { waiting: all.part("waiting", waitingBytes / all.mostBytes), workers: all.part("workers") };
}

const holder = `import { flow } from "mayfly"; export default flow(async (msg, { to, log }) => {
  const held = new Uint8Array(1_000_000).fill(msg.bytes.length);
  log.info("begun");
  const first = await to.erp.request({ n: 1 });
  const second = await to.erp.request({ n: first.json().n + held[77] });
  return { sum: second.json().n + held[999_999], random: Math.random() };
});`;

/** Defines the suite for one monitor. */
export function memoryCase(title: string, make: (memory: MonitorMemory) => Monitor): void {
  describe(title, () => {
    let folder: string;
    let image: Image;
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), "mayfly-memory-"));
      await writeFile(join(folder, "holder.ts"), holder);
      ({ image } = await buildImage(join(folder, "holder.ts"), { check: false }));
    });
    after(() => rm(folder, { recursive: true, force: true }));

    async function withMonitor(memory: MonitorMemory, run: (monitor: Monitor, loaded: LoadedImage) => Promise<void>): Promise<void> {
      const monitor = make(memory);
      try {
        await run(monitor, await monitor.load(image));
      } finally {
        await monitor.close();
      }
    }

    test("what waiting machines hold is told, and given back when they end", async () => {
      const budget = memoryFor(512 * mib);
      await withMonitor(budget, async (monitor, loaded) => {
        const machines = Array.from({ length: 8 }, () => monitor.start(loaded, deliver({ body: "abc" })));
        await Promise.all(machines.map((machine) => machine.first));
        const { waiting, waitingBytes } = monitor.stats();
        equal(waiting, 8);
        ok(waitingBytes > 8 * 1_000_000 && waitingBytes < 8 * 2_000_000, String(waitingBytes));
        equal(budget.waiting.takenBytes, waitingBytes);
        for (const machine of machines.slice(4)) machine.end();
        for (const machine of machines.slice(0, 4)) {
          await machine.step(resolve(0, '{"n":1}'));
          equal((await machine.step(resolve(1, '{"n":5}'))).status, "done");
        }
        equal(monitor.stats().waiting, 0);
        equal(monitor.stats().waitingBytes, 0);
        equal(budget.waiting.takenBytes, 0);
      });
    });

    test("over its share machines are put off, the oldest first, and say the same as ever when their answers come", async () => {
      const said: string[][] = [];
      for (const share of [512 * mib, 3 * mib, 1]) {
        await withMonitor(memoryFor(share), async (monitor, loaded) => {
          const seed = new Uint8Array(32).fill(7);
          const machines: Machine[] = [];
          const lines: string[] = [];
          for (let n = 1; n <= 12; n++) {
            const machine = monitor.start(loaded, deliver({ body: "x".repeat(n), seed }));
            machines.push(machine);
            effect(await machine.first, "call");
            ok(monitor.stats().waitingBytes <= share, "the share holds");
          }
          equal(monitor.stats().waiting, 12, "a machine that was put off still waits");
          for (const [index, machine] of machines.entries()) {
            const second = await machine.step(resolve(0, `{"n":${index}}`));
            deepEqual(
              second.effects.map(({ kind }) => kind),
              ["call"],
              "what it said before is not said again",
            );
          }
          for (const [index, machine] of machines.entries()) lines.push(replyText(await machine.step(resolve(1, `{"n":${index}}`))));
          said.push(lines);
          deepEqual([monitor.stats().waiting, monitor.stats().waitingBytes], [0, 0]);
        });
      }
      deepEqual(said.slice(1), [said[0], said[0]]);
    });
  });
}
