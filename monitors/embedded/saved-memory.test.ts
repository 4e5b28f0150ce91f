/** A waiting machine's memory outside its process: the same machine again, and nothing else is taken for one. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { deflateRawSync } from "node:zlib";
import fc from "fast-check";
import type { DoneEffect, Event } from "#abi";
import { buildCaseImages, deliver } from "../monitor.case.ts";
import type { LoadedImage } from "../monitor.ts";
import { embeddedMonitor } from "./embedded.ts";
import { encodeMemory, packMemory, readMemory, unpackMemory } from "./saved-memory.ts";

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
  const frame = unpackMemory(saved);
  ok(frame !== undefined && readMemory(frame) !== undefined);
  ok(saved.length * 4 < frame.length, `${saved.length} bytes of ${frame.length}: most of a page is as in the image`);
  const wake: Event = { kind: "wake", timeMs: first.timeMs + 1700, timer: 1 };
  // Another message in place of the past: whoever gave it to the machine would see another time.
  const past = { ...first, timeMs: first.timeMs - 1_000_000 };
  const again = monitor.resume(image, { events: [past, wake], memory: { saved, events: 1 } });
  const outcome = await again.first;
  equal(outcome.status, "done");
  const { reply } = outcome.effects.at(-1) as DoneEffect;
  deepEqual(JSON.parse(Buffer.from(reply?.body ?? []).toString()), { slept: 1700 });
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
      deepEqual(unpackMemory(packMemory(frame)), frame);
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
