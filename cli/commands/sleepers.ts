/** `mayfly sleepers`: machines of a running gateway that wait durably: what for, since when, until when. */
import { resolve } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { CodedError } from "#base";
import { AdminClient, type GatewayFlags } from "../admin.ts";
import { action, type Cli, examples } from "../cli.ts";
import { asCoded, exitCodes, usageError } from "../failure.ts";
import { gatewayOptions } from "../gateway-options.ts";
import { cliLimits } from "../limits.ts";
import type { SleeperDetail, SleeperRow } from "../sleepers/show.ts";
import { sayWhoIsSilent } from "../silent-nodes.ts";
import { giveSignal, type SignalFlags, signalOptions } from "./signal.ts";

interface Flags extends GatewayFlags {
  readonly flow?: string;
  readonly limit?: number;
  readonly json?: boolean;
}

interface Page {
  readonly sleepers: readonly SleeperRow[];
  readonly next: string | null;
  /** Nodes of a cluster that did not answer. */
  readonly silent?: readonly string[] | undefined;
}

function flowQuery(flow: string | undefined): string {
  return flow === undefined ? "" : `?flow=${encodeURIComponent(flow)}`;
}

function sleeperPath(id: string, what = ""): string {
  return `/api/sleepers/${encodeURIComponent(id)}${what}`;
}

/** Of the journal's folder, where no gateway runs. */
async function inFolder({ terminal }: Cli, flags: Flags, unreachable: unknown): Promise<readonly SleeperRow[]> {
  const isAway = asCoded(unreachable).code === "MF_GATEWAY_UNREACHABLE";
  if (!isAway || flags.gateway !== undefined || terminal.env["MAYFLY_GATEWAY"] !== undefined) throw unreachable;
  const { readPlaces, sleepersInFolder } = await import("#gateway");
  const { base, journal } = await readPlaces(flags.config, terminal.env);
  if (journal.dir === undefined) throw unreachable;
  const dir = resolve(base, journal.dir);
  const sleepers = await sleepersInFolder(dir, flags.flow).catch((error: unknown) => {
    throw asCoded(error).code === "MF_JOURNAL_MISSING" ? unreachable : error;
  });
  terminal.err(`${terminal.paintErr.dim(`no gateway runs: read from ${dir}`)}\n`);
  return sleepers;
}

async function pages({ terminal }: Cli, flags: Flags, most: number): Promise<Page> {
  const client = await AdminClient.open(flags, terminal.env);
  const sleepers: SleeperRow[] = [];
  const silent: string[] = [];
  let next: string | null = null;
  do {
    const page = new URLSearchParams({ most: String(Math.min(most - sleepers.length, cliLimits.sleepersPage)) });
    if (flags.flow !== undefined) page.set("flow", flags.flow);
    if (next !== null) page.set("after", next);
    const answer = (await client.get("GET", `/api/sleepers?${page}`)) as Page;
    sleepers.push(...answer.sleepers);
    silent.push(...(answer.silent ?? []));
    next = answer.next;
  } while (next !== null && sleepers.length < most);
  return { sleepers, next, silent };
}

async function list(cli: Cli, flags: Flags): Promise<number> {
  const { terminal } = cli;
  const most = flags.limit ?? cliLimits.sleepersListed;
  const { sleepers, next, silent } = await pages(cli, flags, most).catch(async (error: unknown): Promise<Page> => {
    const all = await inFolder(cli, flags, error);
    return { sleepers: all.slice(0, most), next: all.length > most ? "" : null };
  });
  if (flags.json === true) {
    terminal.out(`${JSON.stringify({ sleepers, next }, undefined, 2)}\n`);
    return sayWhoIsSilent(terminal, { silent });
  }
  const { sleepersText } = await import("../sleepers/show.ts");
  if (sleepers.length > 0) terminal.out(sleepersText(terminal, sleepers));
  const more = next === null ? "" : "; there are more: raise --limit";
  const count = sleepers.length === 0 ? "nobody sleeps" : `${sleepers.length} ${sleepers.length === 1 ? "sleeper" : "sleepers"}${more}`;
  terminal.out(`${terminal.paint.dim(count)}\n`);
  return sayWhoIsSilent(terminal, { silent });
}

async function detailOf({ terminal }: Cli, id: string, flags: Flags): Promise<SleeperDetail> {
  const client = await AdminClient.open(flags, terminal.env);
  return (await client.get("GET", `${sleeperPath(id)}${flowQuery(flags.flow)}`)) as SleeperDetail;
}

async function show(cli: Cli, id: string, flags: Flags): Promise<number> {
  const detail = await detailOf(cli, id, flags).catch(async (error: unknown): Promise<SleeperDetail> => {
    const row = (await inFolder(cli, flags, error)).find((each) => each.id === id);
    if (row === undefined)
      throw new CodedError("MF_SLEEPER_UNKNOWN", `no sleeping message has the id ${id}: list them with \`mayfly sleepers ls\``);
    return { ...row, source: "", message: null, timeline: null };
  });
  const { sleeperText } = await import("../sleepers/show.ts");
  cli.terminal.out(flags.json === true ? `${JSON.stringify(detail, undefined, 2)}\n` : sleeperText(cli.terminal, detail));
  return exitCodes.ok;
}

async function act({ terminal }: Cli, id: string, { word, says }: (typeof acts)[number], flags: Flags): Promise<number> {
  const client = await AdminClient.open(flags, terminal.env);
  const answer = await client.get("POST", `${sleeperPath(id, `/${word}`)}${flowQuery(flags.flow)}`);
  terminal.out(flags.json === true ? `${JSON.stringify(answer, undefined, 2)}\n` : `${id} ${says}\n`);
  return exitCodes.ok;
}

/** Gives a sleeper the signal of this name that it waits for. */
async function signal(
  cli: Cli,
  id: string,
  name: string,
  flags: SignalFlags & { readonly flow?: string; readonly key?: string },
): Promise<number> {
  const { flow, waits } = await detailOf(cli, id, flags);
  const named = waits.filter((wait) => wait.name === name && (flags.key === undefined || wait.key === flags.key));
  const keys = [...new Set(named.map(({ key }) => key))];
  const [key] = keys;
  if (key === undefined) {
    const known = waits.map((wait) => `${wait.name} (key ${wait.key})`).join(", ");
    throw usageError(
      `${id} does not wait for ${name}${flags.key === undefined ? "" : ` with the key ${flags.key}`}${known === "" ? "" : `, but for ${known}`}`,
    );
  }
  if (keys.length > 1) throw usageError(`${id} waits for ${name} with several keys: choose one of ${keys.join(", ")} with --key`);
  return await giveSignal(cli, { flow, name, key }, flags);
}

const acts = [
  {
    word: "wake",
    what: "Wake it now: the wait or sleep that would end first counts as over.",
    says: "is awake",
  },
  {
    word: "cancel",
    what: "End it as a dead letter (MF_CANCELLED_BY_OPERATOR); `mayfly dlq retry` lets it go on from its wait.",
    says: "is a dead letter now",
  },
  {
    word: "migrate",
    what: "Begin again from its message, in the flow's newest image. What it sent before is sent again.",
    says: "begins again in the newest image",
  },
] as const;

function count(text: string): number {
  const limit = Number(text);
  if (!Number.isInteger(limit) || limit < 1) throw new InvalidArgumentError("It must be a whole number from 1.");
  return limit;
}

function one(command: Command, what: string): Command {
  return command
    .description(what)
    .argument("<id>", "id of the message")
    .option("--flow <name>", "the flow, where two have a message of that id");
}

export function addSleepers(program: Command, cli: Cli): Command {
  const sleepers = program
    .command("sleepers")
    .description("Machines of a running gateway that sleep: list, show, wake, signal and end them.");
  gatewayOptions(sleepers.command("ls").description("List them, the oldest message first, with what they wait for."))
    .option("--flow <name>", "only of this flow")
    .option("--limit <number>", "at most so many", count)
    .action(action(cli, (flags: Flags) => list(cli, flags)));
  gatewayOptions(one(sleepers.command("show"), "Show one: its waits, its life so far, its last log lines.")).action(
    action(cli, (id: string, flags: Flags) => show(cli, id, flags)),
  );
  for (const each of acts)
    gatewayOptions(one(sleepers.command(each.word), each.what)).action(
      action(cli, (id: string, flags: Flags) => act(cli, id, each, flags)),
    );
  signalOptions(
    one(sleepers.command("signal"), "Give it a signal that it waits for, by the signal's name.")
      .argument("<name>", "name of the signal")
      .option("--key <key>", "key of the wait, where it waits with several"),
  ).action(action(cli, (id: string, name: string, flags: SignalFlags) => signal(cli, id, name, flags)));
  return examples(sleepers, [
    ["mayfly sleepers ls --flow orders", "what orders wait for, and until when"],
    ["mayfly sleepers show 4711", "its life so far"],
    ["mayfly sleepers signal 4711 payment -m payment.json", "what it waits for"],
    ["mayfly sleepers wake 4711", "its time is over, now"],
  ]);
}
