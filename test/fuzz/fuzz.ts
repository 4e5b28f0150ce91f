/** Feeds a target with changed inputs until told to stop; keeps what it took in a way not seen before, and what was wrong. */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { concatBytes, prng } from "#base";
import { mutate } from "./mutate.ts";
import type { Target, Verdict } from "./target.ts";

/** Inputs remembered as seeds, besides the target's own. */
const mostSeeds = 2_000;
/** Findings after which a target is left alone: one fault shows in many inputs. */
const mostFindings = 5;

export interface Finding {
  readonly target: string;
  readonly fault: string;
  readonly input: Uint8Array;
}

export interface FuzzResult {
  readonly runs: number;
  /** Different ways in which inputs were taken. */
  readonly signatures: number;
  readonly findings: readonly Finding[];
}

export interface FuzzOptions {
  readonly seed: number;
  /** False ends it; asked before each input. */
  readonly goesOn: (runs: number) => boolean;
  /** Inputs kept from earlier runs. */
  readonly corpus?: readonly Uint8Array[];
}

async function judged(target: Target, input: Uint8Array): Promise<Verdict> {
  try {
    return await target.run(input);
  } catch (error) {
    return { signature: "threw", fault: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

export async function fuzz(target: Target, { seed, goesOn, corpus = [] }: FuzzOptions): Promise<FuzzResult> {
  const random = prng(seed);
  const seeds = [...target.seeds, ...corpus];
  const seen = new Set<string>();
  const findings: Finding[] = [];
  let runs = 0;
  const feed = async (input: Uint8Array): Promise<void> => {
    runs++;
    const { signature, fault } = await judged(target, input);
    if (fault !== undefined) findings.push({ target: target.name, fault, input });
    if (seen.has(signature) || seen.size >= mostSeeds) return;
    seen.add(signature);
    seeds.push(input);
  };
  for (const input of [...seeds]) if (goesOn(runs)) await feed(input);
  const pick = (): Uint8Array => seeds[random.below(seeds.length)] as Uint8Array;
  while (goesOn(runs) && findings.length < mostFindings) {
    const input = pick();
    const head = random.below(2) === 0 ? (target.headBytes ?? input.length) : input.length;
    await feed(concatBytes([mutate(input.subarray(0, head), random, pick, target.words), input.subarray(head)]));
  }
  return { runs, signatures: seen.size, findings };
}

/** Inputs kept for a target: faults that were mended, run again in every test. */
export async function readCorpus(folder: string, target: string): Promise<Uint8Array[]> {
  const names = await readdir(join(folder, target)).catch(() => []);
  return await Promise.all(names.sort().map((name) => readFile(join(folder, target, name))));
}

/** Keeps an input. Gives its path. */
export async function keep(folder: string, { target, input }: Finding): Promise<string> {
  const path = join(folder, target, createHash("sha256").update(input).digest("hex").slice(0, 16));
  await mkdir(join(folder, target), { recursive: true });
  await writeFile(path, input);
  return path;
}
