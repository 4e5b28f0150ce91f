/** Recorded messages as people read them. */
import { headerPairs, type Headers } from "#abi";
import type { MessageDetail, MessageSummary } from "#gateway";
import { bodyText, bytesText, indent, msText, safeText, table } from "../format.ts";
import type { Terminal } from "../terminal.ts";

type Shown = MessageDetail["body"];
type Attempt = MessageDetail["attempts"][number];

const oneLine = (text: string, most: number): string => safeText(text.split("\n")[0]?.slice(0, most) ?? "", most);

export function timeText(ms: number): string {
  return new Date(ms).toISOString().replace("T", " ").slice(0, 23);
}

function row({ id, flow, status, receivedAt, durationMs, attempts, source, key, error }: MessageSummary): string[] {
  const why = error === null ? "" : oneLine(`${error.code}: ${error.message}`, 80);
  return [
    timeText(receivedAt),
    status,
    oneLine(flow, 30),
    safeText(id),
    oneLine(key ?? "", 24),
    source,
    String(attempts),
    msText(durationMs),
    why,
  ];
}

const titles = ["RECEIVED", "STATUS", "FLOW", "ID", "KEY", "SOURCE", "ATTEMPTS", "TOOK", "WHY"];
const rightColumns = [6, 7];

function painted({ paint }: Terminal, line: string, { status }: MessageSummary): string {
  if (status === "done") return line;
  return status === "dead" ? paint.red(line) : paint.yellow(line);
}

/** A table of messages, coloured by how they ended. */
export function listText(terminal: Terminal, messages: readonly MessageSummary[]): string {
  const [head = "", ...lines] = table([titles, ...messages.map(row)], rightColumns)
    .trimEnd()
    .split("\n");
  const colored = lines.map((line, index) => painted(terminal, line, messages[index] as MessageSummary));
  return `${terminal.paint.bold(head)}\n${colored.map((line) => `${line}\n`).join("")}`;
}

/** One message on a line, for `tail`. */
export function lineText(terminal: Terminal, message: MessageSummary): string {
  const [received = "", status = "", flow = "", id = "", key = "", , , took = "", why = ""] = row(message);
  const fields = [received, status.padEnd(6), flow, id, key === "" ? "" : `key ${key}`, took, why].filter((each) => each !== "");
  return `${painted(terminal, fields.join("  "), message)}\n`;
}

export function bodyLines(body: Shown, contentType: string): string {
  if ("omitted" in body) return `${bytesText(body.omitted)}, not recorded`;
  const bytes = "text" in body ? Buffer.from(body.text) : Buffer.from(body.base64, "base64");
  return bytes.length === 0 ? "empty" : bodyText(bytes, contentType);
}

export function headerLines(headers: Headers): string {
  const rows = [...headerPairs(headers)].map(([name, value]) => [safeText(name), safeText(value)]);
  return rows.length === 0 ? "" : indent(table(rows));
}

function callText({ paint }: Terminal, call: Attempt["calls"][number]): string {
  const asked = `${call.operation} ${safeText(call.method)} ${safeText(call.target, 200)}`.replace(/ {2,}/g, " ");
  const took = call.answeredAt === null ? "no answer" : msText(call.answeredAt - call.askedAt);
  const result = call.error === null ? String(call.answer?.status ?? "") : paint.red(safeText(call.error.code));
  const answer =
    call.answer === null ? "" : `\n${indent(bodyLines(call.answer.body, String(call.answer.headers["content-type"] ?? "")), "    ")}`;
  return `  ${paint.cyan("call")}  ${asked} → ${result} ${paint.dim(took)}${answer}\n`;
}

function waitLines({ paint }: Terminal, { name, key, until, endedAt, at, signal }: Attempt["waits"][number]): string {
  const time = until === null ? "" : ` until ${timeText(until)}`;
  const how = endedAt === null ? "open" : signal === null ? "time is over" : `signal ${safeText(signal.id)}`;
  const took = endedAt === null ? "" : ` ${paint.dim(msText(endedAt - at))}`;
  const body = signal === null ? "" : `\n${indent(bodyLines(signal.body, String(signal.headers["content-type"] ?? "")), "    ")}`;
  return `  ${paint.cyan("wait")}  for ${safeText(name)} (${safeText(key)})${time} → ${how}${took}${body}\n`;
}

/** An attempt, or a life so far. */
export function attemptText(terminal: Terminal, attempt: Attempt): string {
  const { paint } = terminal;
  const cpuMs = attempt.steps.reduce((sum, step) => sum + step.cpuMs, 0);
  const steps = `${attempt.steps.length} ${attempt.steps.length === 1 ? "step" : "steps"}`;
  const facts = `${timeText(attempt.startedAt)}, ${msText(attempt.durationMs)}, ${steps}, ${msText(cpuMs)} CPU, image ${attempt.image.slice(0, 12)}`;
  const lines = [`${paint.bold(`attempt ${attempt.attempt}`)} ${paint.dim(facts)}\n`];
  for (const { level, text, fieldsJson } of attempt.logs)
    lines.push(
      `  ${paint.cyan("log")}   ${level} ${safeText(text)}${fieldsJson === undefined ? "" : ` ${paint.dim(safeText(fieldsJson))}`}\n`,
    );
  for (const call of attempt.calls) lines.push(callText(terminal, call));
  for (const wait of attempt.waits) lines.push(waitLines(terminal, wait));
  for (const { outlet, key, contentType, body, dueAt } of attempt.sends)
    lines.push(
      `  ${paint.cyan("send")}  ${safeText(outlet)}${key === null ? "" : ` key ${safeText(key)}`}${dueAt === null ? "" : ` not before ${timeText(dueAt)}`}\n${indent(bodyLines(body, contentType), "    ")}\n`,
    );
  const state = Object.entries(attempt.state);
  if (state.length > 0) lines.push(`  ${paint.cyan("state")} ${safeText(JSON.stringify(Object.fromEntries(state)))}\n`);
  if (attempt.reply !== null)
    lines.push(
      `  ${paint.cyan("reply")} ${attempt.reply.status} ${paint.dim(safeText(attempt.reply.contentType))}\n${indent(bodyLines(attempt.reply.body, attempt.reply.contentType), "    ")}\n`,
    );
  if (attempt.continues !== null)
    lines.push(`  ${paint.cyan("continues as")}\n${indent(bodyLines(attempt.continues.body, attempt.continues.contentType), "    ")}\n`);
  if (attempt.error !== null) {
    lines.push(`  ${paint.red(safeText(attempt.error.code))}: ${safeText(attempt.error.message)}\n`);
    if (attempt.error.stack !== undefined) lines.push(`${paint.dim(indent(safeText(attempt.error.stack.trimEnd(), 20_000), "    "))}\n`);
  }
  return lines.join("");
}

/** One message whole. */
export function detailText(terminal: Terminal, detail: MessageDetail): string {
  const { paint } = terminal;
  const end = detail.status === "done" ? paint.green("done") : paint.red(detail.status);
  const relatives = (all: MessageDetail["parents"]): string => all.map(({ how, flow, id }) => `${flow} ${id} (${how})`).join(", ");
  const facts = [
    ["flow", detail.flow],
    ["from", detail.source],
    ["received", timeText(detail.receivedAt)],
    ["took", msText(detail.durationMs)],
    ...(detail.key === null ? [] : [["key", safeText(detail.key)]]),
    ...(detail.correlationId === null ? [] : [["correlation", safeText(detail.correlationId)]]),
    ...(detail.deadLetter === null ? [] : [["dead letter", detail.deadLetter]]),
    ...(detail.parents.length === 0 ? [] : [["caused by", relatives(detail.parents)]]),
    ...(detail.children.length === 0 ? [] : [["caused", relatives(detail.children)]]),
    ...(detail.redacted === null
      ? []
      : [["hidden", [...detail.redacted.headers, ...detail.redacted.paths].join(", ") || `bodies: ${detail.redacted.bodies}`]]),
  ];
  const why = detail.error === null ? "" : `${paint.red(safeText(detail.error.code))}: ${safeText(detail.error.message)}\n`;
  const outlets = detail.outlets.map(
    ({ outlet, attempt, at, durationMs, status, error }) =>
      `  ${safeText(outlet)} attempt ${attempt}: ${status === "sent" ? paint.green(status) : paint.red(status)} ${paint.dim(`${timeText(at)}, ${msText(durationMs)}`)}${error === null ? "" : ` ${safeText(error.code)}: ${oneLine(error.message, 200)}`}\n`,
  );
  return [
    `${paint.bold(safeText(detail.id))} ${end}\n${why}${indent(table(facts))}`,
    `${paint.bold("message")} ${paint.dim(safeText(detail.contentType))}\n${headerLines(detail.headers)}${indent(bodyLines(detail.body, detail.contentType))}\n`,
    ...detail.attempts.map((attempt) => attemptText(terminal, attempt)),
    ...(outlets.length === 0 ? [] : [`${paint.bold("outlets")}\n${outlets.join("")}`]),
  ].join("");
}
