/** `mayfly queue`: messages of a running gateway that wait, and making dead letters of them. */
import type { Command } from "commander";
import { AdminClient, type GatewayFlags } from "../admin.ts";
import { action, type Cli, examples } from "../cli.ts";
import { exitCodes } from "../failure.ts";
import { bytesText, msText, safeText, table } from "../format.ts";
import { gatewayOptions } from "../gateway-options.ts";
import { sayWhoIsSilent } from "../silent-nodes.ts";

interface Flags extends GatewayFlags {
  readonly flow?: string;
  readonly yes?: boolean;
  readonly json?: boolean;
}

interface Queue {
  readonly flow: string;
  readonly state: string;
  readonly counts: Readonly<Record<string, number>>;
  readonly inJournal: boolean;
  readonly messages: readonly {
    readonly id: string;
    readonly state: string;
    readonly attempt: number;
    readonly source: string;
    readonly key: string | null;
    readonly receivedAt: number;
    readonly bodyBytes: number;
    readonly lastCode: string | null;
  }[];
  readonly outlets: readonly {
    readonly outlet: string;
    readonly waiting: number;
    readonly delayed?: number;
    readonly underWay: number;
    readonly paused: boolean;
  }[];
}

function queueText({ flow, state, counts, inJournal, messages, outlets }: Queue, nowMs: number): string {
  const some = Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${count} ${name}`);
  const head = `${flow} (${state}): ${some.length === 0 ? "nothing waits" : some.join(", ")}${inJournal ? "; the journal has more" : ""}\n`;
  const rows = messages.map((message) => [
    `  ${safeText(message.id, 60)}`,
    message.state,
    String(message.attempt),
    msText(Math.max(nowMs - message.receivedAt, 0)),
    bytesText(message.bodyBytes),
    message.source,
    safeText(message.key ?? "", 40),
    safeText(message.lastCode ?? "", 40),
  ]);
  const titles = ["  ID", "STATE", "ATTEMPT", "AGE", "BODY", "SOURCE", "KEY", "LAST"];
  const resting = outlets
    .filter(({ waiting, paused }) => waiting > 0 || paused)
    .map(
      ({ outlet, waiting, delayed = 0, underWay, paused }) =>
        `  to ${outlet}: ${waiting} ${waiting === 1 ? "send waits" : "sends wait"}${delayed > 0 ? `, ${delayed} of them for a later date` : ""}, ${underWay} under way${paused ? ", paused" : ""}\n`,
    );
  return head + (rows.length === 0 ? "" : table([titles, ...rows], [2, 3, 4])) + resting.join("");
}

async function list({ terminal }: Cli, flags: Flags): Promise<number> {
  const client = await AdminClient.open(flags, terminal.env);
  const query = flags.flow === undefined ? "" : `?flow=${encodeURIComponent(flags.flow)}`;
  const answer = (await client.get("GET", `/api/queue${query}`)) as { readonly flows: readonly Queue[] };
  if (flags.json === true) terminal.out(`${JSON.stringify(answer, undefined, 2)}\n`);
  else for (const queue of answer.flows) terminal.out(queueText(queue, Date.now()));
  return sayWhoIsSilent(terminal, answer);
}

async function purge({ terminal }: Cli, flow: string, flags: Flags): Promise<number> {
  const client = await AdminClient.open(flags, terminal.env);
  const path = `/api/flows/${encodeURIComponent(flow)}/purge`;
  const dryRun = flags.yes !== true;
  const answer = (await client.get("POST", path, Buffer.from(JSON.stringify({ dryRun })))) as {
    readonly waiting?: number;
    readonly purged?: number;
    readonly inJournal?: boolean;
  };
  if (flags.json === true) terminal.out(`${JSON.stringify(answer, undefined, 2)}\n`);
  else if (dryRun) {
    const more = answer.inJournal === true ? ", and those the journal still has" : "";
    terminal.out(`${answer.waiting ?? 0} messages of ${flow} wait${more}: add --yes to make them dead letters\n`);
  } else terminal.out(`${answer.purged ?? 0} messages of ${flow} are dead letters now: \`mayfly dlq ls --flow ${flow}\` lists them\n`);
  const code = sayWhoIsSilent(terminal, answer);
  return dryRun ? exitCodes.failed : code;
}

export function addQueue(program: Command, cli: Cli): Command {
  const queue = program
    .command("queue")
    .description("Messages of a running gateway that wait, rest or are behind others; and removing them.");
  gatewayOptions(queue.command("ls").description("List them by flow, the oldest first, with the sends that wait in outboxes."))
    .option("--flow <name>", "only of this flow")
    .action(action(cli, (flags: Flags) => list(cli, flags)));
  gatewayOptions(
    queue
      .command("purge")
      .description("Make dead letters of all messages of a flow that wait; what runs goes on. Without --yes it only counts them.")
      .argument("<flow>", "name of the flow"),
  )
    .option("--yes", "do it")
    .action(action(cli, (flow: string, flags: Flags) => purge(cli, flow, flags)));
  return examples(queue, [
    ["mayfly queue ls --flow orders", "shows what waits, and why"],
    ["mayfly queue purge orders", "counts what would go"],
    ["mayfly queue purge orders --yes", "keeps them as dead letters, for `mayfly dlq retry --code MF_MESSAGE_PURGED`"],
  ]);
}
