/** Owners that were deposed and go on, against the fence; and files against a model. On a simulated log. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type CodedError, prng, type Prng } from "#base";
import type { DiskFile } from "#gateway";
import { ReplicatedDisk } from "./replicated-disk.ts";
import { SimulatedLog } from "./testing/simulated-log.ts";
import { hastyClock } from "./testing/simulated-replication.ts";

/** Waits a little, as the seed says. */
function stepping(random: Prng): () => Promise<void> {
  return async () => {
    for (let turns = random.below(3); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
  };
}

function open(log: SimulatedLog, random: Prng, node: string, onLost?: (error: CodedError) => void): Promise<ReplicatedDisk> {
  const writer = `${node}${random.uint32().toString(36)}00000000`.slice(0, 20);
  return ReplicatedDisk.open({ log: log.connect(stepping(random), 100), clock: hastyClock(), node, writer, onLost });
}

/** Appends numbers to one file until it is refused for good; gives those that were acknowledged. */
async function append(
  disk: ReplicatedDisk,
  owner: number,
  random: Prng,
): Promise<{ acknowledged: string[]; refused: string[]; code: string }> {
  const acknowledged: string[] = [];
  const refused: string[] = [];
  const name = "log";
  let file: DiskFile;
  try {
    file = (await disk.list()).includes(name) ? await disk.open(name) : await disk.create(name);
  } catch (error) {
    return { acknowledged, refused, code: (error as CodedError).code };
  }
  for (let number = 0; number < 60; number++) {
    const line = `${owner}:${number};`.padEnd(10, ".");
    const at = Math.ceil((await file.size()) / 10) * 10;
    try {
      await file.write(Buffer.from(line), at);
      acknowledged.push(line);
    } catch (error) {
      const { code } = error as CodedError;
      if (code === "MF_PARTITION_LOST") return { acknowledged, refused: [...refused, line], code };
      refused.push(line);
    }
    if (random.below(4) === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return { acknowledged, refused, code: "" };
}

async function linesOf(disk: ReplicatedDisk): Promise<string[]> {
  if (!(await disk.list()).includes("log")) return [];
  const file = await disk.open("log");
  const bytes = Buffer.alloc(await file.size());
  await file.read(bytes, 0);
  await file.close();
  return bytes.toString().match(/.{10}/gs) ?? [];
}

test("owners that go on after they were deposed: all that was acknowledged is there, once, in the order of owners", async () => {
  let deposed = 0;
  await fc.assert(
    fc.asyncProperty(fc.integer(), async (seed) => {
      const random = prng(seed);
      const log = new SimulatedLog(random, 10);
      const ends: Promise<Awaited<ReturnType<typeof append>>>[] = [];
      for (let owner = 0; owner < 4; owner++) {
        const lost: CodedError[] = [];
        const disk = await open(log, random, `n${owner}`, (error) => lost.push(error)).catch(() => undefined);
        if (disk === undefined) continue;
        ends.push(append(disk, owner, random));
        for (let turns = random.below(40); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
      }
      const results = await Promise.all(ends);
      const last = await open(log, random, "last");
      const lines = await linesOf(last);
      const there = lines.filter((line) => line.trim() !== "" && !line.includes("\0"));
      const acknowledged = results.flatMap((result) => result.acknowledged);
      equal(new Set(there).size, there.length, "a line is there twice");
      deepEqual(
        acknowledged.filter((line) => !there.includes(line)),
        [],
        "acknowledged and missing",
      );
      const known = new Set([...acknowledged, ...results.flatMap((result) => result.refused)]);
      deepEqual(
        there.filter((line) => !known.has(line)),
        [],
        "nobody wrote this",
      );
      const owners = there.map((line) => Number(line[0]));
      deepEqual(
        owners,
        [...owners].sort((a, b) => a - b),
        "a deposed owner wrote after the one that followed",
      );
      deposed += results.filter(({ code }) => code === "MF_PARTITION_LOST").length;
      await last.close();
    }),
    { numRuns: 150 },
  );
  ok(deposed > 50, `${deposed} were deposed: too tame`);
});

type Step =
  | { readonly kind: "create" | "remove" | "open" | "close"; readonly name: string }
  | { readonly kind: "rename"; readonly name: string; readonly to: string }
  | { readonly kind: "write"; readonly name: string; readonly at: number; readonly bytes: number; readonly fill: number }
  | { readonly kind: "truncate"; readonly name: string; readonly length: number }
  | { readonly kind: "reopen" };

const name = fc.constantFrom("a", "b", "c", "d.tmp");
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constantFrom("create" as const, "remove" as const, "open" as const, "close" as const), name }),
  fc.record({ kind: fc.constant("rename" as const), name, to: name }),
  fc.record({ kind: fc.constant("write" as const), name, at: fc.nat(700), bytes: fc.nat(350), fill: fc.integer({ min: 1, max: 255 }) }),
  fc.record({ kind: fc.constant("truncate" as const), name, length: fc.nat(800) }),
  fc.record({ kind: fc.constant("reopen" as const) }),
);

/** Does one step to a map of names and bytes; false if the disk must refuse it. */
function model(files: Map<string, Buffer>, one: Exclude<Step, { kind: "reopen" }>): boolean {
  const bytes = files.get(one.name);
  switch (one.kind) {
    case "create":
      if (bytes !== undefined) return false;
      files.set(one.name, Buffer.alloc(0));
      return true;
    case "remove":
      files.delete(one.name);
      return true;
    case "open":
    case "close":
      return bytes !== undefined;
    case "rename":
      if (bytes === undefined) return false;
      files.delete(one.name);
      files.set(one.to, bytes);
      return true;
    case "write": {
      if (bytes === undefined) return false;
      if (one.bytes === 0) return true;
      const grown = Buffer.alloc(Math.max(bytes.length, one.at + one.bytes));
      bytes.copy(grown);
      grown.fill(one.fill, one.at, one.at + one.bytes);
      files.set(one.name, grown);
      return true;
    }
    case "truncate": {
      if (bytes === undefined) return false;
      const cut = Buffer.alloc(one.length);
      bytes.copy(cut);
      files.set(one.name, cut);
      return true;
    }
  }
}

async function onDisk(disk: ReplicatedDisk, one: Exclude<Step, { kind: "reopen" }>): Promise<void> {
  if (one.kind === "create") return (await disk.create(one.name)).close();
  if (one.kind === "remove") return disk.remove(one.name);
  if (one.kind === "rename") return disk.rename(one.name, one.to);
  const file = await disk.open(one.name);
  if (one.kind === "write") await file.write(Buffer.alloc(one.bytes, one.fill), one.at);
  if (one.kind === "truncate") await file.truncate(one.length);
  return file.close();
}

test("files are those of a model after any steps, and after each opening", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), fc.array(step, { minLength: 20, maxLength: 120, size: "max" }), async (seed, steps) => {
      const random = prng(seed);
      const log = new SimulatedLog(random, 9);
      const files = new Map<string, Buffer>();
      let disk = await open(log, random, "n0");
      for (const one of [...steps, { kind: "reopen" } as const]) {
        if (one.kind !== "reopen") {
          const done = await onDisk(disk, one).then(
            () => true,
            (error: unknown) => {
              ok(["EEXIST", "ENOENT"].includes((error as CodedError).code), String(error));
              return false;
            },
          );
          equal(done, model(files, one), JSON.stringify(one));
          continue;
        }
        if (random.below(2) === 0) await disk.close();
        if (random.below(2) === 0) log.losePower();
        disk = await open(log, random, "n1");
        deepEqual((await disk.list()).sort(), [...files.keys()].sort());
        for (const [each, bytes] of files) {
          const file = await disk.open(each);
          equal(await file.size(), bytes.length);
          const from = random.below(bytes.length + 1);
          const into = Buffer.alloc(bytes.length + 20, 99);
          equal(await file.read(into, from), bytes.length - from);
          ok(into.subarray(0, bytes.length - from).equals(bytes.subarray(from)), `bytes of ${each} from ${from} on`);
          await file.close();
        }
      }
      await disk.close();
    }),
    { numRuns: 200 },
  );
});
