/** Sleeping machines as people read them. */
import type { MessageDetail } from "#gateway";
import { indent, msText, safeText, table } from "../format.ts";
import { attemptText, bodyLines, headerLines } from "../messages/show.ts";
import type { Terminal } from "../terminal.ts";

/** As the endpoints give it: dates as texts. */
export interface SleeperRow {
  readonly id: string;
  readonly flow: string;
  readonly key: string | null;
  readonly image: string;
  readonly received: string;
  readonly since: string;
  readonly until: string;
  readonly waits: readonly {
    readonly name: string;
    readonly key: string;
    readonly until: string | null;
    readonly question: { readonly question: string; readonly options: readonly string[] } | null;
  }[];
  readonly sleeps: readonly string[];
  readonly transactions: number;
  readonly state: string;
  readonly problem: string | null;
}

export interface SleeperDetail extends SleeperRow {
  readonly source: string;
  readonly message: Pick<MessageDetail, "headers" | "contentType" | "body"> | null;
  readonly timeline: MessageDetail["attempts"][number] | null;
}

function dateText(iso: string): string {
  return iso.replace("T", " ").slice(0, 19);
}

function waitText({ name, key, question }: SleeperRow["waits"][number]): string {
  const what = `${safeText(name, 60)} (key ${safeText(key, 60)})`;
  return question === null ? what : `${what}: ${safeText(question.question, 100)}`;
}

function waitsText({ waits, sleeps }: SleeperRow): string {
  const all = [...waits.map(waitText), ...(sleeps.length === 0 ? [] : ["its time"])];
  return all.join(", ");
}

export function sleepersText({ paint }: Terminal, sleepers: readonly SleeperRow[]): string {
  const rows = sleepers.map((sleeper) => [
    safeText(sleeper.id, 60),
    sleeper.flow,
    dateText(sleeper.since),
    dateText(sleeper.until),
    sleeper.image.slice(0, 12),
    sleeper.state,
    waitsText(sleeper),
  ]);
  const [head = "", ...lines] = table([["ID", "FLOW", "SINCE", "UNTIL", "IMAGE", "STATE", "WAITS FOR"], ...rows])
    .trimEnd()
    .split("\n");
  const colored = lines.map((line, index) => {
    const problem = sleepers[index]?.problem ?? null;
    return problem === null ? `${line}\n` : `${paint.red(line)}\n${paint.red(indent(safeText(problem)))}\n`;
  });
  return `${paint.bold(head)}\n${colored.join("")}`;
}

export function sleeperText(terminal: Terminal, detail: SleeperDetail): string {
  const { paint } = terminal;
  const facts = [
    ["flow", detail.flow],
    ...(detail.source === "" ? [] : [["from", detail.source]]),
    ["received", dateText(detail.received)],
    ["asleep since", dateText(detail.since)],
    ["until", `${dateText(detail.until)} (${msText(Math.max(Date.parse(detail.until) - Date.now(), 0))} from now)`],
    ["image", `sha256:${detail.image.slice(0, 12)}`],
    ["transactions", String(detail.transactions)],
    ...(detail.key === null ? [] : [["key", safeText(detail.key)]]),
  ];
  const waits = detail.waits.map((wait) => [
    waitText(wait),
    wait.until === null ? "no end of its own" : `until ${dateText(wait.until)}`,
    wait.question === null ? "" : wait.question.options.map((option) => safeText(option, 40)).join(" | "),
  ]);
  const sleeps = detail.sleeps.map((until) => ["a sleep", `until ${dateText(until)}`, ""]);
  const { message, timeline } = detail;
  return [
    `${paint.bold(safeText(detail.id))} ${detail.problem === null ? paint.green(detail.state) : paint.red(detail.state)}\n`,
    detail.problem === null ? "" : `${paint.red(safeText(detail.problem))}\n`,
    indent(table(facts)),
    `${paint.bold("waits for")}\n${indent(table([...waits, ...sleeps]))}`,
    message === null
      ? ""
      : `${paint.bold("message")} ${paint.dim(safeText(message.contentType))}\n${headerLines(message.headers)}${indent(bodyLines(message.body, message.contentType))}\n`,
    timeline === null ? "" : attemptText(terminal, timeline).replace("attempt 1", "so far"),
  ].join("");
}
