/** `mayfly trace`: all messages of a key, a correlation id or a family as one timeline. */
import type { Command } from "commander";
import type { MessageDetail } from "#gateway";
import { action, type Cli, examples } from "../cli.ts";
import { exitCodes, usageError } from "../failure.ts";
import { placeOptions, queryOf, type QueryFlags } from "../messages/options.ts";
import type { MessageSource } from "../messages/source.ts";
import { cliLimits } from "../limits.ts";
import { messageNamed, remark, withMessages } from "./messages.ts";

/** The messages and all their relatives, as far as they are recorded. */
async function family(source: MessageSource, first: readonly MessageDetail[]): Promise<MessageDetail[]> {
  const found = new Map(first.map((message) => [`${message.flow} ${message.id}`, message]));
  const open = first.flatMap(({ parents, children }) => [...parents, ...children]);
  for (let next = open.pop(); next !== undefined && found.size < cliLimits.traceMost; next = open.pop()) {
    const name = `${next.flow} ${next.id}`;
    if (found.has(name)) continue;
    const detail = await source.show(next.id, next.flow);
    if (detail === undefined) continue;
    found.set(name, detail);
    open.push(...detail.parents, ...detail.children);
  }
  return [...found.values()];
}

async function details(cli: Cli, source: MessageSource, flags: QueryFlags): Promise<MessageDetail[]> {
  if (flags.id !== undefined) return family(source, [await messageNamed(source, flags.id, flags.flow)]);
  const page = await source.list(queryOf(flags, cliLimits.traceMost));
  remark(cli, page.remarks);
  const found: MessageDetail[] = [];
  for (const { id, flow } of page.messages) {
    const detail = await source.show(id, flow);
    if (detail !== undefined) found.push(detail);
  }
  return family(source, found);
}

async function trace(cli: Cli, flags: QueryFlags): Promise<number> {
  if ([flags.key, flags.correlation, flags.id].filter((each) => each !== undefined).length !== 1)
    throw usageError("give one of --key, --correlation and --id");
  const messages = (await withMessages(cli, flags, (source) => details(cli, source, flags))).sort((a, b) => a.receivedAt - b.receivedAt);
  const { timelineOf, timelineText } = await import("../messages/timeline.ts");
  const { terminal } = cli;
  const timeline = timelineOf(messages);
  if (flags.json === true) terminal.out(`${JSON.stringify({ messages, timeline }, undefined, 2)}\n`);
  else if (messages.length === 0) terminal.out(`${terminal.paint.dim("no messages")}\n`);
  else terminal.out(timelineText(terminal, timeline));
  return messages.length === 0 ? exitCodes.failed : exitCodes.ok;
}

export function addTrace(program: Command, cli: Cli): Command {
  const command = placeOptions(
    program
      .command("trace")
      .description("Show all messages of a key, a correlation id, or one message with its relatives, as one timeline over all flows.")
      .option("--key <key>", "messages with this key")
      .option("--correlation <id>", "messages with this correlation id")
      .option("--id <id>", "this message, with those it came from and those it caused")
      .option("--flow <name>", "only of this flow"),
  ).action(action(cli, (flags: QueryFlags) => trace(cli, flags)));
  return examples(command, [
    ["mayfly trace --key 4711", "everything that happened to order 4711"],
    ["mayfly trace --correlation c-81 --json", "for other tools"],
    ["mayfly trace --id 4711", "one message, where it came from and what it caused"],
  ]);
}
