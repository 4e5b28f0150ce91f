/** `mayfly journal`: the gateway's durable record, looked at, tidied and moved from outside. */
import { once } from "node:events";
import { createReadStream, createWriteStream } from "node:fs";
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { type Command, Option } from "commander";
import { CodedError, systemClock } from "#base";
import type { ClusterConfig } from "#gateway";
import { action, type Cli, collect, examples, jsonOption } from "../cli.ts";
import { exitCodes } from "../failure.ts";
import { bytesText, indent, table } from "../format.ts";
import { type Terminal, withProgress } from "../terminal.ts";

interface Flags {
  readonly config: string;
  readonly dir?: string;
  readonly salvage?: boolean;
  readonly part?: readonly ("pending" | "outbox" | "sleepers" | "signals" | "state" | "dedup" | "history")[];
  readonly output?: string;
  readonly json?: boolean;
}

const operations = () => import("../../gateway/journal/log/mod.ts");

/** The folder that is named, or the one mayfly.yaml names. */
async function folderOf({ env }: Terminal, { config, dir }: Flags): Promise<string> {
  if (dir !== undefined) return dir;
  const { readPlaces } = await import("#gateway");
  const { base, journal } = await readPlaces(config, env);
  if (journal.dir === undefined)
    throw new CodedError(
      "MF_JOURNAL_MISSING",
      `${config} keeps its journal in memory: remove journal: { memory: true }, or name a folder with --dir`,
    );
  return resolve(base, journal.dir);
}

async function check({ terminal }: Cli, flags: Flags): Promise<number> {
  const dir = await folderOf(terminal, flags);
  const { checkJournal } = await operations();
  const report = await withProgress(terminal, `reading ${dir}`, () => checkJournal(dir));
  const { out, paint } = terminal;
  if (flags.json === true) {
    out(`${JSON.stringify({ dir, ...report }, undefined, 2)}\n`);
    return report.ok ? exitCodes.ok : exitCodes.failed;
  }
  const { live } = report;
  const pending = Object.entries(live.pending).map(([flow, count]) => [`pending of ${flow}`, String(count)]);
  const outbox = live.outbox.map(({ flow, outlet, entries }) => [`to be sent, ${flow} → ${outlet}`, String(entries)]);
  const asleep = Object.entries(live.sleepers).map(([flow, count]) => [`asleep of ${flow}`, String(count)]);
  const facts = [
    ["on disk", bytesText(report.diskBytes)],
    ["files", String(report.files.length)],
    ...pending,
    ...outbox,
    ...asleep,
    ["signals kept", String(live.signals)],
    ["ids remembered", String(live.dedupIds)],
    ["keys with state", String(live.stateKeys)],
  ];
  out(`${paint.bold(dir)}\n${indent(table(facts, [1]))}`);
  for (const remark of report.remarks) out(`  ${paint.dim(remark)}\n`);
  for (const { file, offset, code, message } of report.problems) out(`${paint.red(code)} ${file} at byte ${offset}: ${message}\n`);
  out(
    report.ok
      ? `${paint.green("whole")}\n`
      : `${paint.red("damaged")}: stop the gateway, then \`mayfly journal compact --salvage\` keeps what survives\n`,
  );
  return report.ok ? exitCodes.ok : exitCodes.failed;
}

async function compact({ terminal }: Cli, flags: Flags): Promise<number> {
  const dir = await folderOf(terminal, flags);
  const { compactJournal } = await operations();
  const report = await withProgress(terminal, `compacting ${dir}`, () => compactJournal(dir, { salvage: flags.salvage }));
  if (flags.json === true) terminal.out(`${JSON.stringify({ dir, ...report }, undefined, 2)}\n`);
  else {
    terminal.out(
      `${report.removedFiles} files with ${bytesText(report.removedBytes)} removed, the checkpoint has ${bytesText(report.checkpointBytes)}\n`,
    );
    for (const { code, message } of report.problems) terminal.out(`${terminal.paint.red(code)} ${message}\n`);
    for (const lost of report.lost) terminal.out(`lost: ${lost}\n`);
    if (report.movedTo !== undefined) terminal.out(`the damaged files are in ${report.movedTo}\n`);
  }
  return report.lost.length === 0 ? exitCodes.ok : exitCodes.failed;
}

/** The cluster that mayfly.yaml names; undefined where it names none, or a folder is given. */
async function clusterOf({ env }: Terminal, { config, dir }: Flags): Promise<ClusterConfig | undefined> {
  if (dir !== undefined) return undefined;
  const [{ loadTemplate }, { connectors }] = await Promise.all([import("#gateway"), import("#connectors")]);
  const template = await loadTemplate(config, connectors, env, () => true);
  if ((template.written as { readonly cluster?: unknown }).cluster === undefined) return undefined;
  const { loadConfig } = await import("#gateway");
  return (await loadConfig(config, connectors, env)).cluster;
}

async function exportLines({ terminal }: Cli, flags: Flags): Promise<number> {
  const cluster = await clusterOf(terminal, flags);
  if (cluster === undefined) {
    const dir = await folderOf(terminal, flags);
    const { exportJournal } = await operations();
    await writeLines(terminal, flags, [exportJournal(dir, flags.part)]);
    return exitCodes.ok;
  }
  const [{ exportDisk }, { withDisks }] = await Promise.all([import("#gateway"), import("#cluster")]);
  await withDisks(cluster, systemClock, (disks) =>
    writeLines(
      terminal,
      flags,
      disks.map((disk) => exportDisk(disk, flags.part)),
    ),
  );
  return exitCodes.ok;
}

async function writeLines(terminal: Terminal, { output }: Flags, journals: readonly AsyncIterable<string>[]): Promise<void> {
  if (output === undefined) {
    for (const lines of journals) for await (const line of lines) terminal.out(line);
    return;
  }
  const file = createWriteStream(output, { mode: 0o600 });
  for (const lines of journals) for await (const line of lines) if (!file.write(line)) await once(file, "drain");
  file.end();
  await once(file, "finish");
}

/** Takes the lines of an export into an empty journal: the cluster's that mayfly.yaml names, or a folder's. */
async function importLines({ terminal }: Cli, path: string, flags: Flags): Promise<number> {
  if ((await stat(path).catch(() => undefined))?.isFile() !== true)
    throw new CodedError("MF_FILE_UNREADABLE", `${path} is not there: name the file that \`mayfly journal export -o\` wrote`);
  const read = (): AsyncIterable<string> => createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY });
  const cluster = await clusterOf(terminal, flags);
  const { importJournal } = await import("#gateway");
  const report = await withProgress(terminal, `reading ${path}`, async () => {
    const nowMs = systemClock.now();
    if (cluster !== undefined) {
      const { withWholeCluster } = await import("#cluster");
      return await withWholeCluster(cluster, systemClock, ({ journal, journals }) =>
        importJournal({ journal, rememberers: journals }, read, nowMs),
      );
    }
    const { openJournal } = await import("#gateway");
    const journal = openJournal(await folderOf(terminal, flags));
    await journal.recover();
    try {
      return await importJournal({ journal, rememberers: [journal] }, read, nowMs);
    } finally {
      await journal.close();
    }
  });
  if (flags.json === true) terminal.out(`${JSON.stringify(report, undefined, 2)}\n`);
  else {
    const { pending, outbox, sleepers, signals, state, dedup } = report;
    const rows = [
      ["messages", pending],
      ["sends", outbox],
      ["sleepers", sleepers],
      ["signals", signals],
      ["keys with state", state],
      ["ids", dedup],
    ] as const;
    terminal.out(
      table(
        rows.map(([name, count]) => [name, String(count)]),
        [1],
      ),
    );
  }
  return exitCodes.ok;
}

function shared(command: Command): Command {
  return command
    .option("-c, --config <file>", "path of mayfly.yaml, to find the journal", "mayfly.yaml")
    .option("-d, --dir <folder>", "the journal's folder");
}

export function addJournal(program: Command, cli: Cli): Command {
  const journal = program
    .command("journal")
    .description("The gateway's durable record of every message: check it, compact it, export it, import it.");
  shared(
    journal.command("check").description("Read the whole journal and report its contents and any damage. Exit code 1 if it is damaged."),
  )
    .addOption(jsonOption())
    .action(action(cli, (flags: Flags) => check(cli, flags)));
  shared(
    journal
      .command("compact")
      .description("Write a checkpoint and delete superseded files. Stop the gateway first; a running gateway does this itself."),
  )
    .option("--salvage", "keep the undamaged records of a damaged journal, and move the damaged files aside")
    .addOption(jsonOption())
    .action(action(cli, (flags: Flags) => compact(cli, flags)));
  shared(
    journal
      .command("import <file>")
      .description(
        "Take the lines of an export into an empty journal: the cluster's of mayfly.yaml, or that of a folder. Stop the gateway, or all nodes, first.",
      ),
  )
    .addOption(jsonOption())
    .action(action(cli, (file: string, flags: Flags) => importLines(cli, file, flags)));
  shared(
    journal
      .command("export")
      .description("Export the journal as lines of JSON. That of a cluster is taken over for it: stop all nodes first, or name a folder."),
  )
    .addOption(
      new Option(
        "--part <name>",
        "pending, outbox, sleepers, signals, state, dedup or history; may be given more than once (default: all but history)",
      ).argParser(collect),
    )
    .option("-o, --output <file>", "output file (default: standard output)")
    .action(action(cli, (flags: Flags) => exportLines(cli, flags)));
  return examples(journal, [
    ["mayfly journal check", "reports contents and damage"],
    ["mayfly journal export --part state | jq .", "exports the state of all flows"],
    ["mayfly journal compact --dir .mayfly/journal", "with the gateway stopped"],
    [
      "mayfly journal export -d .mayfly/journal -o moved.jsonl && mayfly journal import moved.jsonl",
      "from one computer's files into the cluster of mayfly.yaml",
    ],
  ]);
}
