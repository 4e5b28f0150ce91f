/** `mayfly resubmit`: a finished message again, as a new one that is linked to the old. */
import type { Command } from "commander";
import { AdminClient, type GatewayFlags } from "../admin.ts";
import { action, type Cli, examples } from "../cli.ts";
import { exitCodes, usageError } from "../failure.ts";
import { safeText } from "../format.ts";
import { readInput } from "../machine/stubs.ts";
import { placeOptions } from "../messages/options.ts";

interface Flags extends GatewayFlags {
  readonly flow?: string;
  readonly edit?: string;
  readonly wait: boolean;
  readonly json?: boolean;
}

interface Resubmitted {
  readonly id: string;
  readonly parent: { readonly flow: string; readonly id: string };
  readonly outcome: { readonly status: string; readonly failure?: { readonly code: string; readonly message: string } };
}

async function resubmit({ terminal }: Cli, ids: readonly string[], flags: Flags): Promise<number> {
  if (flags.edit !== undefined && ids.length !== 1) throw usageError("--edit needs exactly one id: it replaces the body of one message");
  const body = flags.edit === undefined ? undefined : flags.edit === "-" ? await terminal.readStdin() : await readInput(flags.edit, "body");
  const client = await AdminClient.open(flags, terminal.env);
  const query = new URLSearchParams({
    wait: String(flags.wait),
    ...(flags.flow === undefined ? {} : { flow: flags.flow }),
    ...(body === undefined ? {} : { edit: "true" }),
  });
  const results: Resubmitted[] = [];
  for (const id of ids) {
    const path = `/api/messages/${encodeURIComponent(id)}/resubmit?${query}`;
    results.push((await client.get("POST", path, body)) as Resubmitted);
  }
  const failed = results.filter(({ outcome }) => outcome.status === "dead" || outcome.status === "refused");
  if (flags.json === true) terminal.out(`${JSON.stringify({ resubmitted: results }, undefined, 2)}\n`);
  else
    for (const { id, parent, outcome } of results) {
      const { paint } = terminal;
      const end = failed.some((each) => each.id === id) ? paint.red(outcome.status) : paint.green(outcome.status);
      const why = outcome.failure === undefined ? "" : ` ${safeText(`${outcome.failure.code}: ${outcome.failure.message}`)}`;
      terminal.out(`${safeText(parent.id)} → ${safeText(id)} ${end}${why}\n`);
    }
  return failed.length === 0 ? exitCodes.ok : exitCodes.failed;
}

export function addResubmit(program: Command, cli: Cli): Command {
  const command = placeOptions(
    program
      .command("resubmit")
      .description(
        "Put finished messages into the running gateway again, as new ones that are linked to the old: with the recorded body and headers, but for those that were hidden.",
      )
      .argument("<id...>", "ids of messages, as `mayfly messages ls` shows them")
      .option("--flow <name>", "the flow, where two have a message of that id")
      .option("--edit <file>", "another body; - reads standard input")
      .option("--no-wait", "do not wait until they end"),
  ).action(action(cli, (ids: string[], flags: Flags) => resubmit(cli, ids, flags)));
  return examples(command, [
    ["mayfly resubmit 4711", "the same message once more"],
    ["mayfly resubmit 4711 --edit fixed.json", "with a corrected body"],
    ["mayfly resubmit 4711 4712 --no-wait --json", "several, without waiting for their ends"],
  ]);
}
