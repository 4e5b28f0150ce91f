import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import { fromHex, parseDuration, parseSize, prng, readDuration, readSize, systemClock, toHex } from "#base";

test("hexadecimal text and bytes are each other's inverse", () => {
  deepEqual(fromHex(toHex(Uint8Array.of(0, 15, 255))), Uint8Array.of(0, 15, 255));
  equal(fromHex("abc"), undefined);
  equal(fromHex("zz"), undefined);
});

test("a generator repeats itself from the same seed, and only then", () => {
  const draw = (seed: number): number[] => Array.from({ length: 8 }, prng(seed).uint32);
  deepEqual(draw(1), draw(1));
  equal(JSON.stringify(draw(1)) === JSON.stringify(draw(2)), false);
});

test("durations and sizes: one form for mayfly.yaml, a wider one for flows and their tests", () => {
  const both: readonly (readonly [string, number])[] = [
    ["200ms", 200],
    ["5s", 5_000],
    ["1.5m", 90_000],
    ["24h", 86_400_000],
    ["7d", 604_800_000],
    ["0s", 0],
  ];
  for (const [text, ms] of both) deepEqual([parseDuration(text), readDuration(text)], [ms, ms], text);
  deepEqual(["512B", "64KB", "1.5MB", "1GB", "1KiB", "16MiB", "1GiB"].map(parseSize), [
    512,
    64_000,
    1_500_000,
    1e9,
    1024,
    16 * 2 ** 20,
    2 ** 30,
  ]);

  const wider: readonly (readonly [unknown, number])[] = [
    [250, 250],
    [" 5s ", 5_000],
    ["5 s", 5_000],
    ["2.5", Number.NaN],
  ];
  for (const [value, ms] of wider) equal(readDuration(value), Number.isNaN(ms) ? undefined : ms, String(value));
  deepEqual([512, "512", "2.4", "64 kB", "64kB", " 16 MiB"].map(readSize), [512, 512, 2, 64_000, 64_000, 16 * 2 ** 20]);
  for (const text of [" 5s", "5 s", "5", "64kB"]) deepEqual([parseDuration(text), parseSize(text)], [undefined, undefined], text);

  for (const bad of [
    "",
    "s",
    "-5s",
    "1e3s",
    ".5s",
    "5.s",
    "5S",
    "5sec",
    "1 5s",
    "5m s",
    "9999999999999999999d",
    "__proto__",
    "1constructor",
  ])
    deepEqual([parseDuration(bad), readDuration(bad), parseSize(bad), readSize(bad)], [undefined, undefined, undefined, undefined], bad);
  for (const bad of [-1, Number.NaN, Number.POSITIVE_INFINITY, true, null, undefined, {}, ["5s"]])
    deepEqual([readDuration(bad), readSize(bad)], [undefined, undefined], String(bad));
});

test("a timer beyond what setTimeout can hold does not run at once", async () => {
  let ran = false;
  const cancel = systemClock.after(2 ** 40, () => {
    ran = true;
  });
  await new Promise<void>((resolve) => systemClock.after(20, resolve));
  cancel();
  equal(ran, false);
});
