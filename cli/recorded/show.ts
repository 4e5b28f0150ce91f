/** A replay as people read it. */
import type { Recording } from "#abi";
import type { Difference, Replay } from "#replay";
import { indent, safeText } from "../format.ts";
import { cliLimits } from "../limits.ts";
import type { Terminal } from "../terminal.ts";

function shown(value: unknown, whole: boolean): string {
  const text = typeof value === "string" && whole ? value : JSON.stringify(value, undefined, whole ? 2 : 0);
  if (whole) return safeText(text, cliLimits.valueCharacters);
  return text.length <= cliLimits.valueShown ? safeText(text) : `${safeText(text.slice(0, cliLimits.valueShown))}…`;
}

/** The path, then both values: one line each, or whole. */
export function differenceText({ paint }: Terminal, difference: Difference, whole: boolean): string {
  const { path } = difference;
  const line = (mark: string, value: unknown, has: boolean): string => {
    if (!has) return `${mark} ${whole ? "nothing" : "–"}\n`;
    const text = shown(value, whole);
    return text.includes("\n") ? `${mark}\n${indent(text)}\n` : `${mark} ${text}\n`;
  };
  const recorded = line("- recorded", difference.recorded, "recorded" in difference);
  const replayed = line("+ replayed", difference.replayed, "replayed" in difference);
  return `${paint.bold(path)}\n${indent(paint.red(recorded.trimEnd()))}\n${indent(paint.green(replayed.trimEnd()))}\n`;
}

export function showReplay(terminal: Terminal, replay: Replay, recording: Recording, whole: boolean): void {
  const { out, paint } = terminal;
  const { differences, moreDifferences = 0, compared, image, monitor, unanswered, remarks } = replay;
  const most = whole ? differences.length : cliLimits.differencesShown;
  for (const difference of differences.slice(0, most)) out(differenceText(terminal, difference, whole));
  const hidden = differences.length - Math.min(most, differences.length);
  if (hidden > 0) out(paint.dim(`… ${hidden} more: show them with --diff\n`));
  if (moreDifferences > 0) out(paint.dim(`… and ${moreDifferences} more that are only counted\n`));
  for (const { operation, target, method } of unanswered)
    out(`${paint.yellow("unanswered")} ${operation} ${method === "" ? "" : `${method} `}${safeText(target)}: no record answers it\n`);
  for (const remark of remarks) out(`${paint.dim(safeText(remark))}\n`);
  const steps = `${recording.steps.length} ${recording.steps.length === 1 ? "step" : "steps"}`;
  const where = paint.dim(`sha256:${image.slice(0, 12)}, ${monitor} monitor`);
  const count = differences.length + moreDifferences;
  if (replay.identical) out(`${paint.green("identical")} ${compared === "bits" ? `${steps}, bit for bit` : "by its outcome"} ${where}\n`);
  else out(`${paint.red(count === 0 ? "unanswered calls" : count === 1 ? "1 difference" : `${count} differences`)} ${where}\n`);
}
