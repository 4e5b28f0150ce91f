/**
 * Files a build may read: those below the flow's project, and packages installed for it. A flow, or a package of it, is not trusted with
 * the rest of the computer: what an image holds leaves it by the flow's outlets.
 */
import { existsSync, realpathSync, statSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { imageLimits } from "./limits.ts";

/** Mayfly's own: the kernel's parts import packages that are installed beside it. */
const ownFolder = fileURLToPath(new URL(".", import.meta.url));

/** Folders and files a build may read, all with links resolved. */
export interface Readable {
  /** The project's folder, as it is shown to people. */
  readonly project: string;
  /** The project's folder and those of `build.include`. */
  readonly folders: readonly string[];
  /** Every `node_modules` from the project upwards, where a package manager may have hoisted its packages. */
  readonly packages: readonly string[];
  /** Named by the operator, wherever they lie. */
  readonly files: readonly string[];
}

/** The nearest folder at or above `folder` that `holds`; never the root of the file system, which is everything. */
function nearest(folder: string, holds: (folder: string) => boolean): string | undefined {
  for (let at = folder; dirname(at) !== at; at = dirname(at)) if (holds(at)) return at;
  return undefined;
}

/** The nearest folder above a flow that has a mayfly.yaml, else a package.json; undefined when there is neither. */
export function projectFolder(flow: string): string | undefined {
  const folder = dirname(resolve(flow));
  const having = (name: string) => nearest(folder, (at) => existsSync(join(at, name)));
  return having("mayfly.yaml") ?? having("package.json");
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}

function ancestorPackages(project: string): string[] {
  const found: string[] = [];
  for (let at = project; ; at = dirname(at)) {
    const packages = join(at, "node_modules");
    if (existsSync(packages)) found.push(real(packages));
    if (dirname(at) === at) return found;
  }
}

/** `include`: more folders, absolute; for the flow at `flow`, which is readable itself. */
export function readableFor(flow: string, include: readonly string[] = []): Readable {
  const project = projectFolder(flow) ?? dirname(resolve(flow));
  return {
    project,
    folders: [project, ...include].map(real),
    packages: [project, ...include, ownFolder].flatMap(ancestorPackages),
    files: [real(flow)],
  };
}

/** The path below `folder`; undefined when it is not below it. */
function below(folder: string, path: string): string | undefined {
  const prefix = folder.endsWith(sep) ? folder : folder + sep;
  return path.startsWith(prefix) ? path.slice(prefix.length) : undefined;
}

/** Package managers keep packages in folders such as `.pnpm`; whatever else begins with a dot is settings, history or secrets. */
const hidden = (path: string): boolean => {
  const steps = path.split(sep);
  const packages = steps.indexOf("node_modules");
  return (packages < 0 ? steps : steps.slice(0, packages)).some((step) => step.startsWith("."));
};

/** Why the build does not read the file at `path`; undefined when it does. The sentence says what to do. */
export function refusedFile(path: string, { project, folders, packages, files }: Readable): string | undefined {
  const target = real(path);
  if (files.includes(target)) return undefined;
  const inside = folders.map((folder) => below(folder, target)).find((found) => found !== undefined);
  const near = relative(process.cwd(), path);
  const shown = near.startsWith("..") ? path : near;
  if (inside === undefined && !packages.some((folder) => below(folder, target) !== undefined))
    return `${shown}${target === resolve(path) ? "" : ` is a link that`} points outside the project ${project}: move the file into it, or name its folder under build.include in mayfly.yaml`;
  if (inside !== undefined && (hidden(inside) || /(^|[\\/])mayfly\.ya?ml$/.test(inside)))
    return `${shown} may hold secrets: a build reads neither mayfly.yaml nor files and folders whose names begin with a dot`;
  const found = statSync(target, { throwIfNoEntry: false });
  if (found !== undefined && !found.isFile()) return `${shown} is not a regular file`;
  if (found !== undefined && found.size > imageLimits.sourceFileBytes)
    return `${shown} has ${found.size} bytes, more than the ${imageLimits.sourceFileBytes} a build reads: let the flow request it from an outlet`;
  return undefined;
}
