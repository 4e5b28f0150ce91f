/** A backtest as people read it. */
import type { Backtest, Bisect, Group } from "#replay";
import { indent, safeText } from "../format.ts";
import { cliLimits } from "../limits.ts";
import { timeText } from "../messages/show.ts";
import type { Terminal } from "../terminal.ts";
import { differenceText } from "./show.ts";

const titles = { different: "different", failsNow: "fails now", passesNow: "passes now", unanswered: "unanswered" } as const;

function number(value: number): string {
  return value.toLocaleString("en");
}

function groupText(terminal: Terminal, { verdict, shape, count, examples }: Group): string {
  const { paint } = terminal;
  const colour = verdict === "passesNow" ? paint.green : verdict === "different" ? paint.yellow : paint.red;
  const lines = [`${colour(titles[verdict])} ${number(count)} ${paint.bold(safeText(shape, 300))}\n`];
  for (const { id, receivedAt, differences } of examples) {
    lines.push(`  ${safeText(id, 80)} ${paint.dim(timeText(receivedAt))}\n`);
    const [first] = differences;
    if (first !== undefined) lines.push(`${indent(differenceText(terminal, first, false).trimEnd(), "    ")}\n`);
  }
  return lines.join("");
}

function bisectText({ paint }: Terminal, { messages, images, first }: Bisect): string {
  const rows = images.map(({ image, builtAt, different }) => {
    const mark = image === first ? paint.red("◀ the first that differs") : "";
    return `  sha256:${image.slice(0, 12)} ${paint.dim(timeText(builtAt))} ${number(different)} of ${number(messages)} differ ${mark}`.trimEnd();
  });
  const none = images.length === 0 ? "  no image of this flow is kept in .mayfly/images\n" : "";
  return `${paint.bold("images, oldest first")}\n${none}${rows.map((row) => `${row}\n`).join("")}`;
}

export function showBacktest(terminal: Terminal, result: Backtest, bisected: Bisect | undefined): void {
  const { out, paint } = terminal;
  const { messages, same, different, failsNow, passesNow, unanswered, skipped, perSecond, groups } = result;
  for (const group of groups.slice(0, cliLimits.groupsShown)) out(groupText(terminal, group));
  if (groups.length > cliLimits.groupsShown) out(paint.dim(`… ${groups.length - cliLimits.groupsShown} more groups, in --json\n`));
  if (bisected !== undefined) out(bisectText(terminal, bisected));
  const counts = [
    `${number(same)} the same`,
    ...(different > 0 ? [`${number(different)} different`] : []),
    ...(failsNow > 0 ? [`${number(failsNow)} fail now`] : []),
    ...(passesNow > 0 ? [`${number(passesNow)} pass now`] : []),
    ...(unanswered > 0 ? [`${number(unanswered)} asked what no record answers`] : []),
    ...(skipped > 0 ? [`${number(skipped)} skipped, recorded without bodies or ended before a machine answered`] : []),
  ];
  const text = `${number(messages)} messages: ${counts.join(", ")}`;
  out(`${same === messages ? paint.green(text) : paint.red(text)} ${paint.dim(`${number(perSecond)} a second`)}\n`);
}
