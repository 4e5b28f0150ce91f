/** `mayfly replay`: a recorded message once more, nothing sent. */
import { type Command, Option } from "commander";
import type { Replay } from "#replay";
import { action, type Cli, examples, jsonOption } from "../cli.ts";
import { exitCodes } from "../failure.ts";
import type { RecordingFlags } from "../recorded/find.ts";
import type { ImageChoice } from "../recorded/image.ts";
import { recordingOptions } from "../recorded/options.ts";
import { withProgress } from "../terminal.ts";

interface ReplayFlags extends RecordingFlags, ImageChoice {
  readonly monitor: string;
  readonly body?: string;
  readonly diff?: boolean;
  readonly json?: boolean;
}

async function replay({ terminal }: Cli, id: string, flags: ReplayFlags): Promise<number> {
  const [
    { replayRecording, withBody },
    { openMonitor },
    { findRecording },
    { chosenImage, recordedImage },
    { deployedFlow },
    { showReplay },
  ] = await Promise.all([
    import("#replay"),
    import("../monitors.ts"),
    import("../recorded/find.ts"),
    import("../recorded/image.ts"),
    import("../machine/deployed.ts"),
    import("../recorded/show.ts"),
  ]);
  const env = { ...process.env, ...terminal.env };
  const { recording: found, error } = await findRecording(id, flags, env);
  const recording = flags.body === undefined ? found : await withBody(found, flags.body);
  const { rules, source } = await deployedFlow(flags.config, recording.flow, env);
  const flow = { config: flags.config, name: recording.flow, source };
  const image = await withProgress(
    terminal,
    "finding the image",
    async () => (await chosenImage(flags, flow)) ?? (await recordedImage(recording.imageSha256, flow)),
  );
  const monitor = await openMonitor(flags.monitor, { workers: 1, isolation: "flow" });
  let result: Replay;
  try {
    const limits = rules?.limits(image.manifest.limits) ?? image.manifest.limits;
    result = await replayRecording(monitor, await monitor.load(image), recording, { rules, limits, error });
  } finally {
    await monitor.close();
  }
  if (flags.json === true) terminal.out(`${JSON.stringify(result, undefined, 2)}\n`);
  else showReplay(terminal, result, recording, flags.diff === true);
  return result.identical ? exitCodes.ok : exitCodes.failed;
}

export function addReplay(program: Command, cli: Cli): Command {
  const command = recordingOptions(
    program
      .command("replay")
      .description(
        "Run a recorded message again, and compare. Nothing is sent. On its own image bit for bit, on another one by reply, sends, state, calls, logs and failure. Exit code 0: identical, 1: not.",
      )
      .argument("<id>", "the message's id, as `mayfly messages ls` shows it, or an exported recording (.mfr)"),
  )
    .option("--image <sha256:digits>", "another image by its hash, or by its path (default: the one that ran)")
    .option("--flow <file>", "the image of this source file")
    .option("--body <file>", "the body of a message that was read in pieces of a stored body")
    .option("--diff", "show every difference in full")
    .addOption(new Option("--monitor <name>", "monitor that runs the machine").choices(["embedded", "process", "qemu"]).default("embedded"))
    .addOption(jsonOption())
    .action(action(cli, (id: string, flags: ReplayFlags) => replay(cli, id, flags)));
  return examples(command, [
    ["mayfly replay 4711", "the same image: is it still the same, bit for bit?"],
    ["mayfly replay 4711 --flow flows/orders.ts --diff", "the code of now on the message of then"],
    ["mayfly replay 4711 --image sha256:9f86d081 --monitor process", "another image, in a process"],
  ]);
}
