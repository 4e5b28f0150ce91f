/** `mayfly secrets` and `mayfly usage`: secrets of functions, which can be set and not read, and what their tenants used today. */
import { createHash, randomBytes } from "node:crypto";
import type { Command } from "commander";
import type { TenantUsage } from "#gateway";
import { action, type Cli, examples, jsonOption } from "../cli.ts";
import { exitCodes, usageError } from "../failure.ts";
import { table } from "../format.ts";
import { type FunctionFlags, functionOptions, FunctionsClient } from "../functions-client.ts";

interface SetFlags extends FunctionFlags {
  readonly value?: string;
}

type Kept = Readonly<Record<keyof NonNullable<TenantUsage["kept"]>, number>>;

/** Of what the tenant keeps, whatever is nearest to its bound: `state 93 %`. */
function keptMost(kept: Kept | null, bounds: Kept | null): string {
  if (kept === null || bounds === null) return "";
  const names = Object.keys(bounds) as (keyof Kept)[];
  const share = (name: keyof Kept): number => kept[name] / Math.max(bounds[name], 1);
  const most = names.reduce((a, b) => (share(b) > share(a) ? b : a));
  return `${most} ${Math.round(share(most) * 100)} %`;
}

/** From --value NAME of a variable, or standard input: a value on the command line would stand in the shell's history. */
async function secretValue({ terminal }: Cli, { value }: SetFlags): Promise<string> {
  const text =
    value === undefined
      ? Buffer.from(await terminal.readStdin())
          .toString("utf8")
          .replace(/\r?\n$/, "")
      : terminal.env[value];
  if (text === undefined || text === "")
    throw usageError(value === undefined ? "pipe the value in: echo $KEY | mayfly secrets set KEY" : `the variable ${value} is not set`);
  return text;
}

async function set(cli: Cli, name: string, flags: SetFlags): Promise<number> {
  const client = await FunctionsClient.open(flags, cli.terminal.env);
  const answer = await client.ask("PUT", `secrets/${encodeURIComponent(name)}`, Buffer.from(await secretValue(cli, flags)));
  cli.terminal.out(flags.json === true ? `${JSON.stringify(answer)}\n` : `${name} is set: write \${secret:${name}} in NAME.mayfly.yaml\n`);
  return exitCodes.ok;
}

async function list(cli: Cli, flags: FunctionFlags): Promise<number> {
  const client = await FunctionsClient.open(flags, cli.terminal.env);
  const { secrets } = await client.ask<{ readonly secrets: readonly string[] }>("GET", "secrets");
  cli.terminal.out(
    flags.json === true ? `${JSON.stringify({ secrets })}\n` : secrets.map((each) => `${each}\n`).join("") || "no secrets\n",
  );
  return exitCodes.ok;
}

async function remove(cli: Cli, name: string, flags: FunctionFlags): Promise<number> {
  const client = await FunctionsClient.open(flags, cli.terminal.env);
  const answer = await client.ask("DELETE", `secrets/${encodeURIComponent(name)}`);
  cli.terminal.out(flags.json === true ? `${JSON.stringify(answer)}\n` : `${name} is removed\n`);
  return exitCodes.ok;
}

/** Draws a key, for the file of tenants. */
async function newKey({ terminal }: Cli, flags: { readonly json?: boolean }): Promise<number> {
  const key = `mfk_${randomBytes(24).toString("base64url")}`;
  const hash = `sha256:${createHash("sha256").update(key).digest("hex")}`;
  terminal.out(flags.json === true ? `${JSON.stringify({ key, hash })}\n` : `key   ${key}\nhash  ${hash}\n`);
  return exitCodes.ok;
}

async function usage(cli: Cli, flags: FunctionFlags): Promise<number> {
  const client = await FunctionsClient.open(flags, cli.terminal.env);
  const { tenants } = await client.ask<{ readonly tenants: readonly TenantUsage[] }>("GET", "usage");
  const rows = tenants.map(({ tenant, day, received, done, dead, cpuMs, functions, quotas, kept }) => [
    tenant ?? "",
    day,
    `${functions} of ${quotas.functions}`,
    String(received),
    String(done),
    String(dead),
    `${(cpuMs / 1000).toFixed(3)} s${quotas.cpuMs === null ? "" : ` of ${quotas.cpuMs / 1000} s`}`,
    keptMost(kept, quotas.kept),
  ]);
  const head = ["TENANT", "DAY", "FUNCTIONS", "RECEIVED", "DONE", "DEAD", "CPU", "KEEPS MOST"];
  for (const { tenant, full } of flags.json === true ? [] : tenants) if (full !== null) cli.terminal.err(`${tenant ?? ""}: ${full}\n`);
  cli.terminal.out(flags.json === true ? `${JSON.stringify({ tenants }, undefined, 2)}\n` : table([head, ...rows], [3, 4, 5, 6]));
  return exitCodes.ok;
}

export function addSecrets(program: Command, cli: Cli): Command {
  const command = program
    .command("secrets")
    .description("Secrets of functions, as ${secret:NAME} in their settings. They can be set and removed, and never read.");
  functionOptions(command.command("set").description("Set one: its value comes from standard input.").argument("<name>"))
    .option("--value <variable>", "take it from this variable of the environment")
    .action(action(cli, (name: string, flags: SetFlags) => set(cli, name, flags)));
  functionOptions(command.command("ls").description("List names.")).action(action(cli, (flags: FunctionFlags) => list(cli, flags)));
  functionOptions(command.command("rm").description("Remove one.").argument("<name>")).action(
    action(cli, (name: string, flags: FunctionFlags) => remove(cli, name, flags)),
  );
  command
    .command("key")
    .description("Draw a key for a tenant, and its hash for the file of tenants.")
    .addOption(jsonOption())
    .action(action(cli, (flags: { json?: boolean }) => newKey(cli, flags)));
  return examples(command, [
    ["echo $ERP_KEY | mayfly secrets set ERP_KEY", "sets it, or replaces it at once for functions that run"],
    ["mayfly secrets key", "draws a key for tenants.yaml"],
  ]);
}

export function addUsage(program: Command, cli: Cli): Command {
  const command = functionOptions(
    program.command("usage").description("Messages and CPU time of functions today (UTC), by tenant, with their quotas."),
  ).action(action(cli, (flags: FunctionFlags) => usage(cli, flags)));
  return examples(command, [["mayfly usage --json", "for billing, once a day before midnight UTC"]]);
}
