/** The proof that every message meets a pristine machine: the whole memory, the globals and the table, after flows that do their worst. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { before, describe, test } from "node:test";
import { encodeEvent } from "#abi";
import { prng } from "#base";
import { decodeModule, opcodeName } from "#compiler";
import { instantiateKernel, kernelArtifacts, layout } from "#kernel";
import { buildCaseImages, deliver, type FlowName, resolve } from "../monitor.case.ts";
import { trackedModules } from "./kernels.ts";
import { PageStore, type PageTable } from "./page-store.ts";
import { expectPristine } from "./testing/pristine.ts";
import { WarmInstance } from "./warm.ts";

const limitPages = 256;
const hostile: readonly FlowName[] = [
  "echo",
  "counter",
  "pollution",
  "bomb",
  "recursion",
  "throws",
  "rejects",
  "stalls",
  "cycle",
  "manySends",
  "grow",
  "random",
  "loop",
  "enrich",
];

describe("a warm instance", () => {
  const store = new PageStore();
  const tables = new Map<FlowName, PageTable>();
  let chunks: Uint8Array[] = [];
  let budget = 0;
  const { engine, native } = trackedModules();
  const interrupt = (): number => (--budget < 0 ? 1 : 0);

  before(async () => {
    for (const [name, image] of await buildCaseImages()) tables.set(name, store.add(image));
    chunks = store.chunks.map((chunk) => new Uint8Array(chunk));
  });

  const table = (name: FlowName): PageTable => tables.get(name) as PageTable;

  const checkPristine = (instance: WarmInstance, name: FlowName, after: string): void => {
    try {
      expectPristine(instance, table(name), chunks, limitPages);
    } catch (cause) {
      throw new Error(`after ${after}, as ${name}`, { cause });
    }
  };

  test("is the image again after every hostile flow, in any order, switching images or not", () => {
    const random = prng(20260102);
    const instance = new WarmInstance(engine, native, chunks, interrupt);
    for (let round = 0; round < 200; round++) {
      const name = hostile[random.below(hostile.length)] as FlowName;
      budget = 40;
      instance.reset(table(name), limitPages);
      instance.step(encodeEvent(deliver({ body: "spin", seed: new Uint8Array(32).fill(round) })));
      const next = random.below(2) === 0 ? name : (hostile[random.below(hostile.length)] as FlowName);
      checkPristine(instance, next, name);
    }
  });

  test("puts back what a store left behind the page it began in, and what was written far beyond the image", () => {
    const instance = new WarmInstance(engine, native, chunks, interrupt);
    budget = 1000;
    for (let round = 0; round < 20; round++) {
      instance.reset(table("echo"), limitPages);
      const boundary = layout.stackTop + (3 + (round % 7)) * layout.pageBytes;
      instance.exportsForTest("frexp")(8.5, boundary - 2); // stores a 32-bit exponent across the boundary
      instance.exportsForTest("memset")(instance.memory.length - 3 * layout.pageBytes, 0xff, 2 * layout.pageBytes);
      checkPristine(instance, "echo", `round ${round}`);
    }
  });

  test("puts a machine back that hibernated, whatever ran in between", () => {
    const instance = new WarmInstance(engine, native, chunks, interrupt);
    budget = 1000;
    instance.reset(table("enrich"), limitPages);
    equal(instance.step(encodeEvent(deliver())).status, "complete");
    const asleep = instance.hibernate();
    const before = instance.memory.slice(layout.monitorBytes);
    for (const name of ["bomb", "grow", "counter"] as const) {
      instance.reset(table(name), limitPages);
      instance.step(encodeEvent(deliver()));
    }
    instance.resume(asleep, limitPages);
    const again = instance.memory.subarray(layout.monitorBytes, layout.monitorBytes + before.length);
    equal(Buffer.compare(before, again), 0, "the resumed machine's memory differs");
    ok(instance.memory.subarray(layout.monitorBytes + before.length).every((byte) => byte === 0));
    equal(instance.step(encodeEvent(resolve(1, '{"a":1}'))).status, "complete");
  });

  test("notices a write to the monitor's pages however the step ends: for want of memory, interrupted, or in a trap", () => {
    const ends = [
      { name: "echo", body: "x".repeat(2 ** 22), polls: 1000, pages: table("echo").memoryPages, status: "no-memory" },
      { name: "loop", body: "spin", polls: 0, pages: limitPages, status: "interrupted" },
      { name: "nativeCall", body: "", polls: 5, pages: limitPages, status: "interrupted" },
    ] as const;
    for (const { name, body, polls, pages, status } of ends) {
      for (const wrote of [false, true]) {
        const instance = new WarmInstance(engine, native, chunks, interrupt);
        budget = 1000;
        instance.reset(table(name), pages);
        if (wrote) instance.exportsForTest("memset")(100, 0, 1);
        budget = polls;
        equal(instance.step(encodeEvent(deliver({ body }))).status, wrote && status !== "no-memory" ? "compromised" : status, name);
        equal(instance.unfit, wrote);
      }
    }
    // The outbox's address is the natives' (state.ts): a machine that puts it elsewhere makes them trap.
    const instance = new WarmInstance(engine, native, chunks, interrupt);
    budget = 1000;
    for (const [address, status] of [
      [layout.nativeBase + layout.pageBytes, "trapped"],
      [100, "compromised"],
    ] as const) {
      instance.reset(table("echo"), limitPages);
      instance.exportsForTest("memset")(address, 0xff, layout.exhaustedAt - address);
      equal(instance.step(encodeEvent(deliver())).status, status);
    }
  });

  test("notices a machine that writes to the monitor's pages, and one that clears its own card", () => {
    for (const address of [0, 17, 300, layout.monitorBytes - 1]) {
      const instance = new WarmInstance(engine, native, chunks, interrupt);
      budget = 1000;
      instance.reset(table("echo"), limitPages);
      // The way open to a compromised engine: stores through its own, instrumented code.
      instance.exportsForTest("memset")(address, 0, 1);
      equal(instance.step(encodeEvent(deliver())).status, "compromised", `address ${address}`);
      ok(instance.unfit);
    }
  });
});

test("no module writes the table, and the natives have no globals of their own: memory and stack pointer are all there is to restore", () => {
  const { engine, native } = kernelArtifacts();
  const writers = new Set(["table.set", "table.init", "table.copy", "table.fill", "table.grow", "elem.drop"]);
  for (const binary of [engine, native]) {
    const module = decodeModule(binary);
    for (const { body } of module.functions) for (const { code } of body.operators) ok(!writers.has(opcodeName(code)), opcodeName(code));
  }
  deepEqual(
    decodeModule(native).globals.filter(({ mutable }) => mutable),
    [],
  );
  equal(decodeModule(engine).globals.filter(({ mutable }) => mutable).length, 1);
  const { engine: tracked, native: trackedNative } = trackedModules();
  const kernel = instantiateKernel(tracked, trackedNative, () => 0);
  equal(kernel.engine.__indirect_function_table.length, layout.engineTable + layout.nativeTable);
});
