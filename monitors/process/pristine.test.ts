/** The proof that every message meets a pristine machine in a process: the whole memory, its size and the stack pointer, after the worst. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { decodeEffects, encodeEvent } from "#abi";
import { prng } from "#base";
import { trapKinds } from "#compiler";
import type { Image } from "#image";
import { layout } from "#kernel";
import { buildCaseImages, deliver, type FlowName, resolve } from "../monitor.case.ts";
import { platformFault } from "./process.ts";
import { RawProcess, testPlatform, Workshop } from "./testing/platforms.ts";
import { operation } from "./wire.ts";

/** Requests of kernel/platform-linux/testing/inspect.ts. */
const inspect = { show: 16, forgetTracking: 17, scribble: 18, showWaiting: 19, startAndShow: 20, keepOnce: 21, overreach: 22 } as const;

const hostile: readonly FlowName[] = [
  "counter",
  "bomb",
  "recursion",
  "throws",
  "stalls",
  "manySends",
  "grow",
  "random",
  "loop",
  "enrich",
  "bigLog",
];

function memoryOf(image: Image): Uint8Array {
  const memory = new Uint8Array(image.manifest.memoryPages * layout.wasmPageBytes);
  for (const [index, page] of image.pageNumbers.entries())
    memory.set(image.pages.subarray(index * layout.pageBytes, (index + 1) * layout.pageBytes), page * layout.pageBytes);
  return memory;
}

function firstDifference(memory: Uint8Array, expected: Uint8Array): string | undefined {
  if (memory.length !== expected.length) return `the memory has ${memory.length} bytes, the image ${expected.length}`;
  if (Buffer.compare(memory, expected) === 0) return undefined;
  const at = memory.findIndex((byte, index) => byte !== expected[index]);
  return `byte ${at} (page ${Math.floor(at / layout.pageBytes)}) differs from the image`;
}

describe("the memory of a machine process", { skip: platformFault()?.message ?? false }, () => {
  const workshop = new Workshop();
  let images: ReadonlyMap<FlowName, Image>;
  let platform: Uint8Array;
  const processes: RawProcess[] = [];

  before(async () => {
    images = await buildCaseImages();
    platform = await testPlatform("testing/inspect.ts");
  });
  after(async () => {
    for (const one of processes) await one.end();
    workshop.close();
  });

  async function open(name: FlowName): Promise<RawProcess> {
    const one = new RawProcess(workshop.executable(images.get(name) as Image, platform));
    processes.push(one);
    equal((await one.next())?.status, "complete", "the kernel tells which pages were written");
    return one;
  }

  async function expectPristine(one: RawProcess, name: FlowName, after: string): Promise<void> {
    const image = images.get(name) as Image;
    const { frame, cpuMs } = await one.ask({ operation: inspect.show });
    equal(firstDifference(frame, memoryOf(image)), undefined, `${name}, after ${after}`);
    equal(Math.round(cpuMs * 1000), image.manifest.stackPointer, `${name}, after ${after}: the stack pointer`);
  }

  const event = (round: number): Uint8Array =>
    encodeEvent(deliver({ body: "spin".repeat(1 + 400 * round), seed: new Uint8Array(32).fill(round) }));

  for (const name of hostile) {
    test(`is the image again after ${name}, run over and over`, async () => {
      const one = await open(name);
      await expectPristine(one, name, "the start");
      for (let round = 0; round < 4; round++) {
        const { status } = await one.ask({ operation: operation.start, cpuMs: name === "loop" ? 20 : 2000, frame: event(round) });
        ok(status === "complete" || status === "interrupted" || status === "escaped", status);
        await expectPristine(one, name, `round ${round}`);
      }
      one.send({ operation: inspect.forgetTracking });
      await one.ask({ operation: operation.start, cpuMs: 2000, frame: event(1) });
      await expectPristine(one, name, "a round without tracking");
    });
  }

  test("is the image again after writes anywhere in it, few or many, by whatever wrote them", async () => {
    const one = await open("grow");
    const random = prng(20260103);
    for (let round = 0; round < 40; round++) {
      const count = 1 + random.below(round % 2 === 0 ? 20 : 5000);
      if (round % 4 === 3) {
        // A grown memory, scribbled over before it is given back.
        one.send({ operation: inspect.keepOnce });
        await one.ask({ operation: operation.start, frame: event(round % 4) });
      }
      one.send({ operation: inspect.scribble, limitPages: count, cpuMs: 1 + random.below(0x7fff_ffff) });
      await expectPristine(one, "grow", `${count} stray writes`);
      equal((await one.ask({ operation: operation.start, frame: event(1) })).status, "complete");
    }
  });

  test("ends where the image's ends, also after a machine that grew it", async () => {
    const one = await open("grow");
    one.send({ operation: inspect.startAndShow });
    await one.ask({ operation: operation.start, frame: event(1) });
    ok(((await one.next())?.frame.length ?? 0) > (images.get("grow") as Image).manifest.memoryPages * layout.wasmPageBytes, "it grew");
    await expectPristine(one, "grow", "growing");
    one.send({ operation: inspect.overreach });
    equal((await one.ended).code, 128 + trapKinds.indexOf("memory access out of bounds"));
    equal(await one.next(), undefined);
  });

  test("holds a machine that waited exactly as it was left, whatever ran in between", async () => {
    const one = await open("enrich");
    one.send({ operation: inspect.startAndShow });
    const started = await one.ask({ operation: operation.start, berth: 5, frame: encodeEvent(deliver()) });
    deepEqual([started.status, started.kept], ["complete", true]);
    const effects = decodeEffects(started.frame);
    const call = effects.ok ? effects.value.find(({ kind }) => kind === "call") : undefined;
    ok(call?.kind === "call");
    const left = (await one.next())?.frame as Uint8Array;
    ok(firstDifference(left, memoryOf(images.get("enrich") as Image)) !== undefined, "the machine wrote something");
    for (let round = 0; round < 3; round++) {
      const other = await one.ask({ operation: operation.start, berth: 6 + round, frame: event(round) });
      ok(other.kept && other.waitingPages > started.waitingPages);
      one.send({ operation: inspect.scribble, limitPages: 1000, cpuMs: round + 1 });
      const { frame } = await one.ask({ operation: inspect.showWaiting, berth: 5 });
      equal(firstDifference(frame, left), undefined);
      await expectPristine(one, "enrich", "a look at one that waits");
    }
    const answered = await one.ask({ operation: operation.step, berth: 5, frame: encodeEvent(resolve(call.call, '{"a":1}')) });
    deepEqual([answered.status, answered.kept], ["complete", false]);
    equal(
      (await one.ask({ operation: operation.step, berth: 5, frame: encodeEvent(resolve(call.call, "{}")) })).status,
      "missing",
      "its berth is empty",
    );
    for (const berth of [6, 7, 8]) one.send({ operation: operation.drop, berth });
    equal((await one.ask({ operation: inspect.show })).waitingPages, 0, "nothing is held for machines that are gone");
  });
});
