/** `mayfly images` and `mayfly rollback`: built images by hash, who uses them, and putting a flow back to one. */
import { dirname, resolve } from "node:path";
import type { Command } from "commander";
import { AdminClient, type GatewayFlags } from "../admin.ts";
import { action, type Cli, examples } from "../cli.ts";
import { asCoded, exitCodes, usageError } from "../failure.ts";
import { bytesText, safeText, table } from "../format.ts";
import { gatewayOptions } from "../gateway-options.ts";

interface Flags extends GatewayFlags {
  readonly flow?: string;
  readonly undo?: boolean;
  readonly json?: boolean;
}

interface Listed {
  readonly sha256: string;
  readonly flow: string | null;
  readonly bytes: number | null;
  readonly builtAt: number | null;
  readonly builtBy: string | null;
  readonly usedBy: readonly string[];
  /** Machines that sleep in it; null where no gateway tells. */
  readonly sleepers: number | null;
}

/** Of the running gateway; without one those of the project, which nobody uses. */
async function listed({ terminal }: Cli, flags: Flags): Promise<readonly Listed[]> {
  const client = await AdminClient.open(flags, terminal.env);
  try {
    const { images } = (await client.get("GET", "/api/images")) as { readonly images: readonly Listed[] };
    return images;
  } catch (error) {
    if (asCoded(error).code !== "MF_GATEWAY_UNREACHABLE" || flags.gateway !== undefined) throw error;
    const { listImages, storeFolder } = await import("../images/store.ts");
    const folder = storeFolder(dirname(resolve(flags.config)));
    terminal.err(`${terminal.paintErr.dim(`no gateway runs: read from ${folder}`)}\n`);
    return (await listImages(folder)).map((each) => ({ ...each, usedBy: [], sleepers: null }));
  }
}

async function list(cli: Cli, flags: Flags): Promise<number> {
  const { flow } = flags;
  const all = await listed(cli, flags);
  const images = flow === undefined ? all : all.filter((each) => each.usedBy.includes(flow) || each.flow?.includes(flow) === true);
  const { out } = cli.terminal;
  if (flags.json === true) {
    out(`${JSON.stringify({ images }, undefined, 2)}\n`);
    return exitCodes.ok;
  }
  const rows = images.map(({ sha256, flow: file, bytes, builtAt, builtBy, usedBy, sleepers }) => [
    `sha256:${sha256.slice(0, 12)}`,
    safeText(file ?? "", 60),
    builtAt === null ? "" : new Date(builtAt).toISOString().slice(0, 19),
    safeText(builtBy ?? "", 30),
    bytes === null ? "" : bytesText(bytes),
    usedBy.join(", "),
    sleepers === null || sleepers === 0 ? "" : String(sleepers),
  ]);
  if (rows.length > 0) out(table([["IMAGE", "FLOW", "BUILT", "BY", "SIZE", "USED BY", "ASLEEP"], ...rows], [4, 6]));
  else out("no images\n");
  return exitCodes.ok;
}

async function rollback({ terminal }: Cli, flow: string, image: string | undefined, flags: Flags): Promise<number> {
  if ((image === undefined) !== (flags.undo === true)) throw usageError("name an image as sha256:DIGITS, or give --undo");
  if (image !== undefined && !/^sha256:[0-9a-fA-F]{8,64}$/.test(image))
    throw usageError(`${image}: give an image as sha256: and at least 8 digits`);
  const client = await AdminClient.open(flags, terminal.env);
  const body = Buffer.from(JSON.stringify(image === undefined ? { undo: true } : { image }));
  const answer = (await client.get("POST", `/api/flows/${encodeURIComponent(flow)}/rollback`, body)) as {
    readonly image: string;
    readonly before: string;
    readonly pinned: boolean;
  };
  if (flags.json === true) terminal.out(`${JSON.stringify(answer, undefined, 2)}\n`);
  else {
    const until = answer.pinned ? ", until the next deploy or --undo" : "";
    terminal.out(`${flow} runs sha256:${answer.image.slice(0, 12)} instead of sha256:${answer.before.slice(0, 12)}${until}\n`);
  }
  return exitCodes.ok;
}

export function addImages(program: Command, cli: Cli): Command {
  const images = program
    .command("images")
    .description("Built images by hash: of which flow, when and by whom, how large, who uses them, and how many machines sleep in them.");
  gatewayOptions(images.command("ls").description("List them, the newest first."))
    .option("--flow <name>", "only of this flow")
    .action(action(cli, (flags: Flags) => list(cli, flags)));
  return examples(images, [["mayfly images ls --flow orders", "finds yesterday's image"]]);
}

export function addRollback(program: Command, cli: Cli): Command {
  const command = gatewayOptions(
    program
      .command("rollback")
      .description(
        "Put a flow back to an image that was built before, at once and without a build. Ends with the next deploy; survives a restart.",
      )
      .argument("<flow>", "name of the flow")
      .argument("[image]", "sha256:DIGITS, as listed by `mayfly images ls`"),
  )
    .option("--undo", "run again what the flow's source is built to")
    .action(action(cli, (flow: string, image: string | undefined, flags: Flags) => rollback(cli, flow, image, flags)));
  return examples(command, [
    ["mayfly rollback orders sha256:3f9c2a71", "the next message meets that image"],
    ["mayfly rollback orders --undo", "the next message meets what the source is built to"],
  ]);
}
