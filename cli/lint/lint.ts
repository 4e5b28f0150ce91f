/** Lints flows and configurations: types, bundling, booting, top levels, outlets. */
import { existsSync } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join, relative, resolve } from "node:path";
import { CodedError } from "#base";
import { droppedPromises, type DroppedPromise } from "#image";
import { asCoded } from "../failure.ts";
import { buildFlow } from "../images/build.ts";
import { probeTopLevel } from "../machine/top-level.ts";
import { lintConfig, outletFindings } from "./config.ts";
import { findingsOf, type LintFinding } from "./finding.ts";

const skipped = new Set(["node_modules", "dist", "coverage"]);

interface Targets {
  readonly configs: Set<string>;
  readonly flows: Set<string>;
}

/** A flow's module: it exports what `flow(` of "mayfly" makes. */
async function isFlow(path: string): Promise<boolean> {
  if (!/\.[mc]?ts$/.test(path) || /\.(flow-)?test\.[mc]?ts$|\.d\.ts$/.test(path)) return false;
  const text = await readFile(path, "utf8");
  return /from\s+["']mayfly["']/.test(text) && /export\s+default\s+flow\b/.test(text);
}

async function collect(path: string, targets: Targets, named: boolean): Promise<void> {
  if ((await stat(path)).isDirectory()) {
    for (const entry of await readdir(path, { withFileTypes: true })) {
      if (entry.name.startsWith(".") || skipped.has(entry.name)) continue;
      if (entry.isDirectory() || /\.(ts|mts)$|^mayfly\.ya?ml$/.test(entry.name)) await collect(join(path, entry.name), targets, false);
    }
  } else if (/\.ya?ml$/.test(path) && (named || /^mayfly\.ya?ml$/.test(basename(path)))) targets.configs.add(path);
  else if (named || (await isFlow(path))) targets.flows.add(path);
}

export interface LintResult {
  readonly findings: readonly LintFinding[];
  readonly flows: number;
  readonly configs: number;
}

export async function lint(paths: readonly string[]): Promise<LintResult> {
  const targets: Targets = { configs: new Set(), flows: new Set() };
  for (const path of paths) {
    if (!existsSync(path)) throw new CodedError("MF_LINT_NOT_FOUND", `${path} does not exist: correct the path`);
    await collect(resolve(path), targets, true);
  }
  const findings: LintFinding[] = [];
  const configs = await Promise.all([...targets.configs].map(async (path) => ({ path, ...(await lintConfig(path)) })));
  for (const config of configs) {
    findings.push(...config.findings);
    for (const { flow } of config.flows) if (flow !== undefined) targets.flows.add(flow);
  }
  const declared = await lintFlows([...targets.flows], findings);
  for (const { path, flows } of configs)
    for (const flow of flows)
      if (flow.flow !== undefined && declared.has(flow.flow)) findings.push(...outletFindings(path, flow, declared.get(flow.flow) ?? null));
  return { findings: distinct(findings), flows: targets.flows.size, configs: targets.configs.size };
}

/** Uses of time and randomness at a flow's top level. */
async function topLevelFindings(flow: string, shown: string): Promise<LintFinding[]> {
  const { touched } = await probeTopLevel(flow);
  return touched.map(({ what, frames: [place] }): LintFinding => {
    const message = `${what} at the top level is evaluated once, when the image is built, and is the same in every machine: move it into the handler`;
    return {
      file: place?.file ?? shown,
      line: place?.line ?? 0,
      column: place?.column ?? 0,
      level: "error",
      code: "MF_TOP_LEVEL",
      message,
    };
  });
}

/** Each finding once: loops touch a place often, and flows share modules. */
function distinct(findings: readonly LintFinding[]): readonly LintFinding[] {
  return [...new Map(findings.map((each) => [JSON.stringify(each), each])).values()];
}

const dropped: Readonly<Record<DroppedPromise["kind"], string>> = {
  statement:
    "this promise is not awaited, and its result after the handler's end is lost: put `await` before it, or `void` if that is intended",
  callback: "the promises of this async function are ignored by its caller: use a loop with `await`, or `await Promise.all(… .map(…))`",
};

async function promiseFindings(flow: string): Promise<LintFinding[]> {
  return (await droppedPromises(flow)).map(({ file, line, column, kind }) => ({
    file: relative(process.cwd(), file),
    line,
    column,
    level: "error",
    code: "MF_LINT_PROMISE",
    message: dropped[kind],
  }));
}

/** Adds what is wrong with the flows to `findings`; gives the outlets of those that build. */
async function lintFlows(flows: readonly string[], findings: LintFinding[]): Promise<Map<string, readonly string[] | null>> {
  const declared = new Map<string, readonly string[] | null>();
  for (const flow of flows) {
    const shown = relative(process.cwd(), flow);
    try {
      declared.set(flow, (await buildFlow(flow)).image.manifest.outlets);
      findings.push(...(await topLevelFindings(flow, shown)), ...(await promiseFindings(flow)));
    } catch (error) {
      const { code, message } = asCoded(error);
      // The build stops at the first; the probe knows them all.
      const touched = code === "MF_TOP_LEVEL" ? await topLevelFindings(flow, shown) : [];
      findings.push(...(touched.length > 0 ? touched : findingsOf(code, message, shown)));
    }
  }
  return declared;
}
