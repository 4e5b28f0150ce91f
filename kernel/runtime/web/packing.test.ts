/** kernel/native/inflate.ts and deflate.ts beside zlib: the same bytes of the same, and the same refused. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { constants, deflateRawSync, gunzipSync, gzipSync, inflateRawSync } from "node:zlib";
import fc from "fast-check";
import { prng } from "#base";
import { NativeMachine } from "../testing/native-machine.ts";
import { PackingMachine } from "../testing/packing-machine.ts";

const machine = new PackingMachine();

/** Bytes as bodies have them: noise, runs, repeated words, and what lies far apart. */
const body = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 300, size: "max" }),
      fc
        .tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 5000 }))
        .map(([byte, count]) => new Uint8Array(count).fill(byte)),
      fc
        .tuple(fc.string({ minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 400 }))
        .map(([text, count]) => new Uint8Array(Buffer.from(text.repeat(count)))),
      fc.integer({ min: 1, max: 2 ** 31 - 1 }).map((seed) => {
        const random = prng(seed);
        return Uint8Array.from({ length: random.below(40_000) }, () => random.below(1 + (seed % 256)));
      }),
    ),
    { maxLength: 8 },
  )
  .chain((parts) =>
    fc
      .array(fc.nat(Math.max(0, parts.length - 1)), { maxLength: 8 })
      .map((again) => [...parts, ...again.map((at) => parts[at] ?? new Uint8Array(0))]),
  )
  .map((parts) => new Uint8Array(Buffer.concat(parts)));

const zlibOptions = fc.record({
  level: fc.integer({ min: 0, max: 9 }),
  memLevel: fc.integer({ min: 1, max: 9 }),
  windowBits: fc.integer({ min: 9, max: 15 }),
  strategy: fc.constantFrom(
    constants.Z_DEFAULT_STRATEGY,
    constants.Z_FILTERED,
    constants.Z_HUFFMAN_ONLY,
    constants.Z_RLE,
    constants.Z_FIXED,
  ),
});

/** The CRC-32 of bytes, as gzip has it behind them. */
function crcOf(bytes: Uint8Array): number {
  const packed = gzipSync(bytes, { level: 0 });
  return packed.readUInt32LE(packed.length - 8);
}

test("zlib inflates what was deflated, which is no longer than its own", () => {
  fc.assert(
    fc.property(body, (bytes) => {
      const packed = machine.deflate(bytes, 1);
      ok(packed.bytes !== undefined, packed.said);
      ok(inflateRawSync(packed.bytes).equals(bytes));
      equal(Number(packed.said), crcOf(bytes));
      const theirs = deflateRawSync(bytes).length;
      ok(packed.bytes.length <= theirs * 1.03 + 16, `${packed.bytes.length} bytes, zlib has ${theirs}`);
    }),
    { numRuns: 120 },
  );
});

test("what zlib deflated with any options is inflated, up to its end", () => {
  fc.assert(
    fc.property(body, zlibOptions, fc.uint8Array({ maxLength: 9 }), (bytes, options, behind) => {
      const packed = deflateRawSync(bytes, options);
      const found = machine.inflate(new Uint8Array(Buffer.concat([packed, behind])), 1);
      ok(found.bytes !== undefined, found.said);
      ok(Buffer.from(found.bytes).equals(bytes));
      deepEqual([Number(found.said), found.end], [crcOf(bytes), packed.length]);
    }),
    { numRuns: 150 },
  );
});

/** The bytes, or undefined for what zlib refuses. */
function theirs(packed: Uint8Array): Buffer | undefined {
  try {
    return inflateRawSync(packed);
  } catch {
    return undefined;
  }
}

function expectSame(packed: Uint8Array): boolean {
  const [found, expected] = [machine.inflate(packed).bytes, theirs(packed)];
  const said = Buffer.from(packed).toString("hex").slice(0, 2000);
  if (expected === undefined) equal(found, undefined, said);
  else ok(found !== undefined && expected.equals(found), said);
  return expected !== undefined;
}

test("damaged, cut and random bytes are refused where zlib refuses them, else give the same", () => {
  let read = 0;
  const short = fc.oneof(
    body.map((bytes) => bytes.subarray(0, 2000)),
    fc.string({ maxLength: 200 }).map((text) => new Uint8Array(Buffer.from(text))),
  );
  fc.assert(
    fc.property(
      short,
      zlibOptions,
      fc.array(fc.tuple(fc.nat(), fc.nat(7)), { maxLength: 3 }),
      fc.nat(),
      fc.boolean(),
      (bytes, options, flips, cut, cuts) => {
        let packed = new Uint8Array(deflateRawSync(bytes, options));
        for (const [at, bit] of flips) packed[at % packed.length] = (packed[at % packed.length] ?? 0) ^ (1 << bit);
        if (cuts) packed = packed.subarray(0, cut % (packed.length + 1));
        if (expectSame(packed)) read++;
      },
    ),
    { numRuns: 1500 },
  );
  ok(read > 50, String(read));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => void expectSame(bytes)),
    { numRuns: 3000 },
  );
  // Heads of dynamic blocks: their codes are what most can be wrong with.
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 10, maxLength: 90 }), (bytes) => {
      bytes[0] = ((bytes[0] ?? 0) & 0xf8) | 5;
      expectSame(bytes);
    }),
    { numRuns: 3000 },
  );
});

test("codes of every length up to 15 are made and read", () => {
  // Counts that grow as Fibonacci's numbers make the longest codes; more symbols than 15 have to be shortened.
  const counts = Array.from({ length: 19 }).reduce<number[]>((all) => [...all, (all.at(-1) ?? 1) + (all.at(-2) ?? 0)], []);
  const bytes = Uint8Array.from(counts.flatMap((count, symbol) => Array.from({ length: count }, () => symbol * 13)));
  const random = prng(7);
  for (let at = bytes.length - 1; at > 0; at--) {
    const other = random.below(at + 1);
    [bytes[at], bytes[other]] = [bytes[other] ?? 0, bytes[at] ?? 0];
  }
  const packed = machine.deflate(bytes).bytes ?? new Uint8Array(0);
  ok(inflateRawSync(packed).equals(bytes));
  ok(Buffer.from(machine.inflate(packed).bytes ?? []).equals(bytes));
});

test("memory that runs out at any moment is an exception, and the next call is right", () => {
  const { machine: engine } = machine;
  const bytes = new Uint8Array(Buffer.from("one two three ".repeat(40_000)));
  const packed = new Uint8Array(deflateRawSync(bytes));
  machine.inflate(packed);
  const { bytes: used } = engine.usage();
  let failed = 0;
  for (let more = 0; more < 1_500_000; more += 41_000) {
    engine.limit(used + more);
    const found = machine.inflate(packed);
    const made = machine.deflate(bytes);
    engine.limit(0);
    if (found.bytes === undefined) failed++;
    else ok(Buffer.from(found.bytes).equals(bytes));
    if (made.bytes !== undefined) ok(inflateRawSync(made.bytes).equals(bytes));
  }
  ok(failed > 5, String(failed));
  ok(Buffer.from(machine.inflate(packed).bytes ?? []).equals(bytes));
});

test("whatever the working bytes hold, the natives stay within them", () => {
  const engine = new NativeMachine();
  const result = engine.run(`(() => {
    let seed = 1;
    const next = () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) >>> 8;
    const noise = (length) => Uint8Array.from({ length }, next);
    const [work, guard] = [new Uint8Array(454656), new Uint8Array(65536)];
    for (let round = 0; round < 400; round++) {
      const input = noise(next() % 600);
      const at = next() % 2 ? next() % 64 : next() % 5000;
      work.set(noise(1 + (next() % 400)), at);
      if (round % 3 === 0) work.set(noise(64), 0);
      if (round % 7 === 0) new DataView(work.buffer).setUint32(0, 0, true);
      for (let call = 0; call < 3; call++) { native.inflate(work, input); native.deflate(work, input); native.inflate(work, work); native.deflate(work, work.subarray(0, 3000)); }
    }
    for (const short of [0, 100, 46335]) try { native.inflate(new Uint8Array(short), work); return "taken"; } catch {}
    try { native.deflate(work.subarray(1), work); return "taken"; } catch {}
    return guard.every((byte) => byte === 0) ? "whole" : "overwritten";
  })()`);
  equal(engine.string(result), "whole");
});

test("gzip's checksum is what gzip has", () => {
  const bytes = Buffer.from("mayfly ".repeat(1000));
  const packed = machine.deflate(bytes, 1);
  const tail = Buffer.alloc(8);
  tail.writeUInt32LE(Number(packed.said), 0);
  tail.writeUInt32LE(bytes.length, 4);
  ok(
    gunzipSync(Buffer.concat([Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]), packed.bytes ?? new Uint8Array(0), tail])).equals(bytes),
  );
});
