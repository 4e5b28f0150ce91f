/** `mayfly functions`: deployed functions, their versions, aliases, canaries and logs. */
import type { Command } from "commander";
import type { ShownFunction } from "#gateway";
import { action, type Cli, examples } from "../cli.ts";
import { exitCodes, usageError } from "../failure.ts";
import { safeText, table } from "../format.ts";
import { changeOptions, type FunctionFlags, functionOptions, FunctionsClient } from "../functions-client.ts";
import { cliLimits } from "../limits.ts";
import { shareNumber } from "./deploy.ts";

interface LogFlags extends FunctionFlags {
  readonly follow?: boolean;
}

interface LogLine {
  readonly line: number;
  readonly at: number;
  readonly level: string;
  readonly text: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

const place = (name: string): string => `functions/${encodeURIComponent(name)}`;
const time = (ms: number): string => new Date(ms).toISOString().slice(0, 19);
const shortImage = (image: string): string => image.slice(0, "sha256:".length + 12);

function tell(cli: Cli, flags: FunctionFlags, value: unknown, text: () => string): number {
  cli.terminal.out(flags.json === true ? `${JSON.stringify(value, undefined, 2)}\n` : text());
  return exitCodes.ok;
}

function summary({ name, live, canary, urls, served }: ShownFunction): string {
  const beside = canary === null ? "" : `, version ${canary.version} gets ${canary.share * 100}%`;
  return `${name}  version ${live}${beside}  ${urls.join(" ")}${served ? "" : "  not in memory"}\n`;
}

async function list(cli: Cli, flags: FunctionFlags): Promise<number> {
  const client = await FunctionsClient.open(flags, cli.terminal.env);
  const functions: ShownFunction[] = [];
  for (let after: string | null = ""; after !== null; ) {
    const query: Readonly<Record<string, string>> = after === "" ? {} : { after };
    const page: { functions: ShownFunction[]; next: string | null } = await client.ask("GET", "functions", undefined, query);
    functions.push(...page.functions);
    after = page.next;
  }
  const rows = functions.map(({ name, live, canary, versions, urls, served }) => [
    name,
    String(live),
    canary === null ? "" : `${canary.version} ${canary.share * 100}%`,
    time(versions.at(-1)?.at ?? 0),
    served ? "yes" : "",
    urls.join(" "),
  ]);
  return tell(cli, flags, { functions }, () =>
    rows.length === 0 ? "no functions\n" : table([["FUNCTION", "VERSION", "CANARY", "DEPLOYED", "SERVED", "URL"], ...rows], [1]),
  );
}

async function show(cli: Cli, name: string, flags: FunctionFlags): Promise<number> {
  const client = await FunctionsClient.open(flags, cli.terminal.env);
  const shown = await client.ask<ShownFunction>("GET", place(name));
  return tell(cli, flags, shown, () => {
    const aliases = Object.entries(shown.aliases).map(([alias, version]) => `alias ${alias} is version ${version}\n`);
    const fragment = shown.versions.find(({ version }) => version === shown.live)?.fragment ?? "";
    return `${summary(shown)}revision ${shown.revision}\n${aliases.join("")}${fragment === "" ? "" : `\n${safeText(fragment, 16_384)}\n`}`;
  });
}

async function versions(cli: Cli, name: string, flags: FunctionFlags): Promise<number> {
  const client = await FunctionsClient.open(flags, cli.terminal.env);
  const { versions: all, live, canary, aliases } = await client.ask<ShownFunction>("GET", place(name));
  const rows = all.map(({ version, image, at, by }) => {
    const names = Object.entries(aliases).filter(([, named]) => named === version);
    const state = version === live ? "live" : version === canary?.version ? `canary ${canary.share * 100}%` : "";
    return [String(version), state, names.map(([alias]) => alias).join(", "), shortImage(image), time(at), safeText(by, 40)];
  });
  return tell(cli, flags, { versions: all, live, canary, aliases }, () =>
    table([["VERSION", "", "ALIASES", "IMAGE", "DEPLOYED", "BY"], ...rows], [0]),
  );
}

async function remove(cli: Cli, name: string, flags: FunctionFlags): Promise<number> {
  const client = await FunctionsClient.open(flags, cli.terminal.env);
  const answer = await client.ask("DELETE", place(name));
  return tell(cli, flags, answer, () => `${name} is removed; its state stays in the journal under its name\n`);
}

async function rollback(cli: Cli, name: string, version: string | undefined, flags: FunctionFlags): Promise<number> {
  const client = await FunctionsClient.open(flags, cli.terminal.env);
  const chosen = version ?? (await versionBefore(client, name));
  const shown = await client.ask<ShownFunction>("PUT", `${place(name)}/live`, { version: chosen });
  return tell(cli, flags, shown, () => summary(shown));
}

async function versionBefore(client: FunctionsClient, name: string): Promise<string> {
  const { versions: all, live } = await client.ask<ShownFunction>("GET", place(name));
  const before = all.filter(({ version }) => version < live).at(-1);
  if (before === undefined)
    throw usageError(`${name} has no version before ${live}: name one, as listed by \`mayfly functions versions ${name}\``);
  return String(before.version);
}

interface CanaryFlags extends FunctionFlags {
  readonly end?: boolean;
}

async function canary(cli: Cli, name: string, version: string | undefined, share: number | undefined, flags: CanaryFlags): Promise<number> {
  if ((flags.end === true) !== (version === undefined) || (version === undefined) !== (share === undefined))
    throw usageError("name a version and its share, such as 4 5%, or give --end");
  const client = await FunctionsClient.open(flags, cli.terminal.env);
  const shown =
    version === undefined
      ? await client.ask<ShownFunction>("DELETE", `${place(name)}/canary`)
      : await client.ask<ShownFunction>("PUT", `${place(name)}/canary`, { version, share });
  return tell(cli, flags, shown, () => summary(shown));
}

interface AliasFlags extends FunctionFlags {
  readonly rm?: boolean;
}

async function alias(cli: Cli, name: string, named: string, version: string | undefined, flags: AliasFlags): Promise<number> {
  if ((flags.rm === true) !== (version === undefined)) throw usageError("name the version of the alias, or give --rm");
  const client = await FunctionsClient.open(flags, cli.terminal.env);
  const path = `${place(name)}/aliases/${encodeURIComponent(named)}`;
  const shown =
    version === undefined ? await client.ask<ShownFunction>("DELETE", path) : await client.ask<ShownFunction>("PUT", path, { version });
  const text =
    version === undefined ? `${named} names no version of ${name}\n` : `${named} is version ${shown.aliases[named] ?? ""} of ${name}\n`;
  return tell(cli, flags, shown, () => text);
}

function lineText({ at, level, text, fields }: LogLine): string {
  const more = Object.keys(fields).length === 0 ? "" : ` ${safeText(JSON.stringify(fields), 2_000)}`;
  return `${new Date(at).toISOString()} ${level.padEnd(5)} ${safeText(text, 2_000)}${more}\n`;
}

async function logs({ terminal }: Cli, name: string, flags: LogFlags): Promise<number> {
  const client = await FunctionsClient.open(flags, terminal.env);
  let after = 0;
  for (;;) {
    const { lines } = await client.ask<{ readonly lines: readonly LogLine[] }>("GET", `${place(name)}/logs`, undefined, {
      after: String(after),
    });
    for (const line of lines) terminal.out(flags.json === true ? `${JSON.stringify(line)}\n` : lineText(line));
    after = lines.at(-1)?.line ?? after;
    if (flags.follow !== true) return exitCodes.ok;
    await new Promise((done) => setTimeout(done, cliLimits.tailMs));
  }
}

export function addFunctions(program: Command, cli: Cli): Command {
  const command = program.command("functions").description("Deployed functions: versions, aliases, canaries and logs.");
  functionOptions(command.command("ls").description("List them.")).action(action(cli, (flags: FunctionFlags) => list(cli, flags)));
  functionOptions(command.command("show").description("Show one, with its settings.").argument("<name>")).action(
    action(cli, (name: string, flags: FunctionFlags) => show(cli, name, flags)),
  );
  functionOptions(command.command("versions").description("List the versions of one.").argument("<name>")).action(
    action(cli, (name: string, flags: FunctionFlags) => versions(cli, name, flags)),
  );
  functionOptions(
    command.command("logs").description("Show the last log lines of one; --json writes a line of JSON for each.").argument("<name>"),
  )
    .option("-f, --follow", "go on with new lines until Ctrl-C")
    .action(action(cli, (name: string, flags: LogFlags) => logs(cli, name, flags)));
  addChanges(command, cli);
  return examples(command, [
    ["mayfly functions versions hello", "which were deployed, and by whom"],
    ["mayfly functions rollback hello", "serves the version before"],
    ["mayfly functions canary hello 4 5%", "version 4 gets one message in twenty"],
    ["mayfly functions alias hello stable 3", "`rollback hello stable` finds it later"],
  ]);
}

function addChanges(command: Command, cli: Cli): void {
  changeOptions(command.command("rm").description("End one and forget it.").argument("<name>")).action(
    action(cli, (name: string, flags: FunctionFlags) => remove(cli, name, flags)),
  );
  changeOptions(
    command
      .command("rollback")
      .description("Serve a version that was deployed before; also ends a canary.")
      .argument("<name>")
      .argument("[version]", "number or alias (default: the version before the live one)"),
  ).action(action(cli, (name: string, version: string | undefined, flags: FunctionFlags) => rollback(cli, name, version, flags)));
  changeOptions(
    command
      .command("canary")
      .description("Give a version a share of the messages, beside the live one.")
      .argument("<name>")
      .argument("[version]", "number or alias")
      .argument("[share]", "such as 5%", shareNumber),
  )
    .option("--end", "end the canary: the live version gets every message")
    .action(
      action(cli, (name: string, version: string | undefined, share: number | undefined, flags: CanaryFlags) =>
        canary(cli, name, version, share, flags),
      ),
    );
  changeOptions(
    command
      .command("alias")
      .description("Name a version, for rollback and canary; it is kept for as long as it has a name.")
      .argument("<name>")
      .argument("<alias>")
      .argument("[version]", "number or another alias"),
  )
    .option("--rm", "take the name away")
    .action(
      action(cli, (name: string, named: string, version: string | undefined, flags: AliasFlags) => alias(cli, name, named, version, flags)),
    );
}
