/** `mayfly dlq`: dead letters: what was given up, why, and what to do about it. */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { type Command, Option } from "commander";
import { headerPairs } from "#abi";
import { CodedError } from "#base";
import type { DeadLetter } from "#gateway";
import type { GatewayFlags } from "../admin.ts";
import { action, type Cli, examples, jsonOption } from "../cli.ts";
import { exitCodes, usageError } from "../failure.ts";
import { bodyJson, bodyText, bytesText, indent, safeText, table } from "../format.ts";
import { cliLimits } from "../limits.ts";
import { readInput } from "../machine/stubs.ts";
import type { Terminal } from "../terminal.ts";

interface Flags extends GatewayFlags {
  readonly flow?: string;
  readonly code?: string;
  readonly all?: boolean;
  readonly edit?: string;
  readonly output?: string;
  readonly wait?: boolean;
  readonly json?: boolean;
}

type Letters = typeof import("../dead-letters.ts");
type RetryOutcome = import("../dead-letters.ts").RetryOutcome;

async function matching({ openLetters }: Letters, { terminal }: Cli, flags: Flags): Promise<DeadLetter[]> {
  const store = await openLetters(flags, terminal.env);
  const found: DeadLetter[] = [];
  for await (const letter of store.list(flags.flow)) if (flags.code === undefined || letter.failure.code === flags.code) found.push(letter);
  return found;
}

/** Ids given, or those of all letters that match; never all of them by accident. */
async function chosen(letters: Letters, cli: Cli, ids: readonly string[], flags: Flags): Promise<readonly string[]> {
  if (ids.length > 0) return ids;
  if (flags.flow === undefined && flags.code === undefined && flags.all !== true)
    throw usageError("choose letters by id, --flow, --code or --all");
  return (await matching(letters, cli, flags)).map(({ id }) => id);
}

/** Messages held back by a letter, with `onDead: hold`. */
function heldText({ holds, kind, outlet, key }: DeadLetter): string {
  if (holds !== true) return "";
  const place = kind === "send" ? ` to ${outlet ?? ""}` : "";
  return key === undefined ? `all${place}` : `key ${safeText(key.slice(0, 40))}${place}`;
}

async function list(letters: Letters, cli: Cli, flags: Flags): Promise<number> {
  const found = await matching(letters, cli, flags);
  const { out, paint } = cli.terminal;
  if (flags.json === true) {
    out(`${JSON.stringify(found, undefined, 2)}\n`);
    return exitCodes.ok;
  }
  const holding = found.some(({ holds }) => holds === true);
  const rows = found.map((letter) => [
    letter.id,
    new Date(letter.buriedMs).toISOString().slice(0, 19),
    String(letter.attempts.length),
    bytesText(letter.bodyBytes),
    ...(holding ? [heldText(letter)] : []),
    safeText(`${letter.failure.code}: ${letter.failure.message.split("\n")[0]?.slice(0, 100) ?? ""}`),
  ]);
  const titles = ["ID", "GIVEN UP", "ATTEMPTS", "BODY", ...(holding ? ["HOLDS"] : []), "WHY"];
  if (rows.length > 0) out(table([titles, ...rows], [2, 3]));
  out(`${paint.dim(rows.length === 0 ? "no dead letters" : `${rows.length} dead ${rows.length === 1 ? "letter" : "letters"}`)}\n`);
  return exitCodes.ok;
}

function sleptText({ sinceMs, transactions, waits, timers }: NonNullable<DeadLetter["asleep"]>): string {
  const waited = [
    ...waits.map(({ name, key }) => `${name} ${key}`),
    ...(timers > 0 ? [`${timers} ${timers === 1 ? "timer" : "timers"}`] : []),
  ];
  return safeText(
    `since ${new Date(sinceMs).toISOString()} for ${waited.join(", ")}, after ${transactions} committed ${transactions === 1 ? "transaction" : "transactions"}: a retry goes on from there`,
  );
}

async function show(letters: Letters, { terminal }: Cli, id: string, flags: Flags): Promise<number> {
  const found = await (await letters.openLetters(flags, terminal.env)).read(id);
  if (found === undefined) throw new CodedError("MF_LETTER_UNKNOWN", `unknown dead letter ${id}: list them with \`mayfly dlq ls\``);
  const { letter, body } = found;
  const { out, paint } = terminal;
  if (flags.json === true) {
    out(`${JSON.stringify({ ...letter, ...bodyJson(body) }, undefined, 2)}\n`);
    return exitCodes.ok;
  }
  out(`${paint.bold(letter.id)}\n${paint.red(safeText(letter.failure.code))}: ${safeText(letter.failure.message)}\n`);
  const facts = [
    ["message", letter.messageId],
    ["from", letter.kind === "send" ? `a send to the outlet ${letter.outlet ?? ""}` : letter.source],
    ...(letter.signal === undefined ? [] : [["signal", safeText(letter.signal)]]),
    ["received", new Date(letter.receivedMs).toISOString()],
    ["given up", new Date(letter.buriedMs).toISOString()],
    ...(letter.key === undefined ? [] : [["key", safeText(letter.key)]]),
    ...(letter.asleep === undefined ? [] : [["slept", sleptText(letter.asleep)]]),
    ...(letter.signals === undefined ? [] : [["signals", `${letter.signals}, kept again by a retry`]]),
    ...(letter.holds === true ? [["holds", heldText(letter)]] : []),
  ];
  out(indent(table(facts)));
  out(
    `${paint.bold("headers")}\n${indent(table([["content-type", letter.contentType], ...headerPairs(letter.headers)].map((row) => row.map((cell) => safeText(cell)))))}`,
  );
  const storedBody = letters.storedBodyOf(letter.headers);
  const text =
    storedBody === undefined
      ? bodyText(body, letter.contentType)
      : `in the body store, SHA-256 ${storedBody.sha256}: write it to a file with \`mayfly dlq export\``;
  out(`${paint.bold("body")} ${paint.dim(bytesText(letter.bodyBytes))}\n${indent(text)}\n`);
  for (const { attempt, startedMs, endedMs, failure, logs } of letter.attempts) {
    out(
      `${paint.bold(`attempt ${attempt}`)} ${paint.dim(`${new Date(startedMs).toISOString()}, ${endedMs - startedMs} ms`)} ${safeText(failure.code)}: ${safeText(failure.message)}\n`,
    );
    for (const { level, text, fieldsJson } of logs)
      out(`  ${level} ${safeText(text)}${fieldsJson === undefined ? "" : ` ${paint.dim(safeText(fieldsJson))}`}\n`);
    if (failure.stack !== undefined) out(`${paint.dim(indent(safeText(failure.stack.trimEnd(), 20_000)))}\n`);
  }
  return exitCodes.ok;
}

/** The fate of the original, by how the edited one ended. */
const afterEdit: ReadonlyMap<string, string> = new Map([
  ["done", "done: the original is deleted"],
  ["duplicate", "it was already retried, and is done"],
  ["accepted", "still running: the original is kept until it succeeds; see the gateway's log"],
  ["dead", "failed again: the original is kept, and the edited message has a dead letter too"],
]);

async function retry(letters: Letters, cli: Cli, ids: readonly string[], flags: Flags): Promise<number> {
  const { terminal } = cli;
  if (flags.edit !== undefined && ids.length !== 1) throw usageError("--edit needs exactly one id: it replaces the body of one letter");
  const body = flags.edit === undefined ? undefined : flags.edit === "-" ? await terminal.readStdin() : await readInput(flags.edit, "body");
  const chosenIds = await chosen(letters, cli, ids, flags);
  const wait = flags.wait !== false && chosenIds.length <= cliLimits.lettersAwaited;
  const outcomes = await retryAll(chosenIds, async (id) => ({
    id,
    letter: id,
    ...((await letters.retryLetter(flags, terminal.env, id, { body, wait })) ?? { status: "unknown", message: "unknown dead letter" }),
  }));
  const failed = outcomes.filter(({ status }) => status === "refused" || status === "unknown" || status === "dead");
  if (flags.json === true)
    terminal.out(`${JSON.stringify({ retried: outcomes.length - failed.length, failed: failed.length, outcomes }, undefined, 2)}\n`);
  else showRetried(terminal, outcomes, { failed, edited: body !== undefined });
  return failed.length === 0 ? exitCodes.ok : exitCodes.failed;
}

/** `id` is the message's where it is known, `letter` the dead letter's. */
type Retried = { readonly id: string; readonly letter: string } & RetryOutcome;

/** Some at once, since each may wait for its message's end; in the order of the ids. */
async function retryAll(ids: readonly string[], retryOne: (id: string) => Promise<Retried>): Promise<readonly Retried[]> {
  const outcomes: Retried[] = [];
  let next = 0;
  const one = async (): Promise<void> => {
    while (next < ids.length) {
      const index = next++;
      outcomes[index] = await retryOne(ids[index] as string);
    }
  };
  await Promise.all(Array.from({ length: cliLimits.lettersAtOnce }, one));
  return outcomes;
}

/** The end of a message whose letter was retried as it was. */
const afterRetry: ReadonlyMap<string, string> = new Map([
  ["done", "done"],
  ["duplicate", "it was done before"],
  ["accepted", "under way: `mayfly messages ls --id` tells its end"],
]);

function showRetried(
  { out, paint }: Terminal,
  outcomes: readonly Retried[],
  { failed, edited }: { readonly failed: readonly Retried[]; readonly edited: boolean },
): void {
  for (const { letter, status, message, failure } of failed)
    out(`${letter}: ${paint.red(status)} ${safeText(failure === undefined ? (message ?? "") : `${failure.code}: ${failure.message}`)}\n`);
  if (edited) out(`${afterEdit.get(outcomes[0]?.status ?? "") ?? "the original is kept"}\n`);
  else if (outcomes.length <= cliLimits.linesShown)
    for (const { letter, status } of outcomes.filter((each) => !failed.includes(each)))
      out(`${letter}: ${status === "done" ? paint.green("done") : (afterRetry.get(status) ?? status)}\n`);
  out(`${outcomes.length - failed.length} retried${failed.length === 0 ? "" : `, ${failed.length} failed`}\n`);
}

async function drop(letters: Letters, cli: Cli, ids: readonly string[], flags: Flags): Promise<number> {
  const store = await letters.openLetters(flags, cli.terminal.env);
  const wanted = await chosen(letters, cli, ids, flags);
  const unknown: string[] = [];
  for (const id of wanted) if (!(await store.remove(id))) unknown.push(id);
  if (flags.json === true) cli.terminal.out(`${JSON.stringify({ dropped: wanted.length - unknown.length, unknown })}\n`);
  else cli.terminal.out(`${wanted.length - unknown.length} dropped${unknown.length === 0 ? "" : `; unknown: ${unknown.join(", ")}`}\n`);
  return unknown.length === 0 ? exitCodes.ok : exitCodes.failed;
}

/** Each letter as NAME.json and NAME.body, as the gateway keeps them. */
async function exportLetters(letters: Letters, cli: Cli, ids: readonly string[], flags: Flags): Promise<number> {
  const store = await letters.openLetters(flags, cli.terminal.env);
  const folder = resolve(flags.output ?? "dead-letters");
  let written = 0;
  for (const id of ids.length > 0 ? ids : (await matching(letters, cli, flags)).map((letter) => letter.id)) {
    const found = await store.read(id);
    if (found === undefined) throw new CodedError("MF_LETTER_UNKNOWN", `unknown dead letter ${id}`);
    const path = join(folder, ...id.split("/"));
    await mkdir(dirname(path), { recursive: true });
    await writeFile(`${path}.body`, await store.body(found));
    await writeFile(`${path}.json`, `${JSON.stringify(found.letter, undefined, 2)}\n`);
    written += 1;
  }
  cli.terminal.out(flags.json === true ? `${JSON.stringify({ folder, written })}\n` : `${written} written to ${folder}\n`);
  return exitCodes.ok;
}

/** Options every subcommand has. */
function shared(command: Command): Command {
  return command
    .option("-c, --config <file>", "path of mayfly.yaml, to find the folder or the gateway", "mayfly.yaml")
    .option("--gateway <url>", "address of a running gateway, http://… or unix:PATH (default: MAYFLY_GATEWAY, else the folder)")
    .addOption(new Option("--token <token>", "http.admin.token, for a gateway given by URL (default: MAYFLY_TOKEN)"))
    .addOption(jsonOption());
}

function filters(command: Command): Command {
  return command.option("--flow <name>", "only letters of this flow").option("--code <code>", "only letters that failed with this code");
}

const load = (): Promise<Letters> => import("../dead-letters.ts");

export function addDlq(program: Command, cli: Cli): Command {
  const dlq = program.command("dlq").description("Dead letters: messages and sends that failed for good, with all their attempts.");
  filters(shared(dlq.command("ls").description("List them."))).action(
    action(cli, async (flags: Flags) => await list(await load(), cli, flags)),
  );
  shared(
    dlq
      .command("show")
      .description("Show one: its failure, its body, and every attempt with its logs.")
      .argument("<id>", "FLOW/NAME, as listed by ls"),
  ).action(action(cli, async (id: string, flags: Flags) => await show(await load(), cli, id, flags)));
  filters(
    shared(
      dlq
        .command("retry")
        .description("Retry them in the running gateway, and say how each ended.")
        .argument("[id...]", "ids of letters, unless an option chooses them"),
    ),
  )
    .option("--all", "every letter")
    .option("--edit <file>", "replace the body; - reads standard input")
    .option("--no-wait", "do not wait for the messages' ends (at most 20 seconds, and for at most 100 letters)")
    .action(action(cli, async (ids: string[], flags: Flags) => await retry(await load(), cli, ids, flags)));
  filters(
    shared(
      dlq.command("drop").description("Delete them permanently.").argument("[id...]", "ids of letters, unless an option chooses them"),
    ),
  )
    .option("--all", "every letter")
    .action(action(cli, async (ids: string[], flags: Flags) => await drop(await load(), cli, ids, flags)));
  filters(shared(dlq.command("export").description("Write them to a folder.").argument("[id...]", "ids of letters (default: all)")))
    .option("-o, --output <folder>", "where to", "dead-letters")
    .action(action(cli, async (ids: string[], flags: Flags) => await exportLetters(await load(), cli, ids, flags)));
  return examples(dlq, [
    ["mayfly dlq ls --flow row", "lists the letters of one flow"],
    ["mayfly dlq show row/20260302T101500000Z-1f2e3d4c5b6a7988", "shows one letter in full"],
    ["mayfly dlq retry --code MF_OUTLET_TIMEOUT", "retries all that failed with this code"],
    ["mayfly dlq retry ID --edit fixed.json", "retries one with a corrected body"],
  ]);
}
