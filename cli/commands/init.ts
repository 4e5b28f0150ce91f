/** `mayfly init`: a small project that works at once. */
import { existsSync } from "node:fs";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { spawn } from "node:child_process";
import { basename, dirname, join, relative, resolve } from "node:path";
import type { Command } from "commander";
import { CodedError } from "#base";
import { action, type Cli, examples, jsonOption } from "../cli.ts";
import { exitCodes } from "../failure.ts";
import { projectFiles } from "../init/project.ts";
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

/** How the project's package.json names Mayfly: the checkout itself when this is one, the version otherwise. */
function dependency(folder: string): string {
  if (!isCheckout) return `^${version()}`;
  return `file:${relative(folder, packageRoot)}`;
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

async function checkFolder(folder: string, paths: readonly string[], force: boolean): Promise<void> {
  if (!existsSync(folder)) return;
  const entries = await readdir(folder).catch((cause: unknown) => {
    throw new CodedError("MF_INIT_FOLDER", `${folder} can't be used: ${(cause as Error).message}`, { cause });
  });
  if (force || entries.length === 0) return;
  const taken = paths.filter((path) => existsSync(join(folder, path)));
  if (taken.length > 0)
    throw new CodedError(
      "MF_INIT_EXISTS",
      `${folder} has ${taken.join(", ")} already: choose another folder, or write over them with --force`,
    );
}

async function init({ terminal }: Cli, given: string, flags: InitFlags): Promise<number> {
  const folder = resolve(given);
  const files = projectFiles(projectName(folder), dependency(folder));
  const paths = Object.keys(files);
  await checkFolder(folder, paths, flags.force === true);
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  const fault = flags.install ? await withProgress(terminal, "npm install", () => npmInstall(folder)) : undefined;
  if (flags.json === true) {
    terminal.out(`${JSON.stringify({ folder, files: paths, installed: flags.install && fault === undefined }, undefined, 2)}\n`);
    return exitCodes.ok;
  }
  const { bold, dim } = terminal.paint;
  terminal.out(`${bold(folder)}\n${paths.map((path) => `  ${path}\n`).join("")}`);
  if (fault !== undefined) terminal.err(`${terminal.paintErr.yellow("MF_INIT_INSTALL")}: npm install failed, run it yourself: ${fault}\n`);
  const shown = relative(process.cwd(), folder);
  const steps = [
    ...(shown === "" ? [] : [`cd ${shown}`]),
    ...(flags.install && fault === undefined ? [] : ["npm install"]),
    "npx mayfly test",
    "npx mayfly run flows/hello.ts --message samples/hello.json",
    "npx mayfly serve",
  ];
  terminal.out(`\nNow:\n${steps.map((step) => `  ${step}\n`).join("")}${dim("README.md says what each does.")}\n`);
  return exitCodes.ok;
}

export function addInit(program: Command, cli: Cli): Command {
  const command = program
    .command("init")
    .description("Make a small project that works at once: a flow, its test, mayfly.yaml, README.")
    .argument("[dir]", "where to", ".")
    .option("--no-install", "do not run npm install")
    .option("--force", "write over files that are there")
    .addOption(jsonOption())
    .action(action(cli, (folder: string, flags: InitFlags) => init(cli, folder, flags)));
  return examples(command, [
    ["mayfly init hello", "in a new folder"],
    ["mayfly init --no-install", "here, without npm install"],
  ]);
}
