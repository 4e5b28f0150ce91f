/** `mayfly deploy`: builds a flow here, uploads its image where the gateway lacks it, and has it served. */
import { readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import type { ShownFunction } from "#gateway";
import { readShare } from "../share.ts";
import { action, type Cli, examples } from "../cli.ts";
import { exitCodes } from "../failure.ts";
import { msText, roundMs } from "../format.ts";
import { changeOptions, type FunctionFlags, FunctionsClient } from "../functions-client.ts";
import { withProgress } from "../terminal.ts";

interface DeployFlags extends FunctionFlags {
  readonly name?: string;
  readonly canary?: number;
  readonly check: boolean;
}

export function shareNumber(text: string): number {
  const share = readShare(text);
  if (share === undefined) throw new InvalidArgumentError("It must be a share between 0% and 100%, such as 5%.");
  return share;
}

/** Settings beside the flow: `hello.mayfly.yaml`; empty if it is missing. */
async function fragmentOf(flow: string): Promise<string> {
  const path = join(dirname(flow), `${basename(flow).replace(/\.[^.]+$/, "")}.mayfly.yaml`);
  return await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
}

async function deploy({ terminal }: Cli, flow: string, flags: DeployFlags): Promise<number> {
  const started = performance.now();
  const name = flags.name ?? basename(flow).replace(/\.[^.]+$/, "");
  const client = await FunctionsClient.open(flags, terminal.env);
  const { cachedImage } = await import("../images/cache.ts");
  const { image } = await withProgress(terminal, `building ${flow}`, () => cachedImage(flow, { name, check: flags.check }));
  const builtMs = performance.now() - started;
  const uploaded = !(await client.hasImage(image.sha256));
  if (uploaded) await client.ask("PUT", `images/sha256:${image.sha256}`, image.bytes);
  const body = {
    image: `sha256:${image.sha256}`,
    fragment: await fragmentOf(flow),
    ...(flags.canary === undefined ? {} : { canary: flags.canary }),
  };
  const shown = await client.ask<ShownFunction>("PUT", `functions/${encodeURIComponent(name)}`, body);
  const deployMs = performance.now() - started;
  const version = shown.versions.at(-1)?.version ?? shown.live;
  if (flags.json === true) {
    const report = { ...shown, version, uploaded, buildMs: roundMs(builtMs), deployMs: roundMs(deployMs) };
    terminal.out(`${JSON.stringify(report, undefined, 2)}\n`);
    return exitCodes.ok;
  }
  const { bold, dim } = terminal.paint;
  const how = flags.canary === undefined ? `version ${shown.live}` : `version ${version} gets ${flags.canary * 100}% of the messages`;
  terminal.out(
    `${bold(shown.urls.join(" ") || shown.name)}  ${how} ${dim(`(${msText(deployMs)}, of which ${msText(builtMs)} for the build)`)}\n`,
  );
  return exitCodes.ok;
}

export function addDeploy(program: Command, cli: Cli): Command {
  const command = changeOptions(
    program
      .command("deploy")
      .description(
        "Build a flow and have a running gateway serve it at once. Settings come from NAME.mayfly.yaml beside it, if it is there.",
      )
      .argument("<flow>", "source file of the flow"),
  )
    .option("--name <name>", "name of the function (default: the file's name)")
    .option("--canary <share>", "give it a share of the messages beside the live version, such as 5%", shareNumber)
    .option("--no-check", "skip the type check")
    .action(action(cli, (flow: string, flags: DeployFlags) => deploy(cli, flow, flags)));
  return examples(command, [
    ["mayfly deploy hello.ts", "serves it at /hello of the gateway of ./mayfly.yaml"],
    ["mayfly deploy hello.ts --gateway https://functions.example:9090 --token $KEY", "to another computer"],
    ["mayfly deploy hello.ts --canary 5%", "the next version, for one message in twenty"],
  ]);
}
