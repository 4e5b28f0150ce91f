/** Checks of a mayfly.yaml: its own faults, and its outlets beside those its flows use. */
import { readFile } from "node:fs/promises";
import { dirname, relative, resolve } from "node:path";
import { isMap, isNode, isScalar, LineCounter, type Document, parseDocument } from "yaml";
import { connectors } from "#connectors";
import { ConfigError, type ConfigProblem, loadConfig } from "#gateway";
import type { LintFinding } from "./finding.ts";

/** A flow as mayfly.yaml has it, read leniently: what the environment lacks must not hide the rest. */
export interface ConfiguredFlow {
  readonly name: string;
  /** Absolute; undefined for an image. */
  readonly flow: string | undefined;
  readonly outlets: readonly { readonly name: string; readonly line: number; readonly column: number }[];
  readonly line: number;
  readonly column: number;
}

export interface ConfigLint {
  readonly findings: readonly LintFinding[];
  readonly flows: readonly ConfiguredFlow[];
}

type Place = { readonly line: number; readonly column: number };

function placeOf(node: unknown, lines: LineCounter): Place {
  const { line, col } = lines.linePos(isNode(node) ? (node.range?.[0] ?? 0) : 0);
  return { line, column: col };
}

function flowsOf(document: Document, lines: LineCounter, base: string): ConfiguredFlow[] {
  const flows = document.get("flows", true);
  if (!isMap(flows)) return [];
  return flows.items.map(({ key, value }): ConfiguredFlow => {
    const file = isMap(value) ? value.get("flow") : undefined;
    const to = isMap(value) ? value.get("to", true) : undefined;
    return {
      name: isScalar(key) ? String(key.value) : "",
      flow: typeof file === "string" ? resolve(base, file) : undefined,
      outlets: isMap(to)
        ? to.items.map((pair) => ({ name: isScalar(pair.key) ? String(pair.key.value) : "", ...placeOf(pair.key, lines) }))
        : [],
      ...placeOf(key, lines),
    };
  });
}

const placeholder = "http://127.0.0.1";

/** The environment, with something for whatever references it lacks, but no profile. */
function filledEnvironment(): Readonly<Record<string, string | undefined>> {
  const isReference = (name: unknown): name is string => typeof name === "string" && name !== "MAYFLY_PROFILE";
  return new Proxy(process.env, { get: (env, name) => (isReference(name) ? (env[name] ?? placeholder) : env[String(name)]) });
}

async function problemsWith(path: string, environment: Readonly<Record<string, string | undefined>>): Promise<readonly ConfigProblem[]> {
  try {
    await loadConfig(path, connectors, environment);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

export async function lintConfig(path: string): Promise<ConfigLint> {
  const shown = relative(process.cwd(), path);
  const text = await readFile(path, "utf8");
  let problems = await problemsWith(path, process.env);
  if (problems.some(({ code }) => code === "MF_CONFIG_ENV")) {
    // A missing variable hides what else is wrong: look again with all of them set, and past the lines that only hold a placeholder.
    const rows = text.split("\n");
    const others = await problemsWith(path, filledEnvironment());
    problems = [
      ...problems,
      ...others.filter(
        ({ code, line, message }) => code === "MF_CONFIG_INVALID" && !rows[line - 1]?.includes("${") && !message.includes(placeholder),
      ),
    ];
  }
  const findings = problems.map(({ code, line, column, path: where, message, file = shown }): LintFinding => {
    // A variable that is missing here may be set where the flow is served.
    const level = code === "MF_CONFIG_ENV" ? "warning" : "error";
    return { file, line, column, level, code, message: where === "" ? message : `${where}: ${message}` };
  });
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  return { findings, flows: flowsOf(document, lines, dirname(path)) };
}

/** Outlets a flow declares beside those it is given. `declared` null: the flow does not say. */
export function outletFindings(config: string, flow: ConfiguredFlow, declared: readonly string[] | null): LintFinding[] {
  if (declared === null) return [];
  const file = relative(process.cwd(), config);
  const given = new Set(flow.outlets.map(({ name }) => name));
  const missing = declared
    .filter((name) => !given.has(name))
    .map((name): LintFinding => {
      const message = `flow ${flow.name} uses the outlet "${name}", which is not configured: add it under flows.${flow.name}.to`;
      return { file, line: flow.line, column: flow.column, level: "error", code: "MF_OUTLET_MISSING", message };
    });
  const unused = flow.outlets
    .filter(({ name }) => !declared.includes(name))
    .map(({ name, line, column }): LintFinding => {
      const message = `the outlet "${name}" is configured, but flow ${flow.name} does not declare it${declared.length === 0 ? "" : ` (it has ${declared.join(", ")})`}`;
      return { file, line, column, level: "warning", code: "MF_LINT_OUTLET_UNUSED", message };
    });
  return [...missing, ...unused];
}
