/** A run as people read it. */
import { bodyText, indent, msText, parseJson, safeText, spanText } from "../format.ts";
import { cliLimits } from "../limits.ts";
import type { Terminal } from "../terminal.ts";
import type { RunResult } from "#replay";
import { lifeLines, waitsText } from "./life.ts";
import { placeText } from "#image";

const levelMarks = { debug: "debug", info: "info ", warn: "warn ", error: "error" } as const;

function fieldsText(fieldsJson: string | undefined): string {
  if (fieldsJson === undefined) return "";
  const fields = parseJson(fieldsJson);
  if (typeof fields !== "object" || fields === null || Array.isArray(fields)) return ` ${fieldsJson}`;
  return Object.entries(fields)
    .map(([name, value]) => ` ${name}=${typeof value === "string" && /^\S+$/.test(value) ? value : JSON.stringify(value)}`)
    .join("");
}

function showMore({ out, paint }: Terminal, count: number): void {
  if (count > cliLimits.linesShown) out(`  ${paint.dim(`… ${count - cliLimits.linesShown} more, in --json`)}\n`);
}

function showLogs(terminal: Terminal, { logs }: RunResult): void {
  const { out, paint } = terminal;
  if (logs.length === 0) return;
  out(`${paint.bold("logs")}\n`);
  for (const { level, text, fieldsJson } of logs.slice(0, cliLimits.linesShown)) {
    const mark =
      level === "error" ? paint.red(levelMarks[level]) : level === "warn" ? paint.yellow(levelMarks[level]) : paint.dim(levelMarks[level]);
    out(`  ${mark} ${safeText(text, 500)}${paint.dim(safeText(fieldsText(fieldsJson), 500))}\n`);
  }
  showMore(terminal, logs.length);
}

function showCalls(terminal: Terminal, { calls }: RunResult): void {
  const { out, paint } = terminal;
  if (calls.length === 0) return;
  out(`${paint.bold("asked")}\n`);
  for (const { target, contentType, body, method } of calls.slice(0, cliLimits.linesShown)) {
    out(`  ${paint.cyan(method === "" ? target : `${method} ${target}`)}${contentType === "" ? "" : paint.dim(` ${contentType}`)}\n`);
    if (body.length > 0) out(`${indent(bodyText(body, contentType), "    ")}\n`);
  }
  showMore(terminal, calls.length);
}

function showSends(terminal: Terminal, { sends, discardedSends }: RunResult): void {
  const { out, paint } = terminal;
  if (discardedSends > 0)
    out(`${paint.dim(`${discardedSends} ${discardedSends === 1 ? "send" : "sends"} not carried out, since the flow failed`)}\n`);
  if (sends.length === 0) return;
  out(`${paint.bold("sent")}\n`);
  for (const { outlet, key, contentType, body, dueMs, sentMs } of sends.slice(0, cliLimits.linesShown)) {
    const after = dueMs === undefined ? "" : ` after ${spanText(dueMs - sentMs)}`;
    out(`  ${paint.cyan(`→ ${outlet}`)}${key === undefined ? "" : ` key=${safeText(key)}`}${after} ${paint.dim(contentType)}\n`);
    out(`${indent(bodyText(body, contentType), "    ")}\n`);
  }
  showMore(terminal, sends.length);
}

function showLife({ out, paint }: Terminal, result: RunResult): void {
  const lines = lifeLines(result);
  if (lines.length === 0) return;
  out(`${paint.bold("life")}\n`);
  for (const line of lines.slice(0, cliLimits.linesShown)) out(`  ${line}\n`);
  showMore({ out, paint } as Terminal, lines.length);
}

function showUnclaimed({ out, paint }: Terminal, { unclaimed }: RunResult): void {
  for (const { name, key } of unclaimed.slice(0, cliLimits.linesShown))
    out(`${paint.yellow(`nothing waited for the signal ${safeText(name)}${key === undefined ? "" : ` ${safeText(key)}`}`)}\n`);
}

function showEnd(terminal: Terminal, result: RunResult): void {
  const { out, paint } = terminal;
  const { reply, failure, timings } = result;
  const waited = timings.virtualMs > 0 ? `, ${msText(Math.round(timings.virtualMs))} of virtual time` : "";
  const time = `${timings.steps} ${timings.steps === 1 ? "step" : "steps"}, ${msText(timings.cpuMs)} of a cold machine's CPU${waited}`;
  if (result.waits !== undefined) {
    out(
      `${paint.yellow("asleep")} ${paint.dim(`waits for ${waitsText(result.waits, result.transactions.at(-1)?.endedMs ?? 0)}, after ${time}`)}\n`,
    );
    return;
  }
  if (result.next !== undefined)
    out(
      `${paint.bold("continues as")} ${paint.dim(result.next.contentType)}\n${indent(bodyText(result.next.body, result.next.contentType))}\n`,
    );
  if (failure === undefined) {
    if (reply !== undefined)
      out(`${paint.bold("reply")} ${reply.status} ${paint.dim(reply.contentType)}\n${indent(bodyText(reply.body, reply.contentType))}\n`);
    out(`${paint.green("done")} ${paint.dim(`in ${time}`)}\n`);
    return;
  }
  const { at, stack } = failure;
  out(`${paint.red(failure.code)}: ${safeText(failure.message)}\n`);
  if (stack !== undefined && stack !== "") out(`${indent(safeText(stack, 20_000))}\n`);
  const retry = failure.retry ? "the gateway would try again" : "the gateway would not try again";
  out(`${paint.red("failed")} ${paint.dim(`${at === undefined ? "" : `at ${placeText(at)} `}in ${time}; ${retry}`)}\n`);
}

export function showRun(terminal: Terminal, result: RunResult): void {
  showLogs(terminal, result);
  showCalls(terminal, result);
  showLife(terminal, result);
  showSends(terminal, result);
  if (result.state !== undefined) terminal.out(`${terminal.paint.bold("state")} ${JSON.stringify(result.state)}\n`);
  showUnclaimed(terminal, result);
  showEnd(terminal, result);
}
