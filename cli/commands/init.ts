/** `mayfly init`: a small project that works at once. */
import { existsSync, readFileSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { spawn } from "node:child_process";
import { basename, dirname, join, relative, resolve } from "node:path";
import type { Command } from "commander";
import { CodedError, table } from "#base";
import { action, type Cli, examples, jsonOption } from "../cli.ts";
import { exitCodes } from "../failure.ts";
import { mergedIgnore, mergedManifest, projectFiles } from "../init/project.ts";
import { isCheckout, packageRoot, version } from "../package.ts";
import { withProgress } from "../terminal.ts";

interface InitFlags {
  readonly install: boolean;
  readonly force?: boolean;
  readonly json?: boolean;
}

function projectName(folder: string): string {
  const name = basename(folder)
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, "-")
    .replace(/^[._-]+/, "");
  return name === "" ? "mayfly-project" : name;
}

/** The tarball or folder that Mayfly was installed from, absolute, as npm noted it; undefined when it came from a registry. */
function installedFrom(): string | undefined {
  try {
    const modules = dirname(packageRoot);
    const { packages } = JSON.parse(readFileSync(join(modules, ".package-lock.json"), "utf8")) as {
      readonly packages?: Readonly<Record<string, { readonly resolved?: string }>>;
    };
    const file = /^file:(.*)$/.exec(packages?.["node_modules/mayfly"]?.resolved ?? "")?.[1];
    return file === undefined ? undefined : resolve(dirname(modules), file);
  } catch {
    return undefined;
  }
}

/** How the project's package.json names Mayfly: the checkout or the file it came from, the version otherwise. */
function dependency(folder: string): string {
  const from = isCheckout ? packageRoot : installedFrom();
  return from === undefined ? `^${version()}` : `file:${relative(folder, from)}`;
}

/** Runs npm quietly; the sentence it failed with, or undefined. */
function npmInstall(folder: string): Promise<string | undefined> {
  return new Promise((done) => {
    const child = spawn("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"], {
      cwd: folder,
      stdio: ["ignore", "ignore", "pipe"],
    });
    let text = "";
    child.stderr.setEncoding("utf8").on("data", (part: string) => (text += part));
    child
      .on("error", (error) => done(error.message))
      .on("close", (code) => done(code === 0 ? undefined : text.trim() || `npm ended with ${code}`));
  });
}

/** Files of a new project that join what is there instead of taking its place. */
const merged: Readonly<Record<string, (text: string, folder: string) => string | undefined>> = table({
  "package.json": (text, folder) => mergedManifest(text, dependency(folder)),
  ".gitignore": mergedIgnore,
});
/** Files that stay as they are where there is one. */
const kept = new Set(["README.md", "tsconfig.json", ".vscode/launch.json"]);

interface Plan {
  /** Contents by path. */
  readonly written: ReadonlyMap<string, string>;
  /** Paths of those that hold what was there as well. */
  readonly merged: readonly string[];
  readonly kept: readonly string[];
}

/** Plans the files of the folder. Rejects with MF_INIT_FOLDER, MF_INIT_MANIFEST, and without `force` MF_INIT_EXISTS. */
async function plan(folder: string, force: boolean): Promise<Plan> {
  const there = new Set(
    existsSync(folder)
      ? await readdir(folder).catch((cause: unknown) => {
          throw new CodedError("MF_INIT_FOLDER", `${folder} can't be used: ${(cause as Error).message}`, { cause });
        })
      : [],
  );
  const written = new Map<string, string>();
  const joined: string[] = [];
  const left: string[] = [];
  const taken: string[] = [];
  for (const [path, text] of Object.entries(projectFiles(projectName(folder), dependency(folder)))) {
    const merge = merged[path];
    if (!there.has(path.split("/")[0] ?? path) || !existsSync(join(folder, path))) written.set(path, text);
    else if (merge !== undefined) {
      const whole = merge(await readFile(join(folder, path), "utf8"), folder);
      if (whole === undefined) throw new CodedError("MF_INIT_MANIFEST", `${join(folder, path)} is not a JSON object: correct or remove it`);
      written.set(path, whole);
      joined.push(path);
    } else if (kept.has(path) && !force) left.push(path);
    else {
      taken.push(path);
      written.set(path, text);
    }
  }
  if (taken.length > 0 && !force)
    throw new CodedError(
      "MF_INIT_EXISTS",
      `${folder} already has ${taken.join(", ")}: choose another folder, or overwrite them with --force`,
    );
  return { written, merged: joined, kept: left };
}

async function init({ terminal }: Cli, given: string, flags: InitFlags): Promise<number> {
  const folder = resolve(given);
  const planned = await plan(folder, flags.force === true);
  for (const [path, text] of planned.written) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  const paths = [...planned.written.keys()];
  const fault = flags.install ? await withProgress(terminal, "npm install", () => npmInstall(folder)) : undefined;
  if (flags.json === true) {
    terminal.out(
      `${JSON.stringify({ folder, files: paths, merged: planned.merged, kept: planned.kept, installed: flags.install && fault === undefined }, undefined, 2)}\n`,
    );
    return exitCodes.ok;
  }
  const { bold, dim } = terminal.paint;
  const remark = (path: string): string => (planned.merged.includes(path) ? dim("  merged into the existing file") : "");
  terminal.out(`${bold(folder)}\n${paths.map((path) => `  ${path}${remark(path)}\n`).join("")}`);
  for (const path of planned.kept) terminal.out(`  ${path}${dim("  unchanged")}\n`);
  if (fault !== undefined) terminal.err(`${terminal.paintErr.yellow("MF_INIT_INSTALL")}: npm install failed, run it yourself: ${fault}\n`);
  const shown = relative(process.cwd(), folder);
  const steps = [
    ...(shown === "" ? [] : [`cd ${shown}`]),
    ...(flags.install && fault === undefined ? [] : ["npm install"]),
    "npx mayfly test",
    "npx mayfly run flows/hello.ts --message samples/hello.json",
    "npx mayfly serve",
  ];
  terminal.out(`\nNow:\n${steps.map((step) => `  ${step}\n`).join("")}${dim("README.md explains each command.")}\n`);
  return exitCodes.ok;
}

export function addInit(program: Command, cli: Cli): Command {
  const command = program
    .command("init")
    .description("Create a small working project: a flow, its test, mayfly.yaml, README.")
    .argument("[dir]", "where to", ".")
    .option("--no-install", "do not run npm install")
    .option("--force", "overwrite existing flows, samples, mayfly.yaml, tsconfig.json and README.md")
    .addOption(jsonOption())
    .action(action(cli, (folder: string, flags: InitFlags) => init(cli, folder, flags)));
  return examples(command, [
    ["mayfly init hello", "in a new folder"],
    ["mayfly init --no-install", "in this folder, without npm install"],
  ]);
}
