/** Bundles a flow and what it imports into one script for the machine. */
import { isUtf8 } from "node:buffer";
import { existsSync, readFileSync, statSync } from "node:fs";
import { isBuiltin } from "node:module";
import { basename, dirname, extname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type BuildResult, type Loader, type Message, type Plugin } from "esbuild";
import { CodedError } from "#base";
import { linkedParts, packedPartModules, partModules, partModulesFile, streamingParts } from "#kernel";
import { nodeModulesPlugin, nodeNamespace, refusedNodeModule } from "./bundle-node.ts";
import { type Readable, readableFor, refusedFile } from "./readable.ts";

const kernelFolder = fileURLToPath(new URL("../kernel/runtime/", import.meta.url));

/** The kernel's modules under the names flows import them by. */
function kernelModule(name: string): string {
  return `${kernelFolder}${name.replace(/\.ts$/, ".js")}`;
}

/** "mayfly", its parts, and tables of locales: "mayfly/locales/nl". */
const ownModule = /^mayfly(\/[a-z]+(\/[a-zA-Z-]+)?)?$/;
const emptyNamespace = "empty";
/** Takes the kernel object away from the globals before any module of the flow runs. */
const sealName = "mayfly:seal";
const sealNamespace = "mayfly-seal";
/** esbuild's, for what a `browser` field leaves out: such a module is empty. */
const leftOutNamespace = "(disabled)";
/** Namespaces of modules that are no files. */
const virtual = [emptyNamespace, sealNamespace, nodeNamespace, leftOutNamespace];
const seal = 'delete globalThis[Symbol.for("mayfly.kernel")];';

const flowModule = kernelModule("flow.ts");

/** The text of a module of the kernel that lies in the file of parts; undefined for one by itself, and for any other file. */
function packedModule(path: string): string | undefined {
  return path.startsWith(kernelFolder) ? packedPartModules().get(path.slice(kernelFolder.length).split(sep).join("/")) : undefined;
}

/** "mayfly" with its exports marked as droppable: the compiler takes such marks out with all comments, and xml, csv and zone would be in every image. */
function droppable(text: string): string {
  return text.replaceAll("= take(", "= /* @__PURE__ */ take(");
}

/** `scan`: the kernel's own parts are left out, so that what they mention is not taken for what the flow mentions. */
function kernelModules(scan: boolean): Plugin {
  return {
    name: "kernel-modules",
    setup(builder) {
      builder.onResolve({ filter: ownModule }, ({ path }) => {
        const part = path.slice("mayfly/".length);
        const module = path === "mayfly" ? "flow.ts" : partModules[part];
        if (module === undefined)
          return {
            errors: [
              {
                text: `unknown module "${path}": there are mayfly, ${Object.keys(partModules)
                  .map((name) => `mayfly/${name}`)
                  .join(", ")}`,
              },
            ],
          };
        return scan && path !== "mayfly" ? { path, namespace: emptyNamespace } : { path: kernelModule(module) };
      });
      builder.onResolve({ filter: /^\.{1,2}\// }, ({ path, importer }) => {
        const found = importer.startsWith(kernelFolder) ? resolve(dirname(importer), path) : "";
        return packedModule(found) === undefined ? undefined : { path: found };
      });
      builder.onLoad({ filter: /\.js$/, namespace: "file" }, ({ path }) => {
        const text = packedModule(path);
        if (text === undefined) return undefined;
        return { contents: path === flowModule ? droppable(text) : text, loader: "js" };
      });
      builder.onLoad({ filter: /.*/, namespace: emptyNamespace }, () => ({ contents: "export {};" }));
      builder.onResolve({ filter: /^mayfly:seal$/ }, ({ path }) => ({ path, namespace: sealNamespace }));
      builder.onLoad({ filter: /.*/, namespace: sealNamespace }, () => ({ contents: seal }));
    },
  };
}

/** Files whose `sourceMappingURL` esbuild would follow by itself, wherever it leads. */
const mapped: Readonly<Record<string, Loader>> = {
  ".js": "js",
  ".mjs": "js",
  ".cjs": "js",
  ".jsx": "jsx",
  ".ts": "ts",
  ".mts": "ts",
  ".cts": "ts",
  ".tsx": "tsx",
  ".css": "css",
};
const mapMark = "sourceMappingURL=";

/** Lets esbuild load only files that the build may read, and follow no source map to others. */
function onlyReadable(readable: Readable, refused: Set<string>): Plugin {
  return {
    name: "only-readable",
    setup(builder) {
      builder.onLoad({ filter: /.*/, namespace: "file" }, ({ path, with: attributes }) => {
        if (path.startsWith(kernelFolder)) return undefined;
        const text = refusedFile(path, readable);
        if (text !== undefined) {
          refused.add(path);
          return { errors: [{ text }] };
        }
        const loader = mapped[extname(path)];
        if (loader === undefined || Object.keys(attributes).length > 0) return undefined;
        const contents = readFileSync(path);
        if (!contents.includes(mapMark)) return undefined;
        return { contents: contents.toString("utf8").replaceAll(mapMark, "sourceMapping-"), loader };
      });
    },
  };
}

/** Refuses the imports that lead to `refused` files where they stand: esbuild gives only those a line. */
function refuseImports(readable: Readable, refused: ReadonlySet<string>): Plugin {
  const resolved = Symbol("resolved");
  return {
    name: "refuse-imports",
    setup(builder) {
      builder.onResolve({ filter: /.*/ }, async ({ path, pluginData, kind, ...from }) => {
        if (pluginData === resolved || kind === "entry-point" || isBuiltin(path)) return undefined;
        const found = await builder.resolve(path, { ...from, kind, pluginData: resolved });
        return refused.has(found.path) ? { errors: [{ text: refusedFile(found.path, readable) ?? path }] } : undefined;
      });
    },
  };
}

/** Lets strangers' files import what is Mayfly's own, whatever lies on the disk. */
function importNothing(files: readonly string[]): Plugin {
  return {
    name: "import-nothing",
    setup(builder) {
      builder.onResolve({ filter: /.*/ }, ({ path, importer }) => {
        if (!files.includes(importer) || ownModule.test(path) || isBuiltin(path)) return undefined;
        return { errors: [{ text: `the code imports ${JSON.stringify(path)}: code that is given as text may import only from "mayfly"` }] };
      });
    },
  };
}

export interface Bundle {
  readonly script: Uint8Array;
  readonly sourceMap: Uint8Array;
  /** The flow reads its message in pieces. */
  readonly streams?: boolean;
  /** Every file that went in, absolute. */
  readonly inputs: readonly string[];
  /** Bytes each source has in the bundle, largest first; paths relative to the flow's folder. */
  readonly sources: readonly { readonly path: string; readonly bytes: number }[];
}

function packageOf(path: string): string {
  return path
    .split("/")
    .slice(0, path.startsWith("@") ? 2 : 1)
    .join("/");
}

/** esbuild's messages, in the words of a flow's author. */
function inFlowsWords(said: string): string {
  const missing = /^Could not resolve "([^"./][^"]*)"/.exec(said)?.[1];
  const refused = missing === undefined ? undefined : refusedNodeModule(missing);
  if (refused !== undefined) return refused;
  if (missing !== undefined) return `${said}: run \`npm install ${packageOf(missing)}\` in the flow's project`;
  if (said.startsWith("Top-level await"))
    return "a flow's top level can't await, since it runs while the image is built: await in the handler";
  return said;
}

function describe({ text: said, location }: Message, folder: string): string {
  const text = inFlowsWords(said);
  if (location === null) return text;
  return `${relative(process.cwd(), resolve(folder, location.file)) || location.file}:${location.line}:${location.column + 1}: ${text}`;
}

/** The module esbuild begins with. */
const entryName = "mayfly:entry";
/** The shape of a flow's module, for the message about one without it. */
const flowShape = 'write `export default flow(async (msg, { to, log }) => { … })`, with `flow` imported from "mayfly"';

type Result = BuildResult<{ write: false; metafile: true }>;

interface BundleOptions {
  /** Paths in the bundle are told from here. */
  readonly folder: string;
  /** The statements that give the flow to the machine. */
  readonly entry: string;
  readonly readable: Readable;
  /** Parts of the kernel to put in front; undefined to see what the flow mentions. */
  readonly parts?: readonly string[] | undefined;
  /** Functions and classes keep their names where the bundler has to give them others. */
  readonly keepNames?: boolean | undefined;
  /** Files that may import nothing but Mayfly's own. */
  readonly alone?: readonly string[] | undefined;
  /** Statements stay as they were written, one by one, for a debugger. */
  readonly plain?: boolean | undefined;
}

/** A function or class in an expression with a name of its own, which esbuild drops where it makes statements shorter and nothing uses it. */
const namedExpression =
  /[=(,:?[&|!+>]\s*(?:async\s+)?(?:function\b\s*\*?|class)\s+(?!extends\b)[\w$]|\breturn\s+(?:async\s+)?(?:function\b\s*\*?|class)\s+(?!extends\b)[\w$]/;

/**
 * Names that a bundler may have made of others, since two modules had the same, or one has that of a global: `AppError2`, `_URL`. Keeping
 * names costs a call for each function that is made, so it is done only where there may be such a one. A comma stands before a name whose
 * declaration was joined to others.
 */
const madeName =
  /\b(?:class|function\*?)\s+(?:_\w|[\w$]*\d\b)|(?:\b(?:var|let|const)\s+|,\s*)(?:_\w+|[\w$]*\d)\s*=\s*(?:class\b|(?:async\s*)?(?:function\b|(?:\((?:[^()]|\([^()]*\))*\)|[\w$]+)\s*=>))/;

async function runEsbuild({
  folder,
  entry,
  readable,
  parts,
  keepNames = false,
  plain = false,
  alone = [],
}: BundleOptions): Promise<Result> {
  // In this order: parts and "mayfly" take the kernel, then it is sealed, then the flow's own modules run.
  const imports = [...(parts ?? []).map((name) => `mayfly/${name}`), "mayfly", sealName].map((name) => `import "${name}";`).join("");
  const refused = new Set<string>();
  const run = (first: readonly Plugin[]): Promise<Result> =>
    build({
      stdin: {
        contents: imports + entry,
        resolveDir: folder,
        sourcefile: entryName,
        loader: "js",
      },
      absWorkingDir: folder,
      bundle: true,
      write: false,
      metafile: true,
      format: "iife",
      // esbuild's own choice of fields and conditions: what require() takes is made for require().
      platform: "browser",
      target: "es2023",
      outfile: "flow.js",
      sourcemap: "external",
      sourcesContent: false,
      minifySyntax: !plain,
      keepNames,
      legalComments: "none",
      charset: "utf8",
      define: { "process.env.NODE_ENV": '"production"', global: "globalThis", self: "globalThis" },
      // As with the type check, no tsconfig.json counts: it could name another as its base, anywhere on the computer.
      tsconfigRaw: {},
      logLevel: "silent",
      plugins: [importNothing(alone), ...first, kernelModules(parts === undefined), nodeModulesPlugin(), onlyReadable(readable, refused)],
    });
  try {
    return await run([]);
  } catch (cause) {
    const errors = (cause as { errors?: Message[] }).errors;
    if (errors === undefined) throw cause;
    const alien = errors.filter(({ pluginName }) => pluginName === "import-nothing");
    if (alien.length > 0) throw new CodedError("MF_BUNDLE_OUTSIDE", alien.map((error) => describe(error, folder)).join("\n"), { cause });
    if (refused.size > 0) {
      const placed = await run([refuseImports(readable, refused)]).catch((again: { errors?: Message[] }) => again.errors);
      const places = Array.isArray(placed) ? placed.filter(({ pluginName }) => pluginName === "refuse-imports") : [];
      const said = places.length > 0 ? places : errors.filter(({ pluginName }) => pluginName === "only-readable");
      throw new CodedError("MF_BUNDLE_OUTSIDE", said.map((error) => describe(error, folder)).join("\n"), { cause });
    }
    if (errors.some(({ text, location }) => location?.file === entryName && text.startsWith("No matching export")))
      throw new CodedError("MF_FLOW_INVALID", `the flow's module has no default export: ${flowShape}`, { cause });
    throw new CodedError("MF_BUNDLE_FAILED", errors.map((error) => describe(error, folder)).join("\n"), { cause });
  }
}

function output(result: BuildResult<{ write: false; metafile: true }>, ending: string): Uint8Array {
  const file = result.outputFiles.find(({ path }) => path.endsWith(ending));
  return file?.contents ?? new Uint8Array(0);
}

/** The flow's own modules in the bundle: the parts' come before the seal. */
function behindSeal(result: Result): string {
  const text = Buffer.from(output(result, ".js")).toString("utf8");
  return text.slice(text.indexOf(seal.slice(0, seal.indexOf("["))));
}

/** Every file that went in, absolute, but for those in the file of parts. */
function inputsOf({ metafile }: BuildResult<{ metafile: true }>, folder: string): string[] {
  return Object.keys(metafile.inputs)
    .filter((name) => name !== entryName && !virtual.some((namespace) => name.startsWith(`${namespace}:`)))
    .map((name) => (isAbsolute(name) ? name : resolve(folder, name)))
    .filter((file) => packedModule(file) === undefined);
}

/** esbuild reads what is not UTF-8 as U+FFFD and says nothing: a text in the flow would silently be another. */
function checkUtf8(files: readonly string[]): void {
  for (const file of files) {
    const bytes = readFileSync(file);
    if (isUtf8(bytes)) continue;
    let line = 1;
    for (let at = 0, end = 0; end >= 0; at = end + 1, line++) {
      end = bytes.indexOf("\n", at);
      if (!isUtf8(bytes.subarray(at, end < 0 ? bytes.length : end))) break;
    }
    const message = `${relative(process.cwd(), file)}:${line}:1: the line is not UTF-8: save the file as UTF-8`;
    throw new CodedError("MF_BUNDLE_FAILED", message);
  }
}

/** A package reads itself and other packages by their names; the project's own files are the flow's business. */
function checkPackages({ metafile }: Result, folder: string): void {
  const inPackage = (name: string): boolean => name.split(/[\\/]/).includes("node_modules");
  const isKernel = (name: string): boolean => resolve(folder, name).startsWith(kernelFolder);
  const isLeftOut = (name: string): boolean => name.startsWith(`${leftOutNamespace}:`) && metafile.inputs[name]?.bytes === 0;
  for (const [importer, { imports }] of Object.entries(metafile.inputs)) {
    if (!inPackage(importer) || isKernel(importer)) continue;
    const out = imports.find(
      ({ path, original = "", external }) => external !== true && /^[./]/.test(original) && !inPackage(path) && !isLeftOut(path),
    );
    if (out === undefined) continue;
    const shown = relative(process.cwd(), resolve(folder, importer));
    throw new CodedError(
      "MF_BUNDLE_OUTSIDE",
      `${shown}: the package imports ${out.original}, a file of the project: packages may import only packages`,
    );
  }
}

/** The kernel's modules have names, "mayfly" and "mayfly/xml": by their files nobody but they themselves imports them. */
function checkKernelImports({ metafile }: Result, folder: string): void {
  const isKernel = (name: string): boolean => resolve(folder, name).startsWith(kernelFolder);
  for (const [importer, { imports }] of Object.entries(metafile.inputs)) {
    if (isKernel(importer)) continue;
    const found = imports.find(({ path, original = "" }) => isKernel(path) && !ownModule.test(original));
    if (found === undefined) continue;
    const shown = relative(process.cwd(), resolve(folder, importer));
    throw new CodedError("MF_BUNDLE_OUTSIDE", `${shown}: ${found.original} is a file of the kernel: import from "mayfly"`);
  }
}

/**
 * Bundles the flow at `path`; `include`: folders it may read besides its project; `plain`: for a debugger; `alone`: see BuildOptions. Throws MF_FLOW_NOT_FOUND, MF_BUNDLE_FAILED and
 * MF_BUNDLE_OUTSIDE with file, line and column.
 */
export async function bundleFlow(
  path: string,
  include: readonly string[] = [],
  { plain = false, alone }: Pick<BundleOptions, "plain" | "alone"> = {},
): Promise<Bundle> {
  const flow = resolve(path);
  if (!existsSync(flow)) throw new CodedError("MF_FLOW_NOT_FOUND", `there is no flow at ${path}`);
  if (statSync(flow).isDirectory()) throw new CodedError("MF_FLOW_NOT_FOUND", `${path} is a folder: give the flow's source file in it`);
  const entry = `import flow from ${JSON.stringify(`./${basename(flow)}`)}; globalThis.__flow = flow;`;
  return bundle({ folder: dirname(flow), entry, readable: readableFor(flow, include), plain, alone });
}

/**
 * Bundles statements that import flows and give one to the machine; paths are relative to `folder`. `include`: the folders that the flows may
 * read. Throws as `bundleFlow` does.
 */
export async function bundleEntry(entry: string, folder: string, include: readonly string[]): Promise<Bundle> {
  return bundle({ folder, entry, readable: readableFor(join(folder, "mayfly.yaml"), include) });
}

async function bundle(options: BundleOptions): Promise<Bundle> {
  const { folder } = options;
  let result = await runEsbuild(options);
  checkPackages(result, folder);
  checkKernelImports(result, folder);
  const text = Buffer.from(output(result, ".js")).toString("utf8");
  if (text.includes("\ufffd")) checkUtf8(inputsOf(result, folder));
  const imported = Object.keys(result.metafile.inputs).filter((name) => name.startsWith(`${emptyNamespace}:mayfly/`));
  const linked = linkedParts(
    text,
    imported.map((name) => name.slice(`${emptyNamespace}:mayfly/`.length)),
  );
  const keepNames = madeName.test(text) || inputsOf(result, folder).some((file) => namedExpression.test(readFileSync(file, "utf8")));
  if (linked.length > 0 || keepNames) result = await runEsbuild({ ...options, parts: linked, keepNames });
  // Parts share a scope with the flow, and come first: a function of the flow that has the name of one of theirs got another.
  if (linked.length > 0 && !keepNames && madeName.test(behindSeal(result)))
    result = await runEsbuild({ ...options, parts: linked, keepNames: true });
  const outputs = Object.entries(result.metafile.outputs).find(([name]) => name.endsWith(".js"))?.[1];
  const sources = Object.entries(outputs?.inputs ?? {}).map(([name, { bytesInOutput }]) => ({
    path: sourceName(name, folder),
    bytes: bytesInOutput,
  }));
  return {
    script: output(result, ".js"),
    sourceMap: output(result, ".map"),
    streams: /\bfor await\b|\bfromAsync\b/.test(text) && linked.some((part) => streamingParts.includes(part)),
    inputs: [...inputsOf(result, folder), partModulesFile],
    sources: sources
      .filter(({ path: name, bytes }) => bytes > 0 && name !== entryName)
      .sort((a, b) => b.bytes - a.bytes || (a.path < b.path ? -1 : 1)),
  };
}

/** A source's name that does not depend on where the project lies: packages by their own path, the kernel's as `mayfly:…`. */
function sourceName(name: string, folder: string): string {
  const full = resolve(folder, name);
  if (full.startsWith(kernelFolder)) return `mayfly:${full.slice(kernelFolder.length).replace(/\.(js|ts)$/, "")}`;
  const parts = full.split(sep);
  const packages = parts.lastIndexOf("node_modules");
  return packages < 0 ? name : parts.slice(packages + 1).join("/");
}
