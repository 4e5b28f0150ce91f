/**
 * `npm run mutate -- --area NAME [--count N] [--seed N] [--json]`: makes small wrong changes in compiled files of an area, one at a time, and
 * runs the area's tests. A change that no test notices has lived. Exits with 1 when fewer than 90 % were noticed.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { SourceMap, type SourceMapPayload } from "node:module";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { prng } from "#base";
import { areas } from "./areas.ts";
import { type Mutant, mutantsOf } from "./mutants.ts";
import { Workspace } from "./workspace.ts";

const usage = `npm run mutate -- --area NAME [--count N] [--seed N] [--json]

  --area NAME   ${Object.keys(areas).join(", ")}
  --count N     changes to try (default: 60)
  --seed N      which ones (default: by the clock; printed)
  --json        results as JSON on standard output
`;
const aim = 0.9;
/** A test file may take this many times what it took without a change, and never less than the second figure. */
const patience = 5;
const leastLimitMs = 20_000;

function fail(message: string): never {
  process.stderr.write(`mayfly: ${message}\n\n${usage}`);
  process.exit(2);
}

const text = { type: "string" } as const;
const { values } = parseArgs({ options: { area: text, count: text, seed: text, json: { type: "boolean" }, help: { type: "boolean" } } });
if (values.help === true) {
  process.stdout.write(usage);
  process.exit(0);
}
const area = Object.hasOwn(areas, values.area ?? "") ? areas[values.area ?? ""] : undefined;
if (area === undefined) fail(`--area is one of ${Object.keys(areas).join(", ")}`);
const [count, seed] = [Number(values.count ?? 60), Number(values.seed ?? Date.now() % 2 ** 31)];
if (!(count > 0) || !Number.isSafeInteger(seed)) fail("--count is a number over 0, --seed a whole one");

const root = process.cwd();
const dist = join(root, "dist");

function filesBelow(path: string): string[] {
  const whole = join(dist, path);
  if (!statSync(whole).isDirectory()) return [path];
  return readdirSync(whole).flatMap((name) => filesBelow(`${path}/${name}`));
}

const isTest = (path: string): boolean => /\.(test|case)\.js$/.test(path);
const isProduct = (path: string): boolean => path.endsWith(".js") && !isTest(path) && !/\/(testing|fuzz|spec)\/|\/simulat/.test(path);

interface Chosen extends Mutant {
  readonly file: string;
}

interface Tried {
  /** In the TypeScript. */
  readonly place: string;
  readonly before: string;
  readonly after: string;
  readonly lived: boolean;
}

function choose(files: readonly string[]): Chosen[] {
  const all = files.flatMap((file) => mutantsOf(readFileSync(join(dist, file), "utf8")).map((mutant) => ({ ...mutant, file })));
  const random = prng(seed);
  for (let index = all.length - 1; index > 0; index -= 1) {
    const other = random.below(index + 1);
    [all[index], all[other]] = [all[other] as Chosen, all[index] as Chosen];
  }
  return all.slice(0, count);
}

/** The line of the TypeScript that a place of a compiled file was made of. */
function placeOf(file: string, offset: number): string {
  const before = readFileSync(join(dist, file), "utf8").slice(0, offset).split("\n");
  const map = new SourceMap(JSON.parse(readFileSync(join(dist, `${file}.map`), "utf8")) as SourceMapPayload);
  const entry = map.findEntry(before.length - 1, before.at(-1)?.length ?? 0);
  return `${file.replace(/\.js$/, ".ts")}:${"originalLine" in entry ? entry.originalLine + 1 : "?"}`;
}

/** By test file: the time it takes when nothing is wrong. Fails when one does not pass. */
async function measure(workspace: Workspace, tests: readonly string[]): Promise<Map<string, number>> {
  const limits = new Map<string, number>();
  for (const test of tests) {
    const started = performance.now();
    if (!(await workspace.passes(join("dist", test), 600_000))) fail(`${test} does not pass as it is`);
    limits.set(test, Math.max(leastLimitMs, (performance.now() - started) * patience));
  }
  return limits;
}

async function isNoticed(workspace: Workspace, limits: ReadonlyMap<string, number>): Promise<boolean> {
  for (const [test, limitMs] of limits) if (!(await workspace.passes(join("dist", test), limitMs))) return true;
  return false;
}

async function tryOne(
  workspace: Workspace,
  limits: ReadonlyMap<string, number>,
  { file, start, end, text: change }: Chosen,
): Promise<Tried> {
  const path = join("dist", file);
  const source = workspace.read(path);
  workspace.write(path, source.slice(0, start) + change + source.slice(end));
  const lived = !(await isNoticed(workspace, limits));
  workspace.write(path, source);
  return { place: placeOf(file, start), before: source.slice(start, end), after: change, lived };
}

const short = (source: string): string => (source.length > 60 ? `${source.slice(0, 60)}…` : source).replace(/\s+/g, " ");

process.stderr.write(`seed ${seed}\n`);
const queue = choose(area.files.flatMap(filesBelow).filter(isProduct));
const tests = [...new Set(area.tests.flatMap(filesBelow))].filter((path) => path.endsWith(".test.js"));
const tried: Tried[] = [];

async function work(limits: ReadonlyMap<string, number>, workspace: Workspace): Promise<void> {
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const result = await tryOne(workspace, limits, next);
    tried.push(result);
    if (result.lived && values.json !== true)
      process.stdout.write(`lived  ${result.place}  ${short(result.before)}  →  ${short(result.after)}\n`);
    if (process.stderr.isTTY) process.stderr.write(`\r${tried.length} of ${tried.length + queue.length} \x1b[K`);
  }
}

const removeAll = (): void => {
  for (const workspace of workspaces) workspace.remove();
};
const workspaces = Array.from({ length: Math.max(1, availableParallelism() - 1) }, () => Workspace.open(root));
process.once("SIGINT", () => {
  removeAll();
  process.exit(130);
});
try {
  const limits = await measure(workspaces[0] as Workspace, tests);
  await Promise.all(workspaces.map((workspace) => work(limits, workspace)));
} finally {
  removeAll();
}
const lived = tried.filter((each) => each.lived);
const noticed = tried.length === 0 ? 1 : 1 - lived.length / tried.length;
if (values.json === true)
  process.stdout.write(`${JSON.stringify({ area: values.area, seed, tried: tried.length, noticed, lived }, undefined, 2)}\n`);
else
  process.stdout.write(
    `${values.area}: ${tried.length - lived.length} of ${tried.length} noticed, ${(noticed * 100).toFixed(0)} % (aim: ${aim * 100} %)\n`,
  );
process.exitCode = noticed < aim ? 1 : 0;
