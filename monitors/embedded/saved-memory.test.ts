/** A waiting machine's memory outside its process: the same machine again, and nothing else is taken for one. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { deflateRawSync } from "node:zlib";
import fc from "fast-check";
import type { DoneEffect, Event } from "#abi";
import { buildImage } from "#image";
import { buildCaseImages, deliver } from "../monitor.case.ts";
import type { LoadedImage } from "../monitor.ts";
import { embeddedMonitor } from "./embedded.ts";
import { embeddedLimits } from "./limits.ts";
import { encodeMemory, packMemory, readMemory, unpackMemory } from "./saved-memory.ts";
import type { EmbeddedMachine } from "./worker.ts";

const monitor = embeddedMonitor({ workers: 1 });
let image: LoadedImage;
before(async () => {
  const found = (await buildCaseImages()).get("sleeper");
  ok(found !== undefined);
  image = await monitor.load(found);
});
after(() => monitor.close());

test("a machine goes on from its memory alone: the events before it are not given again", async () => {
  const first = deliver();
  const machine = monitor.start(image, first);
  await machine.first;
  const saved = await machine.save();
  machine.end();
  ok(saved !== undefined);
  const memory = unpackMemory(saved);
  ok(memory !== undefined);
  const { pages, pageNumbers } = memory;
  ok(saved.length * 4 < pages.length, `${saved.length} bytes of ${pages.length}: most of a page is as in the image`);
  for (const [index, page] of pageNumbers.entries())
    ok(
      pages.subarray(index * 4096, (index + 1) * 4096).some((byte) => byte !== 0),
      `page ${page} is as in the image`,
    );
  const wake: Event = { kind: "wake", timeMs: first.timeMs + 1700, timer: 1 };
  // Another message in place of the past: whoever gave it to the machine would see another time.
  const past = { ...first, timeMs: first.timeMs - 1_000_000 };
  const again = monitor.resume(image, { events: [past, wake], memory: { saved, events: 1 } });
  const outcome = await again.first;
  equal(outcome.status, "done");
  const { reply } = outcome.effects.at(-1) as DoneEffect;
  deepEqual(JSON.parse(Buffer.from(reply?.body ?? []).toString()), { slept: 1700 });
});

test("memory that can't be read is dropped: the machine is run from its first event", async () => {
  const first = deliver();
  const wake: Event = { kind: "wake", timeMs: first.timeMs + 1700, timer: 1 };
  const long = encodeMemory({ stackPointer: 0, memoryPages: 4096, pageNumbers: new Uint32Array(0), pages: new Uint8Array(0) });
  const tooLong = deflateRawSync(Buffer.concat([long, Buffer.alloc(embeddedLimits.savedBytes)]));
  for (const saved of [new Uint8Array(0), Uint8Array.of(1, 2, 3), deflateRawSync(Buffer.alloc(100)), tooLong]) {
    const machine = monitor.resume(image, { events: [first, wake], memory: { saved, events: 1 } });
    const { status, effects } = await machine.first;
    equal(status, "done");
    const { reply } = effects.at(-1) as DoneEffect;
    deepEqual(JSON.parse(Buffer.from(reply?.body ?? []).toString()), { slept: 1700 });
  }
});

test("saved bytes go to a worker as they are: the main thread unpacks nothing", () => {
  const saved = Uint8Array.of(1, 2, 3);
  const wake: Event = { kind: "wake", timeMs: 1, timer: 1 };
  const machine = monitor.resume(image, { events: [deliver(), wake], memory: { saved, events: 1 } });
  equal((machine as EmbeddedMachine).memory?.saved, saved);
  machine.end();
  equal((machine as EmbeddedMachine).memory, undefined);
});

test("a machine whose memory is too long is not saved", async () => {
  const text = (bytes: number): string =>
    `import { flow } from "mayfly"; let held: Uint8Array; export default flow(async (msg, { sleep }) => { held = new Uint8Array(${bytes}).fill(1); await sleep("1h"); return held[7]; });`;
  const folder = await mkdtemp(join(tmpdir(), "mayfly-saved-"));
  try {
    for (const [bytes, isSaved] of [
      [1_000_000, true],
      [embeddedLimits.savedBytes, false],
    ] as const) {
      await writeFile(join(folder, "flow.ts"), text(bytes));
      const { image: held } = await buildImage(join(folder, "flow.ts"), { check: false });
      const machine = monitor.start(await monitor.load(held), deliver());
      equal((await machine.first).status, "waiting");
      equal((await machine.save()) !== undefined, isSaved, String(bytes));
      machine.end();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test("what was saved comes back as it was; other bytes are refused", () => {
  const frames = fc
    .record({
      stackPointer: fc.nat(0xffff),
      memoryPages: fc.integer({ min: 17, max: 40 }),
      pages: fc.uniqueArray(fc.integer({ min: 16, max: 271 }), { maxLength: 12 }),
    })
    .map(({ pages, ...rest }) => ({
      ...rest,
      pageNumbers: Uint32Array.from(pages).sort(),
      pages: new Uint8Array(randomBytes(pages.length * 4096)),
    }));
  fc.assert(
    fc.property(frames, fc.nat(), fc.integer({ min: 1, max: 255 }), (memory, place, change) => {
      const frame = encodeMemory(memory);
      deepEqual(readMemory(frame), memory);
      deepEqual(unpackMemory(packMemory(frame)), memory);
      const head = frame.slice();
      head[place % 16] = (head[place % 16] ?? 0) ^ change;
      readMemory(head); // another machine or none, but never a throw
      equal(unpackMemory(deflateRawSync(frame.subarray(0, frame.length - 1))), undefined);
    }),
  );
  fc.assert(fc.property(fc.uint8Array(), (bytes) => equal(unpackMemory(bytes) ?? readMemory(bytes.slice()), undefined)));
  const wild = { stackPointer: 0, memoryPages: 17, pageNumbers: Uint32Array.from([16, 16]), pages: new Uint8Array(8192) };
  for (const pageNumbers of [
    [16, 16],
    [15, 16],
    [17, 16],
    [16, 272],
    [0, 17],
  ])
    equal(readMemory(encodeMemory({ ...wild, pageNumbers: Uint32Array.from(pageNumbers) })), undefined, String(pageNumbers));
  equal(readMemory(encodeMemory({ ...wild, pageNumbers: Uint32Array.from([16, 18]), stackPointer: 17 * 65536 })), undefined);
});
