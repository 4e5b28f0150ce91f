/** `mayfly run`: one message through one machine. */
import { randomBytes, randomUUID } from "node:crypto";
import { type Command, Option } from "commander";
import { fromHex } from "#base";
import { action, type Cli, collect, examples, jsonOption } from "../cli.ts";
import { exitCodes, usageError } from "../failure.ts";
import { bodyJson, contentTypeOf, guessContentType, parseJson, roundMs } from "../format.ts";
import type { RunResult, Stimulus } from "#replay";
import { showRun } from "../machine/show.ts";
import { continuedJson, transactionsJson, unclaimedJson, waitsJson } from "../machine/life.ts";
import { readSignals } from "../machine/signals.ts";
import { readHeaders, readInputOf } from "../machine/stubs.ts";
import type { Terminal } from "../terminal.ts";
import { withProgress } from "../terminal.ts";

/** The message, as options of a command give it. */
export interface MessageFlags {
  readonly message?: string;
  readonly contentType?: string;
  readonly header?: readonly string[];
  readonly outlet?: readonly string[];
  readonly signal?: readonly string[];
  readonly fetch?: readonly string[];
  readonly key?: string;
  readonly state?: string;
  readonly source: string;
  readonly seed?: string;
  readonly time?: string;
}

interface RunFlags extends MessageFlags {
  readonly monitor: string;
  readonly check: boolean;
  readonly json?: boolean;
}

function readState(text: string | undefined): Record<string, unknown> | undefined {
  if (text === undefined) return undefined;
  const value = parseJson(text);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw usageError(`--state must be a JSON object such as '{"seen":3}'`);
}

function readSeed(text: string | undefined): Uint8Array {
  if (text === undefined) return randomBytes(32);
  const seed = fromHex(text);
  if (seed === undefined || seed.length === 0 || seed.length > 32)
    throw usageError("--seed must be up to 64 hexadecimal digits, two for each byte");
  const full = new Uint8Array(32);
  full.set(seed, 32 - seed.length);
  return full;
}

function readTime(text: string | undefined): number {
  if (text === undefined) return Date.now();
  const timeMs = Date.parse(text);
  if (Number.isNaN(timeMs)) throw usageError("--time must be a date such as 2026-01-31T12:00:00Z");
  return timeMs;
}

async function readMessage(
  terminal: Terminal,
  flags: MessageFlags,
  folder: string,
): Promise<{ readonly body: Uint8Array; readonly contentType: string }> {
  const { message, contentType } = flags;
  if (message === undefined) return { body: new Uint8Array(0), contentType: contentType ?? "" };
  const body = message === "-" ? await terminal.readStdin() : await readInputOf(folder, message, "message");
  return { body, contentType: contentType ?? (message === "-" ? guessContentType(body) : contentTypeOf(message)) };
}

export async function readStimulus(terminal: Terminal, flags: MessageFlags, folder: string): Promise<Stimulus> {
  const state = readState(flags.state);
  const { body, contentType } = await readMessage(terminal, flags, folder);
  const headers = readHeaders(flags.header ?? []);
  if (contentType !== "") headers["content-type"] ??= contentType;
  return {
    id: randomUUID(),
    source: flags.source,
    attempt: 1,
    key: flags.key,
    headers,
    body,
    state,
    seed: readSeed(flags.seed),
    timeMs: readTime(flags.time),
    signals: await readSignals(flags.signal ?? [], folder),
  };
}

/** The contract of `--json`. */
export function runJson(result: RunResult, buildMs: number | undefined, stimulus: Stimulus): object {
  const { reply, failure } = result;
  return {
    status: result.status,
    reply:
      reply === undefined
        ? null
        : { status: reply.status, contentType: reply.contentType, headers: reply.headers, ...bodyJson(reply.body) },
    sends: result.sends.map((send) => ({
      outlet: send.outlet,
      ...(send.key === undefined ? {} : { key: send.key }),
      contentType: send.contentType,
      headers: send.headers,
      ...bodyJson(send.body),
      ...(result.transactions.length === 1 ? {} : { transaction: send.transaction }),
      ...(send.dueMs === undefined ? {} : { due: new Date(send.dueMs).toISOString() }),
    })),
    discardedSends: result.discardedSends,
    ...(result.waits === undefined ? {} : waitsJson(result.waits)),
    ...(result.transactions.length === 1 && result.waits === undefined ? {} : { transactions: transactionsJson(result) }),
    ...(result.next === undefined ? {} : { continue: continuedJson(result.next) }),
    ...(result.unclaimed.length === 0 ? {} : { unclaimed: unclaimedJson(result.unclaimed) }),
    requests: result.calls.map((call) => ({
      operation: call.operation,
      target: call.target,
      contentType: call.contentType,
      ...bodyJson(call.body),
    })),
    logs: result.logs.map(({ level, text, fieldsJson }) => ({
      level,
      text,
      ...(fieldsJson === undefined ? {} : { fields: parseJson(fieldsJson) }),
    })),
    ...(result.state === undefined ? {} : { state: result.state }),
    ...(failure === undefined
      ? {}
      : {
          error: {
            code: failure.code,
            message: failure.message,
            retry: failure.retry,
            ...(failure.status === 0 ? {} : { status: failure.status }),
            ...(failure.at === undefined ? {} : { at: failure.at }),
            ...(failure.stack === undefined || failure.stack === "" ? {} : { stack: failure.stack.split("\n") }),
          },
        }),
    message: { id: stimulus.id, seed: Buffer.from(stimulus.seed).toString("hex"), time: new Date(stimulus.timeMs).toISOString() },
    timings: {
      ...(buildMs === undefined ? {} : { buildMs: roundMs(buildMs) }),
      machineMs: roundMs(result.timings.machineMs),
      cpuMs: roundMs(result.timings.cpuMs),
      steps: result.timings.steps,
      virtualMs: result.timings.virtualMs,
    },
  };
}

async function run({ terminal }: Cli, target: string, flags: RunFlags): Promise<number> {
  const [{ openMonitor }, { driveMachine }, { imageAt, isImagePath, projectOf }, { stubFromFiles }, { StackMapper }, deployed] =
    await Promise.all([
      import("../monitors.ts"),
      import("#replay"),
      import("../machine/load.ts"),
      import("../machine/stubs.ts"),
      import("#image"),
      import("../machine/deployed.ts"),
    ]);
  const project = projectOf(target);
  const rules = await deployed.deployedRules(target, { ...process.env, ...terminal.env });
  const stimulus = deployed.asDeployed(await readStimulus(terminal, flags, project), rules);
  const monitor = await openMonitor(flags.monitor, { workers: 1, isolation: "flow" }); // its worker starts while the flow is built
  try {
    const began = performance.now();
    const { image, folder } = await withProgress(terminal, `building ${target}`, () => imageAt(target, flags.check));
    const buildMs = isImagePath(target) ? undefined : performance.now() - began;
    deployed.checkOutlets(image.manifest.outlets, rules);
    const limits = rules?.limits(image.manifest.limits) ?? image.manifest.limits;
    const stub = await stubFromFiles({
      outlets: flags.outlet ?? [],
      fetches: flags.fetch ?? [],
      declared: image.manifest.outlets ?? rules?.outlets ?? null,
      folder: project,
    });
    const stacks = StackMapper.of(image, folder);
    const result = await driveMachine(monitor, await monitor.load(image), { limits, stimulus, stub, rules, stacks });
    if (flags.json === true) terminal.out(`${JSON.stringify(runJson(result, buildMs, stimulus), undefined, 2)}\n`);
    else showRun(terminal, result);
    return result.status === "failed" ? exitCodes.failed : exitCodes.ok;
  } finally {
    await monitor.close();
  }
}

/** Options for the message and for the answers of its calls. */
export function messageOptions(command: Command): Command {
  return command
    .option("-m, --message <file>", "the message's body; - reads standard input (default: empty)")
    .option("-t, --content-type <type>", "its content type (default: by the file's extension)")
    .option("-H, --header <name=value>", "a header of the message; repeatable", collect)
    .option("-O, --outlet <name=file>", "answers the flow's requests to this outlet with the file; repeatable", collect)
    .option("--fetch <url=file>", "answers the flow's fetch of URLs with this prefix with the file; repeatable", collect)
    .option(
      "--signal <name:key=file@after>",
      "a signal for the flow's waits, with the file as its body, at a time after the message; key, file and time may be left out; repeatable",
      collect,
    )
    .option("-k, --key <key>", "the message's key")
    .option("--state <json>", "the state under the key, as a JSON object")
    .option("--source <name>", "name of the message's source", "run")
    .option("--seed <hex>", "seed of the machine's random values (default: a new one)")
    .option("--time <iso>", "time at which the message arrives (default: now)");
}

export function addRun(program: Command, cli: Cli): Command {
  const command = messageOptions(
    program
      .command("run")
      .description("Run one message through one machine and show its reply, logs and sends. Sends go nowhere, and waits take no time.")
      .argument("<flow>", "a flow's source file, or an image"),
  )
    .addOption(new Option("--monitor <name>", "monitor that runs the machine").choices(["embedded", "process", "qemu"]).default("embedded"))
    .option("--no-check", "skip the type check")
    .addOption(jsonOption())
    .action(action(cli, (target: string, flags: RunFlags) => run(cli, target, flags)));
  return examples(command, [
    ["mayfly run flows/orders.ts -m order.json -O erp=answer.json", "answers a request from a file"],
    ["echo '{\"id\":1}' | mayfly run orders.mfi -m - --json", "reads a pipe, output for programs"],
    ["mayfly run saga.ts -m order.json --signal payment:4711=paid.json@1h", "ends a durable wait, an hour of virtual time later"],
    ['mayfly run poll.ts --state \'{"etag":"a"}\' --time 2026-01-01', "sets the state and the time"],
  ]);
}
