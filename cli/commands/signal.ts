/** `mayfly signal`: what a sleeping machine of a running gateway waits for. */
import type { Command } from "commander";
import { AdminClient, type GatewayFlags } from "../admin.ts";
import { action, type Cli, collect, examples } from "../cli.ts";
import { exitCodes } from "../failure.ts";
import { safeText } from "../format.ts";
import { gatewayOptions } from "../gateway-options.ts";
import { givenBody, givenHeaders, type MessageFlags } from "../message-input.ts";

export interface SignalFlags extends GatewayFlags, MessageFlags {
  readonly id?: string;
  readonly json?: boolean;
}

interface Signalled {
  readonly id: string;
  readonly status: "kept" | "duplicate";
  readonly waiting?: boolean;
  readonly keptUntil?: string | null;
}

function signalledText({ id, status, waiting, keptUntil }: Signalled): string {
  const shown = safeText(id);
  if (status === "duplicate") return `${shown} is a duplicate: it was kept before`;
  if (waiting === true) return `${shown} is kept safe; a machine waits for it`;
  return `${shown} is kept safe; nobody waits for it yet: it is kept for its wait until ${keptUntil ?? "it comes"}`;
}

/** Gives a signal, and says what became of it. */
export async function giveSignal(
  { terminal }: Cli,
  { flow, name, key }: { readonly flow: string; readonly name: string; readonly key: string },
  flags: SignalFlags,
): Promise<number> {
  givenHeaders(flags, "", ""); // wrong use is told before a gateway is looked for
  const { body, contentType } = await givenBody(terminal, flags);
  const client = await AdminClient.open(flags, terminal.env);
  const query = new URLSearchParams({ key, ...(flags.id === undefined ? {} : { id: flags.id }) });
  const path = `/api/flows/${encodeURIComponent(flow)}/signals/${encodeURIComponent(name)}?${query}`;
  const answer = (await client.get("POST", path, body, givenHeaders(flags, "x-message-", contentType))) as Signalled;
  terminal.out(flags.json === true ? `${JSON.stringify(answer, undefined, 2)}\n` : `${signalledText(answer)}\n`);
  return exitCodes.ok;
}

/** Options that say what a signal brings. */
export function signalOptions(command: Command): Command {
  return gatewayOptions(
    command
      .option("-m, --message <file>", "the body; - reads standard input (default: empty)")
      .option("-t, --content-type <type>", "its content type (default: by the file's extension)")
      .option("-H, --header <name=value>", "a header; repeatable", collect)
      .option("--id <id>", "the signal's id, used to recognise duplicates"),
  );
}

export function addSignal(program: Command, cli: Cli): Command {
  const command = program
    .command("signal")
    .description("Give a sleeping machine what it waits for. Ends well once the signal is kept safe, also when its wait has not begun.")
    .argument("<flow>", "name of the flow")
    .argument("<name>", "name of the signal, as in wait(name, { key })")
    .requiredOption("--key <key>", "key of the wait");
  signalOptions(command).action(
    action(cli, (flow: string, name: string, flags: SignalFlags & { readonly key: string }) =>
      giveSignal(cli, { flow, name, key: flags.key }, flags),
    ),
  );
  return examples(command, [
    ["mayfly signal orders payment --key 4711 -m payment.json", "wakes the order that waits for its payment"],
    ['echo \'{"option":"approve"}\' | mayfly signal pay approval --key 4711 -m -', "answers a question"],
  ]);
}
