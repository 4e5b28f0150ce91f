/** A short run of every target, and every input that was once a finding. */
import { deepEqual, equal, notEqual, ok } from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { prng, toUtf8 } from "#base";
import { seed } from "../../base/testing/seed.ts";
import { fuzz, readCorpus } from "./fuzz.ts";
import { mutate } from "./mutate.ts";
import { targets } from "./targets/all.ts";

const corpus = join(fileURLToPath(new URL("../../../", import.meta.url)), "test", "fuzz", "corpus");
/** Inputs of one target, fewer where one takes long. */
const shortRuns: Readonly<Record<string, number>> = { image: 20, journal: 60, http: 60, config: 200 };
const runsByDefault = 400;

for (const [name, open] of Object.entries(targets))
  test(`${name}: no input is taken wrongly`, { timeout: 120_000 }, async () => {
    const target = await open();
    try {
      const kept = await readCorpus(corpus, name);
      const most = (shortRuns[name] ?? runsByDefault) + kept.length;
      const { runs, signatures, findings } = await fuzz(target, { seed, corpus: kept, goesOn: (done) => done < most });
      deepEqual(
        findings.map(({ fault, input }) => `${fault}\n${Buffer.from(input).toString("base64").slice(0, 2000)}`),
        [],
        `seed ${seed}`,
      );
      equal(runs, most);
      ok(signatures > 1, "all inputs were taken alike: the target sees nothing");
    } finally {
      await target.close?.();
    }
  });

test("the same seed gives the same inputs, another gives others", () => {
  const input = Buffer.from("the quick brown fox");
  const made = (seed: number): string[] => {
    const random = prng(seed);
    return Array.from({ length: 50 }, () => Buffer.from(mutate(input, random, () => input, ["word"])).toString("latin1"));
  };
  deepEqual(made(1), made(1));
  equal(Buffer.from(input).toString(), "the quick brown fox", "an input is not changed itself, be it a Buffer");
  notEqual(made(1).join(), made(2).join());
});

test("a fault and a throw are findings, and end a target that shows no end of them", async () => {
  const target = (run: (input: Uint8Array) => { signature: string; fault?: string }) => ({
    name: "t",
    seeds: [toUtf8("a")],
    words: [],
    run,
  });
  const faults = await fuzz(
    target(() => ({ signature: "x", fault: "wrong" })),
    { seed: 1, goesOn: () => true },
  );
  equal(faults.findings.length, 5);
  const throws = await fuzz(
    target(() => {
      throw new RangeError("out of range");
    }),
    { seed: 1, goesOn: () => true },
  );
  ok(throws.findings.every(({ fault }) => fault.includes("out of range")));
});
