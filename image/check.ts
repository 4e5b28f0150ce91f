/** Type-checks a flow with TypeScript's own compiler, against the kernel's declarations: no Node, no DOM. */
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, isAbsolute, join, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { CodedError } from "#base";
import { readableFor, refusedFile } from "./readable.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

let compiler: Promise<string> | undefined;

/** The native compiler inside the typescript package; its launcher would cost a Node process. */
async function compilerPath(): Promise<string> {
  const require = createRequire(import.meta.url);
  const lib = join(dirname(require.resolve("typescript/package.json")), "lib", "getExePath.js");
  const { default: getExePath } = (await import(pathToFileURL(lib).href)) as { default: () => string };
  return getExePath();
}

/** The engine's part of ECMAScript: 2025, and these proposals. */
export const engineLibs: readonly string[] = ["ES2025", "ESNext.Array", "ESNext.Disposable", "ESNext.Error", "ESNext.TypedArrays"];

/** JSON as tsconfig.json has it: with comments and commas at ends. Undefined when it is not that. */
function looseJson(text: string): unknown {
  const plain = text
    .replace(/("(?:[^"\\\n]|\\.)*")|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, "$1")
    .replace(/("(?:[^"\\\n]|\\.)*")|,(?=\s*[\]}])/g, "$1");
  try {
    return JSON.parse(plain) as unknown;
  } catch {
    return undefined;
  }
}

/**
 * The `lib` of the project's tsconfig.json, as far as it is of ECMAScript: a machine has the rest of it or has it not, whatever an editor is
 * told. Undefined when it says nothing of it.
 */
function projectLibs(project: string): readonly string[] | undefined {
  const file = join(project, "tsconfig.json");
  if (!existsSync(file) || refusedFile(file, readableFor(file)) !== undefined) return undefined;
  const config = looseJson(readFileSync(file, "utf8")) as { compilerOptions?: { lib?: unknown } } | null | undefined;
  const lib = config?.compilerOptions?.lib;
  const libs = Array.isArray(lib) ? lib.filter((each): each is string => typeof each === "string" && /^es[\w.]+$/i.test(each)) : [];
  return libs.length === 0 ? undefined : libs;
}

function config(flow: string, project: string): string {
  return JSON.stringify({
    compilerOptions: {
      strict: true,
      noEmit: true,
      target: "ES2025",
      lib: projectLibs(project) ?? engineLibs,
      types: [],
      module: "ESNext",
      moduleResolution: "bundler",
      skipLibCheck: true,
      allowImportingTsExtensions: true,
      resolveJsonModule: true,
      allowJs: false,
      noErrorTruncation: true,
      listFiles: true,
      typeRoots: [],
      paths: { mayfly: [join(root, "kernel/runtime/api.d.ts")], "mayfly/*": [join(root, "kernel/runtime/api.d.ts")] },
    },
    files: [flow, join(root, "kernel/runtime/globals.d.ts")],
  });
}

function run(command: string, values: readonly string[]): Promise<{ readonly code: number; readonly text: string }> {
  return new Promise((done, failed) => {
    const child = spawn(command, values, { stdio: ["ignore", "pipe", "pipe"], env: {} });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (part: string) => (text += part));
    child.on("error", failed).on("close", (code) => done({ code: code ?? 1, text }));
  });
}

/** TypeScript's advice does not help in a machine: Node's types describe APIs that do not exist there. */
function withoutAdvice(message: string): string {
  return message
    .replace(
      / Do you need to install type definitions for node.*$/,
      " A machine has neither Node's nor a browser's APIs: docs/FLOWS.md lists the available ones.",
    )
    .replace(
      / Do you need to change your target library.*$/,
      " The engine has ECMAScript 2025: set compilerOptions.lib accordingly in the project's tsconfig.json.",
    );
}

/** tsc names files relative to its own folder; people want them relative to theirs. */
function readableText(text: string, folder: string): string {
  const lines = text.split("\n").map((line) => {
    const match = /^(.+?)\((\d+),(\d+)\): error (TS\d+): (.*)$/.exec(line);
    return match === null
      ? line
      : `${relative(process.cwd(), resolve(folder, match[1] ?? ""))}:${match[2]}:${match[3]}: ${withoutAdvice(match[5] ?? "")} (${match[4]})`;
  });
  return lines.join("\n").trimEnd();
}

/** Splits tsc's output into faults and the files it read: `listFiles` gives them a line each. */
function split(text: string): { readonly faults: string; readonly files: readonly string[] } {
  const lines = text.split("\n");
  const isFile = (line: string): boolean => isAbsolute(line) && !/\(\d+,\d+\): error TS\d+: /.test(line);
  return { faults: lines.filter((line) => !isFile(line)).join("\n"), files: lines.filter(isFile) };
}

/** Runs `work` with the configuration under which a flow is checked, in a folder of its own. */
export async function withTypeConfig<T>(path: string, work: (file: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-check-"));
  try {
    const file = join(folder, "tsconfig.json");
    await writeFile(file, config(resolve(path), readableFor(path).project));
    return await work(file);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Throws MF_TYPE_ERROR with file, line and column of every fault, MF_BUNDLE_OUTSIDE when types come from files that a build may not
 * read: a fault's text could quote them. JavaScript flows are not checked.
 */
export async function checkTypes(path: string, include: readonly string[] = []): Promise<void> {
  if (!/\.[mc]?ts$/.test(path)) return;
  compiler ??= compilerPath();
  const compilerFolder = dirname(await compiler);
  const readable = readableFor(path, [...include, join(root, "kernel", "runtime"), compilerFolder]);
  const command = await compiler;
  const { code, text } = await withTypeConfig(path, (file) => run(command, ["-p", file, "--pretty", "false"]));
  const { faults, files } = split(text);
  const refused = files.map((each) => refusedFile(each.trim(), readable)).find((each) => each !== undefined);
  if (refused !== undefined) throw new CodedError("MF_BUNDLE_OUTSIDE", `${relative(process.cwd(), path)}: ${refused}`);
  if (code !== 0) throw new CodedError("MF_TYPE_ERROR", readableText(faults, process.cwd()));
}
