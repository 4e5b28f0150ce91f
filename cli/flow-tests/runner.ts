/** Finds flow tests and runs them. */
import { existsSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { CodedError, isCoded } from "#base";
import { TestBench } from "./bench.ts";
import type { CaseSpec } from "./case.ts";
import { compare, type Difference } from "./compare.ts";
import { stimulusOf, stubOf } from "./given.ts";
import { readTestFile } from "./read.ts";
import { loadTypeScriptTests, runnerFor } from "./typescript.ts";
import type { RunResult } from "#replay";
import { cliLimits } from "../limits.ts";

export interface CaseResult {
  readonly name: string;
  readonly file: string;
  /** 0 when it is not known. */
  readonly line: number;
  readonly passed: boolean;
  readonly ms: number;
  readonly differences: readonly Difference[];
  /** Error thrown by a TypeScript test. */
  readonly thrown?: string;
  /** Of a case that did not pass: what the run logged and where it failed. */
  readonly context: readonly string[];
}

export interface TestOptions {
  /** Only cases whose name holds this text. */
  readonly only?: string | undefined;
  readonly onCase: (result: CaseResult) => void;
}

export const testFileShape = /\.flow-test\.(ya?ml|[mc]?ts)$/;
const skipped = new Set(["node_modules", "dist", "coverage"]);

async function* walk(folder: string, shape: RegExp): AsyncGenerator<string> {
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.name.startsWith(".") || skipped.has(entry.name)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* walk(path, shape);
    else if (shape.test(entry.name)) yield path;
  }
}

/** Test files at or below the paths, absolute. Throws MF_TEST_NOT_FOUND. */
export async function findTests(paths: readonly string[]): Promise<string[]> {
  return await findFiles(paths, testFileShape, "flow test", "*.flow-test.yaml or *.flow-test.ts");
}

/** Files of a shape at or below the paths, absolute. Throws MF_TEST_NOT_FOUND. */
export async function findFiles(paths: readonly string[], shape: RegExp, what: string, names: string): Promise<string[]> {
  const found = new Set<string>();
  for (const given of paths) {
    const path = resolve(given);
    if (!existsSync(path)) throw new CodedError("MF_TEST_NOT_FOUND", `${given} does not exist: correct the path`);
    if ((await stat(path)).isDirectory()) for await (const file of walk(path, shape)) found.add(file);
    else if (shape.test(path)) found.add(path);
    else throw new CodedError("MF_TEST_NOT_FOUND", `${given} is not one of them: the name of a ${what} ends as in ${names}`);
    if (found.size > cliLimits.testFiles)
      throw new CodedError("MF_TEST_NOT_FOUND", `more than ${cliLimits.testFiles} test files below ${given}: choose a smaller folder`);
  }
  if (found.size === 0) throw new CodedError("MF_TEST_NOT_FOUND", `no ${names} below ${paths.join(", ")}: write one, or correct the path`);
  return [...found];
}

function contextOf(result: RunResult): string[] {
  const logs = result.logs
    .slice(0, 20)
    .map(({ level, text, fieldsJson }) => `log ${level}: ${text}${fieldsJson === undefined ? "" : ` ${fieldsJson}`}`);
  const failure =
    result.failure === undefined
      ? []
      : [`${result.failure.code}: ${result.failure.message}`, ...(result.failure.stack ?? "").split("\n").filter((line) => line !== "")];
  return [...logs, ...failure];
}

async function runCase(bench: TestBench, path: string, flow: string, spec: CaseSpec): Promise<CaseResult> {
  const ready = await bench.flow(flow);
  const folder = dirname(path);
  const started = performance.now();
  const result = await bench.run(ready, await stimulusOf(spec, folder), await stubOf(spec, folder));
  const differences = await compare(spec.expect, result, folder);
  const passed = differences.length === 0;
  return {
    name: spec.name,
    file: relative(process.cwd(), path),
    line: spec.line,
    passed,
    ms: performance.now() - started,
    differences,
    context: passed ? [] : contextOf(result),
  };
}

async function runYaml(bench: TestBench, path: string, { only, onCase }: TestOptions): Promise<void> {
  const file = await readTestFile(path);
  if (!existsSync(file.flow)) {
    const shown = relative(process.cwd(), path);
    throw new CodedError("MF_FLOW_NOT_FOUND", `${shown}: there is no flow at ${relative(process.cwd(), file.flow)}: correct \`flow:\``);
  }
  for (const spec of file.cases) if (only === undefined || spec.name.includes(only)) onCase(await runCase(bench, path, file.flow, spec));
}

/** Error thrown by a test, without the frames of this program. */
function thrownText(error: unknown): string {
  if (!(error instanceof Error)) return `threw ${String(error)}`;
  const lines = (error.stack ?? error.message).split("\n");
  const own = lines.findIndex((line) => /^\s+at .*\/cli\/flow-tests\//.test(line));
  return (own < 0 ? lines : lines.slice(0, own)).join("\n");
}

async function runTypeScript(bench: TestBench, path: string, { only, onCase }: TestOptions): Promise<void> {
  const run = runnerFor(bench, path);
  for (const { name, body } of await loadTypeScriptTests(path)) {
    if (only !== undefined && !name.includes(only)) continue;
    const started = performance.now();
    let thrown: string | undefined;
    try {
      await body({ run });
    } catch (error) {
      if (isCoded(error)) throw error; // a flow that can't be built fails the command, not the test
      thrown = thrownText(error);
    }
    const ms = performance.now() - started;
    onCase({
      name,
      file: relative(process.cwd(), path),
      line: 0,
      passed: thrown === undefined,
      ms,
      differences: [],
      context: [],
      ...(thrown === undefined ? {} : { thrown }),
    });
  }
}

/** Runs test files in order. Throws coded errors for what can't be run at all; a case that does not pass is a result. */
export async function runTests(files: readonly string[], options: TestOptions): Promise<void> {
  const bench = new TestBench();
  try {
    for (const path of files) await (/\.ya?ml$/.test(path) ? runYaml(bench, path, options) : runTypeScript(bench, path, options));
  } finally {
    await bench.close();
  }
}
