/** Node's modules in a machine: those with a meaning there are linked when named, the others are refused where they are imported. */
import { isBuiltin } from "node:module";
import { sep } from "node:path";
import { fileURLToPath } from "node:url";
import { table } from "#base";
import type { OnResolveArgs, OnResolveResult, Plugin, PluginBuild } from "esbuild";

/** Replacements of Node modules that have no meaning in a machine. */
const instead: Readonly<Record<string, string>> = table({
  child_process: "an outlet: a machine starts nothing",
  dgram: "an outlet: a machine has no network of its own",
  dns: "an outlet or `fetch`: a machine has no network of its own",
  fs: "a file source or a file outlet in mayfly.yaml: a machine has no files",
  "fs/promises": "a file source or a file outlet in mayfly.yaml: a machine has no files",
  http: "`fetch`, or an http outlet with `to.NAME.request()`",
  http2: "`fetch`, or an http outlet with `to.NAME.request()`",
  https: "`fetch`, or an http outlet with `to.NAME.request()`",
  net: "an outlet: a machine has no network of its own",
  tls: "an outlet: a machine has no network of its own",
  worker_threads: "another flow: a machine is one thread",
  zlib: "CompressionStream and DecompressionStream, or the package fflate",
});

export interface NodeModule {
  /** The part of the kernel, or the package installed with Mayfly, that stands for it. */
  readonly from: `mayfly/${string}` | `package:${string}`;
  /** The member of it that is the module; the whole when absent. */
  readonly member?: string;
}

const modules: ReadonlyMap<string, NodeModule> = new Map<string, NodeModule>([
  ["assert", { from: "mayfly/nodeassert" }],
  ["assert/strict", { from: "mayfly/nodeassert", member: "strict" }],
  ["buffer", { from: "mayfly/buffer" }],
  ["crypto", { from: "mayfly/nodecrypto" }],
  ["events", { from: "package:events/" }],
  ["os", { from: "mayfly/nodevalues", member: "os" }],
  ["perf_hooks", { from: "mayfly/nodevalues", member: "perfHooks" }],
  ["path", { from: "package:path-browserify" }],
  ["path/posix", { from: "package:path-browserify" }],
  ["process", { from: "mayfly/process" }],
  ["punycode", { from: "package:punycode/" }],
  ["querystring", { from: "mayfly/nodequery" }],
  ["qs", { from: "mayfly/nodequery", member: "likeQs" }],
  ["stream", { from: "package:readable-stream" }],
  ["stream/promises", { from: "package:readable-stream", member: "promises" }],
  ["stream/web", { from: "mayfly/streams" }],
  ["string_decoder", { from: "package:string_decoder/" }],
  ["timers", { from: "mayfly/immediate" }],
  ["timers/promises", { from: "mayfly/immediate", member: "promises" }],
  ["url", { from: "mayfly/nodeurl" }],
  ["util", { from: "mayfly/nodeutil" }],
  ["util/types", { from: "mayfly/nodeutil", member: "types" }],
]);

const withoutScheme = (path: string): string => path.replace(/^node:/, "");

/** Names of the Node modules that a machine has. */
export const nodeModules: readonly string[] = [...modules.keys()].filter((name) => isBuiltin(name));

/** The sentence that refuses an import of a Node module and says what to use instead; for any other module, undefined. */
export function refusedNodeModule(path: string): string | undefined {
  if (!isBuiltin(path) && !path.startsWith("node:")) return undefined;
  const otherwise = instead[withoutScheme(path)] ?? "an outlet, or a package that needs no Node API";
  return `a machine has no Node module "${path}": use ${otherwise}`;
}

export const nodeNamespace = "node-module";
/** Packages of Mayfly's own are found from here, whatever the flow's project has installed. */
const ownFolder = fileURLToPath(new URL(".", import.meta.url));
const resolved = Symbol("resolved");

/** True for an import by the package `name`. */
function isBy(importer: string, name: string): boolean {
  return importer.includes(`${sep}node_modules${sep}${name}${sep}`);
}

/** A package that is installed, or what the `browser` field of the importing package says, comes first. */
async function isInstalled(builder: PluginBuild, { path, pluginData: _, with: __, ...from }: OnResolveArgs): Promise<boolean> {
  const { errors } = await builder.resolve(path, { ...from, pluginData: resolved });
  return errors.length === 0;
}

/**
 * Node modules, by their names with and without `node:`. One without a meaning in a machine is left to esbuild, which refuses it as it does
 * any module that is not there: where it is imported, but not where it is only tried.
 */
export function nodeModulesPlugin(): Plugin {
  return {
    name: "node-modules",
    setup(builder) {
      const shim = (name: string): OnResolveResult => ({ path: name, namespace: nodeNamespace });
      builder.onResolve({ filter: /^(node:)?[a-z_0-9]+(\/[a-z_]+)?$/ }, async (args) => {
        const { path, kind, pluginData, importer } = args;
        if (kind === "entry-point" || pluginData === resolved) return undefined;
        // The package `url` reads queries as Node did only with Node's own parser.
        if (path === "qs" && isBy(importer, "url")) return shim("qs");
        if (!isBuiltin(path) || (await isInstalled(builder, args))) return undefined;
        const name = withoutScheme(path);
        return modules.has(name) ? shim(name) : undefined;
      });
      // The package of that name would take a timer, an event of the machine, for each tick.
      builder.onResolve({ filter: /^process\/$/ }, () => shim("process"));
      builder.onLoad({ filter: /.*/, namespace: nodeNamespace }, ({ path }) => {
        const { from, member } = modules.get(path)!;
        const part = from.startsWith("mayfly/");
        const module = `require(${JSON.stringify(from.replace(/^package:/, ""))})${part ? ".default" : ""}`;
        return { contents: `module.exports = ${module}${member === undefined ? "" : `.${member}`};`, resolveDir: ownFolder };
      });
    },
  };
}
