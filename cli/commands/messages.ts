/** `mayfly messages`: what happened to finished messages, from the record of the gateway that runs, or of the one that ran. */
import type { Command } from "commander";
import { CodedError } from "#base";
import type { MessageDetail, MessageSummary } from "#gateway";
import { action, type Cli, examples } from "../cli.ts";
import { exitCodes } from "../failure.ts";
import { cliLimits } from "../limits.ts";
import { placeOptions, queryOf, type QueryFlags, queryOptions } from "../messages/options.ts";
import type { MessageSource } from "../messages/source.ts";

/** Asks the gateway or the folder, and says which one it was where that is not plain. */
export async function withMessages<T>(cli: Cli, flags: QueryFlags, use: (source: MessageSource) => Promise<T>): Promise<T> {
  const { openMessages } = await import("../messages/source.ts");
  const source = await openMessages(flags, cli.terminal.env);
  if (source.folder !== undefined) cli.terminal.err(`${cli.terminal.paintErr.dim(`no gateway runs: read from ${source.folder}`)}\n`);
  try {
    return await use(source);
  } finally {
    await source.close();
  }
}

/** Warnings about segments that could not be read. */
export function remark({ terminal }: Cli, remarks: readonly string[]): void {
  for (const each of remarks) terminal.err(`${terminal.paintErr.yellow("warning")}: ${each}\n`);
}

/** The message; rejects with MF_MESSAGE_UNKNOWN. */
export async function messageNamed(source: MessageSource, id: string, flow: string | undefined): Promise<MessageDetail> {
  const detail = await source.show(id, flow);
  if (detail !== undefined) return detail;
  throw new CodedError(
    "MF_MESSAGE_UNKNOWN",
    `no finished message has the id ${id}: \`mayfly sleepers show ${id}\` shows one that sleeps, \`mayfly queue ls\` those under way; or it has expired from the record`,
  );
}

async function list(cli: Cli, flags: QueryFlags): Promise<number> {
  const { terminal } = cli;
  const page = await withMessages(cli, flags, (source) => source.list(queryOf(flags)));
  remark(cli, page.remarks);
  if (flags.json === true) {
    terminal.out(`${JSON.stringify({ messages: page.messages, next: page.next }, undefined, 2)}\n`);
    return exitCodes.ok;
  }
  const { listText } = await import("../messages/show.ts");
  const { length } = page.messages;
  if (length > 0) terminal.out(listText(terminal, page.messages));
  const more = page.next === null ? "" : "; there are more: raise --limit, or narrow the search";
  terminal.out(`${terminal.paint.dim(length === 0 ? "no messages" : `${length} ${length === 1 ? "message" : "messages"}${more}`)}\n`);
  return exitCodes.ok;
}

async function show(cli: Cli, id: string, flags: QueryFlags): Promise<number> {
  const detail = await withMessages(cli, flags, (source) => messageNamed(source, id, flags.flow));
  const { detailText } = await import("../messages/show.ts");
  cli.terminal.out(flags.json === true ? `${JSON.stringify(detail, undefined, 2)}\n` : detailText(cli.terminal, detail));
  return exitCodes.ok;
}

/** Follows the messages as they end, until it is interrupted. */
async function tail(cli: Cli, flags: QueryFlags): Promise<number> {
  const { terminal } = cli;
  const [{ lineText }, { withSignals }] = await Promise.all([import("../messages/show.ts"), import("../serving/signals.ts")]);
  const say = (message: MessageSummary): void =>
    terminal.out(flags.json === true ? `${JSON.stringify(message)}\n` : lineText(terminal, message));
  await withSignals(async (ended) => {
    let over = false;
    void ended.then(() => (over = true));
    await withMessages(cli, flags, async (source) => {
      const known = new Set<string>();
      for (let first = true; !over; first = false) {
        const page = await source.list(queryOf(flags, first ? cliLimits.tailFirst : cliLimits.tailMost));
        for (const message of page.messages.toReversed()) {
          const name = `${message.flow} ${message.id} ${message.receivedAt}`;
          if (known.has(name)) continue;
          known.add(name);
          say(message);
        }
        if (known.size > cliLimits.tailKnown)
          for (const name of known) if (known.delete(name) && known.size <= cliLimits.tailKnown / 2) break;
        await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, cliLimits.tailMs))]);
      }
    });
  });
  return exitCodes.ok;
}

/** Every message that matches, whole, as lines of JSON. */
async function exportAll(cli: Cli, flags: QueryFlags): Promise<number> {
  await withMessages(cli, flags, async (source) => {
    let left = flags.limit ?? Number.POSITIVE_INFINITY;
    let cursor: string | undefined;
    do {
      const page = await source.list({ ...queryOf(flags), limit: Math.min(left, cliLimits.exportPage), cursor });
      remark(cli, page.remarks);
      for (const { id, flow } of page.messages) {
        const detail = await source.show(id, flow);
        if (detail !== undefined) cli.terminal.out(`${JSON.stringify(detail)}\n`);
      }
      left -= page.messages.length;
      cursor = page.next ?? undefined;
    } while (cursor !== undefined && left > 0);
  });
  return exitCodes.ok;
}

export function addMessages(program: Command, cli: Cli): Command {
  const messages = program
    .command("messages")
    .description(
      "Finished messages: what came in, each step, what went out. Asks the running gateway, and reads its record when none runs.",
    );
  queryOptions(placeOptions(messages.command("ls").description("List them, newest first."))).action(
    action(cli, (flags: QueryFlags) => list(cli, flags)),
  );
  placeOptions(
    messages
      .command("show")
      .description("Show one whole: the message, its attempts with steps, calls, logs and sends, and each delivery.")
      .argument("<id>", "the message's id")
      .option("--flow <name>", "the flow, where two have a message of that id"),
  ).action(action(cli, (id: string, flags: QueryFlags) => show(cli, id, flags)));
  queryOptions(placeOptions(messages.command("tail").description("Follow them as they end, until interrupted."))).action(
    action(cli, (flags: QueryFlags) => tail(cli, flags)),
  );
  queryOptions(
    placeOptions(messages.command("export").description("Write them whole, as lines of JSON, newest first.")),
    Number.MAX_SAFE_INTEGER,
  ).action(action(cli, (flags: QueryFlags) => exportAll(cli, flags)));
  return examples(messages, [
    ["mayfly messages ls --status dead --since 24h", "what failed since yesterday"],
    ["mayfly messages ls --text lamp --flow orders", "messages of a flow with a text in them"],
    ["mayfly messages show 4711", "everything about one"],
    ["mayfly messages tail --flow orders", "as they end"],
    ["mayfly messages export --since 1h > messages.ndjson", "for other tools"],
  ]);
}
