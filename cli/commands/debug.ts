/** `mayfly debug`: a flow on V8 under an inspector, fed a recorded message, or one that is made up. */
import { existsSync } from "node:fs";
import type { Command } from "commander";
import { action, type Cli, examples, jsonOption } from "../cli.ts";
import type { DebugPlace } from "../debug/inspect.ts";
import { exitCodes, usageError } from "../failure.ts";
import type { RecordingFlags } from "../recorded/find.ts";
import { recordingOptions } from "../recorded/options.ts";
import { withProgress } from "../terminal.ts";
import { type MessageFlags, messageOptions, readStimulus, runJson } from "./run.ts";

interface DebugFlags extends RecordingFlags, MessageFlags {
  readonly inspect?: string | true;
  readonly inspectBrk?: string | true;
  readonly flow?: string;
  readonly json?: boolean;
}

function placeOf(flags: DebugFlags): DebugPlace {
  const { inspect, inspectBrk } = flags;
  if (inspect !== undefined && inspectBrk !== undefined) throw usageError("give --inspect or --inspect-brk, not both");
  const given = inspect ?? inspectBrk ?? true;
  const pauses = inspect === undefined;
  if (given === true) return { host: "127.0.0.1", port: 9229, pauses };
  const [, host = "127.0.0.1", digits = ""] = /^(?:(.+):)?(\d{1,5})$/.exec(given) ?? [];
  if (digits === "" || Number(digits) > 65_535)
    throw usageError(`${inspect === undefined ? "--inspect-brk" : "--inspect"} ${given}: give it as HOST:PORT`);
  return { host, port: Number(digits), pauses };
}

/** Parts that both ways share: the flow's source on V8, ready for a message. */
async function prepared({ terminal }: Cli, source: string, name: string) {
  const [{ sourceImage }, { debugBundle }, { includedFolders }] = await Promise.all([
    import("../recorded/image.ts"),
    import("#replay"),
    import("../images/project.ts"),
  ]);
  const image = await withProgress(terminal, `building ${source}`, () => sourceImage(source, name));
  const bundle = await debugBundle(source, await includedFolders(source));
  return {
    image,
    loaded: { sha256: image.sha256, name: image.manifest.name },
    script: { ...bundle, outlets: image.manifest.outlets },
    bundle,
  };
}

/** A recorded message, compared with its record at the end. */
async function debugRecorded(cli: Cli, id: string, flags: DebugFlags): Promise<number> {
  const [{ alike, debugMonitor, engineRemark, replayRecording }, { findRecording }, { deployedFlow }, { showReplay }, { underInspector }] =
    await Promise.all([
      import("#replay"),
      import("../recorded/find.ts"),
      import("../machine/deployed.ts"),
      import("../recorded/show.ts"),
      import("../debug/inspect.ts"),
    ]);
  const { terminal } = cli;
  const env = { ...process.env, ...terminal.env };
  const place = placeOf(flags);
  const { recording, error } = await findRecording(id, flags, env);
  const deployed = await deployedFlow(flags.config, recording.flow, env);
  const source = flags.flow ?? deployed.source;
  if (source === undefined) throw usageError(`the source of the flow ${recording.flow} is not known: name it with --flow FILE`);
  const { image, loaded, script } = await prepared(cli, source, recording.flow);
  const changed = image.sha256 !== recording.imageSha256;
  if (changed)
    terminal.err(
      "this is not the image that ran: the source has changed since, or another version of Mayfly built it; its effects may differ from the record's\n",
    );
  const { rules } = deployed;
  const limits = rules?.limits(image.manifest.limits) ?? image.manifest.limits;
  const monitor = debugMonitor({ script, pauses: place.pauses });
  const replay = await underInspector(terminal, place, () => replayRecording(monitor, loaded, recording, { rules, limits, error, alike }));
  const result = { ...replay, remarks: [...replay.remarks, engineRemark] };
  if (flags.json === true) terminal.out(`${JSON.stringify(result, undefined, 2)}\n`);
  else showReplay(terminal, result, recording, true);
  return result.identical ? exitCodes.ok : exitCodes.failed;
}

/** A message that somebody made up, with stubs for its calls. */
async function debugMessage(cli: Cli, flow: string, flags: DebugFlags): Promise<number> {
  const [
    { debugMonitor, driveMachine, engineRemark },
    { projectOf },
    { stubFromFiles },
    { StackMapper },
    deployed,
    { showRun },
    { underInspector },
  ] = await Promise.all([
    import("#replay"),
    import("../machine/load.ts"),
    import("../machine/stubs.ts"),
    import("#image"),
    import("../machine/deployed.ts"),
    import("../machine/show.ts"),
    import("../debug/inspect.ts"),
  ]);
  const { terminal } = cli;
  const place = placeOf(flags);
  const project = projectOf(flow);
  const rules = await deployed.deployedRules(flow, { ...process.env, ...terminal.env });
  const stimulus = deployed.asDeployed(await readStimulus(terminal, flags, project), rules);
  const { image, loaded, script, bundle } = await prepared(cli, flow, rules?.name ?? /([^/\\]+?)\.[^.]+$/.exec(flow)?.[1] ?? flow);
  deployed.checkOutlets(image.manifest.outlets, rules);
  const stub = await stubFromFiles({
    outlets: flags.outlet ?? [],
    fetches: flags.fetch ?? [],
    declared: image.manifest.outlets ?? rules?.outlets ?? null,
    folder: project,
  });
  const limits = rules?.limits(image.manifest.limits) ?? image.manifest.limits;
  const stacks = new StackMapper(() => bundle.sourceMap, project, bundle.url);
  const monitor = debugMonitor({ script, pauses: place.pauses });
  const result = await underInspector(terminal, place, () => driveMachine(monitor, loaded, { limits, stimulus, stub, rules, stacks }));
  if (flags.json === true) terminal.out(`${JSON.stringify(runJson(result, undefined, stimulus), undefined, 2)}\n`);
  else {
    showRun(terminal, result);
    terminal.err(`${terminal.paintErr.dim(engineRemark)}\n`);
  }
  return result.status === "failed" ? exitCodes.failed : exitCodes.ok;
}

async function debug(cli: Cli, target: string, flags: DebugFlags): Promise<number> {
  const isFlow = /\.[mc]?[jt]sx?$/.test(target) && existsSync(target);
  return isFlow ? await debugMessage(cli, target, flags) : await debugRecorded(cli, target, flags);
}

export function addDebug(program: Command, cli: Cli): Command {
  const command = program
    .command("debug")
    .description(
      "Run a flow on V8 under its inspector, for VS Code or any other debugger: breakpoints in its TypeScript, with a recorded message or one of yours. Nothing is sent, and waits take no time. At the end the effects are compared with the record's.",
    )
    .argument("<id|flow>", "a recorded message's id (or an exported recording, .mfr), or a flow's source file for a message of -m")
    .option("--inspect-brk [host:port]", "wait for a debugger there and pause in front of the flow's handler (default: 127.0.0.1:9229)")
    .option("--inspect [host:port]", "wait for a debugger, and pause at breakpoints only")
    .option("--flow <file>", "with an id: this source (default: the flow's in mayfly.yaml)");
  messageOptions(recordingOptions(command))
    .addOption(jsonOption())
    .action(action(cli, (target: string, flags: DebugFlags) => debug(cli, target, flags)));
  return examples(command, [
    ["mayfly debug 4711", "yesterday's message; attach with VS Code or chrome://inspect"],
    ["mayfly debug flows/orders.ts -m order.json -O erp=answer.json", "a message of your own"],
    ["mayfly debug 4711 --inspect 127.0.0.1:9333", "another port; pauses at breakpoints only"],
  ]);
}
