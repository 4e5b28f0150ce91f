/** The service of an ELF that serves by itself: of a flow and the mayfly.yaml that names it, or of all flows of a mayfly.yaml. */
import { existsSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import type { Service } from "#abi";
import { connectors } from "#connectors";
import { type ConfigTemplate, loadTemplate } from "#gateway";
import { type Built, buildSeveral, projectFolder } from "#image";
import { type BuiltImage, flowNames, isLate, type LoweredService, lowerService, plainService, type StandaloneTarget } from "#standalone";
import { usageError } from "../failure.ts";

type Environment = Readonly<Record<string, string | undefined>>;

export interface BuildService {
  /** The service's name, unless another is given. */
  readonly name: string;
  /** Paths of its flows' sources. */
  readonly sources: readonly string[];
  /** Sentences on settings that do not count. */
  readonly remarks: readonly string[];
  /**
   * Puts flows that were built one by one, in their order, into one image. Throws MF_OUTLET_MISSING, MF_STANDALONE_BATCH, MF_STANDALONE_SIZE, and as
   * a build does.
   */
  readonly join: (built: readonly Built[], name: string) => Promise<JoinedService>;
}

export interface JoinedService {
  readonly built: Built;
  readonly service: Service;
}

/** The flows of a template that are made of the file at `path`. */
function flowsOf(template: ConfigTemplate, folder: string, path: string): readonly string[] {
  const { flows } = template.written as { readonly flows: Readonly<Record<string, { readonly flow?: unknown } | null>> };
  return flowNames(template).filter((name) => {
    const file = flows[name]?.flow;
    return typeof file === "string" && resolve(folder, file) === resolve(path);
  });
}

async function joined(lowered: LoweredService, folder: string, built: readonly Built[], name: string): Promise<JoinedService> {
  const { flows, include, finish } = lowered;
  const images = built.map(({ image }) => image);
  const [only] = built;
  if (only !== undefined && built.length === 1) return { built: only, service: { ...finish(images, only.image), name } };
  const files = flows.map((flow, index) => ({
    name: flow.name,
    path: resolve(folder, flow.source),
    limits: flow.limitsOf(images[index] as BuiltImage),
    isWarm: built[index]?.warm !== undefined,
  }));
  const whole = await buildSeveral(name, files, folder, include);
  return { built: whole, service: finish(images, whole.image) };
}

function lowered(template: ConfigTemplate, folder: string, names: readonly string[], target: StandaloneTarget): BuildService {
  const service = lowerService(template, names, target);
  const [first] = names;
  return {
    name: first !== undefined && names.length === 1 ? first : basename(resolve(folder)),
    sources: service.flows.map(({ source }) => resolve(folder, source)),
    remarks: service.remarks,
    join: (built, name) => joined(service, folder, built, name),
  };
}

/** A flow that no configuration names: it gets every request. */
function plain(source: string, target: StandaloneTarget): BuildService {
  return {
    name: basename(source).replace(/\.[^.]+$/, ""),
    sources: [source],
    remarks: [],
    join: async ([built], name) => {
      if (built === undefined) throw usageError("name a flow to build");
      return { built, service: { ...plainService(built.image, target), name } };
    },
  };
}

/**
 * Without a flow all of the configuration's; for a flow that no configuration names a service that gives it every request. Rejects with a
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
  if (file === undefined || (config === undefined && flow !== undefined && !existsSync(file))) return plain(flow ?? "", target);
  const template = await loadTemplate(file, connectors, environment, isLate);
  const folder = dirname(resolve(file));
  if (flow === undefined) {
    const names = flowNames(template);
    if (names.length === 0) template.report(["flows"], "a standalone service needs a flow: add one", undefined, "MF_STANDALONE_FLOWS");
    template.check();
    return lowered(template, folder, names, target);
  }
  const [name] = flowsOf(template, folder, flow);
  if (name !== undefined) return lowered(template, folder, [name], target);
  if (config !== undefined) throw usageError(`${config} does not name the flow ${flow}: add it there, or leave --config out`);
  return plain(flow, target);
}
