/** Joined reads give the bytes that single ones do, whatever is asked for together, and tell each caller of its own failure. */
import { deepEqual, equal, rejects } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { JoinedReads, type ReadAt } from "./joined-reads.ts";

const files: Readonly<Record<string, Buffer>> = {
  a: Buffer.from(Array.from({ length: 20_000 }, (_, at) => at % 251)),
  b: Buffer.from(Array.from({ length: 700_000 }, (_, at) => at % 241)),
};
let reads = 0;
const readAt: ReadAt = async (file, into, offset) => {
  reads += 1;
  const bytes = files[file];
  if (bytes === undefined) throw new Error(`no file ${file}`);
  return bytes.copy(into, 0, Math.min(offset, bytes.length), Math.min(offset + into.length, bytes.length));
};

test("any reads asked for together", async () => {
  const wanted = fc.record({ file: fc.constantFrom("a", "b"), offset: fc.nat(710_000), length: fc.nat(300_000) });
  const near = fc.record({ file: fc.constantFrom("a", "b"), offset: fc.nat(21_000), length: fc.nat(3_000) });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(near, wanted), { minLength: 1, maxLength: 30 }), async (all) => {
      const joined = new JoinedReads(readAt);
      const got = await Promise.all(all.map(({ file, offset, length }) => joined.read(file, offset, length)));
      for (const [index, { file, offset, length }] of all.entries())
        deepEqual(got[index], files[file]?.subarray(offset, offset + length), `${file} ${offset} ${length}`);
    }),
    { numRuns: 300 },
  );
});

test("neighbours are one read, and none keeps the memory of the others", async () => {
  const joined = new JoinedReads(readAt);
  reads = 0;
  const got = await Promise.all(Array.from({ length: 100 }, (_, n) => joined.read("b", n * 1_500, 1_400)));
  equal(reads, 1);
  for (const bytes of got) equal(bytes.buffer.byteLength, 1_400);
});

test("far ones are reads of their own, and so are those of another file", async () => {
  const joined = new JoinedReads(readAt);
  reads = 0;
  await Promise.all([joined.read("b", 0, 100), joined.read("b", 600_000, 100), joined.read("a", 0, 100)]);
  equal(reads, 3);
});

test("a joined read that fails is tried one by one, so that each caller is told of its own", async () => {
  const failing: ReadAt = async (file, into, offset) => {
    if (offset <= 5_000 && offset + into.length > 5_000) throw new Error("a bad sector");
    return readAt(file, into, offset);
  };
  const joined = new JoinedReads(failing);
  const [before, on, after] = [joined.read("b", 3_000, 1_000), joined.read("b", 4_500, 1_000), joined.read("b", 6_000, 1_000)];
  await rejects(on, /a bad sector/);
  deepEqual(await before, files["b"]?.subarray(3_000, 4_000));
  deepEqual(await after, files["b"]?.subarray(6_000, 7_000));
});

test("a length that no memory can hold fails alone, also beside others", async () => {
  const joined = new JoinedReads(readAt);
  const [before, absurd, after] = [joined.read("b", 0, 100), joined.read("b", 100, 2 ** 53), joined.read("b", 200, 100)];
  await rejects(absurd, RangeError);
  await rejects(joined.read("b", 0, 2 ** 53), RangeError);
  deepEqual(await before, files["b"]?.subarray(0, 100));
  deepEqual(await after, files["b"]?.subarray(200, 300));
});
