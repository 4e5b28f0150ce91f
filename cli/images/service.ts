/** The service of an ELF that serves by itself: of a flow, and the mayfly.yaml that names it. */
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Service } from "#abi";
import { connectors } from "#connectors";
import { type ConfigTemplate, loadTemplate } from "#gateway";
import { projectFolder } from "#image";
import { type BuiltImage, flowNames, isLate, lowerService, plainService, type StandaloneTarget } from "#standalone";
import { usageError } from "../failure.ts";

type Environment = Readonly<Record<string, string | undefined>>;

export interface BuildService {
  /** Path of the flow. */
  readonly source: string;
  /** Sentences on settings that do not count. */
  readonly remarks: readonly string[];
  /** Throws MF_OUTLET_MISSING, MF_STANDALONE_SIZE. */
  readonly of: (image: BuiltImage) => Service;
}

/** The flows of a template that are made of the file at `path`. */
function flowsOf(template: ConfigTemplate, folder: string, path: string): readonly string[] {
  const { flows } = template.written as { readonly flows: Readonly<Record<string, { readonly flow?: unknown } | null>> };
  return flowNames(template).filter((name) => {
    const file = flows[name]?.flow;
    return typeof file === "string" && resolve(folder, file) === resolve(path);
  });
}

function lowered(template: ConfigTemplate, folder: string, name: string, target: StandaloneTarget): BuildService {
  const { source, remarks, finish } = lowerService(template, name, target);
  return { source: resolve(folder, source), remarks, of: finish };
}

const targetWords: Readonly<Record<StandaloneTarget, string>> = { microvm: "--target microvm", linux: "--target linux --serve" };

/** The only flow of a configuration. Throws a ConfigError for more of them. */
function onlyFlow(template: ConfigTemplate, folder: string, target: StandaloneTarget): BuildService {
  const [first, second] = flowNames(template);
  const { report, check } = template;
  if (first === undefined) report(["flows"], "a standalone service needs a flow: add one", undefined, "MF_STANDALONE_FLOWS");
  if (second !== undefined)
    report(
      ["flows"],
      `a standalone service has one flow, and this is another: name the one to build, as in \`mayfly build flows/${first}.ts ${targetWords[target]}\``,
      second,
      "MF_STANDALONE_FLOWS",
    );
  check();
  return lowered(template, folder, first ?? "", target);
}

/**
 * Without a flow that of the configuration; for a flow that no configuration names a service that gives it every request. Rejects with a
 * ConfigError.
 */
export async function buildService(
  flow: string | undefined,
  config: string | undefined,
  environment: Environment,
  target: StandaloneTarget,
): Promise<BuildService> {
  const project = flow === undefined ? "." : projectFolder(flow);
  const file = config ?? (project === undefined ? undefined : join(project, "mayfly.yaml"));
  const plain = (source: string): BuildService => ({ source, remarks: [], of: (image) => plainService(image, target) });
  if (file === undefined || (config === undefined && flow !== undefined && !existsSync(file))) return plain(flow ?? "");
  const template = await loadTemplate(file, connectors, environment, isLate);
  const folder = dirname(resolve(file));
  if (flow === undefined) return onlyFlow(template, folder, target);
  const [name] = flowsOf(template, folder, flow);
  if (name !== undefined) return lowered(template, folder, name, target);
  if (config !== undefined) throw usageError(`${config} does not name the flow ${flow}: add it there, or leave --config out`);
  return plain(flow);
}
