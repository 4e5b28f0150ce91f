/** A flow of endless loops takes every place there is: others are answered all the same, by every monitor that runs machines in processes. */
import { deepEqual, equal } from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { FlowLimits } from "#abi";
import { buildImage, type Image } from "#image";
import { deliver, effect, replyText, resolve } from "./monitor.case.ts";
import type { Machine, Monitor } from "./monitor.ts";

const limits: FlowLimits = { memoryBytes: 16 * 2 ** 20, cpuMs: 60_000, timeMs: 600_000, sends: 1, logBytes: 1000 };

const sources = {
  hostile: `import { flow } from "mayfly"; export default flow(async (msg, { to }) => {
    const first = msg.text() === "ask" ? (await to.erp.request(1)).text() : "";
    const endless = msg.text() === "endless";
    for (let n = 0; n < 2e6; n++) if (endless) n = 0;
    return first + Math.random();
  });`,
  quiet: `import { flow } from "mayfly"; export default flow((msg) => "quiet " + msg.text());`,
};

/** Defines the suite for one monitor; `make` gives one with two places for machines over all flows. */
export function fairnessCase(title: string, make: () => Monitor, options: { readonly skip?: string } = {}): void {
  describe(title, options, () => {
    let folder: string;
    const images: Partial<Record<keyof typeof sources, Image>> = {};
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), "mayfly-fairness-"));
      for (const [name, text] of Object.entries(sources)) {
        await writeFile(join(folder, `${name}.ts`), text);
        images[name as keyof typeof sources] = (await buildImage(join(folder, `${name}.ts`), { check: false })).image;
      }
    });
    after(() => rm(folder, { recursive: true, force: true }));

    test("while a flow has every place, others are answered, again and again; its steps are run again and nothing is held against them", async () => {
      const monitor = make();
      try {
        const hostile = await monitor.load(images.hostile as Image);
        const quiet = await monitor.load(images.quiet as Image);
        const ended = new Set<Machine>();
        const loops = Array.from({ length: 3 }, () => monitor.start(hostile, deliver({ body: "endless" }), limits));
        for (const machine of loops) void machine.first.then(() => ended.add(machine));
        for (let n = 0; n < 5; n++) equal(replyText(await monitor.start(quiet, deliver({ body: String(n) }), limits).first), `quiet ${n}`);
        equal(ended.size, 0, "none of the loops was given up for that");
        equal(monitor.stats().replaced, 0, "what makes way is not counted as broken");
        for (const machine of loops) machine.end();
      } finally {
        await monitor.close();
      }
    });

    test("a long step that made way says what it would have said, also one of a machine that had waited", async () => {
      const said: string[][] = [];
      for (const disturbed of [false, true]) {
        const monitor = make();
        try {
          const hostile = await monitor.load(images.hostile as Image);
          const quiet = await monitor.load(images.quiet as Image);
          const seed = new Uint8Array(32).fill(9);
          const machines = ["ask", "long", "long"].map((body) => monitor.start(hostile, deliver({ body, seed }), limits));
          effect(await (machines[0] as Machine).first, "call");
          const outcomes = [(machines[0] as Machine).step(resolve(0, "b")), ...machines.slice(1).map(({ first }) => first)];
          if (disturbed) for (let n = 0; n < 3; n++) await monitor.start(quiet, deliver({ body: "a" }), limits).first;
          said.push((await Promise.all(outcomes)).map(replyText));
        } finally {
          await monitor.close();
        }
      }
      deepEqual(said[1], said[0]);
    });
  });
}
