/**
 * `npm run fuzz -- [--minutes N] [--target NAME,…] [--seed N] [--json]`: every decoder, each for N minutes (1 by default). What is found
 * is kept in test/fuzz/corpus/NAME/ and run again by `npm test`. Exits with 1 when something was found.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fuzz, type FuzzResult, keep, readCorpus } from "./fuzz.ts";
import { targets } from "./targets/all.ts";

const corpus = join(process.cwd(), "test", "fuzz", "corpus");
const usage = `npm run fuzz -- [--minutes N] [--target NAME,…] [--seed N] [--json]

  --minutes N    minutes for each target (default: 1)
  --target NAME  only these: ${Object.keys(targets).join(", ")}
  --seed N       the generator's seed (default: by the clock; printed)
  --json         results as JSON on standard output
`;

function fail(message: string): never {
  process.stderr.write(`mayfly: ${message}\n\n${usage}`);
  process.exit(2);
}

interface Wanted {
  readonly minutes: number;
  readonly names: readonly string[];
  readonly seed: number;
  readonly json: boolean;
}

function wanted(): Wanted {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    options: { minutes: text, target: text, seed: text, json: { type: "boolean" }, help: { type: "boolean" } },
  });
  if (values.help === true) {
    process.stdout.write(usage);
    process.exit(0);
  }
  const [minutes, seed] = [Number(values.minutes ?? 1), Number(values.seed ?? Date.now() % 2 ** 31)];
  if (!(minutes > 0) || !Number.isSafeInteger(seed)) fail("--minutes is a number over 0, --seed a whole one");
  const names = values.target?.split(",") ?? Object.keys(targets);
  for (const name of names) if (!Object.hasOwn(targets, name)) fail(`there is no target ${name}`);
  return { minutes, names, seed, json: values.json === true };
}

async function runTarget(name: string, { minutes, seed, json }: Wanted): Promise<FuzzResult> {
  const target = await targets[name]?.();
  if (target === undefined) throw new Error(name);
  const untilMs = performance.now() + minutes * 60_000;
  let shownMs = 0;
  const goesOn = (runs: number): boolean => {
    const nowMs = performance.now();
    if (process.stderr.isTTY && nowMs - shownMs > 1_000) {
      shownMs = nowMs;
      process.stderr.write(`\r${name}: ${runs} inputs, ${Math.ceil((untilMs - nowMs) / 1000)} s left \x1b[K`);
    }
    return nowMs < untilMs;
  };
  try {
    const result = await fuzz(target, { seed, goesOn, corpus: await readCorpus(corpus, name) });
    if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
    for (const finding of result.findings) process.stderr.write(`${name}: ${finding.fault}\n  kept as ${await keep(corpus, finding)}\n`);
    if (!json)
      process.stdout.write(`${name}: ${result.runs} inputs, taken in ${result.signatures} ways, ${result.findings.length} faults\n`);
    return result;
  } finally {
    await target.close?.();
  }
}

const options = wanted();
process.stderr.write(`seed ${options.seed}\n`);
const results: { readonly target: string; readonly runs: number; readonly signatures: number; readonly faults: readonly string[] }[] = [];
for (const target of options.names) {
  const { runs, signatures, findings } = await runTarget(target, options);
  results.push({ target, runs, signatures, faults: findings.map(({ fault }) => fault) });
}
if (options.json) process.stdout.write(`${JSON.stringify({ seed: options.seed, results }, undefined, 2)}\n`);
process.exit(results.some(({ faults }) => faults.length > 0) ? 1 : 0);
